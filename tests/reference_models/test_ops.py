from __future__ import annotations

import doctest
from itertools import product

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from reference_models.parts import ops
from reference_models.parts.ops import box_iou, clip_boxes, decode_boxes, encode_boxes, nms

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
