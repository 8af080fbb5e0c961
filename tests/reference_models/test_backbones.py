from __future__ import annotations

import doctest

import pytest
import torch
from torch import Tensor, nn

from cvbench.cost.counter import count
from reference_models.parts import backbones
from reference_models.parts.backbones import (
    Classifier,
    ResNet,
    resnet,
    resnet_classifier,
)
from reference_models.parts.blocks import BasicBlock, Bottleneck, FrozenBatchNorm2d

IMAGE = (1, 3, 224, 224)


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def params(model: nn.Module) -> int:
    return sum(param.numel() for param in model.parameters())


def small_resnet(block: type[BasicBlock | Bottleneck] = BasicBlock, output_stride: int | None = None) -> ResNet:
    torch.manual_seed(0)
    return ResNet(block, (1, 2, 2, 2), (4, 6, 8, 10), output_stride=output_stride).eval()


def test_examples() -> None:
    assert doctest.testmod(backbones, extraglobs={"torch": torch}) == (0, 2)


@pytest.mark.parametrize(
    ("depth", "published", "gmacs"),
    [(18, 11_689_512, 1.814), (34, 21_797_672, 3.664), (50, 25_557_032, 4.089), (101, 44_549_160, 7.801)],
)
def test_resnets_cost_what_is_published(depth: int, published: int, gmacs: float) -> None:
    with torch.device("meta"):
        counted = count(resnet_classifier(resnet(depth)), IMAGE)
    assert counted.params == published
    assert counted.macs / 1e9 == pytest.approx(gmacs, abs=0.0005)  # published with three digits


@pytest.mark.parametrize(
    ("build", "published"),
    [
        (lambda: resnet(18), 11_176_512),
        (lambda: resnet(50), 23_508_032),
        (lambda: resnet(50, norm=FrozenBatchNorm2d), 23_508_032 - 53_120),
        (lambda: resnet(50, output_stride=8), 23_508_032),
        (lambda: resnet(101), 42_500_160),
    ],
)
def test_trunks_have_the_published_parameters_and_no_others(build: type[ResNet], published: int) -> None:
    with torch.device("meta"):
        assert params(build()) == published


def test_a_narrow_resnet_is_the_same_code() -> None:
    trunk = ResNet(BasicBlock, (1, 1, 1, 1), (16, 32, 64, 96), stem_kernel=3, stem_pool=False)
    counted = count(resnet_classifier(trunk, classes=10), (1, 3, 64, 64))
    assert (counted.params, counted.macs) == (223_322, 14_812_096)
    assert [fmap.shape[2:] for fmap in trunk(images(1, 3, 64, 64))] == [(64 // s, 64 // s) for s in trunk.strides]


TRUNKS = pytest.mark.parametrize(
    "trunk",
    [small_resnet(), small_resnet(Bottleneck), small_resnet(output_stride=8)],
    ids=["basic", "bottleneck", "dilated"],
)


@TRUNKS
@pytest.mark.parametrize("size", [(64, 32), (65, 97)])
def test_maps_have_the_channels_and_strides_they_name(trunk: ResNet, size: tuple[int, int]) -> None:
    maps = trunk(images(2, 3, *size))
    rounded_up = [tuple(-(-side // stride) for side in size) for stride in trunk.strides]
    assert [tuple(fmap.shape) for fmap in maps] == [
        (2, *shape) for shape in zip(trunk.channels, *zip(*rounded_up, strict=True), strict=True)
    ]


@TRUNKS
def test_a_batch_is_as_good_as_single_images(trunk: ResNet) -> None:
    batch = images(3, 3, 64, 64)
    singles = [trunk(image[None]) for image in batch]
    for fmap, *alone in zip(trunk(batch), *singles, strict=True):
        torch.testing.assert_close(fmap, torch.cat(alone))


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_dilation_keeps_every_value_and_adds_others_between(
    block: type[BasicBlock | Bottleneck], output_stride: int
) -> None:
    plain, dilated = small_resnet(block), small_resnet(block, output_stride)
    dilated.load_state_dict(plain.state_dict())
    x = images(1, 3, 96, 64)
    for coarse, dense, stride, kept in zip(plain(x), dilated(x), plain.strides, dilated.strides, strict=True):
        step = stride // kept
        torch.testing.assert_close(dense[:, :, ::step, ::step], coarse)
    assert dilated.strides == tuple(min(stride, output_stride) for stride in plain.strides)


def test_unknown_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"output_stride: 12; the stages have strides of \[4, 8, 16, 32\]"):
        resnet(18, output_stride=12)
    with pytest.raises(ValueError, match="depth: 20; there are 18, 34, 50, 101"):
        resnet(20)


@pytest.mark.parametrize(
    "classifier",
    [resnet_classifier(small_resnet(), 5)],
    ids=["resnet"],
)
def test_classifiers_score_images_of_any_size(classifier: Classifier) -> None:
    assert classifier(images(2, 3, 64, 96)).shape == (2, 5)
