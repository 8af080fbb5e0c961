"""Errors of 3-D poses against the constants that mmpose's tests hold."""

from __future__ import annotations

import pytest

from cvbench.metrics.pose3d import mpjpe

GT = [
    [[1, 0, 0], [1, 1, 1], [-1, 0, 0], [3, 3, 1], [0, 1, 0]],
    [[1, 1, 0], [1, 0, 1], [-1, 0, 0], [0, 0, 3], [1, 1, 0]],
]
PRED = [
    [[1, 0, 0], [2, 2, 0], [0, 0, -1], [3, 3, 1], [0, 1, 1]],
    [[1, 0, 0], [2, 2, 1], [-1, 0, 0], [0, 0, 3], [0, 0, 1]],
]


def test_the_constants_of_keypoint_eval() -> None:
    """``test_keypoint_mpjpe`` in tests/test_evaluation/test_functional/test_keypoint_eval.py: all printed digits."""
    values = mpjpe({"keypoints": GT, "visible": [[1, 1, 0, 1, 1]] * 2}, PRED).values
    assert values["MPJPE"] == pytest.approx(0.9625211990796929, rel=1e-15)
    assert values["PA-MPJPE"] == pytest.approx(1.0047897634604497, rel=1e-14)
    assert values["N-MPJPE"] == pytest.approx(1.0277129678465953, rel=1e-15)
