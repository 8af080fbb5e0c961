from __future__ import annotations

import math
from functools import partial
from itertools import product
from typing import Literal

import pytest
import torch
from torch import Tensor

from cvbench.metrics.detection_ap import DetectionAP
from model_checks import (
    check_batch_equals_singles,
    check_everything_learns,
    check_learns_by_heart,
    cost_of,
    nano_of,
    noise,
    nothing,
    picture_of,
    two_objects,
)
from reference_models.instance.yolact import YOLACT, build, coverage, draw_masks, mix, touched
from reference_models.model import Raw, Target
from reference_models.parts.ops import box_iou, encode_boxes

nano = partial(nano_of, build)


def numbers(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_labels_in_training_have_the_published_parameters() -> None:
    assert cost_of(build, semantic=True).params == cost_of(build).params + 20_560


@pytest.mark.parametrize("size", ["nano", "paper"])
def test_both_sizes_take_images_of_any_size(size: Literal["nano", "paper"]) -> None:
    with torch.device("meta"):
        model = build(size, classes=3, semantic=True)
        raw, learning = model.eval()(torch.zeros(2, 3, 67, 120)), model.train()(torch.zeros(2, 3, 67, 120))
    cells = [(9, 15), (5, 8), (3, 4), (2, 2), (1, 1)][: 3 if size == "nano" else 5]  # with anchors
    finest = (17, 30) if size == "nano" else cells[0]
    anchors = 3 * sum(rows * columns for rows, columns in cells)
    assert [tuple(raw[name].shape[1:]) for name in ("logits", "codes", "anchors")] == [(anchors, 4), (anchors, 4), (4,)]
    assert raw["coefficients"].shape == (2, anchors, model.config.prototypes)
    assert raw["prototypes"].shape == (2, model.config.prototypes, 2 * finest[0], 2 * finest[1])
    assert raw["size"] == (67, 120)
    assert "semantic" not in raw
    assert learning["semantic"].shape == (2, 3, *finest)


def test_coefficients_have_signs_and_prototypes_have_none() -> None:
    with torch.inference_mode():
        raw = nano()(noise(2, 64).float() * 5)
    assert raw["prototypes"].min() == 0
    assert raw["coefficients"].min() < 0 < raw["coefficients"].max()
    assert raw["coefficients"].abs().max() <= 1


def test_anchors_are_two_cells_wide() -> None:
    anchors = nano()(noise(1, 64).float())["anchors"]
    half = 8 * torch.tensor([[1, 1], [2**0.5, 2**-0.5], [2**-0.5, 2**0.5]])  # squares, and half and twice as high
    centre = torch.tensor([4.0 + 8, 4])  # of the second cell in the first row
    torch.testing.assert_close(anchors[3:6], torch.cat([centre - half, centre + half], 1))
    assert len(anchors) == 3 * (8 * 8 + 4 * 4 + 2 * 2)
    torch.testing.assert_close(anchors[-12], torch.tensor([16.0 - 32, 16 - 32, 16 + 32, 16 + 32]))


# Masks ---------------------------------------------------------------------------------------------------------------


def test_masks_are_sums_of_prototypes() -> None:
    coefficients, prototypes = torch.rand(3, 5, generator=numbers(0)) - 0.5, torch.rand(5, 4, 6, generator=numbers(1))
    mixed = mix(coefficients, prototypes)
    for n in range(3):
        expected = sum(coefficients[n, k] * prototypes[k] for k in range(5))
        torch.testing.assert_close(mixed[n], expected)
    assert mix(coefficients[:0], prototypes).shape == (0, 4, 6)


def test_coverage_counts_the_pixels_of_each_cell() -> None:
    masks = torch.rand(3, 10, 13, generator=numbers(0)) < 0.4
    shares = coverage(masks, (3, 4), 4)
    for n, i, j in product(range(3), range(3), range(4)):
        assert shares[n, i, j].item() == masks[n, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4].sum().item() / 16
    assert coverage(masks[:0], (3, 4), 4).shape == (0, 3, 4)


def test_cells_are_touched_that_share_some_area_with_a_box() -> None:
    boxes = torch.tensor([[4.0, 4, 8, 12], [3.9, 4, 8.1, 12], [-9, -9, 99, 99], [5, 5, 6, 6]])
    cells = touched(boxes, (4, 5), 4)
    for (x1, y1, x2, y2), own in zip(boxes.tolist(), cells, strict=True):
        for i, j in product(range(4), range(5)):
            width = min(x2, 4 * j + 4) - max(x1, 4 * j)
            height = min(y2, 4 * i + 4) - max(y1, 4 * i)
            assert own[i, j].item() == (width > 0 and height > 0)


def test_masks_are_enlarged_and_cut_out_by_their_boxes() -> None:
    masks = torch.zeros(1, 4, 4)
    masks[0, 1:3, 1:3] = 1  # pixels 4 to 12 of 16
    (drawn,) = draw_masks(masks, torch.tensor([[0.0, 0, 16, 16]]), 4, (16, 16))
    full = torch.zeros(16, 16, dtype=torch.bool)
    full[4:12, 4:12] = True
    full[4, 4] = full[4, 11] = full[11, 4] = full[11, 11] = False  # (5 / 8)², bilinear
    assert torch.equal(drawn, full)
    (cut,) = draw_masks(masks, torch.tensor([[6.5, 0, 9.4, 7]]), 4, (9, 8))
    assert cut.nonzero().tolist() == [[y, x] for y in (4, 5, 6) for x in (6, 7)]
    assert draw_masks(masks[:0], torch.zeros(0, 4), 4, (16, 16)).shape == (0, 16, 16)


# Loss and decoding ---------------------------------------------------------------------------------------------------

FIRST = 3 * (8 * 2 + 2)
"""Anchor of the finest map: a square of 16 pixels around (20, 20); two flat ones follow, then those around (28, 20)."""


def ideal(model: YOLACT, target: Target, side: int = 64) -> Raw:
    """What the network should put out for an image of objects: for each a prototype and the anchors of a cell."""
    raw = empty(model, side)
    cells = raw["prototypes"].shape[2]
    for k, (box, label) in enumerate(zip(target["boxes"], target["labels"].tolist(), strict=True)):
        anchors = slice(FIRST + 3 * k, FIRST + 3 * k + 3)
        raw["logits"][0, anchors, 1 + label] = 20 - k
        raw["codes"][0, anchors] = encode_boxes(box.expand(3, 4), raw["anchors"][anchors], (10, 10, 5, 5))
        raw["coefficients"][0, anchors, k] = 1
        raw["coefficients"][0, anchors, 3] = -1
        raw["prototypes"][0, k] = 40 * coverage(target["masks"][k, None], (cells, cells), side // cells)[0]
    raw["prototypes"][0, 3] = 20
    return raw


def empty(model: YOLACT, side: int = 64) -> Raw:
    """What the network should put out for an image without objects."""
    with torch.inference_mode():
        raw = model.eval()(torch.zeros(1, 3, side, side))
    blank: Raw = {name: torch.zeros_like(value) for name, value in raw.items() if isinstance(value, Tensor)}
    blank["logits"][:, :, 0] = 10
    return blank | {"anchors": raw["anchors"].clone(), "size": raw["size"]}


def target_of(boxes: Tensor, labels: Tensor, side: int = 64) -> Target:
    masks = torch.zeros(len(boxes), side, side, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = True
    return {"boxes": boxes, "labels": labels, "masks": masks}


TARGET = target_of(torch.tensor([[8.0, 12, 24, 40], [28, 4, 60, 36]]), torch.tensor([6, 0]))


def test_ideal_outputs_decode_to_the_targets() -> None:
    (found,) = nano().postprocess(ideal(nano(), TARGET))
    torch.testing.assert_close(found["boxes"], TARGET["boxes"])
    assert found["labels"].tolist() == [7, 1], "category ids begin at 1"
    assert found["scores"].tolist() == sorted(found["scores"].tolist(), reverse=True)
    assert torch.equal(found["masks"], TARGET["masks"])


def test_suppressed_boxes_suppress() -> None:
    boxes = torch.tensor([[4.0, 4, 44, 44], [14, 4, 54, 44], [24, 4, 64, 44]])  # IoU of neighbours 0.6, of others 1/3
    (found,) = nano().postprocess(ideal(nano(), target_of(boxes, torch.tensor([3, 3, 3]))))
    assert found["boxes"].tolist() == [[4, 4, 44, 44]]
    (found,) = nano().postprocess(ideal(nano(), target_of(boxes, torch.tensor([3, 4, 3]))))
    assert sorted(found["labels"].tolist()) == [4, 4, 5], "classes do not meet"


def test_filled_up_images_have_nothing_beyond_their_size() -> None:
    model, raw = nano(), ideal(nano(), TARGET)
    (whole,), (cut,), (left,) = (model.postprocess(raw, size) for size in (None, [(30, 50)], [(64, 28)]))
    assert cut["masks"].shape == (2, 30, 50)
    assert torch.equal(cut["masks"], whole["masks"][:, :30, :50])
    assert cut["boxes"].tolist() == [[8, 12, 24, 30], [28, 4, 50, 30]]
    assert left["labels"].tolist() == [7], "the other object is outside"


def test_an_image_without_objects_has_none() -> None:
    (found,) = nano().postprocess(empty(nano()))
    assert [len(found[name]) for name in ("boxes", "scores", "labels", "masks")] == [0] * 4
    assert found["masks"].shape == (0, 64, 64)


SQUARE = target_of(torch.tensor([[12.0, 12, 28, 28]]), torch.tensor([6]))


def test_what_the_loss_asks_for_is_what_is_decoded() -> None:
    raw = ideal(nano(), SQUARE)
    assert torch.equal(raw["anchors"][FIRST], SQUARE["boxes"][0])
    terms = nano().loss(raw, [SQUARE])
    assert terms["box"] == 0
    assert terms["mask"] < 1e-5
    assert terms["class"] < 1e-2


def test_each_term_counts_what_is_wrong() -> None:
    raw = ideal(nano(), SQUARE)
    raw["codes"][0, FIRST] += 3
    raw["coefficients"][0, FIRST] = 0
    raw["logits"][0, FIRST] = 0
    raw["logits"][0, :8] = torch.tensor([0.0, 5, 0, 0, 0, 0, 0, 0, 0])
    terms = nano().loss(raw, [SQUARE])
    standing = 3  # anchors of the cell, with an IoU of 1 and twice 0.55
    assert terms["box"].item() == pytest.approx(1.5 * 4 * 2.5 / standing)
    assert terms["mask"].item() == pytest.approx(6.125 * math.log(2) / standing, rel=1e-5)
    imagined = math.log(8 + math.exp(5))  # by the worst eight of the nine of background that are learnt from
    assert terms["class"].item() == pytest.approx((math.log(9) + 8 * imagined) / standing, rel=1e-4)


def test_nothing_is_learnt_of_anchors_that_are_neither_object_nor_background() -> None:
    raw, moved = ideal(nano(), SQUARE), target_of(torch.tensor([[12.0, 12, 32, 32]]), SQUARE["labels"])
    overlaps = box_iou(raw["anchors"], moved["boxes"])[:, 0]
    neither = ((overlaps >= 0.4) & (overlaps < 0.5)).nonzero()[:, 0]
    assert len(neither)
    before = nano().loss(raw, [moved])["class"]
    raw["logits"][0, neither, 3] = 50
    assert nano().loss(raw, [moved])["class"] == before
    raw["logits"][0, overlaps.argmin(), 3] = 50
    assert nano().loss(raw, [moved])["class"] > before + 5


def test_some_masks_of_an_image_are_learnt() -> None:
    model, raw = nano(learnt=1), ideal(nano(), SQUARE)
    raw["coefficients"][0, FIRST] = 0
    wrong = 6.125 * math.log(2)
    terms = {round(model.loss(raw, [SQUARE])["mask"].item(), 4) for _ in range(20)}
    assert terms == {round(wrong, 4), 0.0}, "of three masks one is wrong, and one is drawn"
    assert nano(learnt=3).loss(raw, [SQUARE])["mask"].item() == pytest.approx(wrong / 3, rel=1e-5)


def test_masks_are_learnt_within_boxes_alone() -> None:
    model, raw = nano(), ideal(nano(), SQUARE)
    raw["prototypes"][0, 0, :, 16:] = 40  # to the right of the box
    assert model.loss(raw, [SQUARE])["mask"].item() < 1e-5
    raw["prototypes"][0, 0, 6:10, 6:14] = 0  # half of the box
    assert model.loss(raw, [SQUARE])["mask"].item() == pytest.approx(6.125 * 20 / 2, rel=1e-5)


def test_pixels_are_learnt_class_by_class() -> None:
    model, raw = nano(), ideal(nano(), TARGET)
    raw["semantic"] = torch.zeros(1, 8, 16, 16)
    assert model.loss(raw, [TARGET])["semantic"].item() == pytest.approx(8 * math.log(2), rel=1e-5)
    shares = coverage(TARGET["masks"], (16, 16), 4)
    raw["semantic"] -= 3
    raw["semantic"][0, [6, 0]] = torch.logit(shares, eps=1e-6)
    entropy = -(shares * shares.clamp(min=1e-9).log() + (1 - shares) * (1 - shares).clamp(min=1e-9).log())
    silent = 6 * torch.tensor(-3.0).exp().log1p()
    expected = entropy.sum() / 256 + silent
    assert model.loss(raw, [TARGET])["semantic"].item() == pytest.approx(expected.item(), rel=1e-3)


def test_a_batch_equals_singles() -> None:
    found = check_batch_equals_singles(nano(), noise(3, 64))
    assert all(len(image["boxes"]) for image in found)
    assert all(image["masks"].shape[1:] == (64, 64) for image in found)


@pytest.mark.parametrize("targets", [[two_objects(64), nothing(64)], [nothing(64), nothing(64)]], ids=["one", "none"])
def test_images_without_objects_train(targets: list[dict[str, Tensor]]) -> None:
    terms = check_everything_learns(nano(), noise(2, 64).float(), targets)
    assert set(terms) == {"class", "box", "mask", "semantic"}


def test_masks_are_learnt_by_heart() -> None:
    target = two_objects(64)
    (found,) = check_learns_by_heart(nano(), picture_of(target), [target], steps=60)
    gt = {**target, "labels": target["labels"] + 1}
    for iou_type in ("bbox", "segm"):
        assert DetectionAP(iou_type).update(gt, found).compute().values["AP75"] > 0.9
