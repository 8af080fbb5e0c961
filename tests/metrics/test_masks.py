"""Public functions on masks against slow twins, and what they refuse."""

from __future__ import annotations

import doctest
import re

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from cvbench.columns import Masks
from cvbench.errors import InputError
from cvbench.metrics import masks as module
from cvbench.metrics.masks import (
    FARTHEST,
    boundary_iou,
    invalid_masks,
    mask_boundary,
    mask_iou,
    masks_from_boxes,
    masks_from_counts,
    masks_from_flat_counts,
    masks_from_flat_polygons,
    masks_from_flat_strings,
    masks_from_polygons,
    masks_from_strings,
    rle_area,
    rle_boxes,
    rle_decode,
    rle_encode,
    rle_merge,
    rle_to_strings,
)
from mask_cases import pixels, polygons, run_lists, sizes, split, stacks
from mode import JIT
from naive import rle as naive

NONE = np.zeros((0, 4, 5), bool)


def runs_of(masks: Masks) -> list[list[int]]:
    return [masks.counts[a:b].tolist() for a, b in zip(masks.offsets[:-1], masks.offsets[1:], strict=True)]


def test_examples():
    assert doctest.testmod(module).failed == 0


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


@given(stacks(least=1))
def test_merging_is_any_or_all(stack):
    masks = rle_encode(stack)
    assert runs_of(rle_merge(masks)) == [naive.encode(stack.any(axis=0))]
    assert runs_of(rle_merge(masks, intersect=True)) == [naive.encode(stack.all(axis=0))]
    assert rle_merge(masks).sizes.tolist() == [list(stack.shape[1:])]


@given(polygons(), sizes())
@example([[0, 0, 0, 0, 0, 0]], (1, 1))
@example([[1, 2, 3, 4, 5, 6]], (4, 5))
@example([[0, 0, 5, 0, 5, 4, 0, 4]], (4, 5))
@example([[-3, -3, 9, -3, 9, 9, -3, 9], [1, 1, 2, 1, 2, 2, 1, 2]], (4, 5))
@example([[0, 0, 4, 4, 4, 0, 0, 4]], (4, 4))
@example([[0, 3, 9, 3, 9, 9, 0, 9]], (4, 3))
@example([[-9, -9, -5, -9, -5, -5]], (3, 3))
@example([[0.1, 0.1, 0.3, 0.1, 0.3, 0.3]], (2, 2))
def test_polygons_cover_what_they_go_around(parts, size):
    masks = masks_from_polygons([parts], size)
    expected = np.any([naive.polygon(part, *size) for part in parts], axis=0)
    assert runs_of(masks) == [naive.encode(expected)]


@given(st.lists(st.tuples(polygons(), sizes()), max_size=4))
@example([])
def test_many_polygons_are_many_masks_at_any_number_of_threads(cases):
    parts, image_sizes = [case[0] for case in cases], np.array([case[1] for case in cases], int).reshape(-1, 2)
    masks = masks_from_polygons(parts, image_sizes)
    assert runs_of(masks) == [runs_of(masks_from_polygons([p], s))[0] for p, s in zip(parts, image_sizes, strict=True)]
    assert masks.sizes.tolist() == image_sizes.tolist()


def test_flat_arrays_are_refused_where_lists_are():
    squares, one_each = np.tile(SQUARE, 2).astype(float), np.array([0, 1, 2])
    with pytest.raises(InputError, match=r"^polygons\[1\]\[0\]: 7 numbers; expected x and y of three"):
        masks_from_flat_polygons(squares[:-1], np.array([0, 8, 15]), one_each, (4, 4))
    squares[-1] = np.inf
    with pytest.raises(InputError, match=r"^polygons\[1\]\[0\]: coordinate inf; expected pixels"):
        masks_from_flat_polygons(squares, np.array([0, 8, 16]), one_each, (4, 4))
    with pytest.raises(InputError, match=r"^strings\[1\]: ends in the middle of a number"):
        masks_from_flat_strings(np.frombuffer(b"6P", np.uint8), one_each, (2, 3))
    with pytest.raises(InputError, match=r"^counts\[1\]: run 0 is 6\.5; expected a whole number"):
        masks_from_flat_counts(np.array([6.0, 6.5]), one_each, (2, 3))
    with pytest.raises(InputError, match=r"^sizes have the shape \(3, 2\)"):
        masks_from_flat_strings(np.frombuffer(b"66", np.uint8), one_each, [(2, 3)] * 3)


def test_a_polygon_as_wide_as_coordinates_go_covers_the_image():
    low, high = -FARTHEST, FARTHEST
    square = [low, low, high, low, high, high, low, high]
    assert runs_of(masks_from_polygons([[square]], (4, 5))) == [[0, 20]]
    halves = masks_from_polygons([[[low, low, high, high, low, high]], [[low, low, high, low, high, high]]], (6, 6))
    assert rle_area(rle_merge(halves)) == 36


@given(st.lists(st.tuples(*[st.floats(-3, 15) | st.integers(-3, 15).map(float)] * 4), max_size=4), sizes())
def test_boxes_are_polygons_of_their_corners(boxes, size):
    corners = [[[x, y, x, y + h, x + w, y + h, x + w, y]] for x, y, w, h in boxes]
    assert runs_of(masks_from_boxes(boxes, size)) == runs_of(masks_from_polygons(corners, size))


@given(stacks(), st.sampled_from((0.0, 0.02, 0.1, 0.2, 0.5, 3.0, np.inf)))
@example(np.ones((1, 7, 7), bool), 0.02)
@example(np.ones((1, 1, 9), bool), 0.02)
@example(np.ones((2, 9, 9), bool), 0.2)
@example(NONE, 0.02)
def test_the_boundary_is_what_erosion_takes_away(stack, ratio):
    masks = mask_boundary(rle_encode(stack), ratio)
    assert runs_of(masks) == [naive.encode(naive.boundary(mask, min(ratio, 3.0))) for mask in stack]


@given(st.data(), sizes(), st.integers(1, 3))
def test_the_boundary_does_not_depend_on_how_runs_are_split(data, size, width):
    mask = data.draw(pixels(*size))
    ratio = width / np.hypot(*size)
    split_masks = masks_from_counts([data.draw(split(naive.encode(mask)))], size)
    assert runs_of(mask_boundary(split_masks, ratio)) == [naive.encode(naive.boundary(mask, ratio))]


@pytest.mark.skipif(not JIT, reason="large images take the plain Python kernels too long")
def test_boundary_of_large_masks_from_several_threads():
    y, x = np.mgrid[:97, :131]
    rings = [np.hypot(y - 48, x - 60) < radius for radius in range(1, 80, 7)]
    noise = [np.random.default_rng(seed).random((97, 131)) < 0.999 for seed in range(8)]
    stack = np.array(rings + noise)
    masks = rle_encode(stack).take(np.arange(2200) % len(stack))
    for ratio in (0.005, 0.02, 0.05):
        expected = [naive.encode(naive.boundary(mask, ratio)) for mask in stack]
        many, one = mask_boundary(masks, ratio, threads=4), mask_boundary(masks, ratio, threads=1)
        assert runs_of(many) == [expected[n % len(stack)] for n in range(2200)]
        assert np.array_equal(many.counts, one.counts)


@pytest.mark.parametrize(("size", "width"), [((3, 4), 1), ((60, 80), 2), ((90, 120), 3), ((45, 60), 2), ((75, 100), 2)])
def test_the_width_of_the_boundary_rounds_half_to_even(size, width):
    boundary = rle_decode(mask_boundary(rle_encode(np.ones((1, *size)))))[0]
    assert (boundary[size[0] // 2] == 0).argmax() == (width if min(size) > 2 * width else 0)


@given(stacks(), stacks(), st.data())
def test_iou_is_that_of_the_pixels(a, b, data):
    crowd = np.array(data.draw(st.lists(st.booleans(), min_size=len(b), max_size=len(b))), bool)
    same = a.shape[1:] == b.shape[1:]
    expected = np.array([[naive.iou(p, q, flag) if same else 0.0 for q, flag in zip(b, crowd, strict=True)] for p in a])
    iou = mask_iou(rle_encode(a), rle_encode(b), crowd)
    assert iou.shape == (len(a), len(b))
    assert iou.dtype == np.float64
    assert np.array_equal(np.maximum(iou, 0) if same else np.minimum(iou, 0) + (iou == -1), expected.reshape(iou.shape))


@given(stacks(least=1), st.sampled_from((0.02, 0.2)), st.data())
def test_boundary_iou_is_the_lesser_one_but_for_crowds(stack, ratio, data):
    crowd = np.array(data.draw(st.lists(st.booleans(), min_size=len(stack), max_size=len(stack))), bool)
    edges = [naive.boundary(mask, ratio) for mask in stack]
    expected = [
        [
            naive.iou(p, q, True) if flag else min(naive.iou(p, q), naive.iou(e, f))
            for q, f, flag in zip(stack, edges, crowd, strict=True)
        ]
        for p, e in zip(stack, edges, strict=True)
    ]
    masks = rle_encode(stack)
    assert boundary_iou(masks, masks, crowd, ratio).tolist() == expected


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


SQUARE = [0, 0, 3, 0, 3, 3, 0, 3]
SHORT = masks_from_counts([[6], [5]], (2, 3), check=False)
TWO_SIZES = masks_from_counts([[6], [6]], [(2, 3), (3, 2)])
EMPTY = masks_from_counts([], (2, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rle_encode(np.zeros((4, 4))), "masks have the shape (4, 4); expected (masks, height, width)"),
        (lambda: rle_encode(np.zeros((2, 0, 4))), "sizes[0]: height 0, width 4; expected 1 or more"),
        (lambda: rle_encode(np.full((1, 2, 2), 255, np.uint8)), "masks of uint8 hold values other than 0 and 1"),
        (lambda: rle_encode(np.full((1, 2, 2), np.nan)), "masks of float64 hold values other than 0 and 1"),
        (lambda: rle_decode(SHORT), "masks[1]: 1 runs cover 5 pixels; expected 6 (height 2, width 3)"),
        (lambda: rle_decode(TWO_SIZES), "masks[1]: size [3, 2]; expected [2, 3] as the first mask has"),
        (lambda: rle_decode(EMPTY), "there are no masks; expected one or more"),
        (lambda: rle_merge(TWO_SIZES), "masks[1]: size [3, 2]; expected [2, 3] as the first mask has"),
        (lambda: rle_merge(EMPTY), "there are no masks; expected one or more"),
        (lambda: mask_boundary(SHORT), "masks[1]: 1 runs cover 5 pixels; expected 6 (height 2, width 3)"),
        (lambda: mask_boundary(TWO_SIZES, -0.1), "dilation_ratio is -0.1; expected a share of the image diagonal"),
        (lambda: mask_boundary(TWO_SIZES, float("nan")), "dilation_ratio is nan"),
        (lambda: mask_iou(SHORT, SHORT, np.zeros(3, bool)), "crowd has the shape (3,); expected (2,)"),
        (lambda: masks_from_polygons([[SQUARE], []], (4, 4)), "polygons[1]: no parts; expected one or more"),
        (
            lambda: masks_from_polygons([[SQUARE], [SQUARE, [1, 1, 2, 2]]], (4, 4)),
            "polygons[1][1]: 4 numbers; expected x and y of three points or more",
        ),
        (lambda: masks_from_polygons([[SQUARE[:-1]]], (4, 4)), "polygons[0][0]: 7 numbers"),
        (
            lambda: masks_from_polygons([[SQUARE], [SQUARE, [*SQUARE[:-1], np.nan]]], (4, 4)),
            "polygons[1][1]: coordinate nan; expected pixels, no farther than 134217728",
        ),
        (lambda: masks_from_polygons([[[*SQUARE[:-1], 2e9]]], (4, 4)), "polygons[0][0]: coordinate 2000000000.0"),
        (lambda: masks_from_polygons([SQUARE], (4, 4)), "polygons: object of type 'int' has no len()"),
        (lambda: masks_from_polygons([[[SQUARE] * 6]], (4, 4)), "polygons: "),
        (lambda: masks_from_boxes([[0, 0, 1]], (4, 4)), "boxes have the shape (1, 3); expected (boxes, 4)"),
        (lambda: masks_from_boxes([[0, 0, 1, np.inf]], (4, 4)), "boxes[0]: [0.0, 0.0, 1.0, inf]; expected x, y"),
        (lambda: masks_from_counts([[3, -1, 4]], (2, 3)), "counts[0]: run 1 is -1.0; expected a whole number"),
        (lambda: masks_from_counts([[6], [3, 0.5, 2.5]], (2, 3)), "counts[1]: run 1 is 0.5"),
        (lambda: masks_from_counts([[2**32]], (2, 3)), "counts[0]: run 0 is 4294967296.0"),
        (
            lambda: masks_from_counts([[5], [6], [7]], (2, 3)),
            "counts[0]: 1 runs cover 5 pixels; expected 6 (height 2, ",
        ),
        (lambda: masks_from_counts([[5], [6], [7]], (2, 3)), "width 3); 1 more masks of 3 are like that"),
        (lambda: masks_from_counts([6], (2, 3)), "counts: object of type 'int' has no len()"),
        (lambda: masks_from_counts([["6"], [[]]], (2, 3)), "counts: "),
        (lambda: masks_from_strings(["6", "P"], (2, 3)), "strings[1]: ends in the middle of a number (byte 80 says"),
        (lambda: masks_from_strings(["6", ""], (2, 3)), "strings[1]: empty; expected the runs of a mask"),
        (
            lambda: masks_from_strings([b"6\n"], (2, 3)),
            "strings[0]: not of the code of compressed masks: byte 10 ('\\n') at 1",
        ),
        (lambda: masks_from_strings(["6é"], (2, 3)), "byte 195"),
        (lambda: masks_from_strings(["6", [6]], (2, 3)), "strings[1]: a list; expected str or bytes"),
        (lambda: masks_from_strings(["6", "5"], (2, 3)), "strings[1]: 1 runs cover 5 pixels; expected 6"),
        (lambda: masks_from_strings(["6"], (2, 3, 1)), "sizes have the shape (3,); expected (2,) or (1, 2)"),
        (lambda: masks_from_strings(["6"], [(2, 3)] * 2), "sizes have the shape (2, 2); expected (2,) or (1, 2)"),
        (lambda: masks_from_strings(["6"], (2.0, 3.0)), "sizes have the dtype float64; expected whole numbers"),
        (lambda: masks_from_strings(["6"] * 2, [(2, 3), (0, 3)]), "sizes[1]: height 0, width 3; expected 1 or more"),
        (lambda: masks_from_strings(["6"], (2**16, 2**15)), "sizes[0]: height 65536, width 32768; expected 1 or more"),
    ],
)
def test_refusals_say_where_what_and_how(call, message):
    with pytest.raises(InputError, match=re.escape(message)):
        call()


def test_one_pixel_less_than_too_many_is_fine():
    masks = masks_from_counts([[2**31 - 1]], (1, 2**31 - 1))
    assert rle_boxes(masks).tolist() == [[0, 0, 0, 0]]
    assert runs_of(masks_from_strings(rle_to_strings(masks), masks.sizes)) == [[2**31 - 1]]
