"""Published networks, written from their definitions, whose parameters and multiply-accumulates are known.

AlexNet: Krizhevsky, *One weird trick for parallelizing convolutional neural networks*, 2014. VGG: Simonyan and
Zisserman, ICLR 2015. ResNet: He et al., CVPR 2016, with the stride of a bottleneck in its 3 × 3 convolution.
EfficientNet: Tan and Le, ICML 2019.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

CLASSES = 1000


def alexnet() -> nn.Module:
    sizes = [(64, 11, 4, 2), "pool", (192, 5, 1, 2), "pool", (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1), "pool"]
    layers: list[nn.Module] = []
    channels = 3
    for size in sizes:
        if isinstance(size, str):
            layers.append(nn.MaxPool2d(3, 2))
        else:
            layers += [nn.Conv2d(channels, *size), nn.ReLU(inplace=True)]
            channels = size[0]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(6), nn.Flatten(), classifier(256 * 36))


def vgg16() -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), classifier(512 * 49))


def classifier(features: int) -> nn.Module:
    widths = (features, 4096, 4096, CLASSES)
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Dropout(), nn.Linear(a, b), nn.ReLU(inplace=True))]
    return nn.Sequential(*layers[:-1])


def conv_norm(into: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out)
    )


class Residual(nn.Module):
    """The block of a ResNet: two 3 × 3 convolutions, or a bottleneck of 1 × 1, 3 × 3 and 1 × 1."""

    def __init__(self, into: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        out = width * 4 if bottleneck else width
        if bottleneck:
            convs = [conv_norm(into, width, 1), conv_norm(width, width, 3, stride), conv_norm(width, out, 1)]
        else:
            convs = [conv_norm(into, width, 3, stride), conv_norm(width, out, 3)]
        self.convs = nn.ModuleList(convs)
        self.shortcut = conv_norm(into, out, 1, stride) if stride > 1 or into != out else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for conv in self.convs[:-1]:
            y = self.relu(conv(y))
        return self.relu(self.convs[-1](y) + self.shortcut(x))


def resnet(blocks: tuple[int, ...], bottleneck: bool) -> nn.Module:
    layers: list[nn.Module] = [conv_norm(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        for block in range(count):
            stride = 2 if stage and not block else 1
            layers.append(Residual(channels, width, stride, bottleneck))
            channels = width * 4 if bottleneck else width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))


class Squeeze(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, squeezed, 1), nn.SiLU(),
            nn.Conv2d(squeezed, channels, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class Inverted(nn.Module):
    """The block of a MobileNet: wide and depthwise inside, narrow outside."""

    def __init__(self, into: int, out: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        width = into * expand
        widen = [conv_norm(into, width, 1), nn.SiLU()] if expand > 1 else []
        depthwise = [conv_norm(width, width, kernel, stride, groups=width), nn.SiLU()]
        self.body = nn.Sequential(*widen, *depthwise, Squeeze(width, into // 4), conv_norm(width, out, 1))
        self.skip = stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.skip else y


def efficientnet_b0() -> nn.Module:
    stages = (
        (1, 16, 1, 3, 1), (6, 24, 2, 3, 2), (6, 40, 2, 5, 2), (6, 80, 3, 3, 2),
        (6, 112, 3, 5, 1), (6, 192, 4, 5, 2), (6, 320, 1, 3, 1),
    )  # fmt: skip
    layers: list[nn.Module] = [conv_norm(3, 32, 3, 2), nn.SiLU()]
    channels = 32
    for expand, width, count, kernel, stride in stages:
        for block in range(count):
            layers.append(Inverted(channels, width, kernel, 1 if block else stride, expand))
            channels = width
    head = [conv_norm(320, 1280, 1), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, CLASSES)]
    return nn.Sequential(*layers, *head)
