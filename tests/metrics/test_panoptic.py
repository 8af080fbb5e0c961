"""The rules of panoptic quality, one small case each; its state, counts and notes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cvbench import InputError
from cvbench.metrics.panoptic import PanopticParams, listed_problems


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
