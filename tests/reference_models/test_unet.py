from __future__ import annotations

from functools import partial

import pytest
import torch

from cvbench.cost.counter import count
from cvbench.cost.spec import CountSpec
from cvbench.metrics.mean_iou import MeanIoU
from model_checks import (
    check_batch_equals_singles,
    check_everything_learns,
    check_learns_by_heart,
    check_maps_are_cut,
    nano_of,
    noise,
    picture_of,
    two_objects,
)
from reference_models.model import Target
from reference_models.parts.labels import VOID
from reference_models.semantic.unet import UNet, build

nano = partial(nano_of, build)


@pytest.mark.parametrize(
    ("padded", "side", "macs"), [(False, 572, 150_428_424_448), (True, 512, 192_384_335_872)], ids=["paper", "padded"]
)
def test_the_network_of_the_paper_is_an_option(padded: bool, side: int, macs: int) -> None:
    with torch.device("meta"):
        model = build("paper", in_channels=1, padded=padded)
        assert model(torch.zeros(1, 1, side, side))["logits"].shape[-1] == (388 if side == 572 else 512)
    counted = count(model, (1, 1, side, side))
    assert (counted.params, counted.macs) == (31_030_658, macs)


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (1, 17)])
def test_every_pixel_gets_a_class(size: tuple[int, int]) -> None:
    model = nano().eval()
    (found,) = model.postprocess(model(torch.rand(1, 3, *size)))
    assert found["labels"].shape == size
    assert found["labels"].max() < 14


def test_filled_up_images_are_cut_to_their_size() -> None:
    check_maps_are_cut(nano())


def test_copies_without_padding_are_those_of_the_middle() -> None:
    torch.manual_seed(0)
    model = UNet((4, 6, 8), 2, CountSpec((1, 3, 44, 44)), padded=False)
    images = torch.rand(1, 3, 44, 44, requires_grad=True)
    assert model(images)["logits"].shape[-2:] == (4, 4)
    for parameter in model.enlarging.parameters():
        torch.nn.init.zeros_(parameter)  # nothing but the copies is seen
    model(images)["logits"].sum().backward()
    assert images.grad is not None
    for other in (2, 3):
        seen = images.grad.abs().sum((0, 1, other)).nonzero()
        assert (int(seen.min()), int(seen.max())) == (16, 27), "four pixels on each side of the middle four"


def test_a_batch_equals_singles() -> None:
    check_batch_equals_singles(nano(), noise(3, 32))


def labels(side: int) -> Target:
    return {"labels": two_objects(side)["semantic"]}


def test_void_pixels_teach_nothing() -> None:
    model = nano()
    raw, target = model(noise(1, 32).float()), labels(32)
    before = model.loss(raw, [target])["labels"]
    raw["logits"] = raw["logits"] + 5 * torch.rand(1, 14, 32, 32) * (target["labels"] == VOID)
    assert torch.equal(model.loss(raw, [target])["labels"], before)
    expected = torch.nn.functional.cross_entropy(raw["logits"], target["labels"][None], ignore_index=VOID)
    torch.testing.assert_close(before, expected)


def test_images_without_labels_train() -> None:
    void = {"labels": torch.full((32, 32), VOID)}
    assert check_everything_learns(nano(), noise(2, 32).float(), [labels(32), void])["labels"] > 0
    assert check_everything_learns(nano(), noise(2, 32).float(), [void, void])["labels"] == 0


def test_a_picture_is_learnt_by_heart() -> None:
    target = labels(32)
    (found,) = check_learns_by_heart(nano(), picture_of(two_objects(32)), [target], steps=40, rate=1e-2)
    metric = MeanIoU(14, ignore_index=VOID).update(target["labels"].numpy(), found["labels"].numpy())
    assert metric.compute().values["mIoU"] > 0.9
