from __future__ import annotations

import doctest
from itertools import product

import torch
from torch import Tensor

from reference_models.parts import ops
from reference_models.parts.ops import box_iou, clip_boxes


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


def test_boxes_are_cut_at_the_borders_of_the_image() -> None:
    boxes = torch.tensor([[-3.0, -2, 50, 40], [1, 2, 3, 4]])
    assert clip_boxes(boxes, (20, 30)).tolist() == [[0, 0, 30, 20], [1, 2, 3, 4]]
