"""Semantic figures: rules on labels, what the means leave out, what is undefined."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cvbench import InputError, MismatchError
from cvbench.metrics.base import merge
from cvbench.metrics.mean_iou import MeanIoU, mean_iou
from cvbench.metrics.overlaps import count_overlaps
from cvbench.metrics.semantic import PRESETS, SemanticParams, compare, confusion, count, label_problems, summarize


def rows(gt: Any, pred: Any, **rules: Any) -> dict[str, list[float]]:
    table = mean_iou(gt, pred, **rules).per_category
    return {name: [row[name] for row in table] for name in ("IoU", "Acc", "Precision", "Dice")}


def test_figures_by_hand() -> None:
    # of class 0: 2 of 3 found, 1 false; of class 1: 3 of 4 found, 1 false
    values = mean_iou([[0, 0, 0, 1, 1, 1, 1]], [[0, 0, 1, 1, 1, 1, 0]], 2).values
    assert values == {
        "mIoU": pytest.approx((2 / 4 + 3 / 5) / 2),
        "fwIoU": pytest.approx((3 * 2 / 4 + 4 * 3 / 5) / 7),
        "aAcc": 5 / 7,
        "mAcc": pytest.approx((2 / 3 + 3 / 4) / 2),
        "mDice": pytest.approx((4 / 6 + 6 / 8) / 2),
        "mPrecision": pytest.approx((2 / 3 + 3 / 4) / 2),
    }
    assert list(values) == ["mIoU", "fwIoU", "aAcc", "mAcc", "mDice", "mPrecision"]


def test_the_example_of_hugging_face() -> None:
    gt = [[[0, 3], [5, 4], [6, 255]], [[1, 7], [9, 2], [3, 6]], [[1, 2, 2], [8, 2, 1], [3, 255, 1]]]
    pred = [[[1, 2], [3, 4], [5, 255]], [[2, 7], [9, 2], [3, 6]], [[2, 2, 3], [8, 2, 4], [3, 255, 2]]]
    result = mean_iou([np.array(m) for m in gt], [np.array(m) for m in pred], 10, preset="mmseg")
    assert result.values["mIoU"] == pytest.approx(0.47750000000000004, abs=1e-15)
    assert result.values["mAcc"] == pytest.approx(0.5916666666666666, abs=1e-15)
    assert result.values["aAcc"] == 0.5263157894736842
    assert [row["IoU"] for row in result.per_category] == [0, 0, 0.375, 0.4, 0.5, 0, 0.5, 1, 1, 1]
    recorded = [0, 0, 0.75, 0.66666667, 1, 0, 0.5, 1, 1, 1]
    np.testing.assert_allclose([row["Acc"] for row in result.per_category], recorded, atol=5e-9)  # printed digits


def test_a_mean_over_images_is_not_that_of_the_data_set() -> None:
    gt, pred = np.zeros((2, 1, 4), int), np.array([[[0, 0, 0, 0]], [[0, 0, 0, 1]]])
    # torchmetrics' MeanIoU(2, input_format="index") gives 0.5833333
    assert mean_iou(gt, pred, 2, preset="torchmetrics").values["mIoU"] == pytest.approx((1 + 3 / 4 + 0) / 3)
    assert mean_iou(gt, pred, 2).values["mIoU"] == 0.4375


def test_every_figure_can_be_taken_by_image() -> None:
    gt, pred = np.array([[[0, 0, 1, 1]], [[0, 0, 0, 0]]]), np.array([[[0, 1, 1, 1]], [[0, 0, 0, 1]]])
    result = mean_iou(gt, pred, 2, aggregate="image")
    assert result.values == {
        "mIoU": pytest.approx((1 / 2 + 2 / 3 + 3 / 4 + 0) / 4),
        "fwIoU": pytest.approx(((1 / 2 + 2 / 3) / 2 + 3 / 4) / 2),
        "aAcc": pytest.approx(3 / 4),
        "mAcc": pytest.approx((1 / 2 + 1 + 3 / 4) / 3),
        "mDice": pytest.approx((2 / 3 + 4 / 5 + 6 / 7 + 0) / 4),
        "mPrecision": pytest.approx((1 + 2 / 3 + 1 + 0) / 4),
    }
    assert [row["IoU"] for row in result.per_category] == pytest.approx([(1 / 2 + 3 / 4) / 2, (2 / 3 + 0) / 2])


def test_ignoring_pixels_and_excluding_a_class_are_two_things() -> None:
    gt, pred = [[0, 0, 0, 1, 1]], [[0, 1, 1, 1, 0]]
    assert rows(gt, pred, classes=2)["IoU"] == [1 / 4, 1 / 4]
    # the false positives of class 1 lie on class 0, which is not looked at: its IoU is its recall
    assert rows(gt, pred, classes=2, ignore_index=0)["IoU"] == [0, 1 / 2]
    excluded = mean_iou(gt, pred, 2, exclude=(0,))
    assert excluded.values["mIoU"] == excluded.values["fwIoU"] == 1 / 4
    assert excluded.values["mAcc"] == 1 / 2
    assert excluded.values["aAcc"] == 2 / 5
    assert [row["IoU"] for row in excluded.per_category] == [1 / 4, 1 / 4]


@pytest.mark.parametrize(
    ("rules", "absent", "pred_only", "mean"),
    [
        ({}, [math.nan] * 4, [0, math.nan, 0, 0], 0.25),
        ({"absent": "zero"}, [0] * 4, [0, math.nan, 0, 0], 0.5 / 3),
        ({"pred_only": "skip"}, [math.nan] * 4, [math.nan] * 4, 0.5),
        ({"absent": "zero", "pred_only": "skip"}, [0] * 4, [math.nan] * 4, 0.25),
    ],
)
def test_classes_that_are_absent_or_only_predicted(
    rules: dict[str, str], absent: list[float], pred_only: list[float], mean: float
) -> None:
    table = rows([[0, 0]], [[0, 2]], classes=3, **rules)
    np.testing.assert_equal([column[1] for column in table.values()], absent)
    np.testing.assert_equal([column[2] for column in table.values()], pred_only)
    result = mean_iou([[0, 0]], [[0, 2]], 3, **rules)
    assert result.values["mIoU"] == pytest.approx(mean)
    effects = {"skip": "left out of the means", "zero": "counted with IoU 0"}
    given = {"absent": "skip", "pred_only": "zero"} | rules
    facts = {"absent": "in neither map", "pred_only": "predicted and nowhere in the ground truth"}
    assert result.notes == [
        f"1 of 3 classes are {facts[rule]}, {effects[given[rule]]} ({rule}={given[rule]}): {label}"
        for rule, label in (("absent", 1), ("pred_only", 2))
    ]


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    assert rows([[0, 1]], [[0, 0]], classes=2)["Precision"] == [1 / 2, pytest.approx(math.nan, nan_ok=True)]


def test_nothing_at_all_is_undefined() -> None:
    result = MeanIoU(3, boundary=True).compute()
    assert len(result.values) == 8
    assert all(math.isnan(value) for value in result.values.values())
    ignored = mean_iou([[9, 9]], [[0, 1]], 2, ignore_index=9)
    assert all(math.isnan(value) for value in ignored.values.values())
    assert ignored.counts == {"images": 1, "pixels": 2, "ignored_pixels": 2, "predicted_as_ignored": 0}


def test_predicting_an_ignored_label_is_a_miss() -> None:
    result = mean_iou([[0, 0, 1, 255]], [[0, 255, 1, 255]], 2, ignore_index=255)
    assert [row["IoU"] for row in result.per_category] == [1 / 2, 1]
    assert result.arrays["confusion"].tolist() == [[1, 0, 1], [0, 1, 0]]
    assert result.counts["predicted_as_ignored"] == 1
    assert "misses, and nobody's false positives" in result.notes[0]


def test_the_order_of_changes_to_labels() -> None:
    params = SemanticParams.of("mmseg", 4, reduce_zero_label=True, label_map={0: 3, 3: 1})
    labels = np.array([0, 1, 2, 3, 4, 255, 254, 256])
    # 0 is ignored, the others move down, then 0 becomes 3 and, at the same time, 3 becomes 1; 253 and 256 are unknown
    assert params.gt_classes(labels).tolist() == [4, 3, 1, 2, 1, 4, -1, -1]
    assert params.pred_classes(labels).tolist() == [0, 1, 2, 3, -1, 4, -1, -1]


def test_labels_may_be_any_integers_in_any_order() -> None:
    params = SemanticParams.of(class_ids=(9, -3, 500), ignore_index=(7, 9))
    assert params.gt_classes(np.array([9, -3, 500, 7, 0])).tolist() == [3, 1, 2, 3, -1]
    assert params.pred_classes(np.array([9, -3, 500, 7, 0])).tolist() == [0, 1, 2, 3, -1]


def test_unknown_labels_are_named_with_their_pixels() -> None:
    params = SemanticParams.of("mmseg", 19)
    overlaps = count_overlaps(np.array([[0, 31, 31, 255, 3]]), np.array([[0, 0, 77, 99, 19]]))
    expected = "expected a class (0 to 18) or an ignored label (255)"
    gt, pred = label_problems(overlaps, params)
    assert gt == [f"has label 31 in 2 pixels; {expected}"]
    assert pred == [f"has label 19 in 1 pixels; {expected}", f"has label 77 in 1 pixels; {expected}"]
    with pytest.raises(InputError, match=r"gt: has label 31 in 2 pixels"):
        count(overlaps, np.array([1]), params)


def test_boundaries_need_bands_and_maps_of_two_axes() -> None:
    params = SemanticParams.of(num_classes=2, boundary=True)
    with pytest.raises(InputError, match="no bands or outlines"):
        count(count_overlaps(np.array([[0]]), np.array([[0]])), np.array([1]), params)
    for gt, pred in (([0, 1], [0, 1]), ([[0, 1]], [[0], [1]])):
        with pytest.raises(InputError, match=r"maps have shapes .* boundaries need two maps of one shape \(H, W\)"):
            compare(np.array(gt), np.array(pred), params)


def test_boundaries_refuse_what_is_no_map_of_labels() -> None:
    params = SemanticParams.of(num_classes=2, boundary=True)
    with pytest.raises(InputError, match="a map holds float64; expected integers, take the argmax"):
        compare(np.zeros((2, 2)), np.zeros((2, 2), int), params)
    with pytest.raises(InputError, match=r"a map holds 9223372036854775808; expected values below 2\*\*63"):
        compare(np.full((2, 2), 1 << 63, np.uint64), np.zeros((2, 2), int), params)
    nothing = np.zeros((0, 3), int)
    assert len(compare(nothing, nothing, params)[0]) == 0


def test_boundaries_are_those_of_classes_not_of_labels() -> None:
    gt = np.zeros((20, 20), np.uint8)
    gt[:, 5:] = 1
    gt[:, 12:] = 2
    joined = MeanIoU(2, boundary=True, label_map={2: 1}).update(gt, np.minimum(gt, 1)).compute()
    assert joined.values["mBoundaryIoU"] == joined.values["mBoundaryF"] == 1
    # labels that are far apart are sorted where others are looked up
    wide = MeanIoU({0: "a", 1: "b"}, boundary=True, label_map={1 << 40: 1})
    assert wide.update(np.where(gt == 2, np.int64(1 << 40), gt), np.minimum(gt, 1)).compute().values == joined.values


def test_a_class_that_fills_the_image_has_no_outline_to_miss() -> None:
    result = mean_iou([[0, 0], [0, 0]], [[0, 0], [0, 0]], 2, boundary=True)
    assert [row["BoundaryF"] for row in result.per_category] == [1, pytest.approx(math.nan, nan_ok=True)]
    zero = mean_iou([[0, 0], [0, 0]], [[0, 0], [0, 0]], 2, boundary=True, absent="zero")
    assert [row["BoundaryF"] for row in zero.per_category] == [1, 0]
    assert [row["BoundaryIoU"] for row in zero.per_category] == [1, 0]


@pytest.mark.parametrize("aggregate", ["dataset", "image"])
def test_weights_are_copies(aggregate: str) -> None:
    rng = np.random.default_rng(1)
    gt, pred = rng.integers(0, 5, (2, 3, 8, 9))
    metric = MeanIoU(5, aggregate=aggregate, boundary=True).update(gt, pred, image_id=[4, 5, 6])
    copies = MeanIoU(5, aggregate=aggregate, boundary=True).update(gt[[0, 2, 2]], pred[[0, 2, 2]])
    assert metric.compute(weights={4: 1, 6: 2}).values == copies.compute().values
    np.testing.assert_array_equal(confusion(metric.state, {4: 1, 6: 2}), confusion(copies.state))


def test_states_of_other_rules_do_not_add() -> None:
    overlaps = count_overlaps(np.array([[0]]), np.array([[0]]))
    states = [
        count(overlaps, np.array([i]), SemanticParams.of(num_classes=2, absent=absent))
        for i, absent in enumerate(("zero", "skip"))
    ]
    with pytest.raises(MismatchError, match="params differs"):
        merge(states)
    assert (
        summarize(states[0] + states[0].__class__(**vars(states[0]) | {"image_ids": np.array([9])})).values["aAcc"] == 1
    )


def test_the_signature_has_every_rule() -> None:
    assert str(mean_iou([[0]], [[0]], 3, preset="mmseg").signature) == (
        "semantic.miou@1|classes:0-2|ignore:255|exclude:none|reduce_zero_label:no|label_map:none|pred_only:zero|"
        "absent:skip|aggregate:dataset"
    )
    rules = {"label_map": {8: 1, 9: 0}, "ignore_index": (7, 255), "exclude": 1, "reduce_zero_label": True}
    signature = mean_iou([[0]], [[0]], {0: "a", 1: "b"}, boundary=True, **rules).signature
    assert str(signature) == (
        "semantic.miou@1|classes:0,1|ignore:7,255|exclude:1|reduce_zero_label:yes|label_map:8>1,9>0|pred_only:zero|"
        "absent:skip|aggregate:dataset|dilation_ratio:0.02|boundary_tolerance:0.008"
    )


def test_presets() -> None:
    assert {name: SemanticParams.of(name, None if name == "cityscapes" else 3).pred_only for name in PRESETS} == {
        "mmseg": "zero",
        "detectron2": "skip",
        "cityscapes": "zero",
        "torchmetrics": "zero",
    }
    city = SemanticParams.of("cityscapes")
    assert len(city.class_ids) == 19
    assert set(city.class_ids) | set(city.ignore_index) == set(range(-1, 34))
    assert SemanticParams.of("mmseg", 3, ignore_index=None).ignore_index == ()
    with pytest.raises(InputError, match=r"classes of its own, so num_classes cannot be given; .* take preset 'mmseg'"):
        SemanticParams.of("cityscapes", 19)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"preset": "torchmetric"}, r"there is no preset 'torchmetric'; did you mean 'torchmetrics'\?"),
        ({"ignore": 255}, r"there is no rule 'ignore'; did you mean 'ignore_index'\?"),
        ({"num_classes": 0}, "num_classes 0: expected an integer of 1 or more"),
        ({"num_classes": (3, 4)}, r"num_classes \(3, 4\): expected an integer"),
        ({"num_classes": True}, "num_classes True: expected labels"),
        ({"num_classes": None}, "expected the classes once, as num_classes or as class_ids"),
        ({"class_ids": (0, 1)}, "expected the classes once"),
        ({"num_classes": None, "class_ids": ()}, "class_ids is empty"),
        ({"num_classes": None, "class_ids": (1, 1)}, "class_ids names a label twice"),
        ({"label_map": [(0, 1), (0, 2)]}, "label_map names a label twice"),
        ({"label_map": [(0, 1, 2)]}, "expected pairs of an old and a new label"),
        ({"label_map": {0: 1.5}}, r"label_map \(0, 1.5\): expected labels, which are integers"),
        ({"ignore_index": 2.5}, "ignore_index 2.5: expected labels"),
        ({"exclude": (1, 5)}, "exclude names 5, which is no class; expected some of 0 to 2"),
        ({"pred_only": "nan"}, "pred_only 'nan' is unknown; expected one of zero, skip"),
        ({"absent": 0}, "absent 0 is unknown"),
        ({"aggregate": "images"}, "aggregate 'images' is unknown; expected one of dataset, image"),
        ({"dilation_ratio": 0}, "dilation_ratio: 0 is not above 0"),
        ({"boundary_tolerance": math.nan}, "boundary_tolerance: nan is not above 0"),
        ({"reduce_zero_label": True}, "label 0 into 255, which is not ignored; set ignore_index=255"),
        ({"reduce_zero_label": True, "ignore_index": 255, "num_classes": 256}, "expected classes below 255"),
    ],
)
def test_impossible_rules(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SemanticParams.of(**({"num_classes": 3} | rules))
