"""PCP: strict and loose, limbs of several joints, limbs of length 0."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cvbench import InputError, MismatchError
from cvbench.metrics.limbs import PCP, PRESETS, Limb, PcpParams, pcp

GT = np.array([[[0.0, 0], [20, 0], [40, 0]]] * 2)
ARM: dict[str, Any] = {"limbs": ("upper=0-1", "lower=1-2")}


def moved(*by: float) -> np.ndarray:
    """Predictions of the first person, down by so many pixels; the second is exact."""
    found = GT.copy()
    found[0, :, 1] += by
    return found


def rates(pred: Any, gt: Any = GT, **rules: Any) -> list[Any]:
    return [row["PCP@0.5"] for row in pcp(gt, pred, **{**ARM, **rules}).tables["per_limb"]]


def test_strict_asks_both_ends_and_loose_their_mean() -> None:
    found = moved(0, 10, 10.5)
    assert rates(found) == [1, 0.5]
    assert rates(found, rule="loose") == [1, 0.5]
    assert rates(moved(0, 19, 0)) == [0.5, 0.5]
    assert rates(moved(0, 19, 0), rule="loose") == [1, 1]
    assert rates(moved(0, 10, 0), strict=True) == [0.5, 0.5], "of a length, not below half"
    assert pcp(GT, found, **ARM).values == {"PCP@0.5": 3 / 4}


def test_ends_between_joints() -> None:
    gt = np.array([[[0.0, 0], [10, 0], [5, 20]]])
    torso = {"limbs": ("torso=0+1-2",)}
    turned = gt + np.array([[[5.0, 0], [-5, 0], [0, 0]]])
    assert pcp(gt, turned, **torso, thresholds=0.0).values == {"PCP@0": 1}
    hidden = {"keypoints": gt, "visible": [[1, 0, 1]]}
    assert math.isnan(pcp(hidden, gt, **torso).values["PCP@0.5"])


def test_limbs_count_where_both_ends_do() -> None:
    result = pcp({"keypoints": GT, "visible": [[1, 1, 0], [1, 1, 1]]}, GT, **ARM)
    assert [(row["name"], row["instances"]) for row in result.tables["per_limb"]] == [("upper", 2), ("lower", 1)]


def test_people_who_were_not_found() -> None:
    lost = moved(0, 0, math.nan)
    with pytest.raises(InputError, match="keypoint 2"):
        rates(lost)
    assert rates(lost, missing="miss") == [1, 0.5]
    assert rates(lost, missing="miss", rule="loose") == [1, 0.5], "a part of the person was found"
    lost[0] = math.nan
    assert rates(lost, missing="miss") == [0.5, 0.5]
    result = pcp(GT, lost, **ARM, missing="miss", rule="loose")
    assert result.values["PCP@0.5"] == 1
    assert result.counts["instances_not_detected"] == 1
    assert any("left out of all figures (rule=loose)" in note for note in result.notes)


def test_limbs_of_no_length() -> None:
    flat = GT.copy()
    flat[0, 1] = flat[0, 0]
    with pytest.raises(InputError, match=r"gt\[0\]: upper: both ends are at one point"):
        rates(flat, flat)
    assert rates(flat, flat, zero_size="skip") == [1, 1]
    assert rates(flat, flat, zero_size="miss") == [0.5, 1]
    for rule, effect in (("skip", "left out"), ("miss", "counted as misses")):
        result = pcp(flat, flat, **ARM, zero_size=rule)
        assert result.notes == [f"1 annotated limbs have length 0, {effect}"]
        assert result.counts["limbs_without_length"] == 1


def test_means_and_parts() -> None:
    gt = {"keypoints": GT, "visible": [[1, 1, 1], [1, 1, 0]], "groups": ["a", "b"]}
    found = moved(0, 0, 11)
    rules = {**ARM, "parts": ("Arm=0+1",)}
    assert pcp(gt, found, **rules).values == {"Arm": 0.5, "PCP@0.5": 2 / 3}
    assert pcp(gt, found, **rules, mean="limbs").values["PCP@0.5"] == 0.5
    assert pcp(gt, found, **rules, mean="instances").values["PCP@0.5"] == 0.75
    assert pcp(gt, found, **ARM, counted=(0,)).values["PCP@0.5"] == 1
    assert [row["PCP@0.5"] for row in pcp(gt, found, **ARM).tables["per_group"]] == [0.5, 1]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({}, "PCP needs limbs, such as shin=0-1, or a preset, which has some: lsp, flic"),
        ({"limbs": ("a=0-1", "a=1-2")}, "of distinct names"),
        ({"limbs": ("a=0",)}, "expected shin=0-1 or torso"),
        ({"limbs": ("=0-1",)}, "expected a name"),
        ({**ARM, "rule": "lose"}, "expected one of strict, loose"),
        ({**ARM, "parts": ("Arm=2",)}, "up to index 2; there are 2"),
        ({**ARM, "zero_size": "no"}, "expected one of refuse, skip, miss"),
        ({**ARM, "mean": "joints"}, "expected one of pooled, limbs, instances"),
    ],
)
def test_rules_that_cannot_be(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PCP(**rules)


def test_joints_that_are_not_there() -> None:
    with pytest.raises(InputError, match="limbs name joint 3; there are 3, counted from 0"):
        rates(GT, limbs=("a=0-3",))


@pytest.mark.parametrize("change", [{"rule": "loose"}, {"limbs": ("upper=0-1", "lower=1-0")}, {"zero_size": "miss"}])
def test_every_rule_is_in_the_signature(change: dict[str, Any]) -> None:
    base, changed = PCP(**ARM), PCP(**{**ARM, **change})
    assert base.compute().signature != changed.compute().signature
    with pytest.raises(MismatchError, match="params differ"):
        base.merge(changed)


def test_presets() -> None:
    assert {name: len(PcpParams.of(name).limbs) for name in PRESETS} == {"lsp": 10, "flic": 6}
    for name, joints in (("lsp", 14), ("flic", 10)):
        params = PcpParams.of(name)
        assert {joint for limb in params.limbs for joint in (*limb.a, *limb.b)} == set(range(joints))
        assert sorted(limb for part in params.parts for limb in part.columns) == list(range(len(params.limbs)))
    assert str(Limb.parse("torso=2+3-8+9")) == "torso=2+3-8+9"


def test_nothing_to_score() -> None:
    for metric in (PCP("lsp"), PCP("lsp").update(np.zeros((0, 14, 2)), np.zeros((0, 14, 2)))):
        values = metric.compute().values
        assert list(values) == ["LowerLegs", "UpperLegs", "LowerArms", "UpperArms", "Head", "Torso", "PCP@0.5"]
        assert all(math.isnan(figure) for figure in values.values())
