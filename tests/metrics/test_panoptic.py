"""The rules of panoptic quality, one small case each; its state, counts and notes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cvbench import InputError
from cvbench.columns import Overlaps, Segments
from cvbench.metrics.panoptic import PanopticParams, count, listed_problems

Listed = list[tuple[float, ...]]
"""Segments: id, index of the category, and where they matter crowd and stated area."""


def segments(listed: Listed, image: int = 1) -> Segments:
    rows = [(*row, *(0, math.nan)[len(row) - 2 :]) for row in listed]
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return Segments(
        image_ids=np.array([image]),
        category_ids=np.array([10, 20]),
        category_names=("person", "sky"),
        things=np.array([True, False]),
        offsets=np.array([0, len(listed)]),
        id=np.array(columns[0], np.int64),
        category=np.array(columns[1], np.int64),
        area=np.array(columns[3], np.float64),
        crowd=np.array(columns[2], np.bool_),
    )


def test_the_smaller_iou_is_that_of_a_boundary_match() -> None:
    gt, pred = segments([(1, 0)]), segments([(5, 0)])
    rows = Overlaps(*(np.array(column) for column in ([0, 3], [0, 1, 1], [5, 0, 5], [1, 1, 9])))
    # in the band of the ground truth, of the prediction, of both; one banded pixel of the prediction is on void
    bands = np.array([[0, 1, 0], [1, 0, 0], [4, 5, 4]])
    params = PanopticParams(area="png", boundary=True)
    assert count(gt, pred, replace(rows, bands=bands), params).match_iou.tolist() == [4 / (6 + 5 - 4 - 1)]
    wide = np.array([[0, 1, 0], [1, 1, 1], [9, 9, 9]])
    assert count(gt, pred, replace(rows, bands=wide), params).match_iou.tolist() == [9 / 10], "the whole segment's"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"area": "mask"}, "area 'mask' is unknown; expected one of json, png"),
        ({"boundary": "yes"}, "boundary is 'yes'; expected True or False"),
        ({"dilation_ratio": 0}, "dilation_ratio: 0 is not above 0"),
        ({"dilation_ratio": math.nan}, "dilation_ratio: nan is not above 0"),
    ],
)
def test_rules_that_are_none(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PanopticParams(**rules)


def test_a_map_and_its_list_hold_the_same_ids() -> None:
    ids, pixels = np.array([0, 3, 3, 4, 9]), np.array([5, 2, 6, 1, 1])
    assert listed_problems(ids, pixels, np.array([3, 4, 9])) == []
    assert listed_problems(ids, pixels, np.array([9, 7])) == [
        "the map has id 3 in 8 pixels and no segment lists it; list it, or make these pixels 0 (void)",
        "the map has id 4 in 1 pixels and no segment lists it; list it, or make these pixels 0 (void)",
        "segment 7 is listed and the map does not have it; drop it from the list",
    ]
