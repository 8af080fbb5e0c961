"""YOLACT: masks without looking twice: a few prototypes of the whole image, and for each object how to mix them.

What is new in the paper: the mask of an object is a linear combination of prototypes, whose coefficients are said with
its class and box; and Fast NMS, which decides about all boxes in one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.model import Model, Prediction, Raw, Size, Target
from reference_models.parts.anchors import (
    Assigned,
    anchor_shapes,
    assign,
    by_anchor,
    grid_anchors,
    multibox_loss,
)
from reference_models.parts.backbones import ResNet, resnet
from reference_models.parts.blocks import BasicBlock, ConvBlock, init_he
from reference_models.parts.detections import Found
from reference_models.parts.necks import FPN, CoarserMaps
from reference_models.parts.ops import clip_boxes, decode_boxes, fast_nms

_LAYERS = "the layers that the paper and dbolya/yolact name"
_AUTHORS = "dbolya/yolact README.md"

CARD = Card(
    name="yolact",
    title="YOLACT",
    field="instance",
    citation='Bolya, Zhou, Xiao and Lee, "YOLACT: Real-time Instance Segmentation", ICCV 2019',
    published=(
        Published(
            *("params", 31_144_383, "count"),
            conditions="ResNet-50; classes=81; without the layer that only training has",
            source=_LAYERS,
            verified="yes",
        ),
        Published(
            *("macs", 59.140948672, "GMACs"),
            input="1x3x550x550",
            conditions="ResNet-50; classes=81",
            source=_LAYERS,
            verified="yes",
        ),
        Published(
            *("accuracy", 28.2, "%"),
            *("mask AP", "COCO test-dev"),
            conditions="ResNet-50; 550 pixels",
            source=_AUTHORS,
            verified="source",
        ),
        Published(
            *("latency", 42.5, "FPS"),
            conditions="hw=Titan Xp; batch=1; ResNet-50; 550 pixels",
            source=_AUTHORS,
            verified="source",
        ),
    ),
    deviations=(
        "Blocks of the backbone have their stride in the 3 × 3 convolution, those of its paper in the first one.",
        "Anchors have the three shapes of the paper; the authors' code makes squares of three sizes of them.",
        "Masks are learnt as the share of each cell that they cover, not as yes or no.",
        "Masks are cut out at the size of the image, not at that of prototypes.",
        "paper: the paper prints neither parameters nor operations; both are those of the layers that it names.",
        "paper: the layer of the semantic loss, of 20,560 parameters, is not in use after training and not built.",
        "nano: basic blocks, maps of strides 4, 8 and 16 and one coarser, 16 prototypes made by layers of 16 channels.",
        "nano: anchors are two cells wide in place of three, and none stands on the finest map.",
        "nano: at most 24 masks of an image are learnt from in a step, where the paper has 100.",
    ),
)

POSITIVE, NEGATIVE = 0.5, 0.4
"""IoU from which on an anchor stands for an object, and below which it shows background."""

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
"""Of codes of boxes."""

RATIOS = (1.0, 0.5, 2.0)
"""Heights of anchors over their widths."""

BOX_WEIGHT, MASK_WEIGHT = 1.5, 6.125
"""Of the losses of boxes and of masks; those of classes and of the semantic layer count once."""

LEAST, PER_CLASS, OVERLAP, DETECTIONS = 0.05, 200, 0.5, 100
"""Smallest probability of an object, boxes of a class that are compared, IoU from which on the better one suppresses,
and objects that are reported."""


@dataclass(frozen=True)
class Config:
    """Sizes of the network; those of the published one by default.

    Attributes
    ----------
    classes
        Without background.
    first
        Stage of the backbone that gives the finest map, from 0.
    coarser
        Maps beyond those of the backbone.
    anchored
        Finest map with anchors, from 0; prototypes come from the map 0.
    channels
        Of all maps, and of the layers that look at anchors.
    mask_channels, prototypes
        Of the layers that make prototypes, and their number.
    side
        Of a square anchor, in cells of its map.
    learnt
        Masks of an image that are learnt from at most.
    semantic
        Learn classes of pixels from the finest map, too, through a layer that nothing else reads.
    """

    classes: int = 80
    first: int = 1
    coarser: int = 2
    anchored: int = 0
    channels: int = 256
    mask_channels: int = 256
    prototypes: int = 32
    side: float = 3
    learnt: int = 100
    semantic: bool = False


PAPER = Config()
NANO = Config(
    classes=8,
    first=1,
    coarser=1,
    anchored=1,
    channels=32,
    mask_channels=16,
    prototypes=16,
    side=2,
    learnt=24,
    semantic=True,
)


def build(size: Literal["nano", "paper"] = "nano", **options: Any) -> YOLACT:
    """The model with random weights; `options` are fields of `Config`."""
    if size == "paper":
        return YOLACT(resnet(50), replace(PAPER, **options), CountSpec((1, 3, 550, 550)))
    backbone = ResNet(BasicBlock, (1, 1, 1, 1), (16, 32, 48, 64), stem_kernel=3, stem_pool=False)
    return YOLACT(backbone, replace(NANO, **options), CountSpec((1, 3, 128, 128)))


class YOLACT(Model):
    """Objects as anchors with boxes, classes and coefficients, and prototypes of the image that these mix.

    Parameters
    ----------
    backbone
        Makes the maps.
    config
        Sizes.
    spec
        What it is counted on.
    """

    def __init__(self, backbone: ResNet, config: Config, spec: CountSpec) -> None:
        super().__init__(spec)
        self.config = config
        strides, channels, masks = backbone.strides[config.first :], config.channels, config.mask_channels
        self.strides = (*strides, *(strides[-1] * 2**step for step in range(1, config.coarser + 1)))
        self.backbone = backbone
        self.pyramid = FPN(backbone.channels[config.first :], channels)
        self.coarser = CoarserMaps(channels, config.coarser)
        self.prototypes = nn.Sequential(
            ConvBlock(channels, masks),
            ConvBlock(masks, masks),
            ConvBlock(masks, masks),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            ConvBlock(masks, masks),
            ConvBlock(masks, config.prototypes, 1),
        )
        self.tower = ConvBlock(channels, channels)
        shapes = len(RATIOS)
        self.kinds = nn.Conv2d(channels, shapes * (1 + config.classes), 3, padding=1)
        self.boxes = nn.Conv2d(channels, shapes * 4, 3, padding=1)
        self.coefficients = nn.Conv2d(channels, shapes * config.prototypes, 3, padding=1)
        self.semantic = nn.Conv2d(channels, config.classes, 1) if config.semantic else None
        for part in (self.prototypes, self.tower, self.kinds, self.boxes, self.coefficients):
            part.apply(init_he)
        for output in (self.kinds, self.boxes, self.coefficients):
            nn.init.normal_(output.weight, std=0.01)  # undecided at first

    def forward(self, images: Tensor) -> Raw:
        """What A anchors say, and what the image shows.

        ``logits`` (B, A, 1 + classes), background first; ``codes`` of boxes (B, A, 4); ``coefficients`` (B, A, K) in
        [-1, 1]; ``prototypes`` (B, K, h, w), at least 0; ``anchors`` (A, 4); the ``size`` of the images. In training
        mode, the logits of pixels of the finest map, ``semantic`` (B, classes, h / 2, w / 2), if there are such.
        """
        maps = self.coarser(self.pyramid(self.backbone(self.normalized(images))[self.config.first :]))
        anchored = maps[self.config.anchored :]
        seen = [self.tower(fmap) for fmap in anchored]
        kinds, boxes, coefficients = (
            torch.cat([by_anchor(head(fmap), values) for fmap in seen], 1)
            for head, values in (
                (self.kinds, 1 + self.config.classes),
                (self.boxes, 4),
                (self.coefficients, self.config.prototypes),
            )
        )
        raw: Raw = {
            "logits": kinds,
            "codes": boxes,
            "coefficients": coefficients.tanh(),
            "prototypes": self.prototypes(maps[0]),
            "anchors": torch.cat(list(map(self._anchors, anchored, self.strides[self.config.anchored :]))),
            "size": (images.shape[2], images.shape[3]),
        }
        if self.semantic is not None and self.training:
            raw["semantic"] = self.semantic(maps[0])
        return raw

    def _anchors(self, fmap: Tensor, stride: int) -> Tensor:
        shapes = anchor_shapes([self.config.side * stride], RATIOS, fmap.device)
        return grid_anchors((fmap.shape[2], fmap.shape[3]), (stride, stride), shapes)

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """Boxes, scores, labels and masks of each image, the likeliest object first."""
        likely = raw["logits"].softmax(2)[:, :, 1:]
        boxes = decode_boxes(raw["codes"], raw["anchors"], WEIGHTS)
        predictions = []
        for i, size in enumerate(sizes or [raw["size"]] * len(likely)):
            clipped = clip_boxes(boxes[i], size)
            score, row = likely[i].topk(min(PER_CLASS, len(clipped)), 0)  # (best, classes)
            label = torch.arange(score.shape[1], device=row.device).expand_as(row)
            some = (score > LEAST) & (clipped[:, 2:] > clipped[:, :2]).all(1)[row]
            score, row, label = score[some], row[some], label[some]
            kept = fast_nms(clipped[row], score, OVERLAP, label)[:DETECTIONS]
            found = Found(clipped[row[kept]], score[kept], label[kept])
            logits = mix(raw["coefficients"][i, row[kept]], raw["prototypes"][i])
            masks = draw_masks(logits.sigmoid(), found.boxes, self.strides[0] // 2, size)
            predictions.append(found.prediction() | {"masks": masks})
        return predictions

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Terms ``class``, ``box`` and ``mask``, each over the number of anchors in the batch that stand for objects,
        and ``semantic``, over the number of pixels of the finest map, where `forward` gave it.
        """
        assigned = assign(raw["anchors"], targets, POSITIVE, NEGATIVE, WEIGHTS, each_truth=True)
        terms = multibox_loss(raw["logits"], raw["codes"], assigned)
        terms["box"] = BOX_WEIGHT * terms["box"]
        terms["mask"] = MASK_WEIGHT * self._mask_loss(raw, assigned, targets)
        return terms | ({"semantic": self._semantic_loss(raw["semantic"], targets)} if "semantic" in raw else {})

    def _mask_loss(self, raw: Raw, assigned: Assigned, targets: Sequence[Target]) -> Tensor:
        """The mean over anchors of the cross entropy of the cells that the box of their object touches."""
        stride, wrong = self.strides[0] // 2, []
        for prototypes, coefficients, rows, target in zip(
            raw["prototypes"], raw["coefficients"], assigned.rows, targets, strict=True
        ):
            shown = (rows >= 0).nonzero()[:, 0]
            shown = shown[torch.randperm(len(shown), device=shown.device)[: self.config.learnt]]
            size = prototypes.shape[1], prototypes.shape[2]
            expected = coverage(target["masks"], size, stride).to(prototypes)[rows[shown]]
            inside = touched(target["boxes"], size, stride)[rows[shown]]
            said = mix(coefficients[shown], prototypes)
            each = F.binary_cross_entropy_with_logits(said, expected, reduction="none") * inside
            wrong.append(each.sum((1, 2)) / inside.sum((1, 2)).clamp(min=1))
        every = torch.cat(wrong)
        return every.sum() / max(1, len(every))

    def _semantic_loss(self, logits: Tensor, targets: Sequence[Target]) -> Tensor:
        """The cross entropy of yes or no, class by class, over the number of pixels."""
        _, classes, height, width = logits.shape
        shown = []
        for target in targets:
            parts = coverage(target["masks"], (height, width), self.strides[0]).to(logits)
            empty = parts.new_zeros(classes, height, width)
            shown.append(empty.index_add(0, target["labels"], parts).clamp(max=1))
        wrong = F.binary_cross_entropy_with_logits(logits, torch.stack(shown), reduction="none")
        return wrong.sum(1).mean()


def mix(coefficients: Tensor, prototypes: Tensor) -> Tensor:
    """Logits (N, h, w) of the masks that coefficients (N, K) make of prototypes (K, h, w)."""
    return (coefficients @ prototypes.flatten(1)).view(-1, *prototypes.shape[1:])


def coverage(masks: Tensor, cells: Size, stride: int) -> Tensor:
    """The share of each cell (N, h, w) that masks (N, H, W) cover; what is beyond the image is not covered."""
    (rows, columns), (height, width) = cells, masks.shape[1:]
    padded = F.pad(masks[:, None].float(), (0, columns * stride - width, 0, rows * stride - height))
    return F.avg_pool2d(padded, stride)[:, 0]


def touched(boxes: Tensor, cells: Size, stride: int) -> Tensor:
    """Which cells (N, h, w) boxes (N, 4) in pixels reach into."""
    spans = []
    for axis, count in ((1, cells[0]), (0, cells[1])):
        low = torch.arange(count, device=boxes.device) * stride
        spans.append((low < boxes[:, axis + 2, None]) & (low + stride > boxes[:, axis, None]))
    return spans[0][:, :, None] & spans[1][:, None]


def draw_masks(masks: Tensor, boxes: Tensor, stride: int, size: Size) -> Tensor:
    """Masks in an image, bilinear between the centres of cells, cut out by boxes.

    Parameters
    ----------
    masks
        (N, h, w) probabilities.
    boxes
        (N, 4) in pixels.
    stride
        Pixels from one cell to the next.
    size
        (height, width) of the image.

    Returns
    -------
    Tensor
        (N, height, width) bool: pixels with a probability above 0.5 and their centre in the box.
    """
    height, width = size
    enlarged = F.interpolate(masks[:, None], scale_factor=stride, mode="bilinear")[:, 0, :height, :width]
    y, x = (torch.arange(side, device=boxes.device) + 0.5 for side in size)
    down = (y >= boxes[:, 1, None]) & (y <= boxes[:, 3, None])
    across = (x >= boxes[:, 0, None]) & (x <= boxes[:, 2, None])
    return (enlarged > 0.5) & down[:, :, None] & across[:, None]
