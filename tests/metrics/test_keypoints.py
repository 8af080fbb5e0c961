"""PCK: its rules, one by one, on data small enough to count by hand."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given

from cvbench import InputError, MismatchError
from cvbench.metrics.hit_rates import HitRule, Part, spaced
from cvbench.metrics.instances import Normalizer
from cvbench.metrics.keypoints import PCK, PRESETS, PckParams, pck, pdj_params, result_of, summarize
from keypoint_cases import KeypointKnobs, keypoint_images, keypoint_knobs, together

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


@given(knobs=keypoint_knobs(missing=True))
def test_the_mean_of_instances_by_definition(knobs: KeypointKnobs) -> None:
    images = keypoint_images(knobs)
    every, metric = together(images), PCK(normalizer="size", thresholds=0.5, mean="instances", missing="miss")
    for pair in images:
        metric.update(*pair)
    near = np.linalg.norm(every.pred - every.gt, axis=2) / every.size[:, None] <= 0.5  # NaN is not near
    shares = [row[seen].mean() for row, seen in zip(near, every.visible, strict=True) if seen.any()]
    expected = np.mean(shares) if shares else math.nan
    # the plain mean adds in another order
    np.testing.assert_allclose(metric.compute().values["PCK@0.5"], expected, rtol=1e-12)


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
    assert result.tables["per_part"][0] == {"name": "Arm", "PCK@0.5": 0.75, "PCK@1": 1.0, "AUC": 0.75}
    assert result.arrays["lines"].tolist() == ["all", "Arm", "Both", "Rest"]
    assert result.arrays["lines"].dtype.kind == "U"
    assert result.arrays["y"].shape == (4, 2)


def test_a_part_is_the_mean_of_joints_that_somebody_has() -> None:
    gt = {"keypoints": GT, "visible": [[1, 0, 0], [1, 0, 0]]}
    values = pck(gt, PRED, **TEN, parts=("Left=0+1", "Right=1+2"), thresholds=0.5).values
    assert values["Left"] == 1
    assert math.isnan(values["Right"])


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


def test_what_is_not_predicted() -> None:
    lost = PRED.copy()
    lost[0, 1, 0] = np.nan
    with pytest.raises(InputError, match=r"pred\[0\]: keypoint 1 is at \(nan, 24\)"):
        value(pred=lost)
    result = pck(GT, lost, **TEN, thresholds=0.5, missing="miss")
    assert result.values["PCK@0.5"] == 3 / 6
    assert result.counts["missing_keypoints"] == 1
    assert result.notes == ["1 of 6 keypoints are not predicted and count as misses"]
    lost[0, 1, 0] = np.inf
    with pytest.raises(InputError, match="keypoint 1"):
        value(pred=lost, missing="miss")


def test_sizes_that_are_not_above_0() -> None:
    gt = {"keypoints": GT, "size": [0.0, 10.0]}
    with pytest.raises(InputError, match=r"gt\[0\]: .*zero_size=skip"):
        value(gt, normalizer="size")
    result = pck(gt, PRED, normalizer="size", zero_size="skip", thresholds=0.5)
    assert result.values["PCK@0.5"] == 2 / 3
    assert result.counts["instances_without_size"] == 1
    assert any("1 of 2 instances have no size above 0" in note for note in result.notes)
    assert value({"keypoints": GT, "size": [np.nan, 10.0]}, normalizer="size", zero_size="skip") == 2 / 3


def test_a_shift_moves_predictions() -> None:
    assert value(GT, GT - 1, figure="PCK@0", thresholds=0.0, shift=1) == 1
    assert value(GT, GT - 1, figure="PCK@0", thresholds=0.0) == 0


def test_single_precision_rounds_both_sides() -> None:
    # .7 is rounded down in single precision, and so is the distance: not below; in double precision it is on the line
    points, found = np.zeros((1, 1, 2)), np.array([[[7.0, 0.0]]])
    assert value(points, found, figure="PCK@0.7", thresholds=0.7, strict=True, single=True) == 0
    assert value(points, found, figure="PCK@0.7", thresholds=0.7, single=True) == 1
    nearer = np.array([[[6.9999999, 0.0]]])
    assert value(points, nearer, figure="PCK@0.7", thresholds=0.7, strict=True) == 1
    assert value(points, nearer, figure="PCK@0.7", thresholds=0.7, strict=True, single=True) == 0


def test_a_torso_below_a_pixel_gives_way_to_the_predicted_one() -> None:
    gt, pred = GT.copy(), PRED.copy()
    gt[0, 1] = gt[0, 0]
    pred[0, 1] = pred[0, 0] + [0, 10]
    rules = {"normalizer": "joints:0-1", "thresholds": 1.0, "figure": "PCK@1"}
    with pytest.raises(InputError, match=r"gt\[0\]: .*expected a number above 0"):
        value(gt, pred, **rules)
    assert value(gt, pred, **rules, torso_fallback=True) == 1
    hidden = {"keypoints": gt, "visible": [[0, 1, 1], [1, 1, 1]]}
    result = pck(hidden, pred, normalizer="joints:0-1", torso_fallback=True)
    assert result.counts["predicted_sizes"] == 1
    assert any("divided by their predicted size" in note for note in result.notes)


def test_joints_have_names() -> None:
    result = PCK(names=["a", "b", "c"], **TEN).update(GT, PRED).compute()
    assert [(row["id"], row["name"], row["instances"]) for row in result.tables["per_joint"]] == [
        (0, "a", 2),
        (1, "b", 2),
        (2, "c", 2),
    ]
    with pytest.raises(InputError, match="2 names for 3 keypoints"):
        PCK(names=["a", "b"], **TEN).update(GT, PRED).compute()


def test_inputs_of_any_form() -> None:
    for gt, pred in (
        (GT.tolist(), PRED.tolist()),
        (torch.from_numpy(GT), torch.from_numpy(PRED)),
        (GT.astype(np.float32), {"keypoints": PRED.astype(np.int16)}),
        (np.concatenate([GT, np.full((2, 3, 1), 2)], axis=2), np.concatenate([PRED, np.zeros((2, 3, 1))], axis=2)),
    ):
        assert value(gt, pred) == 4 / 6
    assert value(GT[0], PRED[0]) == 2 / 3
    deep = [np.concatenate([points, np.zeros((2, 3, 1))], axis=2) for points in (GT, PRED)]
    assert PCK(dims=3, thresholds=0.5, **TEN).update(*deep).compute().values["PCK@0.5"] == 4 / 6


def test_nothing_to_score() -> None:
    hidden = {"keypoints": GT, "visible": np.zeros((2, 3))}
    rules: dict[str, Any] = {**TEN, "parts": ("Arm=0+1",), "curve": (0, 1), "thresholds": (0.5, 1)}
    for mean in ("pooled", "joints", "instances"):
        for metric in (PCK(**rules, mean=mean), PCK(**rules, mean=mean).update(hidden, PRED)):
            values = metric.compute().values
            assert list(values) == ["Arm", "PCK@0.5", "PCK@1", "AUC"]
            assert all(math.isnan(figure) for figure in values.values())
    result = pck(hidden, np.full_like(PRED, np.nan), **TEN)
    assert result.notes == ["2 of 2 instances have no keypoint that counts, left out of all figures"]


def test_pdj_is_pck_over_the_torso() -> None:
    assert pdj_params("flic") == PckParams.of("flic-pdj")
    assert pdj_params(None, normalizer="joints:0-1").conventions() == [
        ("normalizer", "joints:0-1"),
        *PckParams.of("lsp-pdj", parts=()).conventions()[1:],
    ]
    with pytest.raises(InputError, match="no preset 'lps' of PDJ; did you mean 'lsp'"):
        pdj_params("lps")
    with pytest.raises(InputError, match="normalizer=joints:A-B"):
        pdj_params(None)
    state = PCK("lsp-pdj", normalizer="fixed:10", parts=()).update(GT, PRED).state
    assert list(summarize(state, figure="PDJ").values) == ["PDJ@0.2", "PDJ@0.1", "PDJ@0.3", "PDJ@0.4", "AUC"]
    assert result_of(state, "pose.pdj@1", figure="PDJ").task == "pose.pdj@1"


OTHER: dict[str, Any] = {
    "thresholds": (0.3,),
    "strict": True,
    "mean": "joints",
    "counted": (0,),
    "parts": ("Arm=0",),
    "curve": (0.0, 1.0),
    "auc": "mean",
    "missing": "miss",
    "zero_size": "skip",
    "normalizer": "joints:0-1",
    "shift": 1.0,
    "single": True,
    "torso_fallback": True,
}


@pytest.mark.parametrize("name", [field.name for field in fields(PckParams)])
def test_every_rule_is_in_the_signature(name: str) -> None:
    base = {"auc": {"curve": (0.0, 1.0)}, "torso_fallback": {"normalizer": "joints:0-1"}}.get(name, {})
    changed = PckParams.of(**{**base, name: OTHER[name]})
    assert changed.conventions() != PckParams.of(**base).conventions()
    first, second = (PCK(**{**base, **change}) for change in ({}, {name: OTHER[name]}))
    with pytest.raises(MismatchError, match="params differ"):
        first.merge(second)


def test_signatures_say_thresholds_as_one_writes_them() -> None:
    pairs = dict(PckParams.of("jhmdb", curve=spaced(0, 0.2, 21)).conventions())
    assert pairs["curve"] == "0:0.2:0.01"
    assert pairs["thresholds"] == "0.2"
    assert pairs["parts"].startswith("Head=2,Shoulder=3+4,")
    assert Part.parse("Arms=pooled(1+2)") == Part("Arms", (1, 2), pooled=True)
    assert str(Part.parse("Arms=pooled(1+2)")) == "Arms=pooled(1+2)"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"threshold": 1}, "no rule 'threshold'; did you mean 'thresholds'"),
        ({"preset": "mmpos"}, "no preset 'mmpos'; did you mean 'mmpose'"),
        ({"thresholds": (0.2, -1)}, "finite numbers of 0 or more"),
        ({"thresholds": (0.2, 0.2)}, "at most once"),
        ({"thresholds": ()}, "neither thresholds nor a curve"),
        ({"curve": (0.5, 0.2)}, "that rise"),
        ({"curve": (0.5,)}, "at least two"),
        ({"mean": "limbs"}, "expected one of pooled, joints, instances"),
        ({"auc": "simpson"}, "expected one of trapezoid, mean"),
        ({"missing": "skip"}, "expected one of refuse, miss"),
        ({"zero_size": "miss"}, "expected one of refuse, skip"),
        ({"counted": (1, 1)}, "distinct indices"),
        ({"counted": ()}, "distinct indices"),
        ({"counted": (0.5, 1)}, r"counted \(0.5, 1\): expected distinct indices of joints"),
        ({"parts": ("Arm",)}, "expected Wrist=15"),
        ({"parts": ("=1",)}, "expected a name"),
        ({"parts": ("A=1", "A=2")}, "each name at most once"),
        ({"normalizer": "torso"}, "no normalizer 'torso'"),
        ({"shift": math.nan}, "finite number of pixels"),
        ({"torso_fallback": True}, "is for a normalizer of joints"),
    ],
)
def test_rules_that_cannot_be(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PCK(**rules)


@pytest.mark.parametrize("rules", [{"counted": (3,)}, {"parts": ("Arm=1+3",)}, {"normalizer": "joints:0-3"}])
def test_joints_that_are_not_there(rules: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="there are 3, counted from 0"):
        pck(GT, PRED, **{**TEN, **rules})


def test_what_the_size_needs_has_to_be_there() -> None:
    for normalizer, name in (("bbox", "boxes"), ("head", "head boxes"), ("size", "sizes")):
        with pytest.raises(InputError, match=f"has no {name}"):
            pck(GT, PRED, normalizer=normalizer)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_rules(preset: str) -> None:
    params = PckParams.of(preset)
    joints = {"jhmdb": 15, "lsp": 14, "flic": 10, "flic-11": 11, "mmpose": 1}
    name = preset.removesuffix("-torso").removesuffix("-pdj").removesuffix("-auc")
    named = sorted(column for part in params.parts for column in part.columns)
    missing = {"jhmdb": {0, 1}}.get(name, set())  # neck and belly have no part
    assert name == "mmpose" or named == sorted(set(range(joints[name])) - missing)
    params.check_columns(joints[name])
    assert replace(params) == params
    assert isinstance(params, HitRule)
    assert isinstance(params.normalizer, Normalizer)
