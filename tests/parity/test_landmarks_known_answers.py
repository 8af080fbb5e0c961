"""NME against the constants that mmpose's tests hold."""

from __future__ import annotations

import numpy as np
import pytest

from cvbench.metrics.landmarks import nme

GT = [[10, 0], [10, 10], [-1, -1], [30, 30], [0, 10]]
PRED = [[10, 4], [10, 18], [0, 0], [40, 40], [20, 10]]


@pytest.mark.parametrize("mean", ["points", "faces"])
def test_the_constant_of_keypoint_eval(mean: str) -> None:
    """``test_keypoint_nme`` in tests/test_evaluation/test_functional/test_keypoint_eval.py: all printed digits."""
    truth = {"keypoints": [GT], "visible": [[1, 1, 0, 1, 1]]}
    result = nme(truth, [PRED], normalizer="none", mean=mean)
    assert result.values["NME"] == pytest.approx(11.5355339, abs=5e-8)


@pytest.mark.parametrize(("preset", "size"), [("aflw", [7.5] * 4), ("horse10", None)])
def test_perfect_predictions_have_no_error(preset: str, size: list[float] | None) -> None:
    """``test_nme_evaluate`` in tests/test_evaluation/test_metrics/test_keypoint_2d_metrics.py."""
    landmarks = {"aflw": 19, "horse10": 22}[preset]
    gt = np.zeros((4, landmarks, 2))
    for i in range(4):
        gt[i, i] = 0.5 * i
    truth = {"keypoints": gt, "size": size} if size else {"keypoints": gt}
    # horse10: only in the second of them are the nose and the eye apart
    result = nme(truth, gt, preset, zero_size="skip", mean="points")
    assert result.values["NME"] == 0
    assert result.counts["instances_without_size"] == (0 if size else 3)
