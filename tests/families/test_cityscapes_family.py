"""Folders of Cityscapes' maps of instance ids, as a user scores and checks them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cvbench
from cvbench.metrics.cityscapes import LABELS
from cvbench.metrics.mean_iou import CityscapesIoU
from families.map_files import save_folder, save_map, save_panoptic
from semantic_cases import MapKnobs, city_maps

PANOPTIC, SEMANTIC = "cityscapes.panoptic", "cityscapes.semantic"
GT_SUFFIX = "_gtFine_instanceIds"
CATEGORIES = {
    label.id: {"name": label.name, "isthing": int(label.instances)} for label in LABELS if label.train_id != 255
}
IDS = np.array([7, 8, 23, 0, 3, 24, 26, 29, 1000, 24000, 24001, 26001, 26002, 29003, 33000])
"""Stuff, void, groups of things, and instances, two of them of labels that are not evaluated."""


def instance_maps(seed: int, images: int = 4) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Maps of instance ids; predictions differ in some places and call some instances otherwise."""
    rng = np.random.default_rng(seed)
    sides: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] = ({}, {})
    for image in range(images):
        gt = np.kron(rng.choice(IDS, (4, 5)), np.ones((5, 5), np.int64))
        pred = np.roll(gt, rng.integers(0, 2, 2), (0, 1))
        pred = np.where(pred == 26001, 26009, pred)
        pred[rng.random(pred.shape) < 0.05] = rng.choice(IDS)
        pred[:5, :5] = rng.choice(IDS)
        sides[0][f"bonn_{image}"], sides[1][f"bonn_{image}"] = gt, pred
    return sides


def converted(maps: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """What the benchmark's own conversion to panoptic files makes of maps of instance ids."""
    images = []
    for name, ids in maps.items():
        painted, segments = np.zeros_like(ids), []
        for value in np.unique(ids).tolist():
            label = LABELS[value if value < 1000 else value // 1000]
            if label.train_id == 255:
                continue
            mask = ids == value
            painted[mask] = value
            crowd = int(value < 1000 and label.instances)
            segments.append({"id": value, "category_id": label.id, "area": int(mask.sum()), "iscrowd": crowd})
        images.append({"image_id": name, "map": painted, "segments": segments})
    return images


def save(folder: Path, seed: int = 3) -> tuple[Path, Path]:
    gt, pred = instance_maps(seed)
    return (
        save_folder(folder / "gt", gt, "I;16", GT_SUFFIX),
        save_folder(folder / "pred", pred, "I;16"),
    )


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return save(tmp_path)


# Panoptic


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rules", [{}, {"boundary": True, "dilation_ratio": 0.05}, {"area": "png"}])
def test_folders_score_as_the_panoptic_files_made_of_them(tmp_path: Path, seed: int, rules: dict[str, Any]) -> None:
    gt, pred = (converted(maps) for maps in instance_maps(seed))
    files = save_panoptic(tmp_path / "g.json", gt, CATEGORIES), save_panoptic(tmp_path / "p.json", pred, CATEGORIES)
    expected = cvbench.score(PANOPTIC, *files, **rules)
    for threads in (1, 2):
        result = cvbench.score(PANOPTIC, *save(tmp_path, seed), threads=threads, **rules)
        assert result.same_scores(expected)
    assert 0 < result.values["PQ"] < 1, "a figure that tells files apart"
    assert result.counts["crowd"] > 0
    assert result.counts["void_pixels"] > 0


def test_the_usual_band_is_that_of_cityscapes(folders: tuple[Path, Path]) -> None:
    result = cvbench.score(PANOPTIC, *folders, boundary=True)
    assert result.same_scores(cvbench.score(PANOPTIC, *folders, boundary=True, dilation_ratio=0.005))
    assert "dilation_ratio:0.005" in str(result.signature)


def test_all_void(tmp_path: Path) -> None:
    void = {"bonn_0": np.zeros((4, 5), np.int64)}
    gt, pred = save_folder(tmp_path / "gt", void, "L", GT_SUFFIX), save_folder(tmp_path / "pred", void)
    for rules in ({}, {"boundary": True}):
        result = cvbench.score(PANOPTIC, gt, pred, **rules)
        assert np.isnan(list(result.values.values())).all()
        assert result.counts["void_pixels"] == 20


# Semantic


@pytest.mark.parametrize("threads", [1, 2])
def test_folders_score_as_maps_in_memory(tmp_path: Path, threads: int) -> None:
    pairs = city_maps(MapKnobs(3, 4, 6, 24, 5, 0.3, False))
    assert len({gt.shape for gt, _ in pairs}) > 1
    gt, pred = ({f"ulm_{i}": pair[side] for i, pair in enumerate(pairs)} for side in (0, 1))
    metric = CityscapesIoU()
    for name in gt:
        metric.update(gt[name], pred[name], name)
    files = save_folder(tmp_path / "gt", gt, "I;16", GT_SUFFIX), save_folder(tmp_path / "pred", pred)
    result = cvbench.score(SEMANTIC, *files, threads=threads)
    assert result.same_scores(metric.compute())
    assert 0 < result.values["iIoU"] < 1, "a figure that tells files apart"
    assert cvbench.score(SEMANTIC, gt, pred).same_scores(result)
    np.savez(tmp_path / "gt.npz", **gt)
    assert cvbench.score(SEMANTIC, tmp_path / "gt.npz", files[1]).same_scores(result)


def test_instances_of_what_is_not_evaluated_are_void_for_both_tasks(tmp_path: Path) -> None:
    ids = {"bonn_0": np.array([[1000, 29001, 9002, 7]])}
    gt, pred = (
        save_folder(tmp_path / "gt", ids, "I;16", GT_SUFFIX),
        save_map(tmp_path / "p/bonn_0.png", np.full((1, 4), 7), "L"),
    )
    semantic, panoptic = (cvbench.score(task, gt, pred.parent) for task in (SEMANTIC, PANOPTIC))
    assert (semantic.counts["ignored_pixels"], panoptic.counts["void_pixels"]) == (3, 3)
    assert semantic.values["mIoU"] == panoptic.values["PQ"] == 1
