"""Masks to the last bit as pycocotools has them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from pycocotools import mask as reference

from cvbench.metrics.masks import (
    mask_iou,
    masks_from_boxes,
    masks_from_counts,
    masks_from_polygons,
    masks_from_strings,
    rle_area,
    rle_boxes,
    rle_decode,
    rle_encode,
    rle_merge,
    rle_to_strings,
)
from mask_cases import LARGEST, as_dicts, polygons, run_lists, sizes, stacks
from mode import JIT


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in pycocotools' decode
@given(stacks(least=1))
def test_pixels_measures_and_merges(stack):
    theirs = reference.encode(np.asfortranarray(stack.transpose(1, 2, 0).astype(np.uint8)))
    masks = rle_encode(stack)
    strings = rle_to_strings(masks)
    assert as_dicts(masks, strings) == theirs
    assert np.array_equal(rle_decode(masks).transpose(1, 2, 0), reference.decode(theirs))
    assert np.array_equal(rle_area(masks), reference.area(theirs))
    assert np.array_equal(rle_boxes(masks), reference.toBbox(theirs))
    for intersect in (False, True):
        assert rle_to_strings(rle_merge(masks, intersect)) == [reference.merge(theirs, intersect)["counts"]]


@given(st.data(), st.integers(1, 6), st.integers(1, 6))
def test_runs_of_length_zero_wherever_they_stand(data, height, width):
    counts = data.draw(st.lists(run_lists(height * width), min_size=1, max_size=4))
    theirs = reference.frPyObjects([{"size": [height, width], "counts": runs} for runs in counts], height, width)
    masks = masks_from_counts(counts, (height, width))
    assert as_dicts(masks, rle_to_strings(masks)) == theirs
    assert np.array_equal(rle_area(masks), reference.area(theirs))
    assert np.array_equal(rle_boxes(masks), reference.toBbox(theirs))
    crowd = data.draw(st.lists(st.booleans(), min_size=len(counts), max_size=len(counts)))
    assert np.array_equal(mask_iou(masks, masks, np.array(crowd)), reference.iou(theirs, theirs, crowd))
    if len(counts) <= 2:  # a third would meet a first merge that ended early, and pycocotools would run on for ever
        for intersect in (False, True):
            assert rle_to_strings(rle_merge(masks, intersect)) == [reference.merge(theirs, intersect)["counts"]]


@given(stacks(least=1), stacks(least=1), st.data())
def test_iou_also_of_different_sizes_and_with_crowds(a, b, data):
    ours = [rle_encode(stack) for stack in (a, b)]
    theirs = [as_dicts(masks, rle_to_strings(masks)) for masks in ours]
    crowd = data.draw(st.lists(st.booleans(), min_size=len(b), max_size=len(b)))
    assert np.array_equal(mask_iou(*ours, np.array(crowd)), reference.iou(*theirs, crowd))
    assert np.array_equal(mask_iou(*ours), reference.iou(*theirs, [False] * len(b)))


@given(polygons(), sizes())
@example([[0, 0, 0, 0, 0, 0]], (1, 1))
@example([[0, 0, LARGEST, 0, LARGEST, LARGEST, 0, LARGEST]], (LARGEST, LARGEST))
@example([[-1, -1, 30, -1, 30, 30, -1, 30]], (3, 5))
@example([[1.3, 0.7, 4.1, 0.7, 4.1, 9, 1.3, 9]] * 3, (4, 5))
@example([[-0.1, -0.1, -0.3, 2, 2, 2.5]], (3, 3))
@example([[1, 1, 1, 1, 1, 1, 5, 1, 5, 1, 5, 5, 1, 5]], (7, 7))
def test_polygons(parts, size):
    theirs = reference.merge(reference.frPyObjects(parts, *size))
    masks = masks_from_polygons([parts], size)
    assert as_dicts(masks, rle_to_strings(masks)) == [theirs]


@pytest.mark.parametrize("scale", [50.0, 3000.0, 40000.0])
@pytest.mark.parametrize("seed", range(15 if JIT else 2))
def test_polygons_of_the_size_of_photographs_and_far_beyond(scale, seed):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 700 if JIT else 40, 2).tolist())
    points = rng.uniform(-0.2, 1.2, (rng.integers(3, 40), 2)) * [size[1], size[0]]
    points[rng.random(len(points)) < 0.3] *= scale / 50
    points = points.round(int(rng.integers(0, 4)))
    theirs = reference.frPyObjects([points.ravel().tolist()], *size)
    masks = masks_from_polygons([[points.ravel()]], size)
    assert as_dicts(masks, rle_to_strings(masks)) == theirs


@given(st.lists(st.tuples(*[st.floats(-5, 20) | st.integers(-3, 15).map(float)] * 4), min_size=1, max_size=4), sizes())
def test_boxes(boxes, size):
    masks = masks_from_boxes(boxes, size)
    assert as_dicts(masks, rle_to_strings(masks)) == reference.frPyObjects(np.array(boxes, float), *size)


def test_real_polygons_and_strings(real_data):
    folder = real_data / "coco_val2014_100"
    truth = json.loads((folder / "instances_val2014_100.json").read_text())
    image_size = {image["id"]: (image["height"], image["width"]) for image in truth["images"]}
    outlined = [row for row in truth["annotations"] if isinstance(row["segmentation"], list)][: None if JIT else 20]
    image_sizes = [image_size[row["image_id"]] for row in outlined]
    masks = masks_from_polygons([row["segmentation"] for row in outlined], image_sizes)
    theirs = [
        reference.merge(reference.frPyObjects(row["segmentation"], *size))
        for row, size in zip(outlined, image_sizes, strict=True)
    ]
    assert as_dicts(masks, rle_to_strings(masks)) == theirs

    found = json.loads((folder / "instances_val2014_fakesegm100_results.json").read_text())[: None if JIT else 20]
    coded = [row["segmentation"] for row in found]
    masks = masks_from_strings([code["counts"] for code in coded], [code["size"] for code in coded])
    assert rle_to_strings(masks) == [code["counts"].encode() for code in coded]
    assert rle_area(masks).tolist() == [int(reference.area(code)) for code in coded]
    assert np.array_equal(rle_boxes(masks), reference.toBbox(coded))
    assert np.array_equal(
        mask_iou(masks, masks.take(np.arange(50 if JIT else 5))),
        reference.iou(coded, coded[: 50 if JIT else 5], [0] * (50 if JIT else 5)),
    )
