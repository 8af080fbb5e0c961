from __future__ import annotations

import doctest

import pytest
import torch
from torch import Tensor

from reference_models.parts import assignment
from reference_models.parts.assignment import BACKGROUND, NEITHER, draw, match
from reference_models.parts.ops import box_iou


def boxes_of(count: int, seed: int) -> Tensor:
    numbers = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 30, (count, 2), generator=numbers).float()
    return torch.cat([corner, corner + torch.randint(1, 20, (count, 2), generator=numbers)], 1)


def test_examples() -> None:
    assert doctest.testmod(assignment, extraglobs={"torch": torch}) == (0, 3)


@pytest.mark.parametrize("each_truth", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_every_box_stands_for_what_it_shows_best(seed: int, each_truth: bool) -> None:
    truths, boxes = boxes_of(6, seed), boxes_of(200, seed + 100)
    matched = match(truths, boxes, 0.6, 0.3, each_truth=each_truth).tolist()
    overlaps = box_iou(truths, boxes).T.tolist()
    largest = [max(row[g] for row in overlaps) for g in range(6)]
    for row, found in zip(overlaps, matched, strict=True):
        best = max(row)
        forced = each_truth and any(0 < row[g] == largest[g] for g in range(6))
        expected = row.index(best) if best >= 0.6 or forced else BACKGROUND if best < 0.3 else NEITHER
        assert found == expected
    assert {BACKGROUND, NEITHER} < set(matched)


def test_without_objects_all_is_background() -> None:
    assert match(boxes_of(0, 0), boxes_of(3, 1), 0.7, 0.3, each_truth=True).tolist() == [BACKGROUND] * 3


def test_an_object_that_no_box_touches_is_nobodys() -> None:
    truths = torch.tensor([[90.0, 90, 95, 95]])
    assert match(truths, boxes_of(4, 0), 0.7, 0.3, each_truth=True).tolist() == [BACKGROUND] * 4


@pytest.mark.parametrize(
    ("objects", "background", "expected"),
    [(50, 100, (8, 24)), (3, 100, (3, 29)), (50, 10, (8, 10)), (0, 100, (0, 32)), (0, 0, (0, 0))],
)
def test_background_fills_up_what_objects_leave(objects: int, background: int, expected: tuple[int, int]) -> None:
    matched = torch.tensor([4] * objects + [BACKGROUND] * background + [NEITHER] * 7, dtype=torch.int64)
    shown, empty = draw(matched, 32, 0.25)
    assert (len(shown), len(empty)) == expected
    assert (matched[shown] == 4).all()
    assert (matched[empty] == BACKGROUND).all()
    assert len(set(shown.tolist())) == len(shown)


def test_rows_are_drawn_at_random_by_the_seed_of_torch() -> None:
    matched = torch.zeros(100, dtype=torch.int64)
    torch.manual_seed(3)
    first, second = draw(matched, 20, 1.0)[0], draw(matched, 20, 1.0)[0]
    torch.manual_seed(3)
    assert torch.equal(draw(matched, 20, 1.0)[0], first)
    assert not torch.equal(first, second)
