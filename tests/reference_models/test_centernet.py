from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from cvbench.metrics.detection_ap import DetectionAP
from model_checks import (
    check_batch_equals_singles,
    check_everything_learns,
    check_learns_by_heart,
    nano_of,
    noise,
    nothing,
    picture_of,
    two_objects,
)
from reference_models.detection.centernet import DETECTIONS, CenterNet, build
from reference_models.model import Raw

nano = partial(nano_of, build)


def test_both_sizes_take_any_number_of_classes() -> None:
    for size in ("nano", "paper"):
        with torch.device("meta"):
            model = build(size, classes=3)
            assert model(torch.zeros(2, 3, 64, 96))["heat"].shape == (2, 3, 16, 24)


def ideal(model: CenterNet, boxes: Tensor, labels: Tensor, shape: tuple[int, int] = (16, 16)) -> Raw:
    """What the network should put out for one image of these objects."""
    raw = {"heat": torch.full((1, 8, *shape), -20.0), "size": torch.zeros(1, 2, *shape)}
    raw["offset"] = torch.zeros(1, 2, *shape)
    for (x1, y1, x2, y2), label in zip(boxes.tolist(), labels.tolist(), strict=True):
        x, y = (x1 + x2) / 2 / model.stride, (y1 + y2) / 2 / model.stride
        raw["heat"][0, label, int(y), int(x)] = 20.0
        raw["size"][0, :, int(y), int(x)] = torch.tensor([x2 - x1, y2 - y1]) / model.stride
        raw["offset"][0, :, int(y), int(x)] = torch.tensor([x % 1, y % 1])
    return raw


BOXES = torch.tensor([[3.0, 5, 20, 30], [20, 30, 41, 44], [40, 1, 62, 63]])
LABELS = torch.tensor([7, 0, 0])


def test_what_the_loss_asks_for_decodes_to_the_targets() -> None:
    model = nano()
    raw = ideal(model, BOXES, LABELS)
    terms = model.loss(raw, [{"boxes": BOXES, "labels": LABELS}])
    assert terms["size"] == terms["offset"] == 0
    assert terms["heat"] < 1e-6
    (found,) = model.postprocess(raw)
    best = found["scores"] > 0.5
    order = found["boxes"][best][:, 0].argsort()
    torch.testing.assert_close(found["boxes"][best][order], BOXES)
    assert found["labels"][best][order].tolist() == [8, 1, 1], "category ids begin at 1"
    assert len(found["boxes"]) <= DETECTIONS
    assert found["scores"].tolist() == sorted(found["scores"].tolist(), reverse=True)


def test_each_term_counts_what_is_wrong() -> None:
    model, raw = nano(), ideal(nano(), BOXES, LABELS)
    raw["size"] += 3
    raw["offset"] -= 0.5
    terms = model.loss(raw, [{"boxes": BOXES, "labels": LABELS}])
    assert terms["size"].item() == pytest.approx(0.1 * 2 * 3, rel=1e-5)  # two coordinates of each object
    assert terms["offset"].item() == pytest.approx(2 * 0.5, rel=1e-5)
    raw["heat"] = -raw["heat"]
    assert model.loss(raw, [{"boxes": BOXES, "labels": LABELS}])["heat"] > 10


def test_objects_on_the_last_pixel_have_a_cell() -> None:
    model = nano()
    target = {"boxes": torch.tensor([[64.0, 64, 64, 64], [0, 0, 0, 0]]), "labels": torch.tensor([1, 2])}
    assert all(term.isfinite() for term in model.loss(model(noise(1, 64).float()), [target]).values())


def test_boxes_end_with_the_image() -> None:
    model, raw = nano(), ideal(nano(), BOXES, LABELS, (16, 20))
    raw["size"] *= 3
    (whole,), (cut,) = model.postprocess(raw), model.postprocess(raw, [(50, 45)])
    for found, (width, height) in ((whole, (80, 64)), (cut, (45, 50))):
        boxes = found["boxes"][found["scores"] > 0.5]
        assert boxes.amin(0)[:2].tolist() == [0, 0]
        assert boxes.amax(0)[2:].tolist() == [width, height]


def test_a_batch_equals_singles() -> None:
    found = check_batch_equals_singles(nano(), noise(3, 64))
    assert all(len(image["boxes"]) for image in found)


@pytest.mark.parametrize("targets", [[two_objects(64), nothing(64)], [nothing(64), nothing(64)]], ids=["one", "none"])
def test_images_without_objects_train(targets: list[dict[str, Tensor]]) -> None:
    terms = check_everything_learns(nano(), noise(2, 64).float(), targets)
    assert set(terms) == {"heat", "size", "offset"}


def test_two_objects_are_learnt_by_heart() -> None:
    target = two_objects(64)
    found = check_learns_by_heart(nano(), picture_of(target), [target], steps=90)
    truth = {"boxes": target["boxes"], "labels": target["labels"] + 1}
    assert DetectionAP().update([truth], found).compute().values["AP75"] > 0.9
