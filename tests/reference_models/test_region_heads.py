from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reference_models.parts.detections import Found
from reference_models.parts.ops import box_iou, encode_boxes
from reference_models.parts.region_heads import BoxHead, MaskHead, crop_masks, draw_examples

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


@pytest.mark.parametrize(
    ("classes", "dead", "boxes", "masks"), [(90, True, 14_362_055, 2_646_107), (80, False, 14_306_705, 2_643_280)]
)
def test_heads_have_the_published_parameters(classes: int, dead: bool, boxes: int, masks: int) -> None:
    with torch.device("meta"):
        box_head = BoxHead(256, 7, 1024, classes, dead=dead)
        mask_head = MaskHead(256, 256, 4, classes, dead=dead)
    assert sum(param.numel() for param in box_head.parameters()) == boxes
    assert sum(param.numel() for param in mask_head.parameters()) == masks


def test_what_the_background_has_is_not_read() -> None:
    content = torch.rand(2, 4, 3, 3)
    box_head, mask_head = BoxHead(4, 3, 8, 5, dead=True), MaskHead(4, 6, 1, 5, dead=True)
    assert torch.equal(box_head(content)[1].flatten(1), box_head.code(box_head.layers(content))[:, 4:])
    masks = mask_head(content)
    assert masks.shape == (2, 5, 6, 6)
    torch.nn.init.zeros_(mask_head.mask.weight[0])
    assert torch.equal(mask_head(content), masks)


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


def brute_force(logits: Tensor, boxes: Tensor, head: BoxHead) -> list[tuple[float, int, list[float]]]:
    found: list[tuple[float, int, list[float]]] = []
    for label in range(head.classes):
        likely = logits.softmax(1)[:, 1 + label]
        kept: list[int] = []
        for row in likely.argsort(descending=True, stable=True).tolist():
            alone = all(box_iou(boxes[row, label, None], boxes[k, label, None]) <= head.overlap for k in kept)
            if likely[row] > head.least and alone:
                kept.append(row)
        found += [(likely[k].item(), label, boxes[k, label].tolist()) for k in kept]
    return sorted(found, key=lambda item: -item[0])[: head.most]


@pytest.mark.parametrize("seed", range(3))
def test_objects_are_the_likeliest_boxes_of_each_class_that_differ(seed: int) -> None:
    numbers = torch.Generator().manual_seed(seed)
    head = BoxHead(2, 3, 4, classes=3, least=0.1, overlap=0.3, most=12)
    regions = [boxes_of(30, seed), boxes_of(0, 0), boxes_of(7, seed + 50)]
    logits, codes = torch.randn(37, 4, generator=numbers) * 2, torch.zeros(37, 3, 4)
    every = torch.cat(regions)[:, None].expand(37, 3, 4)
    for found, of_image, boxes in zip(
        head.detect(logits, codes, regions, SIZE), logits.split([30, 0, 7]), every.split([30, 0, 7]), strict=True
    ):
        expected = brute_force(of_image, boxes, head)
        assert found.classes.tolist() == [label for _, label, _ in expected]
        assert found.scores.tolist() == [score for score, _, _ in expected]
        torch.testing.assert_close(found.boxes, torch.tensor([box for *_, box in expected]).reshape(-1, 4))


def test_codes_move_the_boxes_of_their_class() -> None:
    head = BoxHead(2, 3, 4, classes=2)
    region = torch.tensor([[10.0, 10, 20, 20]])
    logits = torch.tensor([[0.0, 5, 5]])
    codes = torch.tensor([[[0.0, 0, 0, 0], [10, 0, 0, 0]]])  # the second class is one width further right
    (found,) = head.detect(logits, codes, [region], SIZE)
    by_class = dict(zip(found.classes.tolist(), found.boxes.tolist(), strict=True))
    assert by_class[0] == pytest.approx([10, 10, 20, 20])
    assert by_class[1] == pytest.approx([20, 10, 30, 20])


def test_on_meta_as_many_objects_are_found_as_may_be() -> None:
    with torch.device("meta"):
        head, regions = BoxHead(2, 3, 4, classes=3, most=50), [torch.zeros(20, 4), torch.zeros(9, 4)]
        found: list[Found] = head.detect(torch.zeros(29, 4), torch.zeros(29, 3, 4), regions, SIZE)
    assert [tuple(objects.boxes.shape) for objects in found] == [(50, 4), (27, 4)]


def test_masks_are_learnt_of_the_class_of_their_object() -> None:
    targets = [target_of(2, 1), target_of(0, 2)]
    examples = draw_examples([boxes_of(60, 4), boxes_of(5, 3)], targets, count=20)
    head, labels = MaskHead(2, 4, 1, classes=3), targets[0]["labels"][examples.truths[0]]
    right = crop_masks(targets[0]["masks"][examples.truths[0]], examples.shown[0], 6) * 400.0 - 200
    logits = torch.randn(len(right), 3, 6, 6, generator=torch.Generator().manual_seed(0))
    logits[torch.arange(len(right)), labels] = right
    assert head.loss(logits, examples, targets)["mask"] == 0
    assert head.loss(-logits, examples, targets)["mask"] == 200


def test_without_objects_masks_teach_nothing() -> None:
    nothing, head = target_of(0, 1), MaskHead(2, 4, 1, classes=3)
    examples = draw_examples([boxes_of(5, 1)], [nothing], count=20)
    loss = head.loss(head(torch.zeros(0, 2, 3, 3)), examples, [nothing])["mask"]
    assert loss == 0
    loss.backward()


def test_crops_of_masks_hold_the_pixels_under_the_centres_of_cells() -> None:
    numbers = torch.Generator().manual_seed(0)
    masks = torch.rand(12, *SIZE, generator=numbers) > 0.5
    boxes = boxes_of(12, 0) + torch.tensor([-8.0, -8, 12, 12])  # some leave the image
    crops = crop_masks(masks, boxes, 5)
    outside = 0
    for mask, crop, (x1, y1, x2, y2) in zip(masks, crops, boxes.tolist(), strict=True):
        for row in range(5):
            for column in range(5):
                y, x = y1 + (row + 0.5) / 5 * (y2 - y1), x1 + (column + 0.5) / 5 * (x2 - x1)
                known = 0 <= y < SIZE[0] and 0 <= x < SIZE[1]
                assert crop[row, column] == (known and bool(mask[int(y), int(x)]))
                outside += not known
    assert outside


def test_crops_of_labels_hold_the_label_of_void_beyond_the_image() -> None:
    labels = torch.arange(12).view(1, 3, 4)
    (crop,) = crop_masks(labels, torch.tensor([[2.0, -1, 6, 3]]), 4, outside=255)
    assert crop.tolist() == [[255] * 4, [2, 3, 255, 255], [6, 7, 255, 255], [10, 11, 255, 255]]
