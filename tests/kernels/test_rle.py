"""Kernels of run-length masks against slow twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from cvbench.kernels import rle
from cvbench.metrics import masks as public
from mask_cases import run_lists, stacks
from naive import rle as naive


def iou_by_runs(a: list[int], b: list[int], crowd: bool = False) -> float:
    first, second = np.array(a, np.uint32), np.array(b, np.uint32)
    return rle.rle_iou_by_runs(first, 0, len(a), second, 0, len(b), float(sum(a[1::2])), crowd)


def iou_by_foreground(a: list[int], b: list[int], crowd: bool = False) -> float:
    masks = public.masks_from_counts([a, b], (1, 1), check=False)
    return rle.rle_iou(public.measured(masks), 0, public.measured(masks), 1, crowd)


@given(stacks(least=2, most=2), st.booleans())
def test_iou_is_that_of_the_pixels(stack, crowd):
    a, b = (naive.encode(mask) for mask in stack)
    expected = naive.iou(*stack, crowd)
    assert iou_by_foreground(a, b, crowd) == expected
    assert iou_by_runs(a, b, crowd) == expected


@given(st.data(), st.integers(1, 30), st.booleans())
def test_both_iou_loops_agree_on_runs_of_length_zero(data, pixels, crowd):
    a, b = data.draw(run_lists(pixels)), data.draw(run_lists(pixels))
    assert iou_by_foreground(a, b, crowd) == iou_by_runs(a, b, crowd)


@given(st.lists(st.lists(st.integers(0, 9), max_size=7), max_size=4))
@example([[], [0], [5], [0, 4], [2, 3, 0], [2, 0, 4], [2, 0, 1, 3]])
def test_masks_are_measured(counts):
    masks = public.masks_from_counts(counts, (1, 1), check=False)
    for runs, (begin, end, area, plain) in zip(counts, public.measured(masks).facts.tolist(), strict=True):
        pixels = np.flatnonzero(np.repeat(np.arange(len(runs)) % 2, runs))
        assert area == len(pixels)
        assert plain == (0 not in runs[1:])
        if area:
            assert 0 <= begin <= pixels[0] <= pixels[-1] < end <= sum(runs)
        else:
            assert begin == end == 0


@pytest.mark.parametrize("a", [[2, 0, 1, 3], [2, 1, 0, 1, 2]])
def test_iou_ends_where_runs_of_length_zero_meet(a):
    assert iou_by_foreground(a, a) == (0.0 if a[1] == 0 else 1.0)
    assert iou_by_foreground(a, [2, 2, 2]) == naive.iou(naive.decode(a, 2, 3), naive.decode([2, 2, 2], 2, 3))


@given(run_lists(20), run_lists(12), st.booleans())
@example([], [], False)
@example([], [0, 3], False)
@example([0], [0, 0, 0, 5], True)
@example([4, 2**32 - 1, 2**32 - 1], [3, 2**32 - 1], False)
def test_loops_end_on_runs_that_cover_different_numbers_of_pixels(a, b, intersect):
    for iou in (iou_by_foreground, iou_by_runs):
        assert 0 <= iou(a, b) <= 1
        assert 0 <= iou(b, a) <= 1
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


@given(st.lists(st.binary(max_size=6), max_size=4))
@example([b"", b"0", b"P", b"Pa", b"o0o", b"0\x00", b"\xff"])
def test_a_string_that_is_not_of_the_code_has_no_runs(strings):
    masks = public.masks_from_strings(strings, (4, 5), check=False)
    for n, string in enumerate(strings):
        runs = masks.counts[masks.offsets[n] : masks.offsets[n + 1]].tolist()
        whole = all(48 <= byte <= 111 for byte in string) and string[-1:] < b"P"
        expected = naive.from_string(string) if whole else []
        if all(0 <= run < 2**32 for run in expected):
            assert runs == expected
        else:
            assert len(runs) == len(expected)
            assert max(runs) == 2**32 - 1


@pytest.mark.parametrize("string", [b"0" + b"P" * 7 + b"1", b"0" + b"o" * 60 + b"0", b"00" + b"P" * 13 + b"0"])
def test_a_number_too_long_for_a_run_is_no_run(string):
    masks = public.masks_from_strings([string], (4, 5), check=False)
    assert masks.counts.max() == 2**32 - 1
    assert public.invalid_masks(masks).tolist() == [0]


@given(st.lists(st.one_of(st.integers(0, 40), st.sampled_from((15, 16, 511, 512, 2**29, 2**31 - 1, 2**32 - 1)))))
def test_strings_hold_any_runs(counts):
    masks = public.masks_from_counts([counts], (1, 1), check=False)
    strings = public.rle_to_strings(masks)
    assert strings == [naive.to_string(counts)]
    assert public.masks_from_strings(strings, (1, 1), check=False).counts.tolist() == counts
