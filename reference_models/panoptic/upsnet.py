"""UPSNet: the logits of Mask R-CNN and of a semantic head are put together, and every pixel chooses its segment.

What is new in the paper: a panoptic head without parameters, which classifies pixels into the stuff, the objects of
this image, and what is unknown, so that the two branches learn from what they make together; and a semantic head of
deformable convolutions, which all maps of the pyramid share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.detection.faster_rcnn import nano_backbone, sizes_of
from reference_models.instance import mask_rcnn
from reference_models.instance.mask_rcnn import MaskRCNN
from reference_models.model import Prediction, Raw, Size, Target
from reference_models.parts.backbones import ResNet, resnet
from reference_models.parts.blocks import Norm
from reference_models.parts.deformable import DeformableConv
from reference_models.parts.labels import VOID, enlarged, label_entropy
from reference_models.parts.ops import nms, roi_align
from reference_models.parts.region_heads import crop_masks
from reference_models.parts.regions import parts_of

DEFINITION = "the layers that the paper and its code give, added up"
README = "uber-research/UPSNet README.md"

CARD = Card(
    name="upsnet",
    title="UPSNet",
    field="panoptic",
    citation='Xiong et al., "UPSNet: A Unified Panoptic Segmentation Network", CVPR 2019',
    published=(
        Published(
            *("params", 44_969_177, "count"), conditions="things=80; outputs=133", source=DEFINITION, verified="yes"
        ),
        Published(*("params", 46.1e6, "count"), conditions="ResNet-50", source="paper", verified="memory"),
        Published(
            *("macs", 216.839721216, "GMACs"),
            input="1x3x800x800",
            conditions="proposals=1000; masks=100; things=80; outputs=133; a deformable convolution as two",
            source=f"{DEFINITION}: Mask R-CNN 187.310281216 and the semantic head 29.52944",
            verified="yes",
        ),
        Published(*("accuracy", 42.5, "%"), "PQ", "COCO val2017", source=README, verified="source"),
        Published(*("accuracy", 59.3, "%"), "PQ", "Cityscapes val", source=README, verified="source"),
        Published(
            *("latency", 171, "ms"), conditions="COCO; batch=1; input=800x1300", source="paper", verified="memory"
        ),
    ),
    deviations=(
        *mask_rcnn.DEVIATIONS,
        "The panoptic head sees logits at the size of the image, in training, too.",
        "A true object is made unknown with a probability of 0.3, where the paper takes 30 % of them.",
        "Pixels of a thing that is no object, as in a crowd, have no segment to learn.",
        "From memory: weights of the terms beside those of Mask R-CNN, rules of pruning, the 30 % that are left out.",
        "Logits of masks are cut at ± 13.8 when objects are put together.",
        "Ids of categories are 1 + the label, things before stuff.",
        "paper: the text says 46.1 M parameters (from memory), the layers make 44,969,177; nothing explains the rest.",
        "nano: the network of Mask R-CNN nano, a semantic head with 16 channels and group norms, stuff from 64 pixels.",
        "nano: the terms of labels and of segments count 0.5, since no weights are trained before.",
    ),
)


@dataclass(frozen=True)
class Config(mask_rcnn.Config):
    """Sizes of the network, and the rules of the panoptic head; those of the published model by default.

    Attributes
    ----------
    stuff
        Classes of stuff.
    width
        Channels of the semantic head for each map.
    groups
        Of its norms; 0 for none.
    semantic_weight, region_weight, panoptic_weight
        Of the cross entropy of labels, of labels in true boxes, and of segments.
    region_side
        Cells of the labels in a true box.
    unseen
        Probability with which a true object is left out, for its pixels to be known as unknown.
    overlap
        Objects whose boxes have a larger IoU are the same, whatever their classes are.
    least
        Score from which on an object takes part.
    hidden
        Share of a mask that likelier ones of its class may cover; with more it is dropped.
    smallest
        Pixels that a class of stuff must have.
    """

    classes: int = 80
    dead: bool = False
    stuff: int = 53
    width: int = 128
    groups: int = 0
    semantic_weight: float = 0.2
    region_weight: float = 0.2
    panoptic_weight: float = 0.1
    region_side: int = 28
    unseen: float = 0.3
    overlap: float = 0.5
    least: float = 0.6
    hidden: float = 0.3
    smallest: int = 4096


PAPER = Config()
NANO = Config(
    **vars(mask_rcnn.NANO),
    stuff=6,
    width=16,
    groups=4,
    semantic_weight=0.5,
    panoptic_weight=0.5,
    region_side=14,
    smallest=64,
)

NOBODY = -1
"""Stands for a channel where a pixel has none."""

CERTAIN = 1e-6
"""Probabilities are at least so far from 0 and 1 when they become logits again."""


def build(size: Literal["nano", "paper"] = "nano", **options: Any) -> UPSNet:
    """The model with random weights; `options` are fields of `Config`."""
    if size == "paper":
        return UPSNet(resnet(50), replace(PAPER, **options), mask_rcnn.PAPER_SPEC)
    return UPSNet(nano_backbone(), replace(NANO, **options), mask_rcnn.NANO_SPEC)


class DeformableHead(nn.Module):
    """Scores of classes for every cell of the finest map of a pyramid, from all maps, which share the convolutions.

    Parameters
    ----------
    maps
        Number of maps that are read, the finest first.
    channels
        Of the maps.
    width
        Channels of the two convolutions.
    outputs
        Classes.
    norm
        Makes a norm behind each convolution; None, as in the paper, has none.
    """

    def __init__(self, maps: int, channels: int, width: int, outputs: int, norm: Norm | None = None) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, own in pairwise((channels, width, width)):
            conv = DeformableConv(inputs, own, weighted=False, bias=False)
            layers += [conv, *([norm(own)] if norm else []), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.scores = nn.Conv2d(maps * width, outputs, 1)
        nn.init.normal_(self.scores.weight, std=0.01)  # undecided at first
        if self.scores.bias is not None:
            nn.init.zeros_(self.scores.bias)
        self.count = maps

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (B, channels, h[i], w[i]), from fine to coarse, to (B, outputs, h[0], w[0])."""
        seen = [self.layers(fmap) for fmap in maps[: self.count]]
        scores: Tensor = self.scores(torch.cat([seen[0], *(enlarged(each, seen[0]) for each in seen[1:])], 1))
        return scores


class UPSNet(MaskRCNN):
    """Mask R-CNN with a semantic head, and what makes segments of both.

    Parameters
    ----------
    backbone
        Makes the maps.
    config
        Sizes and rules.
    spec
        What it is counted on.
    """

    config: Config

    def __init__(self, backbone: ResNet, config: Config, spec: CountSpec) -> None:
        super().__init__(backbone, config, spec)
        norm = partial(nn.GroupNorm, config.groups) if config.groups else None
        sizes = len(self.pooling.strides), config.channels, config.width, config.classes + config.stuff
        self.semantic_head = DeformableHead(*sizes, norm)

    def forward(self, images: Tensor) -> Raw:
        """What Mask R-CNN puts out, and logits of things and then stuff in the cells of the finest map, (B, things +
        stuff, h, w).
        """
        raw = super().forward(images)
        return raw | {"semantic": self.semantic_head(raw["maps"])}

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """The map of each image with the ids of its segments, and the list of these."""
        semantic = enlarged(raw["semantic"], raw["images"])
        found = zip(raw["boxes"], raw["scores"], raw["classes"], raw["masks"], strict=True)
        return [
            self._segments(scores[:, :height, :width], *objects)
            for scores, objects, (height, width) in zip(semantic, found, sizes_of(raw, sizes), strict=True)
        ]

    def _segments(self, semantic: Tensor, boxes: Tensor, scores: Tensor, classes: Tensor, masks: Tensor) -> Prediction:
        """The segments of an image, from logits (things + stuff, H, W) and the objects with masks as probabilities."""
        rules = self.config
        kept = nms(boxes, scores, rules.overlap)
        kept = kept[scores[kept] > rules.least]
        drawn, inside = spread(masks[kept].logit(CERTAIN), boxes[kept], (semantic.shape[1], semantic.shape[2]))
        rows = apart(drawn > 0, classes[kept], rules.hidden)
        kept, drawn, inside = kept[rows], drawn[rows], inside[rows]
        channel = panoptic_logits(semantic.to(drawn), classes[kept], drawn, inside, rules.stuff).argmax(0)
        stuff = torch.arange(rules.stuff, device=channel.device)
        categories = torch.cat([rules.classes + stuff, classes[kept]]) + 1  # of all channels but the last
        least = torch.where(categories > rules.classes, rules.smallest, 1)
        area = channel.flatten().bincount(minlength=len(categories) + 1)
        shown = F.pad(area[:-1] >= least, (0, 1))  # what is unknown is no segment
        ids = shown.cumsum(0) * shown
        found = zip(ids[shown].tolist(), categories[shown[:-1]].tolist(), strict=True)
        return {"map": ids[channel], "segments": [{"id": k, "category_id": category} for k, category in found]}

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The terms of Mask R-CNN, and the cross entropies of labels, of labels in true boxes, and of segments."""
        rules, semantic = self.config, raw["semantic"]
        boxes = [target["boxes"].to(semantic) for target in targets]
        labels = [target["semantic"].long() for target in targets]
        whole = enlarged(semantic, raw["images"])
        inner = roi_align(semantic, boxes, rules.region_side, self.pooling.strides[0])
        expected = [
            crop_masks(own.expand(len(each), -1, -1), each, rules.region_side, VOID)
            for own, each in zip(labels, boxes, strict=True)
        ]
        return super().loss(raw, targets) | {
            "semantic": rules.semantic_weight * label_entropy(whole, torch.stack(labels)),
            "region_semantic": rules.region_weight * label_entropy(inner, torch.cat(expected)),
            "panoptic": rules.panoptic_weight * self._loss_of_segments(raw["maps"], whole, targets),
        }

    def _loss_of_segments(self, maps: Sequence[Tensor], semantic: Tensor, targets: Sequence[Target]) -> Tensor:
        """The mean cross entropy of the pixels that have a segment, from the true boxes and classes."""
        boxes, classes = [target["boxes"].to(semantic) for target in targets], [target["labels"] for target in targets]
        masks = parts_of(self.mask_logits(maps, boxes, torch.cat(classes)), boxes)
        total, pixels = semantic.new_zeros(()), 0
        for own, each, box, mask, target in zip(semantic, classes, boxes, masks, targets, strict=True):
            seen = torch.rand(len(box), device=box.device) >= self.config.unseen
            drawn = spread(mask[seen], box[seen], (own.shape[1], own.shape[2]))
            logits = panoptic_logits(own, each[seen], *drawn, self.config.stuff)
            expected = channels_of(target, seen, self.config)
            total = total + F.cross_entropy(logits[None], expected[None], ignore_index=NOBODY, reduction="sum")
            pixels += int((expected != NOBODY).sum())
        return total / max(1, pixels)

    def count_heads(self, spec: CountSpec, maps: Sequence[Tensor]) -> Iterator[str]:
        """Run what reads the maps of a pyramid."""
        yield from super().count_heads(spec, maps)
        yield "semantic"
        self.semantic_head(maps)


def panoptic_logits(semantic: Tensor, classes: Tensor, drawn: Tensor, inside: Tensor, stuff: int) -> Tensor:
    """The panoptic head: logits of each class of stuff, of each object, and of what is unknown.

    Stuff has the logit of its class. An object has that of its class within its box and that of its mask, and elsewhere
    0. What is unknown looks more like some thing than like any of the objects.

    Parameters
    ----------
    semantic
        (things + stuff, H, W).
    classes
        (N,) of the objects.
    drawn, inside
        (N, H, W) logits of their masks and where their boxes are, as `spread` gives them.
    stuff
        Classes of stuff.

    Returns
    -------
    Tensor
        (stuff + N + 1, H, W).
    """
    things, rest = semantic[:-stuff], semantic[-stuff:]
    seen = things[classes] * inside
    likeliest = seen.amax(0) if len(seen) else torch.zeros_like(things[0])
    return torch.cat([rest, seen + drawn, (things.amax(0) - likeliest)[None]])


def spread(masks: Tensor, boxes: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Masks drawn at the size of their boxes into an image: bilinear between the centres of their cells.

    Parameters
    ----------
    masks
        (N, M, M) logits.
    boxes
        (N, 4).
    size
        Height and width of the image.

    Returns
    -------
    tuple of Tensor
        Logits (N, H, W), 0 outside of boxes, and the pixels (N, H, W) bool whose centres are within the boxes. The
        outermost cells reach up to the border of a box.
    """
    x, y = (
        (torch.arange(side, device=boxes.device) + 0.5 - boxes[:, i, None])
        / (boxes[:, i + 2] - boxes[:, i]).clamp(min=1e-6)[:, None]
        for i, side in ((0, size[1]), (1, size[0]))
    )
    inside = ((y >= 0) & (y <= 1))[:, :, None] & ((x >= 0) & (x <= 1))[:, None]
    places = [2 * x[:, None].expand_as(inside) - 1, 2 * y[:, :, None].expand_as(inside) - 1]
    drawn = F.grid_sample(masks[:, None], torch.stack(places, -1), padding_mode="border", align_corners=False)[:, 0]
    return drawn * inside, inside


def apart(masks: Tensor, classes: Tensor, hidden: float) -> Tensor:
    """Rows of masks that likelier ones of their class do not hide.

    Parameters
    ----------
    masks
        (N, H, W) bool, the likeliest first.
    classes
        (N,)
    hidden
        A mask is dropped of which those that are kept cover a larger share; so is an empty one.
    """
    kept: list[int] = []
    covered: dict[int, Tensor] = {}
    for row, (mask, label) in enumerate(zip(masks, classes.tolist(), strict=True)):
        before, area = covered.get(label, torch.zeros_like(mask)), int(mask.sum())
        if area and int((mask & before).sum()) <= hidden * area:
            kept.append(row)
            covered[label] = before | mask
    return torch.tensor(kept, dtype=torch.int64, device=masks.device)


def channels_of(target: Target, seen: Tensor, config: Config) -> Tensor:
    """The channel of `panoptic_logits` that each pixel should choose.

    Parameters
    ----------
    target
        Labels of pixels, and masks of N objects, which share no pixel.
    seen
        (N,) bool: objects that have a channel; the others are unknown.
    config
        Numbers of classes.

    Returns
    -------
    Tensor
        (H, W) int64; `NOBODY` where labels are void, or a thing is no object.
    """
    labels = target["semantic"].long()
    stuff = (labels >= config.classes) & (labels != VOID)
    channels = torch.where(stuff, labels - config.classes, NOBODY)
    own = torch.where(seen, seen.cumsum(0) - 1, seen.sum()) + config.stuff
    owned = (target["masks"] * (own + 1)[:, None, None]).sum(0)
    return torch.where(owned > 0, owned - 1, channels)
