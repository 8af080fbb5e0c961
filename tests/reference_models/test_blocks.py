from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from reference_models.parts.blocks import BasicBlock, Bottleneck, ConvBlock, ConvNorm, FrozenBatchNorm2d, init_he


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def trained_norm(channels: int) -> nn.BatchNorm2d:
    """A batch norm that has seen images and has a scale and a shift."""
    norm = nn.BatchNorm2d(channels)
    nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(1))
    nn.init.normal_(norm.bias, generator=torch.Generator().manual_seed(2))
    norm(3 * images(4, channels, 5, 5) + 1)
    return norm.eval()


def test_a_frozen_norm_is_the_loaded_one_in_training_too() -> None:
    loaded, frozen = trained_norm(6), FrozenBatchNorm2d(6)
    frozen.load_state_dict(loaded.state_dict())
    x = images(2, 6, 4, 4)
    for _ in range(2):  # the second time with statistics that the first one could have changed
        assert torch.equal(frozen.train()(x), loaded(x))
    assert not list(frozen.parameters())


def test_a_convolution_with_a_norm_has_the_layers_asked_for() -> None:
    layers = ConvNorm(4, 8, 5, 2, groups=2, dilation=3, norm=partial(nn.GroupNorm, 4), activation=nn.SiLU)
    conv, norm, activation = layers
    assert isinstance(conv, nn.Conv2d)
    assert (conv.groups, conv.dilation, conv.stride, conv.bias) == (2, (3, 3), (2, 2), None)
    assert (type(norm), type(activation)) == (nn.GroupNorm, nn.SiLU)
    assert layers(images(1, 4, 15, 16)).shape == (1, 8, 8, 8)
    assert [type(layer) for layer in ConvNorm(4, 8, activation=None)] == [nn.Conv2d, nn.BatchNorm2d]


def test_a_convolution_has_a_bias_or_a_norm() -> None:
    layers = ConvBlock(4, 8, 5, 2, groups=2, dilation=3, activation=nn.SiLU)
    conv, activation = layers
    assert isinstance(conv, nn.Conv2d)
    assert (conv.groups, conv.dilation, conv.stride) == (2, (3, 3), (2, 2))
    assert conv.bias is not None
    assert type(activation) is nn.SiLU
    assert layers(images(1, 4, 15, 16)).shape == (1, 8, 8, 8)
    assert ConvBlock(4, 8, 3, padding=0)(images(1, 4, 15, 16)).shape == (1, 8, 13, 14)
    conv, norm, activation = ConvBlock(4, 8, norm=nn.BatchNorm2d)
    assert (conv.bias, type(norm), type(activation)) == (None, nn.BatchNorm2d, nn.ReLU)


def test_signals_keep_their_scale_through_many_layers_without_norms() -> None:
    torch.manual_seed(0)
    layers = [
        layer for _ in range(20) for layer in (nn.Conv2d(32, 32, 3, padding=1, padding_mode="circular"), nn.ReLU())
    ]
    network = nn.Sequential(*layers).apply(init_he)
    energy = network(images(4, 32, 8, 8)).square().mean().item()
    assert 0.1 < energy < 10  # of torch's own draw, about (1 / 6) ** 20 is left


BLOCKS = pytest.mark.parametrize("block", [BasicBlock, Bottleneck])


@BLOCKS
def test_a_block_that_keeps_the_shape_adds_its_input(block: type[BasicBlock | Bottleneck]) -> None:
    kept = block(16, 16 // block.expansion)
    nn.init.zeros_(kept.layers[-1][1].weight)
    x = images(1, 16, 6, 6)
    assert torch.equal(kept(x), x.relu())


@BLOCKS
@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_that_changes_the_shape_projects_its_input(block: type[BasicBlock | Bottleneck], stride: int) -> None:
    changed = block(12, 8, stride).eval()
    nn.init.zeros_(changed.layers[-1][1].weight)
    x = images(1, 12, 7, 6)
    expected = nn.functional.conv2d(x, changed.shortcut[0].weight, stride=stride) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(changed(x), expected.relu())
    assert expected.shape[1] == 8 * block.expansion


@BLOCKS
def test_the_stride_is_in_the_first_convolution_of_3_by_3(block: type[BasicBlock | Bottleneck]) -> None:
    convs = [layer for layer in block(12, 8, 2, (3, 5)).layers.modules() if isinstance(layer, nn.Conv2d)]
    found = [(conv.kernel_size[0], conv.stride[0], conv.dilation[0]) for conv in convs]
    assert found == ([(3, 2, 3), (3, 1, 5)] if block is BasicBlock else [(1, 1, 1), (3, 2, 3), (1, 1, 1)])
