"""Public functions on masks against slow twins, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from cvbench.columns import Masks
from cvbench.errors import InputError
from cvbench.metrics.masks import (
    invalid_masks,
    masks_from_counts,
    masks_from_strings,
    rle_area,
    rle_boxes,
    rle_decode,
    rle_encode,
    rle_to_strings,
)
from mask_cases import run_lists, split, stacks
from naive import rle as naive

NONE = np.zeros((0, 4, 5), bool)


def runs_of(masks: Masks) -> list[list[int]]:
    return [masks.counts[a:b].tolist() for a, b in zip(masks.offsets[:-1], masks.offsets[1:], strict=True)]


@given(stacks())
@example(NONE)
def test_pixels_survive_the_code(stack):
    masks = rle_encode(stack)
    assert runs_of(masks) == [naive.encode(mask) for mask in stack]
    assert masks.sizes.tolist() == [list(stack.shape[1:])] * len(stack)
    assert (masks.counts.dtype, masks.offsets.dtype, masks.sizes.dtype) == (np.uint32, np.int64, np.int64)
    if len(stack):
        decoded = rle_decode(masks)
        assert decoded.dtype == np.uint8
        assert np.array_equal(decoded, stack)
    assert runs_of(masks_from_strings(rle_to_strings(masks), masks.sizes)) == runs_of(masks)
    assert rle_to_strings(masks) == [naive.to_string(runs) for runs in runs_of(masks)]


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


@given(st.lists(run_lists(12), max_size=4), st.data())
def test_runs_that_do_not_cover_their_image_are_listed(counts, data):
    wrong = data.draw(st.lists(st.booleans(), min_size=len(counts), max_size=len(counts)))
    changed = [[*runs, 1] if flag else runs for runs, flag in zip(counts, wrong, strict=True)]
    bad = np.flatnonzero(wrong).tolist()
    assert invalid_masks(masks_from_counts(changed, (3, 4), check=False)).tolist() == bad
    strings = [naive.to_string(runs) for runs in changed]
    assert invalid_masks(masks_from_strings(strings, (3, 4), check=False)).tolist() == bad
    for make, argument in ((masks_from_counts, changed), (masks_from_strings, strings)):
        if bad:
            with pytest.raises(InputError, match=rf"^\w+\[{bad[0]}\]: \d+ runs cover 13 pixels; expected 12 "):
                make(argument, (3, 4))
        else:
            make(argument, (3, 4))


def test_one_pixel_less_than_too_many_is_fine():
    masks = masks_from_counts([[2**31 - 1]], (1, 2**31 - 1))
    assert rle_boxes(masks).tolist() == [[0, 0, 0, 0]]
    assert runs_of(masks_from_strings(rle_to_strings(masks), masks.sizes)) == [[2**31 - 1]]
