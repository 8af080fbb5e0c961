"""NME of landmarks: against slow twins, by hand, and where rules make a difference."""

from __future__ import annotations

from typing import Any

import pytest

from cvbench import InputError
from cvbench.metrics.landmarks import NmeParams


@pytest.mark.parametrize(
    ("preset", "rules", "message"),
    [
        (None, {}, "expected a normalizer, or a preset, which has one: 300w, "),
        ("300W", {}, "there is no preset '300W'; did you mean '300w'"),
        ("wflw", {"normaliser": "bbox"}, "there is no rule 'normaliser'; did you mean 'normalizer'"),
        ("wflw", {"normalizer": "interocular"}, "there is no normalizer"),
        ("wflw", {"mean": "joints"}, "mean 'joints' is unknown; expected one of faces, points"),
        ("wflw", {"curve": "simpson"}, "curve 'simpson' is unknown"),
        ("wflw", {"missing": "skip"}, "missing 'skip' is unknown"),
        ("wflw", {"zero_size": "zero"}, "zero_size 'zero' is unknown"),
        ("wflw", {"failure_thresholds": 0}, "failure_thresholds 0: expected distinct finite numbers above 0"),
        ("wflw", {"auc_thresholds": (0.1, 0.1)}, "auc_thresholds .* expected distinct"),
        ("wflw", {"counted": ()}, "expected distinct indices of landmarks"),
        ("wflw", {"counted": (1, 1)}, "expected distinct indices of landmarks"),
        ("wflw", {"counted": 1.5}, "expected distinct indices of landmarks"),
    ],
)
def test_rules_that_cannot_be(preset: str | None, rules: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NmeParams.of(preset, **rules)
