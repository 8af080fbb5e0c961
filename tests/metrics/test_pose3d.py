"""Errors of 3-D poses: against slow twins, by hand, and where rules make a difference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench import InputError
from cvbench.metrics.pose3d import MPJPE, PoseParams, figures, mpjpe, procrustes_align
from naive import pose3d as naive

SEEDS = st.integers(0, 2**32 - 1)
LINE = np.array([[[0.0, 0, 0], [100, 0, 0], [200, 0, 0]]])


def drawn(seed: int, n: int = 6, joints: int = 7) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    gt = rng.normal(0, 300, (n, joints, 3))
    visible = rng.random((n, joints)) < 0.8
    visible[:, :4] = True
    return gt, gt * rng.uniform(0.5, 2) + rng.normal(0, 60, gt.shape), visible


@given(SEEDS, st.sampled_from(("all", "visible")), st.sampled_from(((), (0,), (1, 2))), st.booleans())
def test_figures_are_those_of_the_twin(seed: int, fit: str, root: tuple[int, ...], some: bool) -> None:
    gt, pred, visible = drawn(seed)
    joints = [6, 1, 2, 3, 0] if some else range(7)
    rules = {"fit": fit, "root": root, "joints": joints if some else None}
    result = mpjpe({"keypoints": gt, "visible": visible}, pred, **rules)
    if root:
        gt, pred = (side - side[:, list(root)].mean(axis=1, keepdims=True) for side in (gt, pred))
    gt, pred, visible = gt[:, joints], pred[:, joints], visible[:, joints]
    used = visible if fit == "visible" else None
    for prefix, method in (("", "none"), ("PA-", "procrustes"), ("N-", "scale")):
        errors = naive.errors(pred, gt, method, used)
        # sums in another order, and the last bits of singular vectors
        assert result.values[f"{prefix}MPJPE"] == pytest.approx(errors[visible].mean(), rel=1e-9)
        by_joint = [errors[visible[:, c], c].mean() for c in range(len(joints))]
        assert [row[f"{prefix}MPJPE"] for row in result.tables["per_joint"]] == pytest.approx(by_joint, rel=1e-9)
        if method != "scale":
            rates = [(errors[visible] < threshold).mean() for threshold in np.linspace(0, 150, 31)]
            assert result.values[f"{prefix}AUC"] == pytest.approx(np.mean(rates), rel=1e-12)
            assert result.values[f"{prefix}PCK@150"] == pytest.approx(rates[-1], rel=1e-12)
            line = result.arrays["y"][("none", "procrustes").index(method)]
            np.testing.assert_allclose(line, rates, rtol=1e-12)
    assert [row["id"] for row in result.tables["per_joint"]] == list(joints)
    assert result.tables["per_joint"][0]["instances"] == visible[:, 0].sum()


def test_thresholds_are_strict() -> None:
    values = mpjpe(LINE, LINE + np.array([0, 0, 150])).values
    assert values["PCK@150"] == 0
    assert values["AUC"] == 0
    values = mpjpe(LINE, LINE + np.array([0, 0, 149]), thresholds=(149, 150)).values
    assert (values["PCK@149"], values["PCK@150"], values["AUC"]) == (0, 1, 1 / 31)
    assert mpjpe(LINE, LINE).values["AUC"] == 30 / 31, "nothing is below 0"


def test_three_errors_forgive_more_and_more() -> None:
    quarter_turn = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    for pred, zero in ((LINE, "MPJPE"), (LINE / 3, "N-MPJPE"), (LINE @ quarter_turn / 3 + 7, "PA-MPJPE")):
        values = mpjpe(LINE, pred).values
        names = ["MPJPE", "N-MPJPE", "PA-MPJPE"]
        for name in names[names.index(zero) :]:
            assert values[name] == pytest.approx(0, abs=1e-9), (name, zero)  # of 100 mm
        for name in names[: names.index(zero)]:
            assert values[name] > 10, (name, zero)


def test_the_root_may_be_the_middle_of_two_joints() -> None:
    gt, pred = LINE, LINE + np.array([5, 5, 5])
    assert mpjpe(gt, pred).values["MPJPE"] == pytest.approx(math.sqrt(75))
    assert mpjpe(gt, pred, root=1).values["MPJPE"] == 0
    bent = pred + np.array([[8, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert mpjpe(gt, bent, root=(0, 2)).values["MPJPE"] == 4
    assert mpjpe(gt, bent, root=0, joints=(1, 2)).values["MPJPE"] == 8


def test_groups_are_averaged_as_actions_are() -> None:
    gt = {"keypoints": np.repeat(LINE, 4, axis=0), "groups": ["Walking", "Walking", "Walking", ["Eating", "S9"]]}
    pred = gt["keypoints"] + np.array([0, 0, 0, 8])[:, None, None] * [1, 0, 0]
    result = mpjpe(gt, pred)
    assert result.values["MPJPE"] == 2
    rows = {row["name"]: (row["instances"], row["MPJPE"]) for row in result.tables["per_group"]}
    assert rows == {"Walking": (3, 0), "Eating": (1, 8), "S9": (1, 8)}
    assert result.values["MPJPE_groups"] == pytest.approx(16 / 3)
    assert list(result.values) == list(figures(PoseParams()))
    assert math.isnan(mpjpe(gt["keypoints"], pred).values["MPJPE_groups"])
    alone = MPJPE().update(gt, pred, 1).update({**gt, "groups": ["Sitting"] * 4}, pred, 2).compute({1: 1})
    assert alone.values["MPJPE_groups"] == result.values["MPJPE_groups"], "a group without poses is left out"


def test_collapsed_predictions_are_as_wrong_as_can_be() -> None:
    values = mpjpe(LINE, np.full((1, 3, 3), 7.0)).values
    assert values["PA-MPJPE"] == pytest.approx(200 / 3)
    assert mpjpe(LINE, np.zeros((1, 3, 3))).values["N-MPJPE"] == 100
    one = mpjpe(LINE[:, 2:], LINE[:, 1:2]).values
    assert (one["MPJPE"], one["PA-MPJPE"], one["N-MPJPE"]) == (100, 0, 0)


def test_what_does_not_count_may_be_anything() -> None:
    gt, pred, visible = drawn(1)
    visible[:, 5], visible[2] = False, False
    truth = {"keypoints": gt, "visible": visible}
    expected = mpjpe(truth, pred, fit="visible")
    gt[:, 5], pred[:, 5], gt[2], pred[2] = np.inf, np.nan, np.nan, -np.inf
    assert mpjpe(truth, pred, fit="visible").same_scores(expected)
    assert mpjpe(truth, pred, fit="visible", root=0).counts["instances_without_keypoints"] == 1
    row = expected.tables["per_joint"][5]
    assert row["instances"] == 0
    assert all(math.isnan(row[name]) for name in ("MPJPE", "PA-MPJPE", "N-MPJPE", "PCK@150"))
    assert expected.notes == ["1 of 6 instances have no keypoint that counts, left out of all figures"]


def test_nothing_at_all_is_undefined() -> None:
    for result in (MPJPE().compute(), mpjpe({"keypoints": LINE, "visible": np.zeros((1, 3))}, LINE)):
        assert list(result.values) == list(figures(PoseParams()))
        assert all(math.isnan(value) for value in result.values.values())


@pytest.mark.parametrize(
    ("change", "rules", "message"),
    [
        ({"gt": math.nan}, {}, r"gt\[0\].*keypoint 1 is at \(nan, 0, 0\)"),
        ({"pred": math.nan}, {}, r"pred\[0\].*keypoint 1"),
        ({"pred": math.inf}, {}, r"pred\[0\].*keypoint 1"),
        ({"pred": 1e100}, {}, r"pred\[0\].*keypoint 1 is at .1e\+100, 0, 0., expected numbers below 1e\+100"),
        ({"gt": math.nan, "hidden": 1}, {}, r"gt\[0\].*keypoint 1 is not visible and not finite.*fit=visible"),
        ({"hidden": 0}, {"root": (1, 0)}, r"gt\[0\].*keypoint 0, a root of the pose, is not visible"),
        ({}, {"root": 3}, "joints up to index 3; there are 3"),
        ({}, {"joints": (0, 5)}, "joints up to index 5; there are 3"),
    ],
)
def test_poses_that_cannot_be_scored(change: dict[str, Any], rules: dict[str, Any], message: str) -> None:
    gt, pred, visible = LINE.copy(), LINE.copy(), np.ones((1, 3))
    gt[0, 1, 0], pred[0, 1, 0] = change.get("gt", 1), change.get("pred", 1)
    if "hidden" in change:
        visible[0, change["hidden"]] = 0
    with pytest.raises(InputError, match=message):
        mpjpe({"keypoints": gt, "visible": visible}, pred, **rules)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"roots": 0}, "there is no rule 'roots'; did you mean 'root'"),
        ({"root": -1}, "root -1: expected distinct indices"),
        ({"root": 0.5}, "root 0.5: expected distinct indices"),
        ({"joints": (1, 1)}, "expected distinct indices"),
        ({"joints": ()}, "joints is empty"),
        ({"fit": "some"}, "fit 'some' is unknown"),
        ({"thresholds": (150, 100)}, "expected finite numbers of 0 or more that rise"),
        ({"curve": (-1, 1)}, "expected finite numbers of 0 or more that rise"),
        ({"curve": math.nan}, "expected finite numbers"),
    ],
)
def test_rules_that_cannot_be(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PoseParams.of(**rules)


def test_the_signature_has_all_rules() -> None:
    result = mpjpe(LINE / 1000, LINE / 1000, root=0, thresholds=0.15, curve=(), fit="visible", joints=(0, 2))
    rules = "root:0|joints:0,2|fit:visible|thresholds:0.15|compare:<|curve:none"
    assert str(result.signature) == f"pose.mpjpe@1|{rules}"
    assert "AUC" not in result.values
    assert not result.arrays
    assert "curve:0:150:5" in str(mpjpe(LINE, LINE).signature)


def test_one_pose_many_poses_and_none() -> None:
    gt, pred, _ = drawn(3)
    aligned = procrustes_align(pred, gt)
    assert np.array_equal(procrustes_align(pred[2], gt[2]), aligned[2])
    assert np.array_equal(procrustes_align(pred, gt, np.ones((6, 7))), aligned)
    assert np.array_equal(procrustes_align(pred.astype(np.float32).tolist(), gt, threads=1).shape, gt.shape)
    assert procrustes_align(pred[:0], gt[:0]).shape == (0, 7, 3)


@pytest.mark.parametrize(
    ("pred", "gt", "used", "message"),
    [
        (LINE, LINE[:, :2], None, "expected one shape"),
        (LINE[..., :2], LINE, None, r"pred.*shape \(1, 3, 2\); expected \(N, J, 3\)"),
        (LINE, LINE, [True], r"used has shape \(1,\); expected \(1, 3\)"),
        (LINE * np.nan, LINE, None, "pred.*not finite"),
        (LINE, LINE + 1e101, None, "gt.*not finite, or beyond"),
        ("a", LINE, None, "pred.*no array of numbers"),
    ],
)
def test_points_that_cannot_be_aligned(pred: Any, gt: Any, used: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        procrustes_align(pred, gt, used)
