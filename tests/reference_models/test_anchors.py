from __future__ import annotations

import doctest

import pytest
import torch
from torch import Tensor

from reference_models.parts import anchors as part
from reference_models.parts.anchors import (
    DetectionRules,
    anchor_shapes,
    assign,
    by_anchor,
    detect,
    grid_anchors,
    hard_negatives,
    multibox_loss,
)
from reference_models.parts.assignment import BACKGROUND, NEITHER, match
from reference_models.parts.ops import box_iou, clip_boxes, decode_boxes

WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def numbers(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_examples() -> None:
    assert doctest.testmod(part, extraglobs={"torch": torch}) == (0, 2)


def test_shapes_have_their_area_and_their_ratio() -> None:
    shapes = anchor_shapes((8, 20), (0.5, 1, 3)).double()
    assert shapes.prod(1).tolist() == pytest.approx([64] * 3 + [400] * 3)
    assert (shapes[:, 1] / shapes[:, 0]).tolist() == pytest.approx([0.5, 1, 3] * 2)


def test_anchors_stand_around_the_centres_of_cells_row_by_row() -> None:
    shapes = torch.tensor([[4.0, 6], [10, 2]])
    anchors = grid_anchors((3, 5), (8, 7.5), shapes)
    assert anchors.shape == (3 * 5 * 2, 4)
    for place, (x1, y1, x2, y2) in enumerate(anchors.tolist()):
        cell, shape = divmod(place, 2)
        row, column = divmod(cell, 5)
        assert ((x1 + x2) / 2, (y1 + y2) / 2) == ((column + 0.5) * 7.5, (row + 0.5) * 8)
        assert [x2 - x1, y2 - y1] == shapes[shape].tolist()


def test_outputs_come_in_the_order_of_anchors() -> None:
    output = torch.randn(2, 3 * 4, 5, 6, generator=numbers(0))  # 3 shapes of 4 values
    flat = by_anchor(output, 4)
    for row, column, shape in ((0, 0, 0), (2, 5, 1), (4, 3, 2)):
        assert torch.equal(flat[:, (row * 6 + column) * 3 + shape], output[:, 4 * shape : 4 * shape + 4, row, column])


def some_boxes(count: int, seed: int) -> Tensor:
    low = torch.randint(0, 30, (count, 2), generator=numbers(seed)).float()
    return torch.cat([low, low + torch.randint(8, 20, (count, 2), generator=numbers(seed + 1))], 1)


def targets_of(*counts: int) -> list[dict[str, Tensor]]:
    return [
        {"boxes": some_boxes(count, count), "labels": torch.randint(0, 9, (count,), generator=numbers(count))}
        for count in counts
    ]


def test_anchors_stand_for_the_objects_of_their_own_image() -> None:
    anchors, targets = grid_anchors((6, 6), (8, 8), anchor_shapes((10, 16), (1, 2))), targets_of(4, 0, 2)
    assigned = assign(anchors, targets, 0.5, 0.4, WEIGHTS, each_truth=True)
    codes = iter(assigned.codes)
    for image, target in enumerate(targets):
        rows = match(target["boxes"], anchors, 0.5, 0.4, each_truth=True).tolist()
        assert assigned.rows[image].tolist() == rows
        for place, row in enumerate(rows):
            assert assigned.labels[image, place] == (target["labels"][row] if row >= 0 else row)
            if row >= 0:
                decoded = decode_boxes(next(codes), anchors[place], WEIGHTS)
                torch.testing.assert_close(decoded, target["boxes"][row])
    assert next(codes, None) is None
    assert {BACKGROUND, NEITHER} < set(assigned.labels.flatten().tolist())
    assert assigned.shown.any(1).tolist() == [True, False, True]


def test_the_background_that_looks_most_like_objects_is_learnt() -> None:
    labels = torch.randint(-2, 2, (5, 40), generator=numbers(0))
    labels[0] = BACKGROUND  # no object: nothing is learnt
    labels[1, 4:] = NEITHER  # fewer than there should be
    labels[2, :] = torch.where(torch.arange(40) < 3, 5, BACKGROUND)
    wrong = torch.rand(5, 40, generator=numbers(1))
    chosen = hard_negatives(wrong, labels, ratio=3)
    for own, label, loss in zip(chosen, labels, wrong, strict=True):
        empty = [place for place in range(40) if label[place] == BACKGROUND]
        worst = sorted(empty, key=lambda place: -loss[place].item())[: 3 * int((label >= 0).sum())]
        assert own.nonzero()[:, 0].tolist() == sorted(worst)
    assert chosen.sum(1)[[0, 2]].tolist() == [0, 9]


def test_classes_are_learnt_from_objects_and_hard_background_and_boxes_from_objects() -> None:
    anchors, targets = grid_anchors((6, 6), (8, 8), anchor_shapes((10, 16), (1, 2))), targets_of(4, 0, 2)
    assigned = assign(anchors, targets, 0.5, 0.3, WEIGHTS, each_truth=True)
    logits = torch.randn(3, len(anchors), 10, generator=numbers(0))
    codes = torch.randn(3, len(anchors), 4, generator=numbers(1))
    kinds = boxes = 0.0
    expected = iter(assigned.codes.tolist())
    for labels, said, code in zip(assigned.labels, logits.log_softmax(2), codes, strict=True):
        objects = (labels >= 0).nonzero()[:, 0].tolist()
        background = sorted(said[labels == BACKGROUND][:, 0].tolist())
        kinds -= sum(said[a, labels[a] + 1].item() for a in objects) + sum(background[: 3 * len(objects)])
        for a in objects:
            apart = [abs(one - other) for one, other in zip(code[a].tolist(), next(expected), strict=True)]
            boxes += sum(d - 0.5 if d > 1 else d * d / 2 for d in apart)
    terms, count = multibox_loss(logits, codes, assigned), len(assigned.codes)
    assert terms["class"].item() == pytest.approx(kinds / count, rel=1e-5)
    assert terms["box"].item() == pytest.approx(boxes / count, rel=1e-5)
    nothing = assign(anchors, targets_of(0, 0, 0), 0.5, 0.3, WEIGHTS)
    assert multibox_loss(logits, codes, nothing) == {"class": 0, "box": 0}


def test_what_is_likely_and_differs_is_reported() -> None:
    rules = DetectionRules(least=0.3, per_map=40, overlap=0.4, most=12)
    anchors = [
        grid_anchors((4, 6), (8, 8), anchor_shapes((12,), (1, 2))),
        grid_anchors((2, 3), (16, 16), some_boxes(1, 0)[:, 2:]),
    ]
    likely = [torch.rand(2, len(own), 3, generator=numbers(k)) for k, own in enumerate(anchors)]
    codes = [torch.randn(2, len(own), 4, generator=numbers(k)) for k, own in enumerate(anchors)]
    sizes = [(32, 48), (20, 25)]
    for image, found in enumerate(detect(likely, codes, anchors, WEIGHTS, sizes, rules)):
        every = []
        for chance, code, own in zip(likely, codes, anchors, strict=True):
            boxes = clip_boxes(decode_boxes(code[image], own, WEIGHTS), sizes[image]).tolist()
            pairs = [
                (p, kind, box)
                for box, row in zip(boxes, chance[image].tolist(), strict=True)
                for kind, p in enumerate(row)
            ]
            every += sorted(pairs, reverse=True)[:40]
        kept: list[tuple[float, int, list[float]]] = []
        for chance_of, kind, box in sorted(every, reverse=True):
            same = [other for _, label, other in kept if label == kind]
            apart = all(box_iou(torch.tensor([box]), torch.tensor([other])) <= 0.4 for other in same)
            if chance_of > 0.3 and apart and box[2] > box[0] and box[3] > box[1]:
                kept.append((chance_of, kind, box))
        assert len(found.scores) == 12
        assert found.scores.tolist() == [row[0] for row in kept[:12]]
        assert found.classes.tolist() == [row[1] for row in kept[:12]]
        assert found.boxes.tolist() == [row[2] for row in kept[:12]]


def test_nothing_is_reported_outside_of_an_image() -> None:
    anchors = grid_anchors((4, 4), (8, 8), torch.tensor([[8.0, 8]]))
    rules = DetectionRules(overlap=1.0)
    likely, codes = torch.full((1, 16, 1), 0.9), torch.zeros(1, 16, 4)
    (found,) = detect([likely], [codes], [anchors], WEIGHTS, [(32, 12)], rules)
    assert len(found.boxes) == 8
    assert found.boxes[:, 2].max() == 12
    (nothing,) = detect([0 * likely], [codes], [anchors], WEIGHTS, [(32, 12)], rules)
    assert nothing.boxes.shape == (0, 4)
