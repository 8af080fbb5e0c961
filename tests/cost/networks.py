"""Published networks, written from their papers, with what they are known to cost.

They are as they run in evaluation: dropout and stochastic depth, which cost nothing then and have no parameters, are
left out. The costs are those that torchvision's cards state; papers round theirs more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reference_models.parts.backbones import resnet, resnet_classifier, vgg16, vgg_classifier
from reference_models.parts.blocks import ConvNorm

CLASSES = 1000


class Network(NamedTuple):
    """How to build a network, and its cost for one image of 224 × 224."""

    build: Callable[[], nn.Module]
    params: int
    gmacs: float


def pooled(*layers: nn.Module) -> list[nn.Module]:
    """Layers, and the mean of what they put out."""
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()]


def alexnet() -> nn.Module:
    """Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014: the one-column form."""

    def conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int = 1) -> list[nn.Module]:
        return [nn.Conv2d(in_channels, out_channels, kernel, stride, padding), nn.ReLU()]

    layers = [*conv(3, 64, 11, 4, 2), nn.MaxPool2d(3, 2), *conv(64, 192, 5, 1, 2), nn.MaxPool2d(3, 2)]
    layers += [*conv(192, 384, 3), *conv(384, 256, 3), *conv(256, 256, 3), nn.MaxPool2d(3, 2)]
    layers += [nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Linear(256 * 6 * 6, 4096), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, CLASSES))


class Fire(nn.Module):
    """A narrow 1 × 1 convolution, read by one of 1 × 1 and one of 3 × 3 whose outputs are joined."""

    def __init__(self, in_channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.pointwise = nn.Conv2d(squeezed, expanded, 1)
        self.spatial = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.pointwise(x), self.spatial(x)], 1).relu()


def squeezenet() -> nn.Module:
    """Iandola et al., "SqueezeNet", 2016, in its version 1.1."""
    pool = partial(nn.MaxPool2d, 3, 2, ceil_mode=True)
    layers = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(), Fire(64, 16, 64), Fire(128, 16, 64)]
    layers += [pool(), Fire(128, 32, 128), Fire(256, 32, 128)]
    layers += [pool(), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)]
    return nn.Sequential(*pooled(*layers, nn.Conv2d(512, CLASSES, 1), nn.ReLU()))


class DenseLayer(nn.Module):
    """Adds `growth` channels, computed from all channels so far, to them."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.narrow = nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU(), ConvNorm(in_channels, 4 * growth, 1))
        self.spatial = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.spatial(self.narrow(x))], 1)


def densenet121() -> nn.Module:
    """Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", CVPR 2017."""
    growth, depths, channels = 32, (6, 12, 24, 16), 64
    layers: list[nn.Module] = [ConvNorm(3, channels, 7, 2), nn.MaxPool2d(3, 2, padding=1)]
    for block, depth in enumerate(depths):
        if block:  # a transition halves channels and size
            layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels // 2, 1, bias=False)]
            layers += [nn.AvgPool2d(2)]
            channels //= 2
        layers += [DenseLayer(channels + layer * growth, growth) for layer in range(depth)]
        channels += depth * growth
    return nn.Sequential(*pooled(*layers, nn.BatchNorm2d(channels), nn.ReLU()), nn.Linear(channels, CLASSES))


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate that sees the means of all."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        narrow, wide = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), narrow, nn.SiLU(), wide, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class InvertedResidual(nn.Module):
    """A wide depthwise convolution between narrow ends, added to its input where the shape stays."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int,
        expansion: int,
        activation: Callable[[], nn.Module],
        squeezed: int = 0,
    ) -> None:
        super().__init__()
        wide = expansion * in_channels
        layers: list[nn.Module] = [ConvNorm(in_channels, wide, 1, activation=activation)] if expansion > 1 else []
        layers += [ConvNorm(wide, wide, kernel, stride, groups=wide, activation=activation)]
        layers += [SqueezeExcite(wide, squeezed)] if squeezed else []
        self.layers = nn.Sequential(*layers, ConvNorm(wide, out_channels, 1, activation=None))
        self.added = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.added else self.layers(x)


def inverted_residuals(
    stages: list[tuple[int, int, int, int, int]], activation: Callable[[], nn.Module], *, squeeze: bool
) -> nn.Module:
    """A network of stages (expansion, kernel, stride, channels, depth)."""
    channels = 32
    layers: list[nn.Module] = [ConvNorm(3, channels, 3, 2, activation=activation)]
    for expansion, kernel, stage_stride, width, depth in stages:
        for stride in [stage_stride] + [1] * (depth - 1):
            squeezed = channels // 4 if squeeze else 0
            layers += [InvertedResidual(channels, width, kernel, stride, expansion, activation, squeezed)]
            channels = width
    last = ConvNorm(channels, 1280, 1, activation=activation)
    return nn.Sequential(*pooled(*layers, last), nn.Linear(1280, CLASSES))


def mobilenet_v2() -> nn.Module:
    """Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018."""
    stages = [
        (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 3, 2, 32, 3), (6, 3, 2, 64, 4),
        (6, 3, 1, 96, 3), (6, 3, 2, 160, 3), (6, 3, 1, 320, 1),
    ]  # fmt: skip
    return inverted_residuals(stages, nn.ReLU6, squeeze=False)


def efficientnet_b0() -> nn.Module:
    """Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019."""
    stages = [
        (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
    ]  # fmt: skip
    return inverted_residuals(stages, nn.SiLU, squeeze=True)


class VisionTransformer(nn.Module):
    """Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021.

    The defaults are the base size on patches of 16 × 16. The layers are torch's own, which some devices run as one
    operator.
    """

    def __init__(self, width: int = 768, depth: int = 12, heads: int = 12, size: int = 224, patch: int = 16) -> None:
        super().__init__()
        layer = partial(nn.TransformerEncoderLayer, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, 1 + (size // patch) ** 2, width))
        self.layers = nn.Sequential(*(layer(width, heads, 4 * width) for _ in range(depth)), nn.LayerNorm(width))
        self.head = nn.Linear(width, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patches(images).flatten(2).mT  # (N, patches, width)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.layers(x)[:, 0])


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of a map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """A depthwise convolution, a norm and two layers for each pixel, scaled and added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.pointwise = nn.Sequential(
            nn.LayerNorm(channels), nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )
        self.scale = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        branch = self.scale * self.pointwise(self.spatial(x).permute(0, 2, 3, 1))
        return x + branch.permute(0, 3, 1, 2)


def convnext_tiny() -> nn.Module:
    """Liu et al., "A ConvNet for the 2020s", CVPR 2022."""
    layers: list[nn.Module] = [nn.Conv2d(3, 96, 4, 4), ChannelNorm(96)]
    for stage, depth in enumerate((3, 3, 9, 3)):
        channels = 96 * 2**stage
        if stage:
            layers += [ChannelNorm(channels // 2), nn.Conv2d(channels // 2, channels, 2, 2)]
        layers += [ConvNeXtBlock(channels) for _ in range(depth)]
    return nn.Sequential(*pooled(*layers), nn.LayerNorm(channels), nn.Linear(channels, CLASSES))


class WindowAttention(nn.Module):
    """Attention among the pixels of each window of a map (N, H, W, C), whose sides are multiples of the window's.

    Windows may be shifted, around the border of the map; pixels that are no neighbours then do not see each other.
    """

    def __init__(self, width: int, heads: int, shift: int, window: int = 7) -> None:
        super().__init__()
        self.heads, self.shift, self.window = heads, shift, window
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))  # one for each offset of two pixels
        y, x = torch.arange(window).repeat_interleave(window), torch.arange(window).repeat(window)
        dy, dx = (at[:, None] - at + window - 1 for at in (y, x))
        self.register_buffer("offsets", dy * (2 * window - 1) + dx, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        n, h, w, c = x.shape
        shift = self.shift if min(h, w) > self.window else 0
        x = self.windows(x.roll((-shift, -shift), (1, 2)))
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).movedim(-3, 0).transpose(-2, -3)
        scores = q @ k.mT / q.shape[-1] ** 0.5 + self.bias[self.offsets].permute(2, 0, 1)
        if shift:
            scores = scores.masked_fill(self.foreign(h, w, x.device), float("-inf"))
        x = self.out((scores.softmax(-1) @ v).transpose(-2, -3).flatten(-2))
        x = x.unflatten(2, (self.window, -1)).unflatten(1, (h // self.window, -1)).transpose(2, 3)
        return x.reshape(n, h, w, c).roll((shift, shift), (1, 2))

    def windows(self, x: Tensor) -> Tensor:
        """(N, H, W, C) to (N, windows, pixels of a window, C)."""
        x = x.unflatten(2, (-1, self.window)).unflatten(1, (-1, self.window))
        return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)

    def foreign(self, h: int, w: int, device: torch.device) -> Tensor:
        """(windows, 1, pixels, pixels): which pixels the shift brought together from different sides of the map."""
        wrapped = [torch.arange(side, device=device) >= side - self.shift for side in (h, w)]
        region = self.windows((2 * wrapped[0][:, None] + wrapped[1])[None, :, :, None]).flatten(2)[0]
        return (region[:, :, None] != region[:, None])[:, None]


class SwinBlock(nn.Module):
    """Attention in windows, and two layers for each pixel."""

    def __init__(self, width: int, heads: int, shift: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), WindowAttention(width, heads, shift))
        self.pointwise = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        return x + self.pointwise(x)


class PatchMerging(nn.Module):
    """Joins each 2 × 2 pixels of a map (N, H, W, C) into one of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).transpose(2, 3).flatten(3))


class SwinTransformer(nn.Module):
    """Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021.

    The defaults are the tiny size. The sides of the image are multiples of 28 · 2 ** (stages - 1) pixels.
    """

    def __init__(self, width: int = 96, depths: tuple[int, ...] = (2, 2, 6, 2), head_width: int = 32) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        layers: list[nn.Module] = [nn.LayerNorm(width)]
        for stage, depth in enumerate(depths):
            if stage:
                layers += [PatchMerging(width)]
                width *= 2
            layers += [SwinBlock(width, width // head_width, shift=3 * (block % 2)) for block in range(depth)]
        self.layers = nn.Sequential(*layers, nn.LayerNorm(width))
        self.head = nn.Linear(width, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        x = self.layers(self.patches(images).permute(0, 2, 3, 1))
        return self.head(x.mean((1, 2)))


NETWORKS = {
    "alexnet": Network(alexnet, 61_100_840, 0.714),
    "convnext_tiny": Network(convnext_tiny, 28_589_128, 4.456),
    "densenet121": Network(densenet121, 7_978_856, 2.834),
    "efficientnet_b0": Network(efficientnet_b0, 5_288_548, 0.386),
    "mobilenet_v2": Network(mobilenet_v2, 3_504_872, 0.301),
    "resnet18": Network(lambda: resnet_classifier(resnet(18)), 11_689_512, 1.814),
    "resnet34": Network(lambda: resnet_classifier(resnet(34)), 21_797_672, 3.664),
    "resnet50": Network(lambda: resnet_classifier(resnet(50)), 25_557_032, 4.089),
    "resnet101": Network(lambda: resnet_classifier(resnet(101)), 44_549_160, 7.801),
    "squeezenet1_1": Network(squeezenet, 1_235_496, 0.349),
    "swin_t": Network(SwinTransformer, 28_288_354, 4.491),
    "vgg16": Network(lambda: vgg_classifier(vgg16()), 138_357_544, 15.470),
    "vgg16_bn": Network(lambda: vgg_classifier(vgg16(norm=nn.BatchNorm2d)), 138_365_992, 15.470),
    "vit_b_16": Network(VisionTransformer, 86_567_656, 17.564),
}
"""By torchvision's names."""
