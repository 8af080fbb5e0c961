"""Public functions on masks against slow twins, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from cvbench.columns import Masks
from cvbench.metrics.masks import (
    masks_from_counts,
    rle_area,
    rle_boxes,
    rle_encode,
)
from mask_cases import split, stacks
from naive import rle as naive

NONE = np.zeros((0, 4, 5), bool)


def runs_of(masks: Masks) -> list[list[int]]:
    return [masks.counts[a:b].tolist() for a, b in zip(masks.offsets[:-1], masks.offsets[1:], strict=True)]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_layout_and_type_of_zeros_and_ones_is_a_mask(dtype, order):
    stack = np.random.default_rng(1).random((3, 5, 4)) < 0.5
    array = np.asarray(stack.astype(dtype), order=order)
    assert runs_of(rle_encode(array)) == [naive.encode(mask) for mask in stack]
    assert runs_of(rle_encode(array[::-1, ::2, 1:])) == [naive.encode(mask) for mask in stack[::-1, ::2, 1:]]
    assert runs_of(rle_encode(array.tolist())) == [naive.encode(mask) for mask in stack]


def test_a_chequered_mask_has_as_many_runs_as_pixels():
    stack = np.indices((3, 6, 7)).sum(axis=0)[:, :5] % 2
    assert runs_of(rle_encode(stack)) == [naive.encode(mask) for mask in stack > 0]


@given(stacks(), st.data())
@example(NONE, None)
def test_area_and_box_are_those_of_the_pixels_however_the_runs_are_split(stack, data):
    masks = rle_encode(stack)
    if data is not None:
        written = [data.draw(split(runs)) for runs in runs_of(masks)]
        if any(mask.any() or len(runs) == 1 for mask, runs in zip(stack, written, strict=True)):
            keep = [k for k, mask in enumerate(stack) if mask.any() or len(written[k]) == 1]
            masks, stack = masks_from_counts([written[k] for k in keep], stack.shape[1:]), stack[keep]
    assert rle_area(masks).tolist() == stack.sum(axis=(1, 2)).tolist()
    assert rle_boxes(masks).tolist() == [naive.box(mask) for mask in stack]
    assert rle_area(masks).dtype == rle_boxes(masks).dtype == np.float64
