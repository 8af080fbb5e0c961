"""DeepLabv3: kernels with holes, which see far without making maps smaller, side by side at several sizes of the holes.

Chen, Papandreou, Schroff and Adam, "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017.

What is new in the paper: the atrous pyramid looks at the neighbours of a cell at several distances at once, has batch
norms, and beside them the mean of the whole image, as the widest holes fall off a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.parts.backbones import ResNet
from reference_models.parts.blocks import ConvNorm, init_he
from reference_models.parts.labels import DilatedNetwork, LabelHead
from reference_models.semantic.fcn import DilatedFCN, dilated_backbone

_TORCHVISION = "torchvision 0.28.0, DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1"

CARD = Card(
    name="deeplabv3",
    title="DeepLabv3",
    field="semantic",
    citation=(
        'Chen, Papandreou, Schroff and Adam, "Rethinking Atrous Convolution for Semantic Image Segmentation", '
        "arXiv:1706.05587, 2017"
    ),
    published=(
        Published(
            *("params", 42_004_074, "count"),
            conditions="classes=21;auxiliary head",
            source=_TORCHVISION,
            verified="yes",
        ),
        Published(
            *("macs", 178.721945088, "GMACs"),
            input="1x3x520x520",
            conditions="classes=21;auxiliary head",
            source=_TORCHVISION,
            verified="yes",
        ),
        Published(
            *("accuracy", 66.4, "%"),
            metric="mIoU",
            dataset="COCO val2017 with the labels of VOC",
            source=_TORCHVISION,
            verified="source",
        ),
    ),
    deviations=(
        "As in torchvision, one more 3 × 3 convolution stands behind the pyramid, and a second head learns, too.",
        "The last stage has one dilation; the paper varies it within the stage.",
        "Training and evaluation have one output stride; the paper trains at 16 and evaluates at 8.",
        "No dropout.",
        "nano: three stages of one basic block at a stride of 4, rates of 3, 6 and 9, and no second head.",
    ),
)


class DeepLabV3(DilatedFCN):
    """Says the class of every pixel, by an atrous pyramid on the last map of a dilated network.

    Training takes batches of two images or more: one mean of an image has no variance, which the norm behind it needs.

    Parameters
    ----------
    backbone
        Makes the maps.
    width
        Channels of the pyramid.
    rates
        Of its dilated convolutions.
    classes
        Kinds of pixels.
    spec
        What the model is counted on.
    auxiliary
        Have a second head, on the map before the last one.
    """

    def __init__(
        self, backbone: ResNet, width: int, rates: Sequence[int], classes: int, spec: CountSpec, *, auxiliary: bool
    ) -> None:
        *_, middle, last = backbone.channels
        scores = nn.Conv2d(width, classes, 1)
        head = nn.Sequential(AtrousPyramid(last, width, rates), ConvNorm(width, width), scores).apply(init_he)
        nn.init.normal_(scores.weight, std=0.01)  # undecided at first
        super().__init__(DilatedNetwork(backbone, head, LabelHead(middle, classes) if auxiliary else None), spec)


class AtrousPyramid(nn.Module):
    """Looks at every cell, at its neighbours at several distances, and at the whole image, and merges what it sees.

    Parameters
    ----------
    in_channels
        Of the map.
    width
        Channels of each view, and of what is put out.
    rates
        Distances in cells.
    """

    def __init__(self, in_channels: int, width: int, rates: Sequence[int]) -> None:
        super().__init__()
        views = [ConvNorm(in_channels, width, 1), *(ConvNorm(in_channels, width, dilation=rate) for rate in rates)]
        self.views = nn.ModuleList(views)
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvNorm(in_channels, width, 1))
        self.merge = ConvNorm((len(views) + 1) * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, width, h, w)."""
        views = [view(x) for view in self.views]
        merged: Tensor = self.merge(torch.cat([*views, self.whole(x).expand_as(views[0])], 1))
        return merged


def build(
    size: Literal["nano", "paper"] = "nano", *, classes: int | None = None, auxiliary: bool | None = None
) -> DeepLabV3:
    """The model with random weights.

    Parameters
    ----------
    size
        ``paper`` is ResNet-50 with an output stride of 8.
    classes
        Kinds of pixels; None for the 14 of the scenes, or the 21 of VOC.
    auxiliary
        Have the second head, which is of use in training only; None for `size` ``paper`` alone.
    """
    trunk, spec = dilated_backbone(size)
    if size == "paper":
        return DeepLabV3(trunk, 256, (12, 24, 36), classes or 21, spec, auxiliary=auxiliary is not False)
    return DeepLabV3(trunk, 24, (3, 6, 9), classes or 14, spec, auxiliary=bool(auxiliary))
