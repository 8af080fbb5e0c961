"""MPII's own files through the one call and the command line: every recorded protocol, in every form of file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from cvbench import Result, cli, score

MODEL = "bearpaw-hg_s2_b1"
ROUNDING = {"rtol": 1e-13, "atol": 0}
"""Figures are recorded in percent with all digits."""

PARTS = ["Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle"]
RULES: dict[str, tuple[dict[str, str], str]] = {
    "pytorch-pose": ({}, "pytorch_pose"),
    "hrnet": ({}, "hrnet"),
    "hrnet, not shifted": ({"shift": "0"}, "hrnet_noshift"),
    "mmpose": ({}, "hrnet"),  # no distance is exactly on a threshold
    "matlab": ({}, "hrnet_noshift"),  # but for what it calls Head
}
"""By protocol: rules beside it, and the name under which its figures are recorded."""


@pytest.fixture(scope="module")
def files(real_data: Path) -> tuple[Path, Path]:
    folder = real_data / "mpii_val"
    return folder / "detections_our_format.mat", folder / "preds" / f"{MODEL}.mat"


@pytest.fixture(scope="module")
def official(real_data: Path) -> dict[str, dict[str, float]]:
    content: dict[str, Any] = json.loads((real_data / "mpii_val" / "expected.json").read_text())[MODEL]
    return content


@pytest.mark.parametrize("name", RULES)
def test_recorded_protocols_in_the_shell(
    name: str, files: tuple[Path, Path], official: dict[str, dict[str, float]], tmp_path: Path
) -> None:
    rules, recorded = RULES[name]
    protocol = name.partition(",")[0]
    given = [part for rule in {"protocol": protocol, **rules}.items() for part in ("-p", "=".join(rule))]
    with pytest.raises(SystemExit) as ended:
        cli.app(["score", "mpii.pckh", *map(str, files), *given, "-o", str(tmp_path / "result.json")])
    assert ended.value.code == 0
    result = Result.load(tmp_path / "result.json")
    assert f"|shift:{float(rules.get('shift', protocol in ('hrnet', 'mmpose')))}|" in str(result.signature)
    parts = PARTS[protocol == "matlab" :]
    assert_equal([result.values[part] for part in parts], [official[recorded][part] for part in parts])
    assert_equal([result.values["PCKh@0.5"]], [official[recorded]["Mean"]])
    tenth = official.get(f"{recorded}@0.1")
    if tenth is not None:
        rows = {row["name"]: row["PCKh@0.1"] for row in result.tables["per_part"]}
        assert_equal([*(rows[part] for part in parts), result.values["PCKh@0.1"]], [tenth[p] for p in [*parts, "Mean"]])


def assert_equal(figures: list[Any], percent: list[float]) -> None:
    np.testing.assert_allclose(100 * np.array(figures, float), percent, **ROUNDING)


def test_every_form_of_the_real_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    expected = score("mpii.pckh", *files)
    truth = scipy.io.loadmat(files[0])
    found = scipy.io.loadmat(files[1])["preds"]
    names = [str(name[0]) for name in truth["dataset_joints"].ravel()]
    points, visible = truth["pos_gt_src"].transpose(2, 0, 1), truth["jnt_missing"].T == 0
    heads = truth["headboxes_src"].transpose(2, 0, 1).reshape(-1, 4)
    arrays = {"keypoints": points, "visible": visible, "head_boxes": heads, "joint_names": names}
    np.savez(tmp_path / "gt.npz", **arrays)
    np.save(tmp_path / "pred.npy", found)
    np.savez(tmp_path / "pred.npz", preds=found)
    with h5py.File(tmp_path / "pred.h5", "w") as file:
        file["preds"] = found
    triples = np.concatenate([points, visible[:, :, None]], axis=2).reshape(len(points), -1)
    header = ["id", "head_x1", "head_y1", "head_x2", "head_y2", *(f"{name}_{axis}" for name in names for axis in "xyv")]
    save_csv(tmp_path / "gt.csv", header, heads, triples)
    header = ["id", *(f"{name}_{axis}" for name in names for axis in "xy")]
    save_csv(tmp_path / "pred.csv", header, found.reshape(len(found), -1).astype(float))
    annotations = [
        {"id": i, "head_box": box.tolist(), "keypoints": own.tolist()}
        for i, (box, own) in enumerate(zip(heads, triples, strict=True))
    ]
    held = {"annotations": annotations, "categories": [{"keypoints": names}]}
    (tmp_path / "gt.json").write_text(json.dumps(held))
    records = [{"annotation_id": i, "keypoints": own.tolist()} for i, own in enumerate(found)]
    (tmp_path / "pred.json").write_text(json.dumps(records[::-1]))
    pairs: list[tuple[Any, Any]] = [
        *((files[0], tmp_path / f"pred.{form}") for form in ("npy", "npz", "h5")),
        *((tmp_path / f"gt.{form}", files[1]) for form in ("npz", "json", "csv")),
        (tmp_path / "gt.json", tmp_path / "pred.csv"),
        (tmp_path / "gt.csv", tmp_path / "pred.json"),
        (arrays, found),
    ]
    for gt, pred in pairs:
        assert score("mpii.pckh", gt, pred).same_scores(expected), (gt, pred)


def save_csv(path: Path, header: list[str], *columns: np.ndarray) -> None:
    rows = np.concatenate(columns, axis=1).tolist()
    lines = [",".join(map(str, [i, *row])) for i, row in enumerate(rows)]
    path.write_text("\n".join([",".join(header), *lines]))
