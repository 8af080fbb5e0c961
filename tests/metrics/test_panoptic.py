"""The rules of panoptic quality, one small case each; its state, counts and notes."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cvbench import InputError
from cvbench.metrics.panoptic import PanopticParams


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
