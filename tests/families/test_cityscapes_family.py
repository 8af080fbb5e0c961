"""Folders of Cityscapes' maps of instance ids, as a user scores and checks them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cvbench
from cvbench.errors import FormatError, InputError
from cvbench.metrics.cityscapes import LABELS
from cvbench.metrics.mean_iou import CityscapesIoU
from cvbench.result import Result
from cvbench.scoring import check
from families.map_files import exit_code, save_folder, save_map, save_panoptic
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


# What is wrong


def unknown(gt: Path, pred: Path) -> str:
    save_map(gt / f"bonn_1{GT_SUFFIX}.png", np.full((20, 25), 34), "L")
    return f"{gt / f'bonn_1{GT_SUFFIX}.png'}: has the id 34 in 500 pixels; expected a label of 0 to 33"


def instance_of_stuff(gt: Path, pred: Path) -> str:
    save_map(gt / f"bonn_1{GT_SUFFIX}.png", np.full((20, 25), 7001), "I;16")
    return f"{gt / f'bonn_1{GT_SUFFIX}.png'}: has the id 7001 in 500 pixels"


def truncated(gt: Path, pred: Path) -> str:
    path = pred / "bonn_1.png"
    path.write_bytes(path.read_bytes()[:50])
    return f"{path}: the PNG ends inside of a chunk IDAT: the file is cut short"


def missing(gt: Path, pred: Path) -> str:
    (pred / "bonn_1.png").unlink()
    return f"{pred}: there is no map `bonn_1`, which {gt / f'bonn_1{GT_SUFFIX}.png'} asks for"


def of_other_size(gt: Path, pred: Path) -> str:
    save_map(pred / "bonn_1.png", np.full((20, 24), 7), "L")
    return f"{pred / 'bonn_1.png'}: 24 x 20 pixels; {gt / f'bonn_1{GT_SUFFIX}.png'} has 25 x 20 pixels"


@pytest.mark.parametrize("task", [PANOPTIC, SEMANTIC])
@pytest.mark.parametrize("spoil", [unknown, instance_of_stuff, truncated, missing, of_other_size])
def test_what_is_wrong_is_said(tmp_path: Path, task: str, spoil: Any, capfd: pytest.CaptureFixture[str]) -> None:
    gt, pred = instance_maps(3)
    labels = {name: np.where(ids < 1000, ids, ids // 1000) for name, ids in pred.items()}
    files = save_folder(tmp_path / "gt", gt, "I;16", GT_SUFFIX), save_folder(tmp_path / "pred", labels)
    assert check(task, files) == []
    message = spoil(*files)
    problems = check(task, files)
    assert len(problems) == 1
    assert str(problems[0]).startswith(message)
    assert check(task, files[:1]) == (problems if message.startswith(str(files[0])) else [])
    with pytest.raises(FormatError) as refusal:
        cvbench.score(task, *files)
    assert str(refusal.value) == str(problems[0])
    assert exit_code("check", task, *files) == 2
    assert capfd.readouterr().out == f"{problems[0]}\n"
    assert exit_code("score", task, *files) == 2
    assert str(problems[0]) in capfd.readouterr().err


def test_a_folder_against_a_file(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    file = save_panoptic(tmp_path / "p.json", converted(instance_maps(3)[1]), CATEGORIES)
    for files, message in (
        ((folders[0], file), f"{file}: the ground truth is a folder of instance ids; expected such a folder here"),
        ((file, folders[1]), f"{folders[1]}: this is a folder, expected a JSON file"),
        ((folders[0], tmp_path / "no"), f"{tmp_path / 'no'}: there is no such file or folder"),
        ((tmp_path / "no", folders[1]), f"{tmp_path / 'no'}: there is no such file"),
    ):
        with pytest.raises(FormatError) as refusal:
            cvbench.score(PANOPTIC, *files)
        assert str(refusal.value) == message
        assert [str(problem) for problem in check(PANOPTIC, files)][:1] == [message]


def test_folders_without_maps(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    (tmp_path / "empty").mkdir()
    for task in (PANOPTIC, SEMANTIC):
        for files in ((tmp_path / "empty", folders[1]), (folders[0], tmp_path / "empty")):
            with pytest.raises(FormatError, match=r"there are no maps .* it is empty"):
                cvbench.score(task, *files)
            assert [problem.where for problem in check(task, files)] == [str(tmp_path / "empty")]
    for source in (tmp_path / "nowhere", str(tmp_path / "nowhere")):
        assert [problem.message for problem in check(SEMANTIC, [source])] == ["there is no such file or folder"]
    assert "there is no map whose name ends with `_gtFine_instanceIds`" in check(SEMANTIC, [folders[1]])[0].message


# What a result says


@pytest.mark.parametrize("task", [PANOPTIC, SEMANTIC])
def test_outputs_hashes_and_extra_predictions(tmp_path: Path, task: str, capfd: pytest.CaptureFixture[str]) -> None:
    gt, pred = instance_maps(3)
    labels = {name: np.where(ids < 1000, ids, ids // 1000) for name, ids in pred.items()}
    files = save_folder(tmp_path / "gt", gt, "I;16", GT_SUFFIX), save_folder(tmp_path / "pred", labels)
    first = cvbench.score(task, *files)
    save_map(files[1] / "ulm_9.png", np.full((2, 2), 200), "L")
    result = cvbench.score(task, *files)
    assert (result.values, result.inputs) == (first.values, first.inputs)
    assert result.counts["extra_predictions"] == 1
    assert "1 predicted maps have no ground truth and are not scored" in result.notes
    again = cvbench.score(task, save_folder(tmp_path / "again", gt, "I;16", GT_SUFFIX), files[1])
    assert again.inputs["gt"]["sha256"] == first.inputs["gt"]["sha256"]
    for form in ("md", "csv", "json", "text"):
        assert exit_code("score", task, *files, "--per-category", "--format", form) == 0
        text = capfd.readouterr().out
        assert "motorcycle" in text
        if form == "json":
            assert Result.from_json(text).same_scores(result)
    assert exit_code("score", task, *files, "-o", tmp_path / "result.json") == 0
    assert Result.load(tmp_path / "result.json").same_scores(result)


def test_parameters_without_effect_are_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    for call in (lambda **rules: cvbench.score("cityscapes.panoptic", *folders, **rules), check_folders(folders)):
        with pytest.raises(InputError, match="pred_folder has no effect where the ground truth is a folder"):
            call(pred_folder=tmp_path)
    with pytest.raises(InputError, match="gt_suffix has no effect where the ground truth is JSON"):
        cvbench.score("cityscapes.panoptic", "gt.json", "pred.json", gt_suffix="_ids")


def check_folders(folders: tuple[Path, Path]) -> Any:
    return lambda **rules: check("cityscapes.panoptic", list(folders), **rules)
