"""Panoptic FPN: Mask R-CNN and a semantic head on one pyramid, merged so that every pixel has one owner.

What is new in the paper: the semantic head, which brings all maps of the pyramid to the size of the finest one and adds
them up, and that one backbone is enough for things and stuff.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cvbench.cost.spec import CountSpec
from cvbench.records import Published
from reference_models.card import Card
from reference_models.detection.faster_rcnn import nano_backbone
from reference_models.instance import mask_rcnn
from reference_models.instance.mask_rcnn import MaskRCNN
from reference_models.model import Prediction, Raw, Size, Target
from reference_models.parts.backbones import ResNet, resnet
from reference_models.parts.blocks import ConvNorm, init_he
from reference_models.parts.labels import VOID, enlarged, label_entropy

MODEL_ZOO = "detectron2 MODEL_ZOO.md, model id 139514544"
DEFINITION = "the layers that the paper and mmdetection give, added up: nobody printed a whole number"

CARD = Card(
    name="panoptic_fpn",
    title="Panoptic FPN",
    field="panoptic",
    citation='Kirillov, Girshick, He and Dollár, "Panoptic Feature Pyramid Networks", CVPR 2019',
    published=(
        Published(
            *("params", 46_027_110, "count"), conditions="things=80; outputs=54", source=DEFINITION, verified="yes"
        ),
        Published(
            *("macs", 206.571721216, "GMACs"),
            input="1x3x800x800",
            conditions="proposals=1000; masks=100; things=80; outputs=54",
            source=DEFINITION,
            verified="yes",
        ),
        Published(*("accuracy", 39.4, "%"), "PQ", "COCO panoptic val2017", source=MODEL_ZOO, verified="source"),
        Published(
            *("latency", 0.053, "s"),
            conditions="hw=V100; batch=1; stage=inference_on_dataset",
            source="detectron2 MODEL_ZOO.md",
            verified="source",
        ),
    ),
    deviations=(
        *mask_rcnn.DEVIATIONS,
        "Maps are enlarged to the size of the next finer map, which differs from twice their own for odd sizes.",
        "Ids of categories are 1 + the label, things before stuff.",
        "nano: the network of Mask R-CNN nano, a semantic head with 32 channels, stuff from 64 pixels on.",
    ),
)


@dataclass(frozen=True)
class Config(mask_rcnn.Config):
    """Sizes of the network, and the rules of merging; those of the published model by default.

    Attributes
    ----------
    stuff
        Classes of stuff.
    width, groups
        Channels of the semantic head, and groups of its norms.
    weight
        Of the semantic term of the loss.
    least
        Score from which on an object takes part.
    hidden
        Share of an object that likelier ones may cover; with more it is dropped.
    smallest
        Pixels that a class of stuff must have left.
    """

    classes: int = 80
    dead: bool = False
    stuff: int = 53
    width: int = 128
    groups: int = 32
    weight: float = 0.5
    least: float = 0.5
    hidden: float = 0.5
    smallest: int = 4096


PAPER = Config()
NANO = Config(**vars(mask_rcnn.NANO), stuff=6, width=32, groups=8, smallest=64)


def build(size: Literal["nano", "paper"] = "nano", **options: Any) -> PanopticFPN:
    """The model with random weights; `options` are fields of `Config`."""
    if size == "paper":
        return PanopticFPN(resnet(50), replace(PAPER, **options), mask_rcnn.PAPER_SPEC)
    return PanopticFPN(nano_backbone(), replace(NANO, **options), mask_rcnn.NANO_SPEC)


class SemanticHead(nn.Module):
    """Scores of classes for every cell of the finest map of a pyramid: all maps, brought to its size, are added.

    Parameters
    ----------
    maps
        Number of maps, each about half the size of the one before.
    channels
        Of the maps.
    width, groups
        Of the convolutions and of their norms.
    outputs
        Classes.
    """

    def __init__(self, maps: int, channels: int, width: int, groups: int, outputs: int) -> None:
        super().__init__()
        self.ways = nn.ModuleList(WayUp(level, channels, width, groups) for level in range(maps))
        self.scores = nn.Conv2d(width, outputs, 1)
        self.apply(init_he)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (B, channels, h[i], w[i]), from fine to coarse, to (B, outputs, h[0], w[0])."""
        scores: Tensor = self.scores(torch.stack([way(maps) for way in self.ways]).sum(0))
        return scores


class WayUp(nn.Module):
    """Convolves a map and enlarges it twofold, until it has the size of the finest; that one is convolved once.

    Parameters
    ----------
    level
        Of the map; 0 is the finest.
    channels
        Of the map.
    width, groups
        As in `SemanticHead`.
    """

    def __init__(self, level: int, channels: int, width: int, groups: int) -> None:
        super().__init__()
        self.level = level
        widths = [channels] + [width] * max(1, level)
        norm = partial(nn.GroupNorm, groups)
        self.convs = nn.ModuleList(ConvNorm(a, b, norm=norm) for a, b in pairwise(widths))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """All maps to (B, width, h[0], w[0])."""
        x = maps[self.level]
        for step, conv in enumerate(self.convs, 1):
            x = conv(x)
            if self.level:
                x = enlarged(x, maps[self.level - step])
        return x


class PanopticFPN(MaskRCNN):
    """Mask R-CNN with a semantic head, whose first output stands for all things.

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
        levels = len(self.pooling.strides)
        self.semantic_head = SemanticHead(levels, config.channels, config.width, config.groups, 1 + config.stuff)

    def forward(self, images: Tensor) -> Raw:
        """What Mask R-CNN puts out, and logits of things and stuff, (B, 1 + stuff, H, W)."""
        raw = super().forward(images)
        return raw | {"semantic": enlarged(self.semantic_head(raw["maps"]), images)}

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """The map of each image with the ids of its segments, and the list of these."""
        merged = []
        for found, logits in zip(super().postprocess(raw, sizes), raw["semantic"], strict=True):
            height, width = found["masks"].shape[1:]
            merged.append(merge(found, logits[:, :height, :width].argmax(0), self.config))
        return merged

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """The terms of Mask R-CNN, and the cross entropy of labels with its weight."""
        labels = torch.stack([target["semantic"] for target in targets]).long()
        outputs = (labels - self.config.classes + 1).clamp(min=0).masked_fill(labels == VOID, VOID)
        term = self.config.weight * label_entropy(raw["semantic"], outputs)
        return super().loss(raw, targets) | {"semantic": term}

    def count_heads(self, spec: CountSpec, maps: Sequence[Tensor]) -> Iterator[str]:
        """Run what reads the maps of a pyramid."""
        yield from super().count_heads(spec, maps)
        yield "semantic"
        scores = self.semantic_head(maps)
        height, width = spec.shapes[0][2:]
        enlarged(scores, scores.new_empty(1, 1, height, width))


def merge(found: Prediction, labels: Tensor, config: Config) -> Prediction:
    """One owner for every pixel: the likeliest object, or else the stuff that is seen there, or nobody.

    Parameters
    ----------
    found
        Objects, the likeliest first: masks (N, H, W), scores, and labels that are ids of categories.
    labels
        (H, W) outputs of the semantic head: 0 for a thing, which says no more, else 1 + the class of stuff.
    config
        The rules.

    Returns
    -------
    Prediction
        ``map`` (H, W) int64 with 0 for nobody, and ``segments``: dicts of id and category_id.
    """
    owner = torch.zeros_like(labels)
    segments: list[dict[str, int]] = []

    def give(pixels: Tensor, category: int) -> None:
        segments.append({"id": len(segments) + 1, "category_id": category})
        owner[pixels] = len(segments)

    for mask, score, category in zip(found["masks"], found["scores"].tolist(), found["labels"].tolist(), strict=True):
        free = mask & (owner == 0)
        area = int(mask.sum())
        if score >= config.least and area and int(free.sum()) >= (1 - config.hidden) * area:
            give(free, category)
    for stuff in range(1, config.stuff + 1):
        free = (labels == stuff) & (owner == 0)
        if int(free.sum()) >= config.smallest:
            give(free, config.classes + stuff)
    return {"map": owner, "segments": segments}
