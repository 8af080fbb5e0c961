"""CenterNet: objects are points, found as peaks of a heat map, with the sizes of their boxes beside them.

Zhou, Wang and Krähenbühl, "Objects as Points", 2019, with a residual network as backbone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.model import Model, Prediction, Raw, Size, Target
from reference_models.parts.backbones import ResNet, resnet
from reference_models.parts.blocks import BasicBlock
from reference_models.parts.deformable import DeformableConv
from reference_models.parts.heads import ConvHead
from reference_models.parts.ops import clip_boxes
from reference_models.parts.peaks import RARE, draw_peaks, gather_cells, peak_loss, pick_peaks

_AUTHORS = "xingyizhou/CenterNet"
_TIMED = "hw=Titan Xp;batch=1;stage=forward+decode+NMS;no augmentation"

CARD = Card(
    name="centernet",
    title="CenterNet",
    field="detection",
    citation='Zhou, Wang and Krähenbühl, "Objects as Points", arXiv:1904.07850, 2019',
    published=(
        Published("params", 14_437_349, "count", conditions="classes=80", source=_AUTHORS, verified="yes"),
        Published(
            quantity="macs",
            value=13.309181952,
            unit="GMACs",
            input="1x3x512x512",
            conditions="classes=80; a deformable convolution as its two convolutions",
            source=_AUTHORS,
            verified="yes",
        ),
        Published(
            quantity="accuracy",
            value=28.1,
            unit="%",
            metric="box AP",
            dataset="COCO val2017",
            conditions="no augmentation",
            source=f"{_AUTHORS} readme/MODEL_ZOO.md",
            verified="source",
        ),
        Published("latency", 7, "ms", conditions=_TIMED, source=f"{_AUTHORS} readme/MODEL_ZOO.md", verified="source"),
    ),
    deviations=(
        "Sizes are learnt in cells of the heat map, as in the authors' code; the paper says pixels.",
        "Radii of peaks solve the equations of CornerNet exactly; its code, which the authors use, finds larger ones.",
        "Boxes are clipped to the image.",
        "Upsampling begins with random weights, not with bilinear ones.",
        "nano: three stages in place of four, nothing is pooled before them, and one upsampling in place of three.",
    ),
)

DETECTIONS = 100
"""Peaks that are reported of an image, as COCO counts them."""

SIZE_WEIGHT = 0.1
"""Of the loss of sizes."""


class CenterNet(Model):
    """Finds objects as peaks.

    Parameters
    ----------
    backbone
        Its last map is used.
    widths
        Channels of the upsamplings that follow; each doubles the size of the map.
    head_width
        Channels between the two layers of each head.
    classes
        Kinds of objects.
    spec
        What the model is counted on.
    """

    def __init__(self, backbone: ResNet, widths: Sequence[int], head_width: int, classes: int, spec: CountSpec) -> None:
        super().__init__(spec)
        self.stride = backbone.strides[-1] // 2 ** len(widths)
        self.backbone = backbone
        layers: list[nn.Module] = []
        channels = backbone.channels[-1]
        for width in widths:
            layers += [DeformableConv(channels, width), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.ConvTranspose2d(width, width, 4, 2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        self.upsampling = nn.Sequential(*layers)
        self.heat = ConvHead(channels, head_width, classes, bias=RARE)
        self.size = ConvHead(channels, head_width, 2)
        self.offset = ConvHead(channels, head_width, 2)

    def forward(self, images: Tensor) -> Raw:
        """Logits of the heat map (B, classes, h, w); width and height of objects, and x and y of their centres in their
        cells, in cells, (B, 2, h, w) each.
        """
        features = self.upsampling(self.backbone(self.normalized(images))[-1])
        return {"heat": self.heat(features), "size": self.size(features), "offset": self.offset(features)}

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """Boxes, scores and labels of the best `DETECTIONS` peaks; nothing is suppressed."""
        heat: Tensor = raw["heat"].sigmoid()
        peaks = pick_peaks(heat, min(DETECTIONS, heat[0].numel()))
        centre = torch.stack([peaks.columns, peaks.rows], 2) + gather_cells(raw["offset"], peaks.rows, peaks.columns)
        half = gather_cells(raw["size"], peaks.rows, peaks.columns).clamp(min=0) / 2
        boxes = torch.cat([centre - half, centre + half], 2) * self.stride
        whole = (heat.shape[2] * self.stride, heat.shape[3] * self.stride)
        predictions = []
        for i, found in enumerate(peaks.scores > 0):
            clipped = clip_boxes(boxes[i][found], sizes[i] if sizes else whole)
            predictions.append(
                {"boxes": clipped, "scores": peaks.scores[i][found], "labels": peaks.classes[i][found] + 1}
            )
        return predictions

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Terms ``heat``, ``size`` and ``offset``, each over the number of objects in the batch."""
        heat: Tensor = raw["heat"]
        _, classes, height, width = heat.shape
        image = torch.cat([torch.full_like(target["labels"], i) for i, target in enumerate(targets)])
        low, high = (torch.cat([target["boxes"] for target in targets]).to(heat) / self.stride).chunk(2, 1)
        centre, size = (low + high) / 2, high - low
        cell = centre.long().clamp(min=0).minimum(image.new_tensor([width - 1, height - 1]))
        drawn = [
            draw_peaks(cell[own].flip(1), target["labels"], size[own].flip(1), (classes, height, width))
            for own, target in zip((image == i for i in range(len(targets))), targets, strict=True)
        ]
        at = image, slice(None), cell[:, 1], cell[:, 0]
        objects = max(1, len(image))
        return {
            "heat": peak_loss(heat, torch.stack(drawn)),
            "size": SIZE_WEIGHT * (raw["size"][at] - size).abs().sum() / objects,
            "offset": (raw["offset"][at] - (centre - cell)).abs().sum() / objects,
        }


def build(size: Literal["nano", "paper"] = "nano", *, classes: int | None = None) -> CenterNet:
    """The model with random weights.

    Parameters
    ----------
    size
        ``paper`` is ResNet-18 with deformable convolutions on 512 × 512 pixels.
    classes
        Kinds of objects; None for the 8 of the scenes, or the 80 of COCO.
    """
    if size == "paper":
        return CenterNet(resnet(18), (256, 128, 64), 64, classes or 80, CountSpec((1, 3, 512, 512)))
    backbone = ResNet(BasicBlock, depths=(1, 2, 2), widths=(16, 40, 80), stem_kernel=3, stem_pool=False)
    return CenterNet(backbone, (64,), 32, classes or 8, CountSpec((1, 3, 128, 128)))
