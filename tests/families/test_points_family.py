"""Paired keypoints as a user scores and checks them: what a wrong input is answered with, by files and from memory."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvbench import TASKS, InputError, score
from cvbench.scoring import check

NAMES = ["eye", "nose", "chin"]
POINTS = np.array([[[10, 20], [30, 40], [50, 60]], [[11, 21], [31, 41], [51, 61]], [[5, 5], [9, 5], [9, 9]]], float)

Change = Callable[[dict[str, Any], list[dict[str, Any]]], object]


def data() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Three instances of two images, and predictions that are a pixel off, in another order."""
    annotations = [
        {"id": 7 + i, "image_id": i // 2, "bbox": [0, 0, 40, 50], "head_size": 20, "keypoints": flat(points, 2)}
        for i, points in enumerate(POINTS)
    ]
    gt = {"categories": [{"id": 1, "name": "face", "keypoints": NAMES}], "annotations": annotations}
    return gt, [{"annotation_id": 7 + i, "keypoints": flat(POINTS[i] + [1, 0], 0.5)} for i in (2, 0, 1)]


def flat(points: np.ndarray, third: float) -> list[float]:
    return [float(x) for x in np.insert(points, 2, third, axis=1).ravel()]


def save(folder: Path, change: Change = lambda gt, pred: None) -> tuple[Path, Path]:
    """Both files, with a change."""
    sides = data()
    change(*sides)
    paths = folder / "gt.json", folder / "pred.json"
    for path, content in zip(paths, sides, strict=True):
        path.write_text(json.dumps(content))
    return paths


def test_files_and_what_they_hold_score_the_same(tmp_path: Path) -> None:
    given = data()
    before = copy.deepcopy(given)
    by_file, by_data = score("pose.pck", *save(tmp_path)), score("pose.pck", *given)
    assert by_file.same_scores(by_data)
    assert given == before
    assert by_file.counts["keypoints"] == 9
    assert [row["name"] for row in by_file.tables["per_joint"]] == NAMES


def nowhere(gt: dict[str, Any], pred: list[dict[str, Any]]) -> None:
    gt["annotations"][1]["keypoints"][0] = None
    gt["annotations"][2]["keypoints"][4] = float("inf")


def test_ground_truth_alone_is_judged_once(tmp_path: Path) -> None:
    gt, pred = save(tmp_path, nowhere)
    for files in ([gt], [gt, pred]):
        problems = check("pose.epe", files)
        assert [problem.where for problem in problems] == [f"{gt}.annotations[{i}]" for i in (1, 2)]
        assert problems[0].message.startswith("keypoint 0 is at (nan, 21), expected finite numbers; visible keypoints")


def no_boxes(gt: dict[str, Any], pred: list[dict[str, Any]]) -> None:
    for annotation in gt["annotations"]:
        del annotation["bbox"]


WHOLE: list[tuple[str, dict[str, Any], Change, str]] = [
    ("pose.pck", {}, no_boxes, "normalizer bbox is the longer side of the instance's box, and the ground truth has no"),
    ("pose.pck", {"normalizer": "head"}, lambda *_: None, "normalizer head is 0.6 times the diagonal of the head box"),
    ("pose.pck", {"counted": (0, 9)}, lambda *_: None, "the rules name joints up to index 9; there are 3"),
    ("pose.pck", {"normalizer": "joints:0-7"}, lambda *_: None, "normalizer joints:0-7 names joint 7; there are 3"),
    ("mpii.pckh", {}, lambda *_: None, "there are 3 joints; MPII has 16"),
    ("landmarks.nme", {"preset": "wflw"}, lambda *_: None, "there are 3 landmarks, and the rules are for 98"),
    ("pose.pcp", {"limbs": ["arm=0-5"], "zero_size": "miss"}, lambda *_: None, "limbs name joint 5; there are 3"),
    ("pose.epe", {"counted": (3,)}, lambda *_: None, "counted names joint 3; there are 3"),
]


@pytest.mark.parametrize(("task", "rules", "change", "message"), WHOLE)
def test_ground_truth_that_lacks_what_rules_ask_for_is_named(
    task: str, rules: dict[str, Any], change: Change, message: str, tmp_path: Path
) -> None:
    files = save(tmp_path, change)
    for paths in (files[:1], files):
        (problem,) = check(task, paths, **rules)
        assert problem.where == str(files[0])
        assert problem.message.startswith(message)
    with pytest.raises(InputError, match="^gt: ") as raised:
        score(task, *(json.loads(path.read_text()) for path in files), **rules)
    assert raised.value.message == problem.message


def test_a_task_with_a_curve_alone_has_figures_of_joints_and_parts() -> None:
    gt, pred = data()
    pred[0]["keypoints"][6] += 100  # the chin of the last instance
    result = score("pose.auc", gt, pred, parts=["Rest=1+2"])
    (nose, chin) = (row["AUC"] for row in result.tables["per_joint"][1:])
    # a pixel is 1/30: it is reached at 19 of the 20 thresholds
    assert (nose, chin) == pytest.approx((19 / 20, 2 / 3 * 19 / 20), rel=1e-12)
    assert result.tables["per_part"] == [{"name": "Rest", "AUC": pytest.approx((nose + chin) / 2, rel=1e-12)}]


def test_one_joint_is_no_joints() -> None:
    parts = TASKS["pose.pck"].describe({"parts": ["Head=0", "Rest=1+2"]})
    assert parts["Head"] == "joint 0, distances up to 0.2"
    assert parts["Rest"] == "joints 1+2, distances up to 0.2"


def test_a_size_that_is_lacking_is_answered_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"has no head boxes; it has boxes .normalizer=bbox. and sizes .normalizer=si"):
        score("pose.pck", *data(), normalizer="head")


@pytest.mark.parametrize("task", ["pose.pck", "pose.epe"])
def test_missing_predictions_are_refused_with_the_rule_that_allows_them(task: str) -> None:
    gt, pred = data()
    pred[1]["keypoints"][3] = None
    pred[2]["keypoints"][4] = float("inf")
    nowhere, infinite = check(task, [gt, pred])
    assert (nowhere.where, infinite.where) == ("pred[1]", "pred[2]")
    allowed = "; missing=miss counts it as a miss" if task == "pose.pck" else ""
    assert nowhere.message == f"keypoint 1 is at (nan, 40), expected finite numbers{allowed}"
    assert infinite.message == "keypoint 1 is at (32, inf), expected finite numbers"


@pytest.mark.parametrize("task", ["pose.pck", "pose.epe"])
def test_coordinates_whose_squares_overflow_are_refused(task: str) -> None:
    gt, pred = data()
    gt["annotations"][0]["keypoints"][0] = -1e200
    pred[2]["keypoints"][4] = 1e100
    problems = check(task, [gt, pred])
    assert [problem.where for problem in problems] == ["gt.annotations[0]", "pred[2]"]
    assert problems[0].message.startswith("keypoint 0 is at (-1e+200, 20), expected numbers below 1e+100; visible")
    assert problems[1].message == "keypoint 1 is at (32, 1e+100), expected numbers below 1e+100"


ARGUMENTS: list[tuple[str, dict[str, Any], str]] = [
    ("pose.pck", {"normalizer": 10}, "normalizer 10: expected a Normalizer, or text such as 'bbox' or 'fixed:30'"),
    ("landmarks.nme", {"normalizer": 10}, "normalizer 10: expected"),
    ("pose.pck", {"normalizer": "torso"}, "there is no normalizer 'torso'; expected one of bbox"),
    ("pose.pck", {"threshold": 0.5}, "pose.pck has no parameter 'threshold'; did you mean 'thresholds'"),
    ("pose.pck", {"preset": "jhmbd"}, "there is no preset 'jhmbd'; did you mean 'jhmdb'"),
    ("pose.pck", {"parts": ["AUC=0"]}, "part 'AUC': this names another figure; expected a name such as Wrist"),
    ("pose.pck", {"parts": "PCK@0.2=0"}, "part 'PCK@0.2': this names another figure"),
    ("pose.pdj", {}, "PDJ needs a preset or, for other joints, normalizer=joints:A-B"),
    ("pose.pcp", {}, "PCP needs limbs, such as shin=0-1, or a preset, which has some: lsp, flic"),
    ("landmarks.nme", {}, "expected a normalizer, or a preset, which has one: 300w"),
]


@pytest.mark.parametrize(("task", "rules", "message"), ARGUMENTS)
def test_rules_that_are_none(task: str, rules: dict[str, Any], message: str) -> None:
    for call in (lambda: score(task, *data(), **rules), lambda: check(task, data(), **rules)):
        with pytest.raises(InputError) as raised:
            call()
        assert raised.value.message.startswith(message)


def test_one_text_is_one_limb_and_one_part() -> None:
    result = score("pose.pcp", *data(), limbs="brow=0-1", parts="Face=0")
    assert (result.values, result.tables["per_limb"][0]["name"]) == ({"Face": 1.0, "PCP@0.5": 1.0}, "brow")
