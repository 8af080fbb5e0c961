"""EPE: what is averaged, and what is refused."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench import InputError, MismatchError
from cvbench.columns import Float
from cvbench.metrics.endpoint_error import EPE, EpeParams, epe
from keypoint_cases import KeypointKnobs, keypoint_images, keypoint_knobs, together

GT = np.zeros((2, 3, 2))
PRED = np.array([[[3.0, 4], [0, 1], [0, 0]], [[6, 8], [0, 2], [0, 0]]])


def test_the_mean_is_pooled() -> None:
    result = epe({"keypoints": GT, "visible": [[1, 1, 0], [1, 0, 0]], "groups": ["a", "b"]}, PRED)
    assert result.values == {"EPE": (5 + 1 + 10) / 3}
    rows = result.tables["per_joint"]
    assert [(row["name"], row["instances"]) for row in rows] == [("0", 2), ("1", 1), ("2", 0)]
    np.testing.assert_array_equal([row["EPE"] for row in rows], [7.5, 1, math.nan])
    assert [row["EPE"] for row in result.tables["per_group"]] == [3, 10]
    assert str(result.signature) == "pose.epe@2|joints:all|mean:pooled"


def test_joints_that_count() -> None:
    result = epe(GT, PRED, counted=(0, 2), names=["a", "b", "c"])
    assert result.values["EPE"] == 15 / 4
    assert [row["name"] for row in result.tables["per_joint"]] == ["a", "b", "c"]
    assert dict(result.signature.conventions)["joints"] == "0,2"
    with pytest.raises(InputError, match="joint 3; there are 3"):
        epe(GT, PRED, counted=(3,))
    for counted in (1, 1), (0.5, 1):
        with pytest.raises(InputError, match=rf"counted \({counted[0]}, 1\): expected distinct indices of joints"):
            EpeParams(counted)
    with pytest.raises(MismatchError, match="params differ"):
        EPE((0,)).merge(EPE())


def test_three_dimensions() -> None:
    assert epe(np.zeros((1, 1, 3)), [[[2, 3, 6]]], dims=3).values["EPE"] == 7


def mean_of(numbers: Float) -> float:
    """The exact mean, rounded once."""
    return float(sum(map(Fraction, numbers.tolist())) / len(numbers)) if len(numbers) else math.nan


@given(knobs=keypoint_knobs(), weight=st.integers(0, 3))
def test_means_are_rounded_once(knobs: KeypointKnobs, weight: int) -> None:
    images = keypoint_images(knobs)
    metric = EPE()
    for gt, pred in images:
        metric.update(gt, pred)
    first = images[0][0]["image_id"]
    weights = {gt["image_id"]: weight if gt["image_id"] == first else 1 for gt, _ in images}
    every = together(images)
    repeats = np.repeat([weights[gt["image_id"]] for gt, _ in images], [len(gt["keypoints"]) for gt, _ in images])
    step = every.pred - every.gt
    apart = np.repeat(np.sqrt(step[..., 0] ** 2 + step[..., 1] ** 2), repeats, axis=0)
    visible = np.repeat(every.visible, repeats, axis=0)
    result = metric.compute(weights=weights)
    np.testing.assert_array_equal(result.values["EPE"], mean_of(apart[visible]))
    for j, row in enumerate(result.tables["per_joint"]):
        np.testing.assert_array_equal(row["EPE"], mean_of(apart[:, j][visible[:, j]]))


def test_what_is_not_predicted() -> None:
    lost = PRED.copy()
    lost[1, 1] = np.nan
    with pytest.raises(InputError, match=r"pred\[1\]: keypoint 1"):
        epe(GT, lost)
    assert epe({"keypoints": GT, "visible": [[1, 1, 1], [1, 0, 1]]}, lost).values["EPE"] == 16 / 5


def test_nothing_to_score() -> None:
    assert math.isnan(EPE().compute().values["EPE"])
    assert math.isnan(epe({"keypoints": GT, "visible": np.zeros((2, 3))}, PRED).values["EPE"])
