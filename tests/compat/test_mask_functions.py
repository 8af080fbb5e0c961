"""Masks under pycocotools' names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from compat.twins import Original, Ours, assert_same, assert_same_outcome

numbers = st.one_of(st.integers(-3, 14), st.floats(-3, 14).map(lambda value: round(value, 2)))
polygons = st.lists(st.lists(numbers, min_size=5, max_size=13), min_size=1, max_size=3)
boxes = st.lists(numbers, min_size=4, max_size=4)
crowds = st.lists(st.booleans(), min_size=9, max_size=9)


def stacks(largest):
    shapes = st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(0, 4))
    values = st.integers(0, largest)
    return shapes.flatmap(lambda shape: arrays(np.uint8, shape, elements=values)).map(np.asfortranarray)


@given(stacks(3))
def test_encode_starts_a_run_at_every_change_of_value(stack):
    assert_same_outcome(lambda api: api.mask.encode(stack))


@given(stacks(1))
def test_masks_survive_encode_and_decode_and_are_measured(stack):
    rles = assert_same_outcome(lambda api: api.mask.encode(stack))
    if rles:
        assert_same(assert_same_outcome(lambda api: api.mask.decode(rles)), stack)
        assert_same_outcome(lambda api: api.mask.decode(rles[0]))
        assert_same_outcome(lambda api: [api.mask.area(rles[0]), api.mask.toBbox(rles[0])])
    assert_same_outcome(lambda api: [api.mask.area(rles), api.mask.toBbox(rles)])
    assert_same_outcome(lambda api: [api.mask.merge(rles), api.mask.merge(rles, intersect=True)])


@given(stacks(1), st.integers(0, 4), crowds)
def test_iou_of_masks(stack, n, crowd):
    rles = Original.mask.encode(stack)
    assert_same_outcome(lambda api: api.mask.iou(rles[:n], rles[n:], crowd[: len(rles[n:])]))
    assert_same_outcome(lambda api: api.mask.iou(rles, rles, crowd[: len(rles)]))


@given(st.lists(boxes, max_size=5), st.lists(boxes, max_size=5), crowds)
def test_iou_of_boxes(dt, gt, crowd):
    assert_same_outcome(lambda api: api.mask.iou(dt, gt, crowd[: len(gt)]))
    assert_same_outcome(lambda api: api.mask.iou(np.array(dt), np.array(gt), crowd[: len(gt)]))


@given(polygons, st.integers(1, 12), st.integers(1, 12))
def test_polygons(parts, height, width):
    rles = assert_same_outcome(lambda api: api.mask.frPyObjects(parts, height, width))
    assert_same_outcome(lambda api: api.mask.merge(rles))


@given(st.lists(boxes, max_size=4), st.integers(1, 12), st.integers(1, 12))
def test_boxes_as_masks(rows, height, width):
    array = np.array(rows, np.float64).reshape(-1, 4)
    assert_same_outcome(lambda api: api.mask.frPyObjects(array, height, width))


@given(st.lists(st.integers(0, 40), max_size=9), st.booleans())
def test_uncompressed_run_lengths_need_not_fill_their_image(counts, single):
    rle = {"counts": counts, "size": [5, 8]}
    compressed = assert_same_outcome(lambda api: api.mask.frPyObjects(rle if single else [rle], 1, 1))
    assert_same_outcome(lambda api: api.mask.area(compressed))
    if sum(counts) >= 40:  # the original leaves uninitialised memory behind shorter runs
        assert_same_outcome(lambda api: api.mask.decode(compressed))


def test_decode_fills_missing_runs_with_background():
    assert Ours.mask.decode({"size": [2, 3], "counts": b"13"}).tolist() == [[0, 1, 0], [1, 1, 0]]


RLE = {"size": [2, 3], "counts": b"123"}
BOX = [1, 2, 3, 4]
TRIANGLE = [1, 1, 5, 1, 5, 5]
CASES = {
    "string counts": lambda api: api.mask.area({**RLE, "counts": "123"}),
    "float size": lambda api: api.mask.toBbox({**RLE, "size": [2.0, np.int64(3)]}),
    "string size": lambda api: api.mask.area({**RLE, "size": ["2", 3]}),
    "negative size": lambda api: api.mask.area({**RLE, "size": [-2, 3]}),
    "one size": lambda api: api.mask.area({**RLE, "size": [2]}),
    "no counts": lambda api: api.mask.area({"size": [2, 3]}),
    "list counts": lambda api: api.mask.area({**RLE, "counts": [1, 2, 3]}),
    "bytearray counts": lambda api: api.mask.area({**RLE, "counts": bytearray(b"123")}),
    "empty counts": lambda api: [api.mask.area([{**RLE, "counts": b""}]), api.mask.toBbox([{**RLE, "counts": b""}])],
    "polygons for masks": lambda api: api.mask.area([TRIANGLE]),
    "tuple of masks": lambda api: api.mask.area((RLE,)),
    "runs too long": lambda api: api.mask.decode({**RLE, "counts": b"19"}),
    "sizes differ": lambda api: api.mask.decode([RLE, {"size": [3, 3], "counts": b"123"}]),
    "same pixels, other shape": lambda api: api.mask.decode([RLE, {"size": [3, 2], "counts": b"123"}]),
    "merge sizes differ": lambda api: api.mask.merge([RLE, {"size": [3, 3], "counts": b"123"}]),
    "merge of none": lambda api: api.mask.merge([]),
    "merge of a dict": lambda api: api.mask.merge(RLE),
    "no masks": lambda api: [api.mask.area([]), api.mask.toBbox([])],
    "no pixels": lambda api: api.mask.encode(np.zeros((0, 3), np.uint8)),
    "bool mask": lambda api: api.mask.encode(np.ones((2, 3, 1), bool, order="F")),
    "integer mask": lambda api: api.mask.encode(np.zeros((2, 3, 1), int, order="F")),
    "C order": lambda api: api.mask.encode(np.zeros((2, 3), np.uint8)),
    "vector": lambda api: api.mask.encode(np.zeros(2, np.uint8)),
    "list mask": lambda api: api.mask.encode([[1, 0]]),
    "iou sizes differ": lambda api: api.mask.iou([RLE], [{"size": [3, 3], "counts": b"123"}], [0]),
    "iou of nothing": lambda api: [api.mask.iou([], [], []), api.mask.iou([BOX], [], []), api.mask.iou([], [BOX], [0])],
    "iou crowd length": lambda api: api.mask.iou([BOX], [], [1]),
    "iou crowd too big": lambda api: api.mask.iou([BOX], [BOX], [300]),
    "iou crowd nested": lambda api: api.mask.iou([BOX], [BOX], [[0]]),
    "iou crowd fraction": lambda api: api.mask.iou([BOX], [BOX], [0.5]),
    "iou crowd none": lambda api: api.mask.iou([BOX], [BOX], None),
    "iou box and mask": lambda api: api.mask.iou([BOX], [RLE], [0]),
    "iou dict": lambda api: api.mask.iou(RLE, RLE, [0, 0]),
    "iou tuples": lambda api: api.mask.iou([tuple(BOX)], [BOX], [0]),
    "iou five numbers": lambda api: api.mask.iou([[*BOX, 5]], [BOX], [0]),
    "iou flat list": lambda api: api.mask.iou(BOX, [BOX], [0]),
    "iou flat array": lambda api: api.mask.iou(np.array([1.0, 2, 3, 4]), [BOX], [0]),
    "iou flat integers": lambda api: api.mask.iou(np.array([4, 2, 3, 4]), [BOX], [0]),
    "iou string number": lambda api: api.mask.iou([[1, 2, 3, "4"]], [BOX], [0]),
    "iou None": lambda api: api.mask.iou([[1, 2, 3, None]], [BOX], [0]),
    "iou NaN edge": lambda api: api.mask.iou([[np.nan, 10, 50, 50]], [[10, 10, 50, 50]], [0]),
    "iou infinite": lambda api: api.mask.iou([[0, 0, np.inf, 5]], [[1, 1, 5, 5], [0, 0, np.inf, np.inf]], [0, 1]),
    "iou zero area": lambda api: api.mask.iou([[5, 5, 0, 0]], [[5, 5, 0, 0], [5, 5, -1, -1]], [0, 1]),
    "polygon of four": lambda api: api.mask.frPyObjects([BOX], 10, 10),
    "polygon of three": lambda api: api.mask.frPyObjects([[1, 2, 3]], 10, 10),
    "polygon of seven": lambda api: api.mask.frPyObjects([[*TRIANGLE, 2]], 10, 10),
    "later part of four": lambda api: api.mask.frPyObjects([TRIANGLE, BOX, [], [3]], 10, 10),
    "flat polygon": lambda api: api.mask.frPyObjects(TRIANGLE, 10, 10),
    "nested polygon": lambda api: api.mask.frPyObjects([[[1, 1], [5, 1], [5, 5], [1, 2], [3, 4]]], 10, 10),
    "polygon of strings": lambda api: api.mask.frPyObjects([["1", "1", "5", "1", "5", "5"]], 10, 10),
    "polygon of letters": lambda api: api.mask.frPyObjects([["a", "1", "5", "1", "5", "5"]], 10, 10),
    "no polygon": lambda api: api.mask.frPyObjects([], 10, 10),
    "empty polygon": lambda api: api.mask.frPyObjects([[]], 10, 10),
    "array polygon": lambda api: api.mask.frPyObjects([np.array(TRIANGLE)], 10, 10),
    "float height": lambda api: api.mask.frPyObjects([TRIANGLE], 10.5, np.float64(10)),
    "string height": lambda api: api.mask.frPyObjects([TRIANGLE], "a", 10),
    "negative height": lambda api: api.mask.frPyObjects([TRIANGLE], -1, 10),
    "no height": lambda api: api.mask.frPyObjects([TRIANGLE], None, 10),
    "integer boxes": lambda api: api.mask.frPyObjects(np.array([BOX]), 10, 10),
    "flat boxes": lambda api: api.mask.frPyObjects(np.array([1.0, 2, 3, 4]), 10, 10),
    "fractions of runs": lambda api: api.mask.frPyObjects({"counts": [1, 2.7, 3], "size": [2, 3]}, 10, 10),
    "negative run": lambda api: api.mask.frPyObjects({"counts": [1, -2, 3], "size": [2, 3]}, 10, 10),
    "bytes runs": lambda api: api.mask.frPyObjects({"counts": b"abc", "size": [2, 3]}, 10, 10),
    "string runs": lambda api: api.mask.frPyObjects({"counts": "123", "size": [2, 3]}, 10, 10),
    "a word": lambda api: api.mask.frPyObjects("abc", 10, 10),
    "compiled boxes": lambda api: api._mask.frBbox([BOX], 10, 10),
    "compiled polygons": lambda api: api._mask.frPoly([TRIANGLE], 10, 10),
    "compiled runs": lambda api: api._mask.frUncompressedRLE([{"counts": [1, 2, 3], "size": [2, 3]}], 10, 10),
}


@pytest.mark.parametrize("case", CASES)
def test_odd_arguments_have_the_original_outcome(case):
    assert_same_outcome(CASES[case])


@pytest.mark.parametrize(
    "call",
    [
        lambda: Ours.mask.decode([]),
        lambda: Ours.mask.area({"size": [2, 3], "counts": b"12W"}),
        lambda: Ours.mask.area({"size": [2, 3], "counts": b"1 3"}),
        lambda: Ours.mask.frPyObjects([[1, 1, 5, 1, 5, np.nan]], 10, 10),
        lambda: Ours.mask.frPyObjects([[1, 1, 5, 1, 5, np.inf]], 10, 10),
    ],
    ids=["no masks", "string ends in a number", "not a code", "NaN polygon", "infinite polygon"],
)
def test_what_makes_the_original_read_foreign_memory_raises(call):
    with pytest.raises(ValueError, match=r"\w"):
        call()


def test_public_names():
    assert set(Ours.mask.__all__) == {"area", "decode", "encode", "frPyObjects", "iou", "merge", "toBbox"}
