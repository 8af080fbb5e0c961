"""Published networks, written from their papers, with what they are known to cost.

They are as they run in evaluation: dropout and stochastic depth, which cost nothing then and have no parameters, are
left out. The costs are those that torchvision's cards state; papers round theirs more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from reference_models.parts.backbones import resnet, resnet_classifier, vgg16, vgg_classifier

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


NETWORKS = {
    "alexnet": Network(alexnet, 61_100_840, 0.714),
    "resnet18": Network(lambda: resnet_classifier(resnet(18)), 11_689_512, 1.814),
    "resnet34": Network(lambda: resnet_classifier(resnet(34)), 21_797_672, 3.664),
    "resnet50": Network(lambda: resnet_classifier(resnet(50)), 25_557_032, 4.089),
    "resnet101": Network(lambda: resnet_classifier(resnet(101)), 44_549_160, 7.801),
    "vgg16": Network(lambda: vgg_classifier(vgg16()), 138_357_544, 15.470),
    "vgg16_bn": Network(lambda: vgg_classifier(vgg16(norm=nn.BatchNorm2d)), 138_365_992, 15.470),
}
"""By torchvision's names."""
