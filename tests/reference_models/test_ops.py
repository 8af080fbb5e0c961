from __future__ import annotations

import doctest
import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from reference_models.parts import ops
from reference_models.parts.ops import (
    box_iou,
    clip_boxes,
    decode_boxes,
    encode_boxes,
    fast_nms,
    nms,
    paired_iou,
    paste_masks,
    roi_align,
    soft_nms,
)

WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def numbers(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_boxes(count: int, seed: int, side: float = 20.0) -> Tensor:
    """Boxes with corners on whole pixels, so that many touch or are equal."""
    corner = torch.randint(0, int(side), (count, 2), generator=numbers(seed)).float()
    return torch.cat([corner, corner + torch.randint(1, 9, (count, 2), generator=numbers(seed + 1))], 1)


def iou(a: Tensor, b: Tensor) -> float:
    """By counting the pixels of boxes on whole pixels."""
    pixels = [set(product(range(int(x1), int(x2)), range(int(y1), int(y2)))) for x1, y1, x2, y2 in (a, b)]
    union = len(pixels[0] | pixels[1])
    return len(pixels[0] & pixels[1]) / union if union else 0.0


def test_examples() -> None:
    assert doctest.testmod(ops, extraglobs={"torch": torch}).failed == 0


def test_iou_is_that_of_pixels() -> None:
    a, b = random_boxes(6, 0), torch.cat([random_boxes(6, 2), torch.tensor([[3.0, 3, 3, 9], [5, 5, 2, 2]])])
    expected = torch.tensor([[iou(one, other) for other in b] for one in a])
    torch.testing.assert_close(box_iou(a, b), expected)
    assert box_iou(b[-2:], b[-2:]).eq(0).all(), "boxes without area have no union"


def test_iou_of_partners_is_that_of_all_boxes_at_their_places() -> None:
    a, b = random_boxes(6, 0), random_boxes(6, 2)
    assert torch.equal(paired_iou(a, b), box_iou(a, b).diagonal())
    assert torch.equal(paired_iou(a.view(2, 3, 1, 4), b.view(2, 1, 3, 4))[1], box_iou(a[3:], b[3:]))


@settings(max_examples=30)
@given(count=st.integers(0, 40), classes=st.integers(1, 3), threshold=st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_nms_is_the_greedy_rule(count: int, classes: int, threshold: float) -> None:
    boxes = random_boxes(count, count)
    scores = torch.randint(0, 10, (count,), generator=numbers(count)) / 10  # with ties
    groups = torch.randint(0, classes, (count,), generator=numbers(count + 1))
    kept: list[int] = []
    for i in sorted(range(count), key=lambda i: -scores[i]):
        rivals = [j for j in kept if groups[i] == groups[j]]
        if all(box_iou(boxes[i, None], boxes[j, None]) <= threshold for j in rivals):
            kept.append(i)
    assert nms(boxes, scores, threshold, groups).tolist() == kept


def test_a_box_that_is_suppressed_suppresses_nothing() -> None:
    boxes = torch.tensor([[4.0 * i, 0, 4.0 * i + 10, 10] for i in range(7)])  # each overlaps the next one only
    assert nms(boxes, torch.linspace(1, 0, 7), 0.4).tolist() == [0, 2, 4, 6]


@settings(max_examples=30)
@given(count=st.integers(0, 30), classes=st.integers(1, 3), threshold=st.sampled_from([0.0, 0.3, 1.0]))
def test_fast_nms_lets_suppressed_boxes_suppress(count: int, classes: int, threshold: float) -> None:
    boxes = random_boxes(count, count)
    scores = torch.randint(0, 10, (count,), generator=numbers(count)) / 10
    groups = torch.randint(0, classes, (count,), generator=numbers(count + 1))
    order = sorted(range(count), key=lambda i: -scores[i])
    kept = [
        i
        for place, i in enumerate(order)
        if all(groups[i] != groups[j] or box_iou(boxes[i, None], boxes[j, None]) <= threshold for j in order[:place])
    ]
    assert fast_nms(boxes, scores, threshold, groups).tolist() == kept


@settings(max_examples=20)
@given(count=st.integers(0, 12), classes=st.integers(1, 3), most=st.integers(0, 14), grouped=st.booleans())
def test_soft_nms_takes_from_scores_box_by_box(count: int, classes: int, most: int, grouped: bool) -> None:
    boxes = random_boxes(count, count)
    left = (torch.randint(0, 10, (count,), generator=numbers(count)) / 10).tolist()
    groups = torch.randint(0, classes, (count,), generator=numbers(count + 1)) if grouped else None
    picked, scores = soft_nms(boxes, torch.tensor(left), most, groups, spread=0.3)
    rows = set(range(count))
    assert len(picked) == len(scores) == min(count, most)
    for best, score in zip(picked.tolist(), scores.tolist(), strict=True):
        assert score == pytest.approx(max(left[i] for i in rows), abs=1e-6)
        assert score == pytest.approx(left[best], abs=1e-6)
        rows.remove(best)
        for i in rows:
            if groups is None or groups[i] == groups[best]:
                left[i] *= math.exp(-(iou(boxes[i], boxes[best]) ** 2) / 0.3)


def test_boxes_are_cut_at_the_borders_of_the_image() -> None:
    boxes = torch.tensor([[-3.0, -2, 50, 40], [1, 2, 3, 4]])
    assert clip_boxes(boxes, (20, 30)).tolist() == [[0, 0, 30, 20], [1, 2, 3, 4]]


def test_codes_decode_to_their_boxes() -> None:
    boxes, anchors = random_boxes(50, 0), random_boxes(50, 7)
    code = encode_boxes(boxes, anchors, WEIGHTS)
    torch.testing.assert_close(decode_boxes(code, anchors, WEIGHTS), boxes)
    assert encode_boxes(anchors, anchors, WEIGHTS).eq(0).all()
    anchor, box = torch.tensor([[0.0, 0, 10, 20]]), torch.tensor([[5.0, 10, 25, 30]])
    by_hand = [10 * (15 - 5) / 10, 10 * (20 - 10) / 20, 5 * 0.6931472, 0.0]
    assert encode_boxes(box, anchor, WEIGHTS)[0].tolist() == pytest.approx(by_hand, abs=1e-6)


def test_wild_codes_decode_to_finite_boxes() -> None:
    decoded = decode_boxes(torch.full((1, 4), 1e4), random_boxes(1, 0), WEIGHTS)
    assert decoded.isfinite().all()


def bilinear(values: list[list[float]], x: float, y: float) -> float:
    """The value at (x, y) in cells; beyond the centres at the border it is that of the border."""
    height, width = len(values), len(values[0])
    x, y = (min(max(at - 0.5, 0.0), side - 1.0) for at, side in ((x, width), (y, height)))
    left, top = min(int(x), width - 1), min(int(y), height - 1)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    a, b = x - left, y - top
    upper = values[top][left] * (1 - a) + values[top][right] * a
    return upper * (1 - b) + (values[bottom][left] * (1 - a) + values[bottom][right] * a) * b


def pooled(values: list[list[float]], box: list[float], size: int, samples: int) -> list[list[float]]:
    """`roi_align` of one map (in cells) sample by sample."""
    height, width = len(values), len(values[0])
    bins = [[0.0] * size for _ in range(size)]
    for i, j in product(range(size * samples), repeat=2):
        y = box[1] + (box[3] - box[1]) * (i + 0.5) / (size * samples)
        x = box[0] + (box[2] - box[0]) * (j + 0.5) / (size * samples)
        if -0.5 <= x <= width + 0.5 and -0.5 <= y <= height + 0.5:
            bins[i // samples][j // samples] += bilinear(values, x, y) / samples**2
    return bins


@pytest.mark.parametrize(("size", "samples"), [(1, 1), (3, 2), (2, 3)])
def test_roi_align_is_the_mean_of_samples(size: int, samples: int) -> None:
    features = torch.rand(2, 3, 5, 7, generator=numbers(0))
    boxes = [
        torch.tensor([[0.0, 0, 28, 20], [3, 4.5, 11, 9], [-6, -9, 12, 30]]),  # whole, within, leaving the image
        torch.tensor([[25.0, 1, 40, 19], [50, 50, 60, 60]]),  # leaving it, outside
    ]
    expected = [
        [pooled(plane.tolist(), (box / 4).tolist(), size, samples) for plane in features[image]]
        for image, own in enumerate(boxes)
        for box in own
    ]
    torch.testing.assert_close(roi_align(features, boxes, size, 4, samples), torch.tensor(expected))


def test_roi_align_of_whole_cells_is_those_cells() -> None:
    features = torch.rand(1, 2, 6, 6, generator=numbers(0))
    assert torch.allclose(
        roi_align(features, [torch.tensor([[16.0, 8, 40, 32]])], 3, 8, 1)[0], features[0, :, 1:4, 2:5]
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_regions_have_the_type_of_their_maps(dtype: torch.dtype) -> None:
    features, boxes = torch.rand(1, 2, 6, 6, generator=numbers(0)), random_boxes(5, 0)
    found = roi_align(features.to(dtype), [boxes], 3, 4)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), roi_align(features, [boxes], 3, 4), rtol=0, atol=0.05)  # bfloat16: 8 bits


def test_images_without_boxes_pool_nothing() -> None:
    features, none = torch.rand(2, 3, 4, 4, generator=numbers(0)), torch.zeros(0, 4)
    box = torch.tensor([[0.0, 0, 8, 8]])
    assert roi_align(features, [none, none], 2, 4).shape == (0, 3, 2, 2)
    assert torch.equal(roi_align(features, [none, box], 2, 4), roi_align(features[1:], [box], 2, 4))
    assert paste_masks(torch.zeros(0, 4, 4), none, (5, 6)).shape == (0, 5, 6)


def test_masks_are_pasted_pixel_by_pixel() -> None:
    masks = torch.rand(3, 4, 4, generator=numbers(0))
    boxes = torch.tensor([[1.0, 2, 9, 10], [-3, 1, 6.5, 8.5], [4, 4, 4.2, 4.2]])
    drawn = paste_masks(masks, boxes, (11, 9), threshold=0.4)
    for mask, (x1, y1, x2, y2), own in zip(masks.tolist(), boxes.tolist(), drawn, strict=True):
        framed = [[0.0] * 6, *([0.0, *row, 0.0] for row in mask), [0.0] * 6]
        for i, j in product(range(11), range(9)):
            x, y = (j + 0.5 - x1) * 4 / (x2 - x1), (i + 0.5 - y1) * 4 / (y2 - y1)
            inside = 0 <= x <= 4 and 0 <= y <= 4
            assert own[i, j] == (inside and bilinear(framed, x + 1, y + 1) >= 0.4)


def test_a_full_mask_fills_its_box() -> None:
    drawn = paste_masks(torch.ones(1, 7, 7), torch.tensor([[2.0, 3, 6, 8]]), (10, 10))
    assert drawn[0, 3:8, 2:6].all()
    assert drawn.sum() == 5 * 4
