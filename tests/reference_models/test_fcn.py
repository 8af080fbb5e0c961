from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from cvbench.cost.spec import CountSpec
from cvbench.metrics.mean_iou import MeanIoU
from model_checks import (
    check_batch_equals_singles,
    check_everything_learns,
    check_learns_by_heart,
    check_maps_are_cut,
    cost_of,
    nano_of,
    noise,
    picture_of,
    two_objects,
)
from reference_models.model import Target
from reference_models.parts.backbones import VGG
from reference_models.parts.labels import VOID
from reference_models.semantic.fcn import CARD, Enlarge, FCN8s, build

BACKBONES = pytest.mark.parametrize("backbone", ["vgg16", "resnet50"])

nano = partial(nano_of, build)


def labels(side: int) -> Target:
    return {"labels": two_objects(side)["semantic"]}


@pytest.mark.parametrize(
    ("auxiliary", "params", "macs"), [(True, 35_322_218, 152_716_512_000), (False, 32_957_013, 142_725_772_800)]
)
def test_the_network_on_a_resnet_costs_what_is_published(auxiliary: bool, params: int, macs: int) -> None:
    found = cost_of(build, backbone="resnet50", auxiliary=auxiliary)
    assert (found.params, found.macs) == (params, macs)


def test_the_card_quotes_both_networks() -> None:
    numbers = {fact.value for fact in CARD.published}
    assert {134_489_759, 181.529034048, 35_322_218, 152.716512} <= numbers


def test_the_small_model_on_a_resnet_is_small() -> None:
    found = cost_of(build, "nano", backbone="resnet50")
    assert found.params < 500_000
    assert found.macs < 100e6


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (33, 97)])
@BACKBONES
def test_every_pixel_gets_a_class(backbone: str, size: tuple[int, int]) -> None:
    model = nano(backbone=backbone).eval()
    (found,) = model.postprocess(model(torch.rand(1, 3, *size)))
    assert found["labels"].shape == size
    assert found["labels"].max() < 14


@BACKBONES
def test_published_models_run_on_images_of_any_size(backbone: Any) -> None:
    with torch.device("meta"):
        model = build("paper", backbone=backbone)
        for size in ((224, 321), (65, 31)):
            assert model(torch.zeros(2, 3, *size))["logits"].shape == (2, 21, *size)


@BACKBONES
def test_filled_up_images_are_cut_to_their_size(backbone: str) -> None:
    check_maps_are_cut(nano(backbone=backbone))


@pytest.mark.parametrize("factor", [2, 8])
def test_scores_are_first_enlarged_by_linear_interpolation(factor: int) -> None:
    x = torch.randn(1, 3, 4, 5)
    half = factor // 2
    with torch.inference_mode():
        inside = Enlarge(3, factor)(x)[:, :, half:-half, half:-half]
    expected = F.interpolate(x, scale_factor=factor, mode="bilinear")
    cut = (..., slice(half, -half), slice(half, -half))  # at the borders there is nothing to interpolate with
    torch.testing.assert_close(inside[cut], expected[cut])


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize(("border", "kernel"), [(0, 3), (99, 7)], ids=["nano", "paper"])
def test_scores_of_every_map_stay_in_their_place(border: int, kernel: int, k: int) -> None:
    """Cells of one map say which column they are; pixels then say where between the columns they are."""
    backbone = VGG((1,) * 5, (2,) * 5, ceil_mode=True)
    model = FCN8s(backbone, 2, kernel, 2, CountSpec((1, 3, 70, 100)), border=border)
    model.scores[k].register_forward_hook(lambda _, __, out: torch.arange(float(out.shape[3])).expand_as(out))
    with torch.inference_mode():
        logits = model(torch.zeros(1, 3, 70, 100))["logits"]  # the scores of the other maps are 0 at first
    stride = (32, 16, 8)[k]
    left = (kernel // 2 * stride if border and k == 0 else 0) - border
    columns = (torch.arange(100) + 0.5 - left) / stride - 0.5
    torch.testing.assert_close(logits[0, 0, 35, 32:80], columns[32:80])  # nothing beyond the map takes part here


@BACKBONES
def test_a_batch_equals_singles(backbone: str) -> None:
    check_batch_equals_singles(nano(backbone=backbone), noise(3, 32))


@BACKBONES
def test_images_without_labels_train(backbone: str) -> None:
    void, images = {"labels": torch.full((32, 32), VOID)}, noise(2, 32).float()
    terms = check_everything_learns(nano(backbone=backbone), images, [labels(32), void])
    assert terms.keys() == ({"labels"} if backbone == "vgg16" else {"labels", "auxiliary"})
    assert terms["labels"].item() == pytest.approx(math.log(14), rel=0.05), "undecided at first"
    assert check_everything_learns(nano(backbone=backbone), images, [void, void])["labels"] == 0


def test_void_pixels_teach_nothing() -> None:
    model = nano()
    raw, target = model(noise(2, 32).float()), labels(32)
    before = model.loss(raw, [target] * 2)["labels"]
    raw["logits"] = raw["logits"] + 5 * torch.rand(2, 14, 32, 32) * (target["labels"] == VOID)
    assert torch.equal(model.loss(raw, [target] * 2)["labels"], before)


@BACKBONES
def test_a_picture_is_learnt_by_heart(backbone: str) -> None:
    target, images = labels(64), picture_of(two_objects(64)).expand(2, -1, -1, -1)
    found = check_learns_by_heart(nano(backbone=backbone), images, [target] * 2, steps=40, rate=1e-2)
    metric = MeanIoU(14, ignore_index=VOID).update(target["labels"].numpy(), found[0]["labels"].numpy())
    assert metric.compute().values["mIoU"] > 0.9
