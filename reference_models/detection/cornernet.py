"""CornerNet: an object is a pair of corners, each found as a peak of a heat map, and paired by what is said of it.

What is new in the paper: no anchors and no centres, but corners; embeddings, a number for each corner that is about the
same for the two of one object; and corner pooling, which lets a corner, where there is often nothing to see, see what
touches the sides of its box.
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
from reference_models.parts.blocks import BasicBlock, ConvNorm, init_he
from reference_models.parts.detections import Found
from reference_models.parts.heads import ConvHead
from reference_models.parts.hourglasses import Hourglass
from reference_models.parts.ops import clip_boxes, soft_nms
from reference_models.parts.peaks import RARE, Peaks, draw_peaks, gather_cells, peak_loss, pick_peaks

_AUTHORS = "princeton-vl/CornerNet"
_OTHERS = "mmdetection configs/cornernet/metafile.yml"

CARD = Card(
    name="cornernet",
    title="CornerNet",
    field="detection",
    citation='Law and Deng, "CornerNet: Detecting Objects as Paired Keypoints", ECCV 2018',
    published=(
        Published(*("params", 201_035_212, "count"), conditions="classes=80", source=_AUTHORS, verified="yes"),
        Published(
            *("macs", 343.172186112, "GMACs"),
            input="1x3x511x511",
            conditions="classes=80; heads of the last stack only",
            source=_AUTHORS,
            verified="yes",
        ),
        Published(
            *("accuracy", 41.2, "%"),
            metric="box AP",
            dataset="COCO val2017",
            conditions="single scale with flip",
            source=_OTHERS,
            verified="source",
        ),
        Published(
            *("accuracy", 40.5, "%"),
            metric="box AP",
            dataset="COCO test-dev",
            conditions="single scale with flip",
            source="paper",
            verified="memory",
        ),
        Published(*("latency", 4.2, "FPS"), conditions="hw=V100;batch=1;FP32", source=_OTHERS, verified="source"),
        Published(*("latency", 244, "ms"), conditions="hw=Titan X;batch=1", source="paper", verified="memory"),
    ),
    deviations=(
        "Radii of peaks solve the equations of the paper exactly; its code finds larger ones.",
        "They leave an IoU of 0.7, as the first version of the paper says; a later one says 0.3.",
        "Embeddings are compared over all objects and pairs of a batch together, not image by image.",
        "Boxes are clipped to the image, and those without an area are dropped.",
        "Images are not mirrored in evaluation.",
        "paper: the GMACs are those of evaluation, in which only the last stack says where corners are.",
        "nano: one stack, four sizes of 16 to 64 channels with one block on each way, heads of 32, a stem of 3 × 3.",
    ),
)

CORNERS = 100
"""Peaks of each kind of corner that pairs are made of."""

APART = 0.5
"""Corners are of two objects if their embeddings differ by more."""

PAIRS = 1000
"""Of the best pairs, which soft suppression is made of."""

DETECTIONS = 100
"""Objects that are reported of an image, as COCO counts them."""

GROUP_WEIGHT = 0.1
"""Of the losses of embeddings."""


@dataclass(frozen=True)
class Config:
    """Sizes of the network; those of the published one by default.

    Attributes
    ----------
    classes
        Kinds of objects.
    stacks
        Hourglasses, one after another.
    stem_kernel, stem_width
        Side and channels of the first convolution.
    widths, depths
        Of each hourglass, see `Hourglass`.
    pooled
        Channels of each direction of corner pooling.
    head_width
        Channels between the two layers of each head.
    """

    classes: int = 80
    stacks: int = 2
    stem_kernel: int = 7
    stem_width: int = 128
    widths: tuple[int, ...] = (256, 256, 384, 384, 384, 512)
    depths: tuple[int, ...] = (2, 2, 2, 2, 2, 4)
    pooled: int = 128
    head_width: int = 256


PAPER = Config()
NANO = Config(
    classes=8,
    stacks=1,
    stem_kernel=3,
    stem_width=16,
    widths=(16, 32, 48, 64),
    depths=(1, 1, 1, 1),
    pooled=16,
    head_width=32,
)


def build(size: Literal["nano", "paper"] = "nano", **options: Any) -> CornerNet:
    """The model with random weights; `options` are fields of `Config`."""
    if size == "paper":
        return CornerNet(replace(PAPER, **options), CountSpec((1, 3, 511, 511)))
    return CornerNet(replace(NANO, **options), CountSpec((1, 3, 128, 128)))


def corner_pool(x: Tensor, axis: int, *, onward: bool) -> Tensor:
    """The largest value from each cell on to the end of its row or column.

    Parameters
    ----------
    x
        (B, C, H, W).
    axis
        -1 along rows, -2 along columns.
    onward
        To the last cell, as seen from a top left corner; otherwise to the first one.

    Returns
    -------
    Tensor
        Of the shape of `x`.

    Examples
    --------
    >>> corner_pool(torch.tensor([[[[2, 1, 3, 0]]]]), -1, onward=True).flatten().tolist()
    [3, 3, 3, 0]
    """
    return x.flip(axis).cummax(axis).values.flip(axis) if onward else x.cummax(axis).values


class CornerHead(nn.Module):
    """Says where one kind of corner is, of which object, and where in its cell.

    A residual block, whose first convolution is replaced by corner pooling in both directions, stands before the heads.

    Parameters
    ----------
    config
        Sizes.
    onward
        Top left corners, which look to the right and down; otherwise bottom right ones.
    """

    def __init__(self, config: Config, *, onward: bool) -> None:
        super().__init__()
        channels, pooled, width = config.widths[0], config.pooled, config.head_width
        self.onward = onward
        self.across, self.down = ConvNorm(channels, pooled), ConvNorm(channels, pooled)
        self.pooled = ConvNorm(pooled, channels, activation=None)
        self.shortcut = ConvNorm(channels, channels, 1, activation=None)
        self.smooth = ConvNorm(channels, channels)
        self.apply(init_he)
        self.heat = ConvHead(channels, width, config.classes, bias=RARE)
        self.embedding = ConvHead(channels, width, 1)
        self.offset = ConvHead(channels, width, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, channels, h, w) to logits (B, classes, h, w), embeddings (B, 1, h, w) and offsets (B, 2, h, w)."""
        sides = corner_pool(self.across(x), -1, onward=self.onward) + corner_pool(self.down(x), -2, onward=self.onward)
        seen = self.smooth(F.relu(self.pooled(sides) + self.shortcut(x)))
        return self.heat(seen), self.embedding(seen), self.offset(seen)


class CornerHeads(nn.ModuleList):
    """The heads of top left and of bottom right corners."""

    def __init__(self, config: Config) -> None:
        super().__init__(CornerHead(config, onward=onward) for onward in (True, False))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, channels, h, w) to logits, embeddings and offsets as of `CornerHead`, (B, 2, …, h, w) each."""
        return [torch.stack(pair, 1) for pair in zip(*(corner(x) for corner in self), strict=True)]


class Merge(nn.Module):
    """What the next hourglass reads, from what the last one read and what it made of that."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.read, self.made = (ConvNorm(channels, channels, 1, activation=None) for _ in range(2))
        self.block = BasicBlock(channels, channels)

    def forward(self, read: Tensor, made: Tensor) -> Tensor:
        """Two maps (B, channels, h, w) to one."""
        merged: Tensor = self.block(F.relu(self.read(read) + self.made(made)))
        return merged


class CornerNet(Model):
    """Finds objects as pairs of corners.

    In training mode every stack says where corners are, otherwise only the last one.

    Parameters
    ----------
    config
        Sizes.
    spec
        What it is counted on.
    """

    stride = 4
    """Pixels from one cell of a heat map to the next."""

    def __init__(self, config: Config, spec: CountSpec) -> None:
        super().__init__(spec)
        width, channels = config.stem_width, config.widths[0]
        self.stem = nn.Sequential(ConvNorm(3, width, config.stem_kernel, 2), BasicBlock(width, channels, 2))
        self.hourglasses = nn.ModuleList(
            nn.Sequential(Hourglass(config.widths, config.depths, BasicBlock, pool=False), ConvNorm(channels, channels))
            for _ in range(config.stacks)
        )
        self.merges = nn.ModuleList(Merge(channels) for _ in range(config.stacks - 1))
        self.apply(init_he)
        self.heads = nn.ModuleList(CornerHeads(config) for _ in range(config.stacks))

    def forward(self, images: Tensor) -> Raw:
        """What S stacks say of top left and bottom right corners.

        Logits ``heat`` (B, S, 2, classes, h, w); ``embedding`` (B, S, 2, 1, h, w); ``offset`` (B, S, 2, 2, h, w), x and
        y in the cell, in cells; and the ``size`` of the images.
        """
        x = self.stem(self.normalized(images))
        features = [self.hourglasses[0](x)]
        for merge, hourglass in zip(self.merges, self.hourglasses[1:], strict=True):
            x = merge(x, features[-1])
            features.append(hourglass(x))
        asked = self.heads if self.training else self.heads[-1:]
        said = [heads(seen) for heads, seen in zip(asked, features[-len(asked) :], strict=True)]
        heat, embedding, offset = (torch.stack(each, 1) for each in zip(*said, strict=True))
        return {"heat": heat, "embedding": embedding, "offset": offset, "size": tuple(images.shape[2:])}

    def postprocess(self, raw: Raw, sizes: Sequence[Size] | None = None) -> list[Prediction]:
        """Boxes, scores and labels of the best `DETECTIONS` pairs of corners, as the last stack sees them."""
        (first, low, one), (second, high, other) = (self._corners(raw, corner) for corner in (0, 1))
        pairs = (first.classes[:, :, None] == second.classes[:, None]) & ((one - other.mT).abs() <= APART)
        pairs &= (first.scores > 0)[:, :, None] & (second.scores > 0)[:, None]
        scores = (first.scores[:, :, None] + second.scores[:, None]) / 2
        predictions = []
        for i, size in enumerate(sizes or [raw["size"]] * len(pairs)):
            a, b = pairs[i].nonzero(as_tuple=True)
            boxes, score = clip_boxes(torch.cat([low[i, a], high[i, b]], 1), size), scores[i, a, b]
            real = (boxes[:, 2:] > boxes[:, :2]).all(1).nonzero()[:, 0]
            best = real[score[real].argsort(descending=True, stable=True)[:PAIRS]]
            kinds = first.classes[i, a[best]]
            picked, left = soft_nms(boxes[best], score[best], DETECTIONS, kinds)
            predictions.append(Found(boxes[best[picked]], left, kinds[picked]).prediction())
        return predictions

    def _corners(self, raw: Raw, corner: int) -> tuple[Peaks, Tensor, Tensor]:
        """The best peaks of a kind of corner, where they are, (B, K, 2) in pixels, and their embeddings (B, K, 1)."""
        heat, embedding, offset = (raw[name][:, -1, corner] for name in ("heat", "embedding", "offset"))
        peaks = pick_peaks(heat.sigmoid(), min(CORNERS, heat[0].numel()))
        cells = torch.stack([peaks.columns, peaks.rows], 2)
        places = (cells + gather_cells(offset, peaks.rows, peaks.columns)) * self.stride
        return peaks, places, gather_cells(embedding, peaks.rows, peaks.columns)

    def loss(self, raw: Raw, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Terms ``heat``, ``pull``, ``push`` and ``offset``: sums over both corners, means over stacks and objects."""
        heat: Tensor = raw["heat"]
        batch, stacks, _, classes, height, width = heat.shape
        labels = torch.cat([target["labels"] for target in targets])
        image = torch.cat([torch.full_like(target["labels"], i) for i, target in enumerate(targets)])
        boxes = torch.cat([target["boxes"] for target in targets]).to(heat) / self.stride
        places = boxes.view(-1, 2, 2)  # (N, corners, xy)
        cells = places.long().clamp(min=0).minimum(image.new_tensor([width - 1, height - 1]))

        corner = torch.arange(2, device=image.device)
        planes = (2 * image[:, None] + corner) * classes + labels[:, None]
        spans = (places[:, 1] - places[:, 0]).flip(1).repeat_interleave(2, 0)
        shape = batch * 2 * classes, height, width
        drawn = draw_peaks(cells.flip(2).flatten(0, 1), planes.flatten(), spans, shape)
        expected = drawn.view(batch, 2, classes, height, width)

        stack = torch.arange(stacks, device=image.device)[:, None]
        at = image[:, None, None], stack, corner, slice(None), cells[:, None, :, 1], cells[:, None, :, 0]
        count = max(1, len(image)) * stacks
        moved = F.smooth_l1_loss(
            raw["offset"][at], (places - cells)[:, None].expand(-1, stacks, -1, -1), reduction="sum"
        )
        pull, push = group_loss(raw["embedding"][at][..., 0], image)
        heats = [2 * peak_loss(said, expected) for said in heat.unbind(1)]  # 2: over objects, not over corners
        return {"heat": torch.stack(heats).mean(), "pull": pull, "push": push, "offset": moved / count}


def group_loss(embeddings: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """How far apart the embeddings of an object are, and how close those of two objects of one image, weighted.

    Parameters
    ----------
    embeddings
        (N, S, 2) of the corners of N objects by S stacks.
    image
        (N,) int64: which image an object is in.

    Returns
    -------
    tuple of Tensor
        The mean over objects of the squared distances of both corners to their mean, and the mean over ordered pairs of
        objects of an image of what is missing to a distance of 1 between their means.
    """
    mean = embeddings.mean(2)
    stacks = embeddings.shape[1]
    pull = (embeddings - mean[:, :, None]).square().sum() / (max(1, len(image)) * stacks)
    pairs = (image[:, None] == image).fill_diagonal_(False)
    missing = (1 - (mean[:, None] - mean[None]).abs()).clamp(min=0) * pairs[:, :, None]
    push = missing.sum() / (pairs.sum().clamp(min=1) * stacks)
    return GROUP_WEIGHT * pull, GROUP_WEIGHT * push
