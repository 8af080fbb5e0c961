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
    cost_of,
    nano_of,
    noise,
    nothing,
    picture_of,
    two_objects,
)
from reference_models.detection.ssd import CARD, SSD, WEIGHTS, L2Norm, build
from reference_models.model import Raw
from reference_models.parts.assignment import match
from reference_models.parts.ops import encode_boxes

nano = partial(nano_of, build)


@pytest.mark.parametrize(("classes", "row"), [(90, 0), (20, 1)], ids=["coco", "voc"])
def test_the_published_models_cost_what_is_published(classes: int, row: int) -> None:
    counted = cost_of(build, classes=classes)
    params, macs = ([f for f in CARD.published if f.quantity == quantity][row] for quantity in ("params", "macs"))
    assert f"classes={classes + 1}" == params.conditions == macs.conditions, "the background is one"
    assert counted.params == params.value
    assert counted.macs == macs.value * 1e9


def test_the_published_maps_have_8732_boxes() -> None:
    with torch.device("meta"):
        raw = build("paper", classes=7)(torch.zeros(2, 3, 300, 300))
    boxes = [n * side * side for n, side in zip((4, 6, 6, 6, 4, 4), (38, 19, 10, 5, 3, 1), strict=True)]
    assert sum(boxes) == 8732
    assert [tuple(logits.shape) for logits in raw["logits"]] == [(2, n, 8) for n in boxes]
    assert [tuple(codes.shape) for codes in raw["codes"]] == [(2, n, 4) for n in boxes]
    assert [tuple(anchors.shape) for anchors in raw["anchors"]] == [(n, 4) for n in boxes]


@pytest.mark.parametrize("shape", [(75, 131), (128, 128)])
def test_images_of_any_size_are_covered_evenly(shape: tuple[int, int]) -> None:
    model = nano().eval()
    with torch.inference_mode():
        raw = model(noise(1, 131).float()[:, :, : shape[0], : shape[1]])
    for anchors, codes, ratios in zip(raw["anchors"], raw["codes"], model.ratios, strict=True):
        assert len(anchors) == codes.shape[1]
        x, y = ((anchors[:, i] + anchors[:, i + 2]) / 2 for i in (0, 1))
        assert (x.min() + x.max()).item() == pytest.approx(shape[1])
        assert (y.min() + y.max()).item() == pytest.approx(shape[0])
        assert len(set(map(tuple, (anchors[:, 2:] - anchors[:, :2]).round(decimals=2).tolist()))) == 1 + len(ratios)


def test_default_boxes_have_the_shapes_of_the_paper() -> None:
    with torch.device("meta"):
        model = build("paper")
    assert model.sides[:-1] == pytest.approx([300 * s for s in (0.07, 0.15, 0.33, 0.51, 0.69, 0.87)])
    anchors = model.anchors(1, torch.zeros(1, 1, 19, 19), (300, 300))
    width, height = (anchors[:6, 2:] - anchors[:6, :2]).unbind(1)
    expected = [45 / ratio**0.5 for ratio in (1, 2, 1 / 2, 3, 1 / 3)] + [(45 * 99) ** 0.5]
    assert width.tolist() == pytest.approx(expected, rel=1e-5)
    assert (height / width).tolist() == pytest.approx([1, 2, 1 / 2, 3, 1 / 3, 1], rel=1e-5)


def test_cells_have_the_length_that_is_learnt() -> None:
    layer = L2Norm(3)
    assert layer.scale.tolist() == [20] * 3
    torch.nn.init.constant_(layer.scale, 2.0)
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert layer(x).norm(dim=1).flatten().tolist() == pytest.approx([2.0] * 40)
    torch.testing.assert_close(layer(x), layer(7 * x))
    assert layer(torch.zeros(1, 3, 1, 1)).flatten().tolist() == [0, 0, 0]


BOXES = torch.tensor([[3.0, 5, 20, 30], [20, 30, 41, 44], [40, 1, 62, 63]])
LABELS = torch.tensor([7, 0, 0])
TARGET = {"boxes": BOXES, "labels": LABELS}


def ideal(model: SSD) -> Raw:
    """What the network should put out for one image of these objects."""
    with torch.inference_mode():
        raw = model.eval()(noise(1, 64).float())
    every = torch.cat(raw["anchors"])
    rows = match(BOXES, every, 0.5, 0.5, each_truth=True)
    shown = rows >= 0
    logits, codes = torch.zeros(1, len(every), 9), torch.zeros(1, len(every), 4)
    logits[0, ~shown, 0] = logits[0, shown, 1 + LABELS[rows[shown]]] = 30.0
    codes[0, shown] = encode_boxes(BOXES[rows[shown]], every[shown], WEIGHTS)
    lengths = [len(anchors) for anchors in raw["anchors"]]
    return raw | {"logits": list(logits.split(lengths, 1)), "codes": list(codes.split(lengths, 1))}


def test_what_the_loss_asks_for_decodes_to_the_targets() -> None:
    model = nano()
    check_what_is_learnt_is_found(model, ideal(model), TARGET)


def test_three_boxes_of_background_are_learnt_for_each_that_shows_an_object() -> None:
    model, raw = nano(), ideal(nano())
    raw["codes"] = [codes + 2 for codes in raw["codes"]]
    raw["logits"] = [0 * logits for logits in raw["logits"]]
    terms = model.loss(raw, [TARGET])
    assert terms["box"].item() == pytest.approx(4 * 1.5)
    assert terms["class"].item() == pytest.approx(4 * math.log(9), rel=1e-5)
    empty = {name: [torch.cat([each] * 2) for each in raw[name]] for name in ("logits", "codes")}
    assert model.loss(raw | empty, [TARGET, nothing(64)]) == terms, "nothing is learnt from an image without objects"


def test_the_hardest_background_is_learnt() -> None:
    model, raw = nano(), ideal(nano())
    before = model.loss(raw, [TARGET])["class"]
    shown = int((match(BOXES, torch.cat(raw["anchors"]), 0.5, 0.5, each_truth=True) >= 0).sum())
    raw["logits"][0][0, 0] = torch.eye(9)[5] * 30  # the corner shows nothing
    assert (model.loss(raw, [TARGET])["class"] - before).item() == pytest.approx(30 / shown, rel=1e-4)


def test_a_batch_equals_singles() -> None:
    found = check_batch_equals_singles(nano(), noise(3, 48))
    assert all(len(image["boxes"]) > 10 for image in found)


def test_filled_up_images_have_nothing_beyond_their_size() -> None:
    model = nano()
    check_boxes_are_cut(model, ideal(model))


@pytest.mark.parametrize("targets", [[two_objects(64), nothing(64)], [nothing(64), nothing(64)]], ids=["one", "none"])
def test_images_without_objects_train(targets: list[dict[str, Tensor]]) -> None:
    terms = check_everything_learns(nano(), noise(2, 64).float(), targets)
    assert set(terms) == {"class", "box"}


def test_two_objects_are_learnt_by_heart() -> None:
    target = two_objects(64)
    found = check_learns_by_heart(nano(), picture_of(target), [target], steps=40)
    truth = {"boxes": target["boxes"], "labels": target["labels"] + 1}
    assert DetectionAP().update([truth], found).compute().values["AP75"] > 0.9
