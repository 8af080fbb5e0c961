from __future__ import annotations

import doctest

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvbench.cost.counter import count
from reference_models.parts import backbones
from reference_models.parts.backbones import (
    VGG,
    AlexNet,
    Classifier,
    ResNet,
    alexnet_classifier,
    resnet,
    resnet_classifier,
    vgg16,
    vgg_classifier,
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


def small_vgg(*, ceil_mode: bool = False) -> VGG:
    torch.manual_seed(0)
    return VGG((2, 2, 3, 3, 3), (4, 4, 8, 8, 8), ceil_mode=ceil_mode).eval()


def test_examples() -> None:
    assert doctest.testmod(backbones, extraglobs={"torch": torch}) == (0, 6)


@pytest.mark.parametrize(
    ("depth", "published", "gmacs"),
    [(18, 11_689_512, 1.814), (34, 21_797_672, 3.664), (50, 25_557_032, 4.089), (101, 44_549_160, 7.801)],
)
def test_resnets_cost_what_is_published(depth: int, published: int, gmacs: float) -> None:
    with torch.device("meta"):
        counted = count(resnet_classifier(resnet(depth)), IMAGE)
    assert counted.params == published
    assert counted.macs / 1e9 == pytest.approx(gmacs, abs=0.0005)  # published with three digits


@pytest.mark.parametrize(("norm", "published"), [(None, 138_357_544), (nn.BatchNorm2d, 138_365_992)])
def test_vgg16_costs_what_is_published(norm: type[nn.BatchNorm2d] | None, published: int) -> None:
    with torch.device("meta"):
        counted = count(vgg_classifier(vgg16(norm=norm)), IMAGE)
    assert counted.params == published
    assert counted.macs / 1e9 == pytest.approx(15.470, abs=0.0005)  # published with three digits


@pytest.mark.parametrize(
    ("build", "published"),
    [
        (lambda: resnet(18), 11_176_512),
        (lambda: resnet(50), 23_508_032),
        (lambda: resnet(50, norm=FrozenBatchNorm2d), 23_508_032 - 53_120),
        (lambda: resnet(50, output_stride=8), 23_508_032),
        (lambda: resnet(101), 42_500_160),
        (vgg16, 14_714_688),
    ],
)
def test_trunks_have_the_published_parameters_and_no_others(build: type[ResNet | VGG], published: int) -> None:
    with torch.device("meta"):
        assert params(build()) == published


def test_a_narrow_resnet_is_the_same_code() -> None:
    trunk = ResNet(BasicBlock, (1, 1, 1, 1), (16, 32, 64, 96), stem_kernel=3, stem_pool=False)
    counted = count(resnet_classifier(trunk, classes=10), (1, 3, 64, 64))
    assert (counted.params, counted.macs) == (223_322, 14_812_096)
    assert [fmap.shape[2:] for fmap in trunk(images(1, 3, 64, 64))] == [(64 // s, 64 // s) for s in trunk.strides]


TRUNKS = pytest.mark.parametrize(
    "trunk",
    [small_resnet(), small_resnet(Bottleneck), small_resnet(output_stride=8), small_vgg(ceil_mode=True)],
    ids=["basic", "bottleneck", "dilated", "vgg"],
)


@TRUNKS
@pytest.mark.parametrize("size", [(64, 32), (65, 97)])
def test_maps_have_the_channels_and_strides_they_name(trunk: ResNet | VGG, size: tuple[int, int]) -> None:
    maps = trunk(images(2, 3, *size))
    rounded_up = [tuple(-(-side // stride) for side in size) for stride in trunk.strides]
    assert [tuple(fmap.shape) for fmap in maps] == [
        (2, *shape) for shape in zip(trunk.channels, *zip(*rounded_up, strict=True), strict=True)
    ]


@TRUNKS
def test_a_batch_is_as_good_as_single_images(trunk: ResNet | VGG) -> None:
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


def test_vgg_rounds_odd_sizes_as_asked() -> None:
    x = images(1, 3, 75, 75)
    assert [fmap.shape[-1] for fmap in small_vgg()(x)] == [75, 37, 18, 9, 4]
    assert [fmap.shape[-1] for fmap in small_vgg(ceil_mode=True)(x)] == [75, 38, 19, 10, 5]


def test_maps_of_vgg_are_taken_before_they_are_pooled() -> None:
    trunk, x = small_vgg(), images(1, 3, 32, 32)
    *_, fourth, fifth = trunk(x)
    assert torch.equal(trunk.stages[4](trunk.pool(fourth)), fifth)


def test_signals_reach_the_end_of_a_vgg_without_norms() -> None:
    first, *_, last = small_vgg()(images(1, 3, 64, 64))
    assert 0.1 < last.std() / first.std() < 10


@pytest.mark.parametrize(
    "classifier",
    [resnet_classifier(small_resnet(), 5), vgg_classifier(small_vgg(), 5, width=16).eval()],
    ids=["resnet", "vgg"],
)
def test_classifiers_score_images_of_any_size(classifier: Classifier) -> None:
    assert classifier(images(2, 3, 64, 96)).shape == (2, 5)


def test_alexnet_costs_what_its_definition_says() -> None:
    with torch.device("meta"):
        counted = count(alexnet_classifier(AlexNet()), (1, 3, 227, 227), strict=True)
        ungrouped = alexnet_classifier(AlexNet(groups=1))
    assert (counted.params, counted.macs) == (60_965_224, 724_406_816)
    assert params(ungrouped) - counted.params == 1200 * 256 + 1728 * 384 + 1728 * 256  # twice as many kernels in three


def test_alexnet_has_local_response_norms_or_others() -> None:
    kinds = [type(module) for module in AlexNet().modules() if not isinstance(module, nn.Sequential)]
    assert (kinds.count(nn.LocalResponseNorm), kinds.count(nn.BatchNorm2d)) == (2, 0)
    small = AlexNet((4, 4, 4, 4, 4), stem_kernel=3, stem_stride=1, norm=nn.BatchNorm2d)
    kinds = [type(module) for module in small.modules()]
    assert (kinds.count(nn.LocalResponseNorm), kinds.count(nn.BatchNorm2d)) == (0, 5)


def test_halves_of_alexnet_see_nothing_of_each_other() -> None:
    torch.manual_seed(0)
    trunk = AlexNet((4, 8, 4, 4, 6), stem_kernel=5, stem_stride=2)
    x = torch.randn(1, 4, 9, 9)
    before = trunk.stages[1][0][0](x)
    x[:, 0] += 1
    changed = (trunk.stages[1][0][0](x) != before).any(3).any(2)[0]
    assert changed.tolist() == [True] * 4 + [False] * 4


def test_maps_of_alexnet_feed_each_other_through_pools() -> None:
    torch.manual_seed(0)
    trunk, batch = AlexNet((4, 8, 4, 4, 6), stem_kernel=5, stem_stride=2).eval(), images(2, 3, 61, 50)
    maps = trunk(batch)
    assert [tuple(fmap.shape[1:]) for fmap in maps] == [(4, 29, 23), (8, 14, 11), (6, 6, 5)]
    assert torch.equal(maps[1], trunk.stages[1](F.max_pool2d(maps[0], 3, 2)))
    assert torch.equal(maps[2], trunk.stages[2](F.max_pool2d(maps[1], 3, 2)))
    assert alexnet_classifier(trunk, 7, 16, cells=2)(batch).shape == (2, 7)
