"""MeanIoU, ConfusionMatrix and CityscapesIoU: what they take, what they refuse and how they say so."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from cvbench import InputError, MismatchError
from cvbench.metrics.mean_iou import CityscapesIoU, ConfusionMatrix, LabelMaps, MeanIoU, confusion_matrix, mean_iou
from semantic_cases import IGNORED, MapKnobs, city_maps, label_maps, map_knobs

GT = np.array([[0, 0, 1], [2, 2, 255]], np.uint8)
PRED = np.array([[0, 1, 1], [2, 0, 0]], np.uint8)
MATRIX = [[1, 1, 0], [0, 1, 0], [1, 0, 1]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, ">i4"])
def test_integers_of_any_type(dtype: Any) -> None:
    assert confusion_matrix(GT.astype(dtype), PRED.astype(np.int64), 3, 255).tolist() == MATRIX
    banded = MeanIoU(3, preset="mmseg", boundary=True).update(GT.astype(dtype), PRED.astype(dtype))
    assert banded.compute().same_scores(MeanIoU(3, preset="mmseg", boundary=True).update(GT, PRED).compute())


@pytest.mark.parametrize(
    "form",
    [
        torch.from_numpy,
        np.asfortranarray,
        np.ndarray.tolist,
        lambda array: np.repeat(np.repeat(array, 2, 0), 3, 1)[::2, ::3],
        np.ndarray.ravel,
    ],
)
def test_maps_of_any_form(form: Any) -> None:
    assert confusion_matrix(form(GT), form(PRED), 3, 255).tolist() == MATRIX


def test_masks_are_maps_of_two_classes() -> None:
    assert confusion_matrix(GT == 0, PRED == 0, 2).tolist() == [[2, 2], [1, 1]]


def test_a_batch_equals_its_images() -> None:
    one = MeanIoU(3, preset="mmseg")
    for _ in range(3):
        one.update(GT, PRED)
    forms = (
        (np.stack([GT] * 3), np.stack([PRED] * 3)),
        ([GT] * 3, (PRED,) * 3),
        (torch.stack([torch.tensor(GT)] * 3),) * 2,
    )
    assert MeanIoU(3, preset="mmseg").update(*forms[0]).compute().same_scores(one.compute())
    assert MeanIoU(3, preset="mmseg").update(*forms[1]).compute().same_scores(one.compute())
    assert MeanIoU(3, preset="mmseg").update(*forms[2]).compute().values["mIoU"] == 1
    assert MeanIoU(3).update([], []).state.counts["images"] == 0


def test_images_of_a_list_may_differ_in_size() -> None:
    gt, pred = [GT, np.array([[1, 1, 1, 1]])], [PRED, np.array([[1, 1, 1, 0]])]
    assert confusion_matrix(gt, pred, 3, 255).tolist() == [[1, 1, 0], [1, 4, 0], [1, 0, 1]]


def test_names_of_classes() -> None:
    for classes in (["a", "b", "c"], {0: "a", 1: "b", 2: "c"}):
        assert [row["name"] for row in mean_iou(GT, PRED, classes, ignore_index=255).per_category] == ["a", "b", "c"]
    assert [row["name"] for row in mean_iou(GT, PRED, 3, ignore_index=255).per_category] == ["0", "1", "2"]
    assert [row["name"] for row in MeanIoU(preset="cityscapes").compute().per_category][:2] == ["road", "sidewalk"]
    for rules in ({"num_classes": 3}, {"class_ids": (0, 1, 2)}):
        assert MeanIoU(ignore_index=255, **rules).params == MeanIoU(3, ignore_index=255).params
    with pytest.raises(InputError, match="expected the classes once"):
        MeanIoU(["a", "b"], num_classes=2)
    with pytest.raises(InputError, match="classes 'abc': expected their number, a list of names, or names by label"):
        MeanIoU("abc")


def test_ids_of_images() -> None:
    metric = MeanIoU(3, preset="mmseg").update(GT, PRED, image_id=torch.tensor(7))
    assert metric.update([GT, GT], [PRED, PRED], image_id=[8, np.int32(9)]).state.image_ids.tolist() == [7, 8, 9]
    for ids, message in (
        ([1, 7], "image_id 7 came before"),
        ([1], "image_id: holds 1 ids for a batch of 2 images; expected one each"),
        ([1, 1], "names an image twice"),
        ([1, "a"], "are of several kinds"),
        ([1, 2.5], "image_id: is 2.5; expected one integer or a string"),
        (None, "some images have an image_id and some have none"),
        (["a", "b"], "image_id 'a' is a str and those before are int"),
    ):
        with pytest.raises(InputError, match=message):
            metric.update([GT, GT], [PRED, PRED], image_id=ids)
        assert metric.state.counts["images"] == 3


@pytest.mark.parametrize(
    ("gt", "pred", "message"),
    [
        (GT, np.zeros((3, 2, 3)), r"pred: holds float64; expected labels, so take the argmax of scores"),
        (GT, torch.zeros(2, 3, dtype=torch.bfloat16), "pred: holds float32; .* argmax"),
        ([["a"]], PRED, "gt: holds <U1; expected labels, which are integers"),
        (GT[None, None], PRED, r"gt: has shape \(1, 1, 2, 3\); expected \(H, W\), or .*; squeeze the second axis"),
        (np.int64(3), PRED, r"gt: has shape \(\)"),
        ([GT[None]], [PRED], r"gt\[0\]: has shape \(1, 2, 3\); expected a map \(H, W\)"),
        ([GT, GT], [PRED], "there are 2 images in gt and 1 in pred"),
        (GT, PRED[:, :2], r"pred: has shape \(2, 2\)"),
        ([GT, GT], [PRED, PRED.T], r"pred\[1\]: has shape \(3, 2\)"),
        ([GT, GT + 1], [PRED, PRED], r"gt\[1\]: has label 3 in 2 pixels; expected a class \(0 to 2\)"),
        (GT, PRED + 3, r"pred: has label 3 in 2 pixels; .* \(and 2 more labels like it\)"),
    ],
)
def test_what_is_wrong_is_named(gt: Any, pred: Any, message: str) -> None:
    metric = MeanIoU(3, preset="mmseg")
    with pytest.raises(InputError, match=message):
        metric.update(gt, pred)
    assert metric.state.counts["images"] == 0, "a batch is taken whole or not at all"


def test_a_confusion_matrix_has_weights_and_merges() -> None:
    metric = ConfusionMatrix(3, ignore_index=255).update([GT, GT], [PRED, GT], image_id=["a", "b"])
    assert metric.compute(weights={"a": 2}).tolist() == (2 * np.array(MATRIX)).tolist()
    other = ConfusionMatrix(3, ignore_index=255).update(GT, PRED, image_id="c").merge(metric)
    assert other.compute().tolist() == (2 * np.array(MATRIX) + np.diag([2, 1, 2])).tolist()
    assert other.compute().dtype == np.int64
    with pytest.raises(MismatchError, match="params differs"):
        other.merge(ConfusionMatrix(4, ignore_index=255))


METRICS = {
    "by data set": (lambda knobs: MeanIoU(knobs.classes, preset="mmseg", boundary=True), label_maps),
    "by image": (
        lambda knobs: MeanIoU(knobs.classes, aggregate="image", ignore_index=IGNORED, pred_only="skip"),
        label_maps,
    ),
    "of Cityscapes": (lambda knobs: CityscapesIoU(), city_maps),
}


@pytest.mark.parametrize("name", METRICS)
@given(knobs=map_knobs(), data=st.data())
def test_no_order_and_no_number_of_threads_matters(name: str, knobs: MapKnobs, data: st.DataObject) -> None:
    make, draw = METRICS[name]
    pairs = draw(knobs)

    def fed(order: list[int]) -> LabelMaps[Any]:
        metric = make(knobs)
        metric.update([pairs[i][0] for i in order], [pairs[i][1] for i in order], image_id=order)
        return metric

    order = data.draw(st.permutations(range(len(pairs))))
    cut = data.draw(st.integers(0, len(pairs)))
    before = copy.deepcopy(pairs)
    whole = fed(sorted(order)).compute()
    assert fed(order).compute().same_scores(whole)
    assert make(knobs).merge(fed(order[cut:]), fed(order[:cut])).compute().same_scores(whole)
    single = make(knobs)
    single.threads = 1
    assert single.update(*([pair[side] for pair in pairs] for side in (0, 1))).compute().same_scores(whole)
    np.testing.assert_equal(pairs, before, "inputs are not changed")
