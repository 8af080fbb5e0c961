"""Every task on paired keypoints from every form of file, from memory, and by its class: the same to the last bit."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvbench import Result, epe, mpjpe, nme, pck, pckh, pcp, score
from cvbench.columns import Float
from cvbench.metrics.keypoints import pdj_params
from keypoint_cases import KeypointKnobs, keypoint_images

Side = dict[str, Any]
Call = Callable[..., Result]

PDJ = {name: getattr(pdj_params(), name) for name in ("normalizer", "thresholds", "curve", "parts")}
BY_CLASS: dict[str, tuple[int, dict[str, Any], Call]] = {
    "pose.pck": (14, {"missing": "miss"}, partial(pck, box_format="xywh")),
    "mpii.pckh": (16, {}, pckh),
    "pose.pdj": (14, {"preset": "lsp", "missing": "miss", "zero_size": "skip"}, partial(pck, **PDJ)),
    "pose.pcp": (14, {"preset": "lsp", "missing": "miss"}, partial(pcp, preset="lsp")),
    "pose.auc": (21, {"missing": "miss"}, partial(pck, preset="mmpose-auc")),
    "pose.epe": (5, {}, epe),
    "landmarks.nme": (19, {"preset": "aflw"}, partial(nme, preset="aflw")),
    "pose.mpjpe": (17, {}, mpjpe),
}
"""By task: how many keypoints it takes, rules, and the function that knows nothing of files."""


def instances(joints: int, missing: bool, dims: int) -> tuple[Side, Float]:
    """Ground truth and predictions of a few instances, with all that annotations can have."""
    hidden = 0.3 if dims == 2 else 0.0
    images = keypoint_images(KeypointKnobs(6, 5, 6, joints, False, hidden, 0.2 * missing, False, dims))
    names = ("keypoints", "visible", "boxes", "head_boxes", "size")
    gt = {name: np.concatenate([truth[name] for truth, _ in images]) for name in names}
    gt["boxes"][:, 2:] -= gt["boxes"][:, :2]
    gt["groups"] = ["odd" if row % 2 else "even" for row in range(len(gt["size"]))]
    return gt, np.concatenate([pred["keypoints"] for _, pred in images])


def nested(points: Float) -> list[list[float | None]]:
    return [[None if np.isnan(value) else value for value in point] for point in points.tolist()]


def records(gt: Side, pred: Float) -> tuple[Any, Any]:
    """Annotations with `visible` beside lists of coordinates, and predictions in the reverse order."""
    annotations, found = [], []
    for row, points in enumerate(gt["keypoints"]):
        boxes = {"bbox": gt["boxes"][row].tolist(), "head_box": gt["head_boxes"][row].tolist()}
        own = {"size": gt["size"][row], "groups": gt["groups"][row], "visible": gt["visible"][row].tolist()}
        annotations.append({"id": row, "keypoints": nested(points), **boxes, **own})
        found.append({"annotation_id": row, "keypoints": nested(pred[row])})
    return {"annotations": annotations}, found[::-1]


def table(gt: Side, pred: Float) -> tuple[str, str]:
    axes = "xyz"[: pred.shape[2]]
    columns = {"id": np.arange(len(pred)), "size": gt["size"], "groups": gt["groups"]}
    columns |= {f"box_{side}": gt["boxes"][:, i] for i, side in enumerate("xywh")}
    columns |= {f"head_{side}": gt["head_boxes"][:, i] for i, side in enumerate(("x1", "y1", "x2", "y2"))}
    columns |= {f"{j}_v": gt["visible"][:, j].astype(int) for j in range(pred.shape[1])}
    found: dict[str, Any] = {"id": np.arange(len(pred))}
    for points, own in ((gt["keypoints"], columns), (pred, found)):
        own |= {f"{j}_{axis}": points[:, j, i] for j in range(pred.shape[1]) for i, axis in enumerate(axes)}
    return as_csv(columns), as_csv(found)


def as_csv(columns: dict[str, Any]) -> str:
    rows = zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]).replace("nan", "")


def save(gt: Side, pred: Float, folder: Path) -> dict[str, tuple[Any, Any]]:
    """The two sides in every form."""
    np.savez(folder / "gt.npz", **gt)
    np.savez(folder / "pred.npz", keypoints=pred)
    np.save(folder / "pred.npy", pred)
    held = records(gt, pred)
    for name, content in zip(("gt.json", "pred.json"), map(json.dumps, held), strict=True):
        (folder / name).write_text(content)
    for name, content in zip(("gt.csv", "pred.csv"), table(gt, pred), strict=True):
        (folder / name).write_text(content)
    pairs = (("npz", "npz"), ("npz", "npy"), ("json", "json"), ("csv", "csv"), ("json", "csv"), ("csv", "npy"))
    files = {f"{gt} and {pred}": (folder / f"gt.{gt}", folder / f"pred.{pred}") for gt, pred in pairs}
    return {**files, "arrays": (gt, pred), "records": held}


def figures(result: Result) -> str:
    """All figures with all digits; PDJ is the task's name for a PCK."""
    return repr((result.values, result.tables)).replace("PDJ@", "PCK@")


@pytest.mark.parametrize("task", BY_CLASS)
def test_all_forms_and_the_class_agree(task: str, tmp_path: Path) -> None:
    joints, rules, call = BY_CLASS[task]
    given = instances(joints, "missing" in rules, 3 if task == "pose.mpjpe" else 2)
    before = copy.deepcopy(given)
    expected = call(*given, **{name: rule for name, rule in rules.items() if name in ("missing", "zero_size")})
    assert not any(map(np.isnan, expected.values.values()))
    for form, sides in save(*given, tmp_path).items():
        result = score(task, *sides, **rules)
        assert result.signature.conventions == expected.signature.conventions
        assert figures(result) == figures(expected), form
        assert {**result.counts, "images": 1} == expected.counts | {"images": 1}
        np.testing.assert_equal(result.arrays, expected.arrays)
        assert score(task, *sides, threads=1, **rules).same_scores(result)
    np.testing.assert_equal(given, before)
