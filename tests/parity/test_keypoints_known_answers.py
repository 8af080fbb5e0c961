"""The answers that mmpose's tests expect of its functions and metrics on keypoints, where their data can be built.

From ``tests/test_evaluation/test_functional/test_keypoint_eval.py`` and
``tests/test_evaluation/test_metrics/test_keypoint_2d_metrics.py`` of mmpose 759b39c.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cvbench.columns import Float
from cvbench.metrics.endpoint_error import epe
from cvbench.metrics.keypoints import PCK, pck
from cvbench.metrics.mpii import PCKh

POINTS = [[10, 0], [10, 10], [-1, 0], [30, 30], [0, 10]]
FOUND = [[10, 0], [20, 20], [0, 0], [30, 30], [0, 10]]
SEEN = [True, True, False, True, True]

APART = [[10, 0], [10, 10], [0, -1], [30, 30], [0, 10]]
"""Of the tests of AUC and EPE: the predictions are 4, 8, -, 14.1 and 20 pixels away."""
APART_FOUND = [[10, 4], [10, 18], [0, 0], [40, 40], [20, 10]]

NAN = float("nan")


@pytest.mark.parametrize(
    ("size", "by_joint", "mean", "joints"),
    [
        ((10, 10), (1, 0.5, NAN, 1, 1), 0.875, 4),
        ((0, 0), (NAN,) * 5, NAN, 0),  # -1 and 0 there
        ((0, 10), (1, 1, NAN, 1, 1), 1, 4),
    ],
)
def test_pck(size: tuple[int, int], by_joint: tuple[float, ...], mean: float, joints: int) -> None:
    gt = {"keypoints": [POINTS, [[0, 0]] * 5], "visible": [SEEN, SEEN], "size": size}
    result = pck(gt, [FOUND, [[0, 0]] * 5], "mmpose", thresholds=0.5, normalizer="size")
    rows = result.tables["per_joint"]
    np.testing.assert_array_equal([row["PCK@0.5"] for row in rows], by_joint)
    np.testing.assert_array_equal(result.values["PCK@0.5"], mean)
    assert sum(row["instances"] > 0 for row in rows) == joints


def test_pck_of_the_maxima_of_heat_maps() -> None:
    gt = {"keypoints": [[10, 10], [30, 30], [-1, -1]], "visible": [True, True, False]}
    result = pck(gt, [[20, 20], [30, 30], [-1, -1]], "mmpose", normalizer="fixed:64")
    assert [row["PCK@0.05"] for row in result.tables["per_joint"][:2]] == [0, 1]
    assert result.values["PCK@0.05"] == 0.5


def test_auc() -> None:
    rules: dict[str, Any] = {"normalizer": "fixed:20", "curve": (0, 0.25, 0.5, 0.75)}
    gt = {"keypoints": APART, "visible": SEEN}
    assert pck(gt, APART_FOUND, "mmpose-auc", **rules).values == {"AUC": 0.375}


def test_epe() -> None:
    result = epe({"keypoints": APART, "visible": SEEN}, APART_FOUND)
    np.testing.assert_allclose(result.values["EPE"], 11.5355339, rtol=0, atol=1e-7)  # the digits that are given


@pytest.mark.parametrize("shift", [0.0, 1.0])
@pytest.mark.parametrize("preset", ["mmpose", "mmpose torso", "jhmdb", "jhmdb-torso", "mpii"])
def test_predictions_that_are_right(preset: str, shift: float) -> None:
    """Of 8 people with one hidden joint each, the first has a box and a head of no size."""
    metric: Any = {
        "mmpose": lambda: PCK("mmpose", thresholds=0.5, shift=shift),
        "mmpose torso": lambda: PCK("jhmdb-torso", thresholds=0.05, parts=(), shift=shift),
        "mpii": lambda: PCKh("mmpose", thresholds=(0.3, 0.1), shift=shift),
    }.get(preset, lambda: PCK(preset, shift=shift))()
    joints, rng = 16 if preset == "mpii" else 15, np.random.default_rng(0)
    for i in range(8):
        points: Float = np.zeros((1, joints, 2))
        points[0, i] = 0.5 * i
        visible = np.arange(joints)[None] != (2 * i) % 8
        corners = np.concatenate([np.zeros((1, 2)), rng.random((1, 2)) * 20 * i], axis=1)
        gt = {"keypoints": points + shift, "visible": visible, "boxes": corners, "head_boxes": corners}
        metric.update(gt, points)
    values = metric.compute().values
    assert {name for name, value in values.items() if value != 1} <= {"AUC"}, "only a curve from 0 on is below 1"
