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
    cost_of,
    nano_of,
    noise,
    nothing,
    picture_of,
    two_objects,
)
from reference_models.detection.yolo import build
from reference_models.model import Raw

nano = partial(nano_of, build)


def test_the_backbone_costs_what_its_authors_print() -> None:
    (backbone,) = (row for row in cost_of(build).modules if row.path == "backbone")
    assert backbone.total.macs == 20_073_611_264, "darknet prints the convolutions alone"


@pytest.mark.parametrize("shape", [(448, 448), (75, 131)])
def test_images_of_any_size_have_the_same_cells(shape: tuple[int, int]) -> None:
    with torch.device("meta"):
        raw = build("paper", classes=3)(torch.zeros(2, 3, *shape))
        small = build("nano", classes=3)(torch.zeros(2, 3, *shape))
    for found in (raw, small):
        assert found["kinds"].shape == (2, 7, 7, 3)
        assert found["confidence"].shape == (2, 7, 7, 2)
        assert found["codes"].shape == (2, 7, 7, 2, 4)


def test_images_of_another_size_are_resized() -> None:
    model = nano().eval()
    image = noise(1, 128).float()
    with torch.inference_mode():
        one, twice = model(image), model(image.repeat_interleave(2, 2).repeat_interleave(2, 3))
    torch.testing.assert_close(one["codes"], twice["codes"])
    (found,), (larger,) = model.postprocess(one), model.postprocess(twice)
    torch.testing.assert_close(2 * found["boxes"], larger["boxes"], rtol=1e-3, atol=1e-2)


def test_boxes_begin_in_the_middle_of_their_cells() -> None:
    model = nano()
    torch.nn.init.zeros_(model.head[-1].weight)
    raw = model(noise(1, 128).float())
    assert (raw["kinds"].abs().max(), raw["confidence"].abs().max()) == (0, 0)
    x1, y1, x2, y2 = model.decoded(raw["codes"])[0, 2, 5, 1].tolist()
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((5.5 / 7, 2.5 / 7))
    assert (x2 - x1, y2 - y1) == pytest.approx((0.25, 0.25))


BOXES = torch.tensor([[3.0, 5, 20, 30], [40, 60, 82, 88], [80, 2, 124, 126], [10, 8, 18, 26]])
LABELS = torch.tensor([7, 0, 0, 3])
TARGET = {"boxes": BOXES, "labels": LABELS}
"""The first and the last object have their centres in one cell."""

CELLS = [(0, 0), (4, 3), (3, 5)]
"""Row and column of the first three."""


def ideal() -> Raw:
    """What the network should put out for an image of 128 × 128 pixels with the first three objects."""
    raw = {"kinds": torch.zeros(1, 7, 7, 8), "confidence": torch.zeros(1, 7, 7, 2)}
    raw["codes"] = torch.full((1, 7, 7, 2, 4), 0.1)
    for (row, column), (x1, y1, x2, y2), label in zip(CELLS, BOXES.tolist(), LABELS.tolist(), strict=False):
        raw["kinds"][0, row, column, label] = raw["confidence"][0, row, column, 1] = 1
        place = [7 * (x1 + x2) / 256 - column, 7 * (y1 + y2) / 256 - row]
        roots = [((x2 - x1) / 128) ** 0.5, ((y2 - y1) / 128) ** 0.5]
        raw["codes"][0, row, column, 1] = torch.tensor([*place, *roots])
    return raw | {"size": (128, 128)}


def test_what_the_loss_asks_for_decodes_to_the_targets() -> None:
    model, raw = nano(), ideal()
    assert all(term < 1e-9 for term in model.loss(raw, [TARGET]).values())
    (found,) = model.postprocess(raw)
    order = found["boxes"][:, 0].argsort()
    torch.testing.assert_close(found["boxes"][order], BOXES[:3])
    assert found["labels"][order].tolist() == [8, 1, 1], "category ids begin at 1"
    assert found["scores"].tolist() == [1, 1, 1]


def test_boxes_are_in_pixels_of_the_image_before_it_is_resized() -> None:
    model, raw = nano(), ideal() | {"size": (64, 256)}
    wide = BOXES * torch.tensor([2, 0.5, 2, 0.5])
    assert all(term < 1e-9 for term in model.loss(raw, [TARGET | {"boxes": wide}]).values())
    (found,) = model.postprocess(raw)
    torch.testing.assert_close(found["boxes"][found["boxes"][:, 0].argsort()], wide[:3])


def test_a_score_is_confidence_times_probability() -> None:
    raw = ideal()
    raw["confidence"][0, 0, 0] = torch.tensor([-0.2, 0.5])
    raw["kinds"][0, 0, 0, :3] = torch.tensor([0.25, 1.5, -2])
    (found,) = nano().postprocess(raw)
    corner = found["boxes"][:, 0] < 10
    assert found["labels"][corner].tolist() == [2, 8, 1]
    assert found["scores"][corner].tolist() == [0.5, 0.5, 0.125]


def test_each_term_is_the_squared_error_of_an_image() -> None:
    model, raw = nano(), ideal()
    raw["codes"] += torch.tensor([0.01, 0.02, 0, 0])
    raw["kinds"] += 0.1
    raw["kinds"][0, 6, 6] = 9  # of a cell without an object nothing is asked
    twice = {name: torch.cat([raw[name]] * 2) for name in ("kinds", "confidence", "codes")} | {"size": (128, 128)}
    terms = model.loss(twice, [TARGET, TARGET])
    assert terms["box"].item() == pytest.approx(5 * 3 * (0.01**2 + 0.02**2), rel=1e-3)
    assert terms["class"].item() == pytest.approx(3 * 8 * 0.1**2, rel=1e-4)


def test_confidence_is_the_overlap_of_the_responsible_box() -> None:
    model, raw = nano(), ideal()
    raw["codes"][0, 4, 3, 1, 2:] *= 0.5**0.5  # half as wide and high: a fourth of the area
    raw["confidence"][0, 0, 0, 0] = raw["confidence"][0, 6, 6, 1] = 0.4  # of a box beside, and of an empty cell
    terms = model.loss(raw, [TARGET])
    assert terms["confidence"].item() == pytest.approx(0.75**2 + 0.5 * 2 * 0.4**2, rel=1e-5)


def test_where_no_box_overlaps_the_nearest_one_is_responsible() -> None:
    model, raw = nano(), ideal()
    cell = raw["codes"][0, 3, 5]
    cell[0], cell[1] = torch.tensor([3.0, 3, 0.01, 0.01]), torch.tensor([2.0, 3, 0.01, 0.01])
    expected = torch.tensor([2.0, 3, 0.01, 0.01]) - model.owned([TARGET], (128, 128), like=cell).codes[2]
    assert model.loss(raw, [TARGET])["box"].item() == pytest.approx(5 * expected.square().sum().item(), rel=1e-5)


def test_objects_belong_to_the_cell_of_their_centre() -> None:
    corner = {"boxes": torch.tensor([[128.0, 256, 128, 256], [0, 0, 0, 0]]), "labels": torch.tensor([4, 5])}
    owned = nano().owned([TARGET, nothing(64), corner], (256, 128), like=torch.zeros(1))
    cells = list(zip(owned.image.tolist(), owned.row.tolist(), owned.column.tolist(), strict=True))
    sides = torch.tensor([128, 256])
    expected = []
    for image, target in ((0, TARGET), (2, corner)):
        for x, y in (target["boxes"][:, :2] / 2 + target["boxes"][:, 2:] / 2) / sides * 7:
            cell = (image, min(6, int(y)), min(6, int(x)))
            expected += [cell] if cell not in expected else []
    assert cells == expected
    assert owned.labels.tolist() == [7, 0, 0, 4, 5]


def test_a_batch_equals_singles() -> None:
    model = nano()
    torch.nn.init.normal_(model.head[-1].weight, std=0.05)
    found = check_batch_equals_singles(model, noise(3, 128))
    assert all(len(image["boxes"]) > 10 for image in found)


def test_filled_up_images_have_nothing_beyond_their_size() -> None:
    model, raw = nano(), ideal()
    twice = {name: torch.cat([raw[name]] * 2) for name in ("kinds", "confidence", "codes")} | {"size": (128, 128)}
    full, cut = model.postprocess(twice, [(128, 128), (100, 79)])
    assert torch.equal(full["boxes"], model.postprocess(raw)[0]["boxes"])
    assert len(cut["boxes"]) == 2, "the third object is beyond"
    assert cut["boxes"].amax(0)[2:].tolist() == [79, 88]


@pytest.mark.parametrize(
    "targets", [[two_objects(128), nothing(128)], [nothing(128), nothing(128)]], ids=["one", "none"]
)
def test_images_without_objects_train(targets: list[dict[str, Tensor]]) -> None:
    terms = check_everything_learns(nano(), noise(2, 128).float(), targets)
    assert set(terms) == {"box", "confidence", "class"}


def test_two_objects_are_learnt_by_heart() -> None:
    target = two_objects(128)
    images = torch.cat([picture_of(target), picture_of(target).flip(3)])
    turned = target["boxes"].clone()
    turned[:, [0, 2]] = 128 - turned[:, [2, 0]]
    targets = [target, {**target, "boxes": turned}]
    found = check_learns_by_heart(nano(), images, targets, steps=40)
    truths = [{"boxes": each["boxes"], "labels": each["labels"] + 1} for each in targets]
    assert DetectionAP().update(truths, found).compute().values["AP75"] > 0.9
