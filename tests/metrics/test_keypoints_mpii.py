"""PCKh: what its protocols differ in, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cvbench import InputError
from cvbench.metrics.keypoints import pck
from cvbench.metrics.mpii import COUNTED, JOINTS, PROTOCOLS, PCKh, params_of, pckh

POINTS = np.full((2, 16, 2), 100.0)
GT: dict[str, Any] = {"keypoints": POINTS, "head_boxes": [[0, 0, 30, 40]] * 2}
"""Two people whose heads are 0.6 times 50, 30 pixels."""

FIGURES = ["Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle"]


def moved(by: dict[int, float]) -> np.ndarray:
    """Predictions of the first person, to the right by so many pixels at some joints; the second is exact."""
    found = POINTS.copy()
    for joint, pixels in by.items():
        found[0, joint, 0] += pixels
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_names_and_order_of_figures(protocol: str) -> None:
    arms = ["UpperBody"] if protocol == "matlab" else []
    also = ["PCKh@0.11"] if protocol == "hrnet" else []
    assert list(pckh(GT, POINTS, protocol).values) == [*FIGURES, *arms, "PCKh@0.5", "PCKh@0.1", *also, "AUC"]
    assert list(PCKh(protocol).compute().values) == list(pckh(GT, POINTS, protocol).values)


def test_equal_to_half_a_head() -> None:
    found = moved({9: 15})
    assert {p: pckh(GT, found, p, shift=0).values["Head"] for p in PROTOCOLS} == {
        "matlab": 1,
        "hrnet": 1,
        "mmpose": 0.5,
        "pytorch-pose": 0.5,
    }


def test_what_head_is() -> None:
    neck = moved({8: 99})
    assert pckh(GT, neck).values["Head"] == 0.75
    assert pckh(GT, neck, "hrnet", shift=0).values["Head"] == 1
    assert pckh(GT, neck).values["PCKh@0.5"] == 27 / 28


def test_pelvis_and_thorax_count_nowhere() -> None:
    for protocol in PROTOCOLS:
        values = pckh(GT, moved({6: 99, 7: 99}), protocol, shift=0).values
        assert {name: figure for name, figure in values.items() if name != "AUC"} == dict.fromkeys(
            (name for name in values if name != "AUC"), 1.0
        )
    assert [row["PCKh@0.5"] for row in pckh(GT, moved({6: 99})).tables["per_joint"]][6] == 0.5
    assert sorted({*COUNTED, 6, 7}) == list(range(16))


def test_means() -> None:
    visible = np.ones((2, 16))
    visible[1, :9] = 0  # one person has 14 joints, the other 7
    gt = {**GT, "visible": visible}
    found = moved({10: 99, 11: 99})
    assert pckh(gt, found).values["PCKh@0.5"] == 19 / 21
    np.testing.assert_allclose(pckh(gt, found, "pytorch-pose").values["PCKh@0.5"], 13 / 14, rtol=1e-15)
    assert pckh(gt, found).values["UpperBody"] == 10 / 12


def test_the_added_pixel() -> None:
    assert pckh(GT, POINTS - 1, "hrnet", thresholds=0.0, curve=()).values["PCKh@0"] == 1
    assert pckh(GT, POINTS - 1, thresholds=0.0, curve=()).values["PCKh@0"] == 0
    assert {protocol: params_of(protocol).shift for protocol in PROTOCOLS} == {
        "matlab": 0,
        "hrnet": 1,
        "mmpose": 1,
        "pytorch-pose": 0,
    }


def test_the_threshold_that_hrnet_prints_as_a_tenth() -> None:
    found = moved(dict.fromkeys(range(16), 3.2))  # .1067 of a head
    values = pckh(GT, found, "hrnet", shift=0).values
    assert (values["PCKh@0.1"], values["PCKh@0.11"]) == (0.5, 1)


def test_the_area_under_the_curve() -> None:
    assert pckh(GT, POINTS).values["AUC"] == 1
    half = pckh(GT, moved(dict.fromkeys(range(16), 7.5)))  # from .25 on
    # half of the joints from 0 to .24, then a slope of .01 to all
    np.testing.assert_allclose(half.values["AUC"], (0.5 * 24 + 0.75 + 25) / 50, rtol=1e-12)
    assert half.arrays["y"].shape == (9, 51)
    assert half.arrays["x"][[0, 10, 11, 50]].tolist() == [0, 0.1, 0.11, 0.5]


def test_a_missing_prediction() -> None:
    lost = moved({9: math.nan})
    assert pckh(GT, lost).values["Head"] == 0.75
    for protocol in ("hrnet", "mmpose", "pytorch-pose"):
        with pytest.raises(InputError, match="keypoint 9"):
            pckh(GT, lost, protocol)


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="there are 15 joints; MPII has 16: right ankle"):
        pckh({**GT, "keypoints": POINTS[:, :15]}, POINTS[:, :15])
    with pytest.raises(InputError, match="no protocol 'matlba'; did you mean 'matlab'"):
        PCKh("matlba")
    with pytest.raises(InputError, match="has no head boxes"):
        pckh(POINTS, POINTS)
    with pytest.raises(InputError, match=r"gt\[1\]: .*head"):
        pckh({**GT, "head_boxes": [[0, 0, 30, 40], [5, 5, 5, 5]]}, POINTS)


def test_the_signature_says_the_protocol_rule_by_rule() -> None:
    signatures = {str(pckh(GT, POINTS, protocol).signature) for protocol in PROTOCOLS}
    assert len(signatures) == len(PROTOCOLS)
    pairs = dict(pckh(GT, POINTS, "hrnet").signature.conventions)
    assert (pairs["compare"], pairs["mean"], pairs["shift"]) == ("<=", "pooled", "1.0")
    assert pairs["joints"] == "0,1,2,3,4,5,8,9,10,11,12,13,14,15"


def test_pckh_is_pck_by_head_size() -> None:
    found = moved({0: 4, 9: 14, 12: 16})
    plain = pck(GT, found, normalizer="head", thresholds=0.5, counted=COUNTED)
    assert plain.values["PCK@0.5"] == pckh(GT, found).values["PCKh@0.5"]
    assert [row["name"] for row in pckh(GT, found).tables["per_joint"]] == list(JOINTS)
