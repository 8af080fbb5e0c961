"""Fully convolutional networks: a classifier becomes a network that says the class of every pixel.

Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015.

What is new in the paper: the fully connected layers of a classifier are convolutions, so that it reads images of any
size and puts out a map; transposed convolutions learn to enlarge that map; and on the way up the scores of finer maps
are added, which know where things end. In FCN-8s the finest of these has a stride of 8. The second network here keeps
a stride of 8 by dilation instead, and needs no short cuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.model import Model, Prediction, Raw, Size, Target
from reference_models.parts.backbones import VGG, ResNet, resnet, vgg16
from reference_models.parts.blocks import BasicBlock, ConvBlock, Norm, init_he
from reference_models.parts.labels import DilatedNetwork, LabelHead, label_entropy, label_maps

_DEFINITION = "the layers of the paper, added up"
_TORCHVISION = "torchvision 0.28.0, FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1"
_DILATED = "backbone=resnet50;classes=21;auxiliary head"

CARD = Card(
    name="fcn",
    title="FCN",
    field="semantic",
    citation=(
        'Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015, as FCN-8s'
    ),
    published=(
        Published(
            *("params", 134_489_759, "count"), conditions="FCN-8s;classes=21", source=_DEFINITION, verified="yes"
        ),
        Published(
            *("macs", 181.529034048, "GMACs"),
            input="1x3x500x500",
            conditions="FCN-8s;classes=21;pad=100",
            source=_DEFINITION,
            verified="yes",
        ),
        Published(
            *("accuracy", 62.2, "%"),
            metric="mIoU",
            dataset="VOC2012 test",
            conditions="FCN-8s",
            source="paper",
            verified="memory",
        ),
        Published(
            *("latency", 175, "ms"),
            input="500x500",
            conditions="FCN-8s;batch=1;about",
            source="paper",
            verified="memory",
        ),
        Published(*("params", 35_322_218, "count"), conditions=_DILATED, source=_TORCHVISION, verified="yes"),
        Published(
            *("macs", 152.716512, "GMACs"),
            input="1x3x520x520",
            conditions=_DILATED,
            source=_TORCHVISION,
            verified="yes",
        ),
        Published(
            *("accuracy", 60.5, "%"),
            metric="mIoU of FCN-R50",
            dataset="COCO val2017 with the labels of VOC",
            conditions="backbone=resnet50",
            source=_TORCHVISION,
            verified="source",
        ),
    ),
    deviations=(
        "All is trained at once, not FCN-32s, FCN-16s and FCN-8s one after another; the last enlarging learns, too.",
        "It begins with random weights, not with those of a trained classifier.",
        "The loss is the mean over pixels; the paper sums.",
        "FCN-R50, backbone='resnet50', is a dilated residual network with a second head, as in torchvision.",
        "nano: a VGG of 1, 2, 2, 2 and 2 narrow convolutions, with batch norms and without dropout.",
        "nano: what was fully connected reads 3 × 3 cells and keeps their number: images need no border of 100 pixels.",
        "nano: with backbone='resnet50', three stages of one basic block each, at a stride of 4.",
    ),
)


class FCN8s(Model):
    """Says the class of every pixel: the scores of three maps, each enlarged to the size of the next finer one.

    Parameters
    ----------
    backbone
        Makes maps of strides 1, 2, 4, 8 and 16, and halves them by rounding up.
    width
        Channels of the two hidden layers that were fully connected.
    kernel
        Side of what the first of them reads, odd.
    classes
        Kinds of pixels.
    spec
        What the model is counted on.
    border
        Pixels of nothing around images, so that the first of these layers may make its map smaller; without any it
        keeps the size.
    norm
        Makes a norm behind each of these layers; None, as in the paper, has none.
    dropout
        Share of what these layers say that is hidden in training.
    """

    def __init__(
        self,
        backbone: VGG,
        width: int,
        kernel: int,
        classes: int,
        spec: CountSpec,
        *,
        border: int = 0,
        norm: Norm | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(spec)
        self.border, self.begin = border, kernel // 2 if border else 0
        self.backbone = backbone
        layers: list[nn.Module] = []
        for inputs, side in ((backbone.channels[4], kernel), (width, 1)):
            layers += [ConvBlock(inputs, width, side, padding=0 if border else None, norm=norm), nn.Dropout(dropout)]
        self.connected = nn.Sequential(*layers).apply(init_he)
        read = (width, backbone.channels[3], backbone.channels[2])
        self.scores = nn.ModuleList(nn.Conv2d(channels, classes, 1) for channels in read)
        self.enlarging = nn.ModuleList(Enlarge(classes, factor) for factor in (2, 2, 8))
        for parameter in self.scores.parameters():
            nn.init.zeros_(parameter)

    def forward(self, images: Tensor) -> Raw:
        """Logits (B, classes, H, W)."""
        height, width = images.shape[2:]
        maps = self.backbone(F.pad(self.normalized(images), [self.border] * 4))
        eighth, sixteenth, last = (self.backbone.pool(fmap) for fmap in maps[2:])
        x, begin = self.scores[0](self.connected(last)), self.begin  # in cells of `x`; of `last` at first
        for enlarge, score, finer in zip(self.enlarging, self.scores[1:], (sixteenth, eighth), strict=False):
            x, begin = enlarge(x), 2 * begin - 1
            x = x + _cut_out(score(finer), begin, x)
        x, top = self.enlarging[2](x), self.border - (8 * begin - 4)
        return {"logits": x[:, :, top : top + height, top : top + width]}

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """The label map of each image."""
        return [{"labels": labels} for labels in label_maps(raw["logits"], sizes)]

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The cross entropy of the pixels that have a class."""
        return {"labels": label_entropy(raw["logits"], torch.stack([target["labels"] for target in targets]))}


class Enlarge(nn.ConvTranspose2d):
    """Learns to enlarge scores, and begins as linear interpolation.

    What it puts out reaches half a cell of the input beyond the input on every side.

    Parameters
    ----------
    classes
        Scores of a cell.
    factor
        Even.
    """

    def __init__(self, classes: int, factor: int) -> None:
        super().__init__(classes, classes, 2 * factor, factor, bias=False)
        slope = 1 - (torch.arange(2 * factor) - (factor - 0.5)).abs() / factor
        with torch.no_grad():
            self.weight.copy_(torch.eye(classes)[:, :, None, None] * slope[:, None] * slope)


def _cut_out(fmap: Tensor, begin: int, like: Tensor) -> Tensor:
    """The part of a map that begins at a row and column and has the size of another map; 0 beyond the map."""
    bottom, right = (begin + there - here for here, there in zip(fmap.shape[2:], like.shape[2:], strict=True))
    return F.pad(fmap, (-begin, right, -begin, bottom))


class DilatedFCN(Model):
    """Says the class of every pixel, by one head on the last map of a dilated network.

    Parameters
    ----------
    network
        With its heads.
    spec
        What the model is counted on.
    """

    def __init__(self, network: DilatedNetwork, spec: CountSpec) -> None:
        super().__init__(spec)
        self.network = network

    def forward(self, images: Tensor) -> Raw:
        """Logits (B, classes, H, W), and those of the second head."""
        raw: Raw = self.network(self.normalized(images))
        return raw

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """The label map of each image."""
        return [{"labels": labels} for labels in label_maps(raw["logits"], sizes)]

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The cross entropy of the pixels that have a class, of each head."""
        return self.network.loss(raw, torch.stack([target["labels"] for target in targets]))


def dilated_backbone(size: Literal["nano", "paper"]) -> tuple[ResNet, CountSpec]:
    """The backbone of a dilated network, whose last maps have a stride of 8, or of 4 in the small one; and its spec."""
    if size == "paper":
        return resnet(50, output_stride=8), CountSpec((1, 3, 520, 520))
    trunk = ResNet(BasicBlock, (1, 1, 1), (12, 24, 40), stem_kernel=3, stem_pool=False, output_stride=4)
    return trunk, CountSpec((1, 3, 128, 128))


def build(
    size: Literal["nano", "paper"] = "nano",
    *,
    classes: int | None = None,
    backbone: Literal["vgg16", "resnet50"] = "vgg16",
    auxiliary: bool = True,
) -> FCN8s | DilatedFCN:
    """The model with random weights.

    Parameters
    ----------
    size
        ``paper`` has the published widths.
    classes
        Kinds of pixels; None for the 14 of the scenes, or the 21 of VOC.
    backbone
        ``vgg16`` is FCN-8s; ``resnet50`` is dilated.
    auxiliary
        Of the dilated network: have the second head, which is of use in training only.
    """
    classes = classes or (21 if size == "paper" else 14)
    if backbone == "resnet50":
        trunk, spec = dilated_backbone(size)
        *_, middle, last = trunk.channels
        second = LabelHead(middle, classes) if auxiliary else None
        return DilatedFCN(DilatedNetwork(trunk, LabelHead(last, classes), second), spec)
    if size == "paper":  # the first convolution pads by the hundredth pixel
        spec = CountSpec((1, 3, 500, 500))
        return FCN8s(vgg16(ceil_mode=True), 4096, 7, classes, spec, border=99, dropout=0.5)
    vgg = VGG((1, 2, 2, 2, 2), (8, 16, 32, 64, 96), norm=nn.BatchNorm2d, ceil_mode=True)
    return FCN8s(vgg, 128, 3, classes, CountSpec((1, 3, 128, 128)), norm=nn.BatchNorm2d)
