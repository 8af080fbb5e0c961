"""SSD: one look at six maps of one network, from fine to coarse, says what every default box shows.

What is new in the paper: maps of falling size each find the objects of their own size, without any proposal; the first
one is scaled to a norm that is learnt, and of the many boxes of background only the hardest are learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.model import Model, Prediction, Raw, Size, Target
from reference_models.parts.anchors import (
    DetectionRules,
    anchor_shapes,
    assign,
    by_anchor,
    detect,
    grid_anchors,
    multibox_loss,
)
from reference_models.parts.backbones import VGG, vgg16
from reference_models.parts.blocks import ConvBlock, Norm, init_he

_COCO = "torchvision 0.28.0 weights meta SSD300_VGG16_Weights.COCO_V1"
_VOC = "torchvision 0.28.0 ssd300_vgg16 num_classes=21"

CARD = Card(
    name="ssd",
    title="SSD300",
    field="detection",
    citation='Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016',
    published=(
        Published(*("params", 35_641_826, "count"), conditions="classes=91", source=_COCO, verified="yes"),
        Published(
            *("macs", 34.858153472, "GMACs"),
            input="1x3x300x300",
            conditions="classes=91",
            source=_COCO,
            verified="yes",
        ),
        Published(*("params", 26_285_486, "count"), conditions="classes=21", source=_VOC, verified="yes"),
        Published(
            *("macs", 31.373537792, "GMACs"),
            input="1x3x300x300",
            conditions="classes=21",
            source=_VOC,
            verified="yes",
        ),
        Published(*("accuracy", 25.1, "%"), "box AP", "COCO val2017", source=_COCO, verified="source"),
        Published(*("accuracy", 74.3, "%"), "mAP@0.5", "VOC2007 test", source="paper", verified="memory"),
        Published(
            *("accuracy", 77.2, "%"),
            *("mAP@0.5", "VOC2007 test"),
            conditions="images are also made smaller in training",
            source="paper",
            verified="memory",
        ),
        Published(*("latency", 46, "FPS"), conditions="hw=Titan X; batch=1", source="paper", verified="memory"),
    ),
    deviations=(
        "Layers without trained weights begin with weights drawn as by He et al., those of the paper as by Glorot.",
        "Default boxes keep their sides in pixels when images are of another size than 300 × 300.",
        "Of each map the likeliest 400 pairs of a box and a class are compared; the authors compare 400 of each class.",
        "Training shows images as they are; the paper cuts parts out of them and changes their colours.",
        "paper: 90 classes and the background, as the published weights have; with 20 it is the network for VOC.",
        "paper: sides of default boxes are those for COCO, as in the authors' code.",
        "nano: a backbone of six layers in place of thirteen, with batch norms, as have all added layers.",
        "nano: four maps from stride 4 to 32 in place of six from stride 8 on.",
        "nano: the likeliest 100 boxes of each map are compared, and at most 100 reported in place of 200.",
    ),
)

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
"""Of codes."""

OVERLAP = 0.5
"""IoU from which on a default box stands for an object; all others show background."""

RULES = DetectionRules(least=0.01, per_map=400, overlap=0.45, most=200)
NANO_RULES = replace(RULES, per_map=100, most=100)

FEW, MANY = (1, 2, 1 / 2), (1, 2, 1 / 2, 3, 1 / 3)
"""Heights of default boxes over their widths: there are two squares, so four and six boxes in a cell."""


class L2Norm(nn.Module):
    """Scales the values of each cell to length 1, and each channel by what is learnt.

    Maps of different depth have values of different size; so heads on a shallow one learn at the rate of the others.

    Parameters
    ----------
    channels
        Of the map.
    scale
        Of each channel at first.

    References
    ----------
    Liu, Rabinovich and Berg, "ParseNet: Looking Wider to See Better", 2015.
    """

    def __init__(self, channels: int, scale: float = 20.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        return F.normalize(x) * self.scale[:, None, None]


class SSD(Model):
    """The detector on any VGG backbone, which is looked at before its last pooling and at its end.

    Parameters
    ----------
    backbone
        Makes the first maps.
    classes
        Kinds of objects.
    spec
        What the model is counted on.
    width
        Channels of the two layers that follow the backbone.
    extras
        For each further map the channels of a 1 × 1 convolution, those of a 3 × 3 convolution, and the stride of the
        latter, which is padded if it is 2.
    sides
        Of square default boxes in pixels, for each map; the second square of a map has the geometric mean of its own
        and the next, so there is one more than maps.
    ratios
        Of default boxes, for each map.
    norm
        Makes the norms behind added layers; None, as in the paper, has none.
    rules
        Of what is reported.
    """

    def __init__(
        self,
        backbone: VGG,
        classes: int,
        spec: CountSpec,
        *,
        width: int,
        extras: Sequence[tuple[int, int, int]],
        sides: Sequence[float],
        ratios: Sequence[Sequence[float]],
        norm: Norm | None = None,
        rules: DetectionRules = RULES,
    ) -> None:
        super().__init__(spec)
        self.classes, self.sides, self.ratios, self.rules = classes, tuple(sides), tuple(ratios), rules
        self.backbone = backbone
        self.scaled = L2Norm(backbone.channels[-2])
        self.wide = nn.Sequential(
            nn.MaxPool2d(3, 1, padding=1),
            ConvBlock(backbone.channels[-1], width, 3, dilation=6, norm=norm),
            ConvBlock(width, width, 1, norm=norm),
        )
        channels = [backbone.channels[-2], width]
        self.extras = nn.ModuleList()
        for narrow, out, stride in extras:
            squeeze = ConvBlock(channels[-1], narrow, 1, norm=norm)
            self.extras.append(nn.Sequential(squeeze, ConvBlock(narrow, out, 3, stride, padding=stride - 1, norm=norm)))
            channels.append(out)
        shapes = [1 + len(own) for own in self.ratios]
        self.kinds, self.boxes = (
            nn.ModuleList(nn.Conv2d(c, n * values, 3, padding=1) for c, n in zip(channels, shapes, strict=True))
            for values in (1 + classes, 4)
        )
        for added in (self.wide, self.extras, self.kinds, self.boxes):
            added.apply(init_he)
        for last in (*self.kinds, *self.boxes):
            nn.init.normal_(last.weight, std=0.01)  # undecided at first

    def maps(self, images: Tensor) -> list[Tensor]:
        """The maps that are looked at, (B, channels, h, w) from fine to coarse."""
        *_, fine, last = self.backbone(self.normalized(images))
        maps = [self.scaled(fine), self.wide(last)]
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        return maps

    def forward(self, images: Tensor) -> Raw:
        """For each map: logits of background and classes (B, A, 1 + classes), codes (B, A, 4), and anchors (A, 4)."""
        maps, size = self.maps(images), (images.shape[2], images.shape[3])
        return {
            "logits": [by_anchor(kinds(fmap), 1 + self.classes) for kinds, fmap in zip(self.kinds, maps, strict=True)],
            "codes": [by_anchor(boxes(fmap), 4) for boxes, fmap in zip(self.boxes, maps, strict=True)],
            "anchors": [self.anchors(k, fmap, size) for k, fmap in enumerate(maps)],
            "size": size,
        }

    def anchors(self, k: int, fmap: Tensor, size: Size) -> Tensor:
        """The default boxes (A, 4) of the map `k` in images of `size`, over which its cells are spread evenly."""
        rows, columns = fmap.shape[2:]
        side, between = self.sides[k], (self.sides[k] * self.sides[k + 1]) ** 0.5
        shapes = [anchor_shapes([side], self.ratios[k], fmap.device), anchor_shapes([between], [1], fmap.device)]
        return grid_anchors((rows, columns), (size[0] / rows, size[1] / columns), torch.cat(shapes))

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """Boxes, scores and labels of the objects in each image, the likeliest first."""
        likely = [logits.softmax(2)[:, :, 1:] for logits in raw["logits"]]
        cut = sizes or [raw["size"]] * len(likely[0])
        found = detect(likely, raw["codes"], raw["anchors"], WEIGHTS, cut, self.rules)
        return [each.prediction() for each in found]

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Terms ``class`` and ``box`` of `multibox_loss`."""
        assigned = assign(torch.cat(raw["anchors"]), targets, OVERLAP, OVERLAP, WEIGHTS, each_truth=True)
        return multibox_loss(torch.cat(raw["logits"], 1), torch.cat(raw["codes"], 1), assigned)


def build(size: Literal["nano", "paper"] = "nano", *, classes: int | None = None) -> SSD:
    """The model with random weights.

    Parameters
    ----------
    size
        ``paper`` is VGG-16 on 300 × 300 pixels.
    classes
        Kinds of objects; None for the 8 of the scenes, or the 90 of the published weights.
    """
    if size == "paper":
        return SSD(
            *(vgg16(ceil_mode=True), classes or 90, CountSpec((1, 3, 300, 300))),
            width=1024,
            extras=((256, 512, 2), (128, 256, 2), (128, 256, 1), (128, 256, 1)),
            sides=(21, 45, 99, 153, 207, 261, 315),
            ratios=(FEW, MANY, MANY, MANY, FEW, FEW),
        )
    return SSD(
        *(VGG((1, 1, 2, 2), (8, 16, 32, 48), norm=nn.BatchNorm2d), classes or 8, CountSpec((1, 3, 128, 128))),
        width=64,
        extras=((32, 64, 2), (32, 64, 2)),
        sides=(10, 18, 32, 52, 80),
        ratios=(FEW, MANY, MANY, FEW),
        norm=nn.BatchNorm2d,
        rules=NANO_RULES,
    )
