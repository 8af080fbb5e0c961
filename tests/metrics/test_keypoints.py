"""PCK: its rules, one by one, on data small enough to count by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvbench.metrics.hit_rates import Part
from cvbench.metrics.keypoints import pck

GT = np.array([[[10.0, 10], [20, 20], [30, 30]], [[0, 0], [10, 0], [20, 0]]])
PRED = GT + np.array([[[0, 0], [3, 4], [6, 8]], [[0, 0], [0, 10], [0, 0]]])
"""Distances 0, 5, 10 and 0, 10, 0."""

TEN = {"normalizer": "fixed:10"}


def value(gt: Any = GT, pred: Any = PRED, figure: str = "PCK@0.5", **rules: Any) -> float:
    return pck(gt, pred, **{**TEN, "thresholds": 0.5, **rules}).values[figure]


def test_equal_to_the_threshold_is_near_enough_unless_strict() -> None:
    assert value() == 4 / 6
    assert value(strict=True) == 3 / 6
    assert value(thresholds=1.0, figure="PCK@1") == 1
    assert value(thresholds=1.0, figure="PCK@1", strict=True) == 4 / 6


def test_means() -> None:
    gt = {"keypoints": GT, "visible": [[1, 1, 0], [1, 0, 0]]}  # hits: 1 1 -, 1 - -
    far = PRED + np.array([[[0, 0], [0, 99], [0, 0]], [[0, 0]] * 3])
    assert value(gt, far) == 2 / 3, "pooled"
    assert value(gt, far, mean="joints") == (1 + 0) / 2, "nobody has the third"
    assert value(gt, far, mean="instances") == (1 / 2 + 1) / 2


def test_joints_that_count() -> None:
    assert value(counted=(0, 2)) == 3 / 4
    assert [row["PCK@0.5"] for row in pck(GT, PRED, **TEN, thresholds=0.5, counted=(0,)).tables["per_joint"]] == [
        1,
        0.5,
        0.5,
    ]


def test_parts() -> None:
    parts = ("Arm=0+1", Part("Both", (0, 1, 1), pooled=True), Part("Rest", (2,)))
    gt = {"keypoints": GT, "visible": [[1, 1, 1], [0, 1, 0]]}
    result = pck(gt, PRED, **TEN, thresholds=(0.5, 1.0), parts=parts, curve=(0, 1))
    assert list(result.values.items())[:3] == [("Arm", (1 + 1 / 2) / 2), ("Both", 3 / 5), ("Rest", 0)]
    assert result.tables["per_part"][0] == {"name": "Arm", "PCK@0.5": 0.75, "PCK@1": 1.0}
    assert result.arrays["lines"].tolist() == ["all", "Arm", "Both", "Rest"]
    assert result.arrays["lines"].dtype.kind == "U"
    assert result.arrays["y"].shape == (4, 2)


def test_curves_and_their_areas() -> None:
    rules = {**TEN, "curve": (0.0, 0.5, 1.0), "thresholds": ()}
    result = pck(GT, PRED, **rules)
    assert result.values == {"AUC": (3 / 6 + 2 * 4 / 6 + 1) / 4}
    assert result.arrays["x"].tolist() == [0, 0.5, 1]
    np.testing.assert_array_equal(result.arrays["y"], [[3 / 6, 4 / 6, 1]])
    mean = pck(GT, PRED, **rules, auc="mean").values["AUC"]
    np.testing.assert_allclose(mean, (3 / 6 + 4 / 6 + 1) / 3, rtol=1e-15)
    uneven = pck(GT, PRED, **TEN, curve=(0.5, 1.0, 3.0)).values["AUC"]
    np.testing.assert_allclose(uneven, (0.5 * (4 / 6 + 1) / 2 + 2) / 2.5, rtol=1e-15)
    assert "AUC" not in pck(GT, PRED, **TEN).values


def test_groups() -> None:
    gt = {"keypoints": GT, "groups": [["easy", "front"], "front"]}
    result = pck(gt, PRED, **TEN, thresholds=0.5, curve=(0, 1))
    assert [(row["name"], row["instances"], row["PCK@0.5"]) for row in result.tables["per_group"]] == [
        ("easy", 1, 2 / 3),
        ("front", 2, 4 / 6),
    ]
    assert result.tables["per_group"][0]["AUC"] == (1 / 3 + 1) / 2
    assert "per_group" not in pck(GT, PRED, **TEN).tables
