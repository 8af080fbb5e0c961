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
