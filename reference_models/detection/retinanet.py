"""RetinaNet: anchors everywhere on a pyramid, all of them learnt from, by a loss that looks at those it is wrong about.

What is new in the paper: the focal loss. Nearly all of a hundred thousand anchors show background, which is soon known;
the loss of each is weighted by how wrong the network is about it, and nothing has to be drawn or proposed first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.model import Model, Prediction, Raw, Size, Target
from reference_models.parts.anchors import DetectionRules, anchor_shapes, assign, by_anchor, detect, grid_anchors
from reference_models.parts.assignment import NEITHER
from reference_models.parts.backbones import ResNet, resnet
from reference_models.parts.blocks import BasicBlock, ConvBlock, FrozenBatchNorm2d, Norm, init_he
from reference_models.parts.necks import FPN, CoarserMaps

_TORCHVISION = "torchvision 0.28.0 weights meta RetinaNet_ResNet50_FPN_Weights.COCO_V1"
_MODEL_ZOO = "detectron2 MODEL_ZOO.md, model id 190397773"

CARD = Card(
    name="retinanet",
    title="RetinaNet",
    field="detection",
    citation='Lin, Goyal, Girshick, He and Dollár, "Focal Loss for Dense Object Detection", ICCV 2017',
    published=(
        Published(
            *("params", 34_014_999, "count"),
            conditions="classes=91; P6 from P5; frozen norms are buffers",
            source=_TORCHVISION,
            verified="yes",
        ),
        Published(
            *("macs", 151.540437248, "GMACs"),
            input="1x3x800x800",
            conditions="classes=91; P6 from P5",
            source=_TORCHVISION,
            verified="yes",
        ),
        Published(*("accuracy", 36.4, "%"), "box AP", "COCO val2017", source=_TORCHVISION, verified="source"),
        Published(*("accuracy", 37.4, "%"), "box AP", "COCO val2017", source=_MODEL_ZOO, verified="source"),
        Published(*("accuracy", 35.7, "%"), "box AP", "COCO", source="paper", verified="memory"),
        Published(
            *("latency", 0.041, "s"),
            conditions="hw=V100; batch=1; stage=inference_on_dataset",
            source="detectron2 MODEL_ZOO.md",
            verified="source",
        ),
        Published(
            *("latency", 153, "ms"), conditions="hw=M40; batch=1; ResNet-50-800", source="paper", verified="memory"
        ),
    ),
    deviations=(
        "Blocks of the backbone have their stride in the 3 × 3 convolution, those of the paper in the first one.",
        "The first of the coarser maps is made from P5, as in the published weights; in the paper from C5.",
        "Anchors that overlap an object most stand for it, however little that is, as for the published weights.",
        "The smooth L1 loss of boxes turns linear at 1/9, as in proposal networks; the paper names no number.",
        "Towers begin with weights drawn as by He et al., which are larger than those of the paper.",
        "paper: 91 classes, as the published weights have, of which COCO uses 80.",
        "nano: four basic blocks with norms that learn, nothing is pooled before them.",
        "nano: towers of two layers in place of four, with group norms.",
        "nano: maps of strides 4, 8 and 16 and none coarser, with two sides of anchors for each in place of three.",
    ),
)

FOCUS = 2.0
"""Power of the error by which the loss of an anchor is weighted, γ of the paper."""

SHARE = 0.25
"""Weight of objects, α of the paper; that of background is the rest."""

RARE = -math.log(99)
"""Logit of 0.01, of which all anchors begin: otherwise background drowns everything in the first steps."""

POSITIVE, NEGATIVE = 0.5, 0.4
"""IoU from which on an anchor stands for an object, and below which it shows background."""

BEND = 1 / 9
"""Where the loss of boxes turns from square to linear."""

WEIGHTS = (1.0, 1.0, 1.0, 1.0)
"""Of codes."""

RATIOS = (0.5, 1.0, 2.0)
"""Heights of anchors over their widths."""

RULES = DetectionRules()


class RetinaNet(Model):
    """The detector on any residual backbone; numbers are those of the paper by default.

    Parameters
    ----------
    backbone
        Makes the maps.
    classes
        Kinds of objects.
    spec
        What the model is counted on.
    first
        Stage of the backbone that gives the finest map, from 0.
    channels
        Of the pyramid and of the towers.
    coarser
        Maps of the pyramid beyond those of the backbone.
    depth
        Layers of a tower before its output.
    side, sides
        Side of the smallest anchor in cells of its map, and the number of sides up to twice as much.
    norm
        Makes the norms of towers; None, as in the paper, has none.
    """

    def __init__(
        self,
        backbone: ResNet,
        classes: int,
        spec: CountSpec,
        *,
        first: int = 1,
        channels: int = 256,
        coarser: int = 2,
        depth: int = 4,
        side: float = 4,
        sides: int = 3,
        norm: Norm | None = None,
    ) -> None:
        super().__init__(spec)
        self.classes, self.first = classes, first
        strides = backbone.strides[first:]
        self.strides = (*strides, *(strides[-1] * 2**step for step in range(1, coarser + 1)))
        self.sides = tuple(side * 2 ** (step / sides) for step in range(sides))
        self.backbone = backbone
        self.pyramid = FPN(backbone.channels[first:], channels)
        self.coarser = CoarserMaps(channels, coarser)
        shapes = sides * len(RATIOS)
        self.kinds = _tower(channels, depth, shapes * classes, norm, bias=RARE)
        self.boxes = _tower(channels, depth, shapes * 4, norm)

    def forward(self, images: Tensor) -> Raw:
        """For each map, from fine to coarse: logits (B, A, classes), codes of boxes (B, A, 4), and anchors (A, 4)."""
        maps = self.coarser(self.pyramid(self.backbone(self.normalized(images))[self.first :]))
        return {
            "logits": [by_anchor(self.kinds(fmap), self.classes) for fmap in maps],
            "codes": [by_anchor(self.boxes(fmap), 4) for fmap in maps],
            "anchors": [
                grid_anchors(
                    (fmap.shape[2], fmap.shape[3]),
                    (stride, stride),
                    anchor_shapes([side * stride for side in self.sides], RATIOS, fmap.device),
                )
                for fmap, stride in zip(maps, self.strides, strict=True)
            ],
            "size": (images.shape[2], images.shape[3]),
        }

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """Boxes, scores and labels of the objects in each image, the likeliest first."""
        likely = [logits.sigmoid() for logits in raw["logits"]]
        cut = sizes or [raw["size"]] * len(likely[0])
        found = detect(likely, raw["codes"], raw["anchors"], WEIGHTS, cut, RULES)
        return [each.prediction() for each in found]

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Terms ``class`` and ``box``, each over the number of anchors in the batch that stand for objects."""
        assigned = assign(torch.cat(raw["anchors"]), targets, POSITIVE, NEGATIVE, WEIGHTS, each_truth=True)
        logits, codes = torch.cat(raw["logits"], 1), torch.cat(raw["codes"], 1)[assigned.shown]
        kinds = torch.arange(self.classes, device=logits.device)
        wrong = focal_loss(logits, assigned.labels[:, :, None] == kinds)
        known = (assigned.labels != NEITHER)[:, :, None]
        count = assigned.shown.sum().clamp(min=1)
        apart = F.smooth_l1_loss(codes, assigned.codes.to(codes), beta=BEND, reduction="sum")
        return {"class": (wrong * known).sum() / count, "box": apart / count}


def focal_loss(logits: Tensor, shown: Tensor) -> Tensor:
    """The cross entropy of yes or no, weighted by how wrong each answer is.

    Parameters
    ----------
    logits
        Of any shape.
    shown
        Of the same shape, bool: whether the answer is yes.

    Returns
    -------
    Tensor
        Of the same shape.
    """
    signed = torch.where(shown, logits, -logits)
    share = torch.where(shown, SHARE, 1 - SHARE)
    return -share * (-signed).sigmoid() ** FOCUS * F.logsigmoid(signed)


def _tower(channels: int, depth: int, outputs: int, norm: Norm | None, bias: float = 0.0) -> nn.Sequential:
    """What looks at every cell of every map with the same weights."""
    last = nn.Conv2d(channels, outputs, 3, padding=1)
    tower = nn.Sequential(*(ConvBlock(channels, channels, norm=norm) for _ in range(depth)), last).apply(init_he)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.constant_(last.bias, bias)  # type: ignore[arg-type]  # it has a bias
    return tower


def build(size: Literal["nano", "paper"] = "nano", *, classes: int | None = None) -> RetinaNet:
    """The model with random weights.

    Parameters
    ----------
    size
        ``paper`` is ResNet-50 with a pyramid, on 800 × 800 pixels.
    classes
        Kinds of objects; None for the 8 of the scenes, or the 91 of the published weights.
    """
    if size == "paper":
        return RetinaNet(resnet(50, norm=FrozenBatchNorm2d), classes or 91, CountSpec((1, 3, 800, 800)))
    return RetinaNet(
        ResNet(BasicBlock, depths=(1, 1, 1, 1), widths=(12, 24, 48, 72), stem_kernel=3, stem_pool=False),
        classes or 8,
        CountSpec((1, 3, 128, 128)),
        channels=24,
        coarser=0,
        depth=2,
        side=2.5,
        sides=2,
        norm=partial(nn.GroupNorm, 4),
    )
