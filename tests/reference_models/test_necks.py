from __future__ import annotations

import doctest
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from reference_models.parts import necks
from reference_models.parts.necks import FPN, CoarserMaps


def pyramid_of(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.randn(shape, generator=torch.Generator().manual_seed(k)) for k, shape in enumerate(shapes)]


def test_examples() -> None:
    assert doctest.testmod(necks, extraglobs={"torch": torch}) == (0, 2)


@pytest.mark.parametrize(
    ("in_channels", "published"), [((256, 512, 1024, 2048), 3_344_384), ((512, 1024, 2048), 2_688_512)]
)
def test_a_pyramid_over_resnet_50_has_the_published_parameters(in_channels: tuple[int, ...], published: int) -> None:
    with torch.device("meta"):
        assert sum(param.numel() for param in FPN(in_channels, 256).parameters()) == published


@pytest.mark.parametrize("coarse", [(4, 6), (3, 5)], ids=["halved", "odd"])
def test_a_pyramid_adds_the_nearest_cell_of_each_coarser_map(coarse: tuple[int, int]) -> None:
    neck = FPN((2, 2), 2)
    for conv in [*neck.laterals, *neck.outputs]:
        assert isinstance(conv, nn.Conv2d)
        nn.init.dirac_(conv.weight)
    maps = pyramid_of((1, 2, 7, 11), (1, 2, *coarse))
    fine, kept = neck(maps)
    assert torch.equal(kept, maps[1])
    for row in range(7):
        for column in range(11):
            over = maps[1][:, :, row * coarse[0] // 7, column * coarse[1] // 11]
            assert torch.equal(fine[:, :, row, column], maps[0][:, :, row, column] + over)


def test_what_the_coarsest_map_shows_reaches_the_finest() -> None:
    torch.manual_seed(0)
    neck, maps = FPN((2, 3, 4), 5), pyramid_of((1, 2, 16, 16), (1, 3, 8, 8), (1, 4, 4, 4))
    changed = neck([*maps[:2], maps[2] + 1])[0] - neck(maps)[0]
    assert changed.abs().amax((0, 1)).min() > 0


def test_coarser_maps_are_made_of_the_coarsest() -> None:
    torch.manual_seed(0)
    more, maps = CoarserMaps(2, 2), pyramid_of((1, 2, 14, 10), (1, 2, 7, 5))
    every = more(maps)
    assert all(torch.equal(kept, given) for kept, given in zip(every[:2], maps, strict=True))
    assert [tuple(fmap.shape[2:]) for fmap in every] == [(14, 10), (7, 5), (4, 3), (2, 2)]
    first, second = (partial(nn.functional.conv2d, weight=c.weight, stride=2, padding=1) for c in more.convs)
    assert torch.equal(every[2], first(maps[1]))
    assert torch.equal(every[3], second(every[2].relu()))
    assert not torch.equal(every[2], every[2].relu())
    with torch.device("meta"):
        assert sum(param.numel() for param in CoarserMaps(256, 2).parameters()) == 2 * 590_080
