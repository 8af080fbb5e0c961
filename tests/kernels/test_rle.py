"""Kernels of run-length masks against slow twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from cvbench.kernels import rle
from mask_cases import run_lists, stacks
from naive import rle as naive


def run_iou(kernel, a: list[int], b: list[int], crowd: bool = False) -> float:
    first, second = np.array(a, np.uint32), np.array(b, np.uint32)
    return kernel(first, 0, len(a), second, 0, len(b), float(sum(a[1::2])), crowd)


@given(stacks(least=2, most=2), st.booleans())
def test_iou_is_that_of_the_pixels(stack, crowd):
    a, b = (naive.encode(mask) for mask in stack)
    expected = naive.iou(*stack, crowd)
    assert run_iou(rle.rle_iou, a, b, crowd) == expected
    assert run_iou(rle.rle_iou_by_runs, a, b, crowd) == expected


@given(st.data(), st.integers(1, 30), st.booleans())
def test_both_iou_loops_agree_on_runs_of_length_zero(data, pixels, crowd):
    a, b = data.draw(run_lists(pixels)), data.draw(run_lists(pixels))
    assert run_iou(rle.rle_iou, a, b, crowd) == run_iou(rle.rle_iou_by_runs, a, b, crowd)


@pytest.mark.parametrize("a", [[2, 0, 1, 3], [2, 1, 0, 1, 2]])
def test_iou_ends_where_runs_of_length_zero_meet(a):
    assert run_iou(rle.rle_iou, a, a) == (0.0 if a[1] == 0 else 1.0)
    assert run_iou(rle.rle_iou, a, [2, 2, 2]) == naive.iou(naive.decode(a, 2, 3), naive.decode([2, 2, 2], 2, 3))


@given(run_lists(20), run_lists(12), st.booleans())
@example([], [], False)
@example([], [0, 3], False)
@example([0], [0, 0, 0, 5], True)
@example([4, 2**32 - 1, 2**32 - 1], [3, 2**32 - 1], False)
def test_loops_end_on_runs_that_cover_different_numbers_of_pixels(a, b, intersect):
    for kernel in (rle.rle_iou, rle.rle_iou_by_runs):
        assert 0 <= run_iou(kernel, a, b) <= 1
        assert 0 <= run_iou(kernel, b, a) <= 1
    first, second = np.array(a, np.uint32), np.array(b, np.uint32)
    out = np.empty(len(a) + len(b), np.uint32)
    assert rle.rle_merge_pair(first, 0, len(a), second, 0, len(b), intersect, out, 0) <= len(out)


@given(stacks(least=2, most=2))
def test_merging_writes_what_an_encoder_would(stack):
    a, b = (np.array(naive.encode(mask), np.uint32) for mask in stack)
    out = np.empty(len(a) + len(b) + 1, np.uint32)
    for intersect, expected in ((False, stack[0] | stack[1]), (True, stack[0] & stack[1])):
        end = rle.rle_merge_pair(a, 0, len(a), b, 0, len(b), intersect, out, 1)
        assert out[1:end].tolist() == naive.encode(expected)
