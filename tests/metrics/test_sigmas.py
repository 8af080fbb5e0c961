"""The sets of sigmas by name."""

from __future__ import annotations

import re

import pytest

from cvbench.errors import InputError
from cvbench.metrics.detection import DetectionParams
from cvbench.metrics.sigmas import SIGMAS, name_of, sigmas_of


@pytest.mark.parametrize("name", SIGMAS)
def test_a_set_is_named_after_its_number_of_joints_and_found_by_its_values(name: str) -> None:
    digits = re.search(r"\d+$", name)
    assert digits is not None
    assert len(SIGMAS[name]) == int(digits[0])
    assert all(0 < sigma < 0.2 for sigma in SIGMAS[name])
    assert name_of(sigmas_of(name)) == name


def test_other_sigmas_are_spelt_out() -> None:
    assert name_of((0.1, 0.025)) == "0.1,0.025"


def test_the_parts_of_a_whole_body_stand_one_after_another() -> None:
    whole, hand = SIGMAS["wholebody133"], SIGMAS["hand21"]
    assert whole[17:23] == SIGMAS["foot6"]
    assert whole[23:91] == SIGMAS["face68"]
    assert whole[91:112] == whole[112:] == hand


def test_rules_take_a_set_by_name() -> None:
    assert DetectionParams.of("keypoints", sigmas="halpe26").sigmas == SIGMAS["halpe26"]
    assert DetectionParams.of("keypoints", sigmas="coco17") == DetectionParams.of("keypoints")
    with pytest.raises(InputError, match="there are no sigmas 'crowdpose'; did you mean 'crowdpose14'"):
        DetectionParams.of("keypoints", sigmas="crowdpose")
