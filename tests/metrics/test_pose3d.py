"""Errors of 3-D poses: against slow twins, by hand, and where rules make a difference."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cvbench import InputError
from cvbench.metrics.pose3d import PoseParams


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
