from __future__ import annotations

import torch
from torch import Tensor

from reference_models.parts.ops import box_iou, encode_boxes
from reference_models.parts.region_heads import BoxHead, draw_examples

SIZE = (40, 60)


def boxes_of(count: int, seed: int) -> Tensor:
    numbers = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=numbers) * torch.tensor([40.0, 25.0])
    return torch.cat([corner, corner + torch.rand(count, 2, generator=numbers) * 14 + 1], 1)


def target_of(count: int, seed: int, classes: int = 3) -> dict[str, Tensor]:
    boxes = boxes_of(count, seed)
    masks = torch.zeros(count, *SIZE, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.round().int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = True
    numbers = torch.Generator().manual_seed(seed)
    return {"boxes": boxes, "labels": torch.randint(0, classes, (count,), generator=numbers), "masks": masks}


def test_examples_are_objects_and_background_by_their_overlap() -> None:
    targets = [target_of(3, 1), target_of(0, 2), target_of(2, 3)]
    regions = [boxes_of(200, 4), boxes_of(5, 5), boxes_of(200, 6)]
    examples = draw_examples(regions, targets, count=40, share=0.25)
    assert [len(boxes) for boxes in examples.regions] == [40, 5, 40]
    labels = examples.labels.split([40, 5, 40])
    for target, boxes, own, rows in zip(targets, examples.regions, labels, examples.truths, strict=True):
        overlaps = box_iou(boxes, target["boxes"]) if len(target["boxes"]) else torch.zeros(len(boxes), 1)
        assert (overlaps[: len(rows)].amax(1) >= 0.5).all()
        assert (overlaps[len(rows) :] < 0.5).all()
        assert overlaps[: len(rows)].argmax(1).tolist() == rows.tolist()
        assert own.tolist() == (target["labels"][rows] + 1).tolist() + [0] * (len(boxes) - len(rows))
    assert all(0 < len(rows) <= 10 for rows in (examples.truths[0], examples.truths[2]))


def test_the_true_boxes_are_examples_before_anything_is_found() -> None:
    target = target_of(4, 1)
    examples = draw_examples([torch.zeros(0, 4)], [target], count=16)
    assert sorted(examples.truths[0].tolist()) == [0, 1, 2, 3]
    assert torch.equal(examples.shown[0], target["boxes"][examples.truths[0]])


def test_a_head_that_knows_has_no_loss() -> None:
    targets = [target_of(3, 1), target_of(2, 3)]
    examples = draw_examples([boxes_of(50, 4), boxes_of(50, 6)], targets, count=20)
    head = BoxHead(2, 3, 4, classes=3)
    logits = torch.nn.functional.one_hot(examples.labels, 4) * 200.0
    codes = torch.randn(len(logits), 3, 4, generator=torch.Generator().manual_seed(0))
    shown = examples.labels > 0
    truths = torch.cat([target["boxes"][rows] for target, rows in zip(targets, examples.truths, strict=True)])
    codes[shown, examples.labels[shown] - 1] = encode_boxes(truths, torch.cat(examples.shown), head.WEIGHTS)
    assert [term.item() for term in head.loss(logits, codes, examples, targets).values()] == [0, 0]
    assert all(term > 0 for term in head.loss(-logits, codes + 1, examples, targets).values())
