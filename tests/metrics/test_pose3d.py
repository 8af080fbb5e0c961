"""Errors of 3-D poses: against slow twins, by hand, and where rules make a difference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from cvbench import InputError
from cvbench.metrics.pose3d import PoseParams, procrustes_align

SEEDS = st.integers(0, 2**32 - 1)
LINE = np.array([[[0.0, 0, 0], [100, 0, 0], [200, 0, 0]]])


def drawn(seed: int, n: int = 6, joints: int = 7) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    gt = rng.normal(0, 300, (n, joints, 3))
    visible = rng.random((n, joints)) < 0.8
    visible[:, :4] = True
    return gt, gt * rng.uniform(0.5, 2) + rng.normal(0, 60, gt.shape), visible


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
