from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from cvbench.metrics.detection_ap import DetectionAP
from model_checks import (
    check_batch_equals_singles,
    check_boxes_are_cut,
    check_everything_learns,
    check_learns_by_heart,
    check_what_is_learnt_is_found,
    nano_of,
    noise,
    nothing,
    picture_of,
    two_objects,
)
from reference_models.detection.retinanet import RetinaNet, build, focal_loss
from reference_models.model import Raw
from reference_models.parts.assignment import match
from reference_models.parts.ops import encode_boxes

nano = partial(nano_of, build)


@pytest.mark.parametrize("side", [64, 75])
def test_every_anchor_has_logits_and_a_code(side: int) -> None:
    with torch.device("meta"):
        raw = build("paper", classes=7)(torch.zeros(2, 3, side, 2 * side))
        small = build("nano", classes=7)(torch.zeros(2, 3, side, 2 * side))
    maps = [(math.ceil(side / stride), math.ceil(2 * side / stride)) for stride in (8, 16, 32, 64, 128)]
    assert [tuple(codes.shape) for codes in raw["codes"]] == [(2, 9 * h * w, 4) for h, w in maps]
    assert [tuple(logits.shape) for logits in raw["logits"]] == [(2, 9 * h * w, 7) for h, w in maps]
    assert [len(anchors) for anchors in raw["anchors"]] == [9 * h * w for h, w in maps]
    assert [logits.shape[2] for logits in small["logits"]] == [7, 7, 7]
    assert [len(anchors) for anchors in small["anchors"]] == [codes.shape[1] for codes in small["codes"]]


def test_anchors_have_the_sides_of_the_paper() -> None:
    torch.manual_seed(0)
    with torch.device("meta"):
        model = build("paper")
    assert model.strides == (8, 16, 32, 64, 128)
    sides = [side * stride for stride in model.strides for side in model.sides]
    assert sides == pytest.approx([32 * 2 ** (step / 3) for step in range(15)])


def test_everything_is_background_at_first() -> None:
    model = nano().eval()
    with torch.inference_mode():
        raw = model(noise(1, 64).float())
    assert torch.cat(raw["logits"], 1).sigmoid().mean().item() == pytest.approx(0.01, rel=0.3)
    assert model.postprocess(raw)[0]["boxes"].shape == (0, 4)


BOXES = torch.tensor([[3.0, 5, 20, 30], [20, 30, 41, 44], [40, 1, 62, 63]])
LABELS = torch.tensor([7, 0, 0])
TARGET = {"boxes": BOXES, "labels": LABELS}


def ideal(model: RetinaNet) -> Raw:
    """What the network should put out for one image of these objects."""
    with torch.inference_mode():
        raw = model.eval()(noise(1, 64).float())
    every = torch.cat(raw["anchors"])
    rows = match(BOXES, every, 0.5, 0.4, each_truth=True)
    shown = rows >= 0
    logits, codes = torch.full((1, len(every), 8), -20.0), torch.zeros(1, len(every), 4)
    logits[0, shown, LABELS[rows[shown]]] = 20.0
    codes[0, shown] = encode_boxes(BOXES[rows[shown]], every[shown], (1.0, 1.0, 1.0, 1.0))
    lengths = [len(anchors) for anchors in raw["anchors"]]
    return raw | {"logits": list(logits.split(lengths, 1)), "codes": list(codes.split(lengths, 1))}


def test_what_the_loss_asks_for_decodes_to_the_targets() -> None:
    model = nano()
    check_what_is_learnt_is_found(model, ideal(model), TARGET)


def test_each_term_is_over_the_anchors_that_stand_for_objects() -> None:
    model, raw = nano(), ideal(nano())
    raw["codes"] = [codes + 1 for codes in raw["codes"]]
    raw["logits"] = [0 * logits for logits in raw["logits"]]
    terms = model.loss(raw, [TARGET])
    rows = match(BOXES, torch.cat(raw["anchors"]), 0.5, 0.4, each_truth=True)
    shown, empty = int((rows >= 0).sum()), int((rows == -1).sum())
    assert shown + empty < len(rows), "some are neither"
    assert terms["box"].item() == pytest.approx(4 * (1 - 1 / 18))
    right, wrong = 0.75 * 0.25 * math.log(2), 0.25 * 0.25 * math.log(2)
    assert terms["class"].item() == pytest.approx(((shown * 7 + empty * 8) * right + shown * wrong) / shown, rel=1e-5)


def test_the_focal_loss_forgets_what_is_known() -> None:
    chance = torch.tensor([0.1, 0.5, 0.9, 0.99], dtype=torch.float64)
    logits = (chance / (1 - chance)).log()
    expected = [-0.25 * (1 - p) ** 2 * math.log(p) for p in chance.tolist()]
    assert focal_loss(logits, torch.ones(4, dtype=torch.bool)).tolist() == pytest.approx(expected)
    expected = [-0.75 * p**2 * math.log(1 - p) for p in chance.tolist()]
    assert focal_loss(logits, torch.zeros(4, dtype=torch.bool)).tolist() == pytest.approx(expected)
    far = torch.tensor([-200.0, 200.0])
    assert focal_loss(far, torch.tensor([True, False])).tolist() == pytest.approx([50, 150])


def test_a_batch_equals_singles() -> None:
    model = nano()
    torch.nn.init.constant_(model.kinds[-1].bias, -math.log(19))  # so that something is found
    found = check_batch_equals_singles(model, noise(3, 32))
    assert all(len(image["boxes"]) > 10 for image in found)


def test_filled_up_images_have_nothing_beyond_their_size() -> None:
    model = nano()
    check_boxes_are_cut(model, ideal(model))


@pytest.mark.parametrize("targets", [[two_objects(64), nothing(64)], [nothing(64), nothing(64)]], ids=["one", "none"])
def test_images_without_objects_train(targets: list[dict[str, Tensor]]) -> None:
    terms = check_everything_learns(nano(), noise(2, 64).float(), targets)
    assert set(terms) == {"class", "box"}
    assert terms["class"] > 0


def test_two_objects_are_learnt_by_heart() -> None:
    target = two_objects(64)
    found = check_learns_by_heart(nano(), picture_of(target), [target], steps=40)
    truth = {"boxes": target["boxes"], "labels": target["labels"] + 1}
    assert DetectionAP().update([truth], found).compute().values["AP75"] > 0.9
