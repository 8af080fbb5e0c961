"""Parts of detectors that look twice: a network proposes regions, and heads look at each of them again.

Conventions
-----------
Boxes are those of `reference_models.parts.ops`. Regions are a list with the boxes (R_b, 4) of each image; what is
computed of regions has their rows, image after image. Classes count from 0; heads put the background before them.

How many regions there are depends on pixels. Tensors on ``meta`` have shapes and no values: there nothing is
suppressed, nothing is too unlikely, and each image has as many regions and objects as it may have at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reference_models.parts.anchors import anchor_shapes, by_anchor, grid_anchors
from reference_models.parts.assignment import draw, match
from reference_models.parts.blocks import init_he
from reference_models.parts.ops import clip_boxes, decode_boxes, encode_boxes, nms, roi_align

Regions = list[Tensor]
"""Boxes (R_b, 4) of each image of a batch."""


class Pooling(NamedTuple):
    """How the content of regions is taken from the maps of a pyramid, each region from one of them.

    Attributes
    ----------
    strides
        Pixels from one cell to the next, of each map; every map has twice the stride of the one before.
    cells
        A region is taken from the coarsest map in which it is at least this many cells wide (the geometric mean of its
        sides), and from the finest one if there is none.
    """

    strides: tuple[int, ...]
    cells: int = 14

    def levels(self, boxes: Tensor) -> Tensor:
        """(R,) the map of each box, int64."""
        side = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-6).prod(1).sqrt()
        level = (side / (self.cells * self.strides[0])).log2().floor()
        return level.clamp(0, len(self.strides) - 1).long()

    def __call__(self, maps: Sequence[Tensor], regions: Regions, size: int) -> Tensor:
        """(R, C, size, size): RoIAlign of regions in maps (B, C, h, w); there may be more maps than strides.

        It is done in the precision of the regions, since half of it would move their borders, and comes in that of the
        maps.
        """
        if maps[0].is_meta:  # all maps cost the same
            return roi_align(maps[0].to(regions[0]), regions, size, self.strides[0]).to(maps[0])
        boxes = torch.cat(regions)
        level, image = self.levels(boxes), image_of(regions)
        pooled, rows = [], []
        for k, stride in enumerate(self.strides):
            own = [((level == k) & (image == b)).nonzero()[:, 0] for b in range(len(regions))]
            pooled.append(roi_align(maps[k].to(boxes), [boxes[each] for each in own], size, stride))
            rows += own
        return torch.cat(pooled)[torch.cat(rows).argsort()].to(maps[0])


def image_of(regions: Regions) -> Tensor:
    """(R,) the image of each region."""
    counts = torch.tensor([len(boxes) for boxes in regions], device=regions[0].device)
    return torch.arange(len(regions), device=counts.device).repeat_interleave(counts)


def parts_of(rows: Tensor, regions: Regions) -> tuple[Tensor, ...]:
    """The rows (R, …) of each image."""
    return torch.split(rows, [len(boxes) for boxes in regions])


@dataclass(frozen=True)
class ProposalRules:
    """What is proposed, and from what the proposing network learns; those of the paper by default.

    Attributes
    ----------
    per_map, count
        The best so many anchors of each map of an image are looked at, and the best so many regions of all proposed.
    overlap
        Regions of one map with a larger IoU are the same.
    positive, negative
        IoU from which on an anchor stands for an object, and below which it shows background.
    drawn, share
        Anchors of each image to learn from, and the largest share of them that stands for objects.
    """

    per_map: int = 1000
    count: int = 1000
    overlap: float = 0.7
    positive: float = 0.7
    negative: float = 0.3
    drawn: int = 256
    share: float = 0.5


class ProposalNetwork(nn.Module):
    """Looks at every place of every map, and says where something is, whatever it is.

    Parameters
    ----------
    channels
        Of the maps.
    strides
        Pixels from one cell to the next, of each map.
    sides
        The side of a square anchor, of each map, in pixels.
    rules
        What is proposed and learnt from.
    ratios
        Heights of anchors over their widths.

    References
    ----------
    Ren, He, Girshick and Sun, "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks", NIPS
    2015; on pyramids: Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017.
    """

    WEIGHTS = (1.0, 1.0, 1.0, 1.0)

    def __init__(
        self,
        channels: int,
        strides: Sequence[int],
        sides: Sequence[float],
        rules: ProposalRules,
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
    ) -> None:
        super().__init__()
        self.strides, self.sides, self.ratios, self.rules = tuple(strides), tuple(sides), tuple(ratios), rules
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, len(ratios), 1)
        self.code = nn.Conv2d(channels, 4 * len(ratios), 1)
        self.apply(init_he)
        for output in (self.objectness, self.code):
            nn.init.normal_(output.weight, std=0.01)  # undecided at first

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Logits (B, A) that anchors stand for objects, and codes (B, A, 4) of the objects' boxes, of each map."""
        seen = [F.relu(self.conv(fmap)) for fmap in maps]
        logits = [by_anchor(self.objectness(fmap), 1).flatten(1) for fmap in seen]
        return logits, [by_anchor(self.code(fmap), 4) for fmap in seen]

    def anchors(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The anchors (A, 4) of each map: row by row, all shapes of a cell together, around the centres of cells."""
        return [
            grid_anchors(
                (fmap.shape[2], fmap.shape[3]), (stride, stride), anchor_shapes([side], self.ratios, fmap.device)
            )
            for fmap, stride, side in zip(maps, self.strides, self.sides, strict=True)
        ]

    @torch.no_grad()
    def propose(
        self, logits: Sequence[Tensor], codes: Sequence[Tensor], anchors: Sequence[Tensor], size: tuple[int, int]
    ) -> Regions:
        """The regions of each image, the likeliest first, within images of `size`; nothing is learnt through them."""
        boxes, scores = [], []
        for logit, code, anchor in zip(logits, codes, anchors, strict=True):
            score, best = logit.topk(min(self.rules.per_map, logit.shape[1]))
            chosen = code.gather(1, best[:, :, None].expand(-1, -1, 4))
            boxes.append(clip_boxes(decode_boxes(chosen, anchor[best], self.WEIGHTS), size))
            scores.append(score)
        level = torch.cat([score.new_full((score.shape[1],), k, dtype=torch.int64) for k, score in enumerate(scores)])
        pairs = zip(torch.cat(boxes, 1), torch.cat(scores, 1), strict=True)
        return [box[self._kept(box, score, level)] for box, score in pairs]

    def _kept(self, boxes: Tensor, scores: Tensor, level: Tensor) -> Tensor:
        """Rows of the regions of an image that are proposed; those without an area are not."""
        if boxes.is_meta:
            return torch.arange(min(self.rules.count, len(boxes)), device=boxes.device)
        some = (boxes[:, 2:] > boxes[:, :2]).all(1).nonzero()[:, 0]
        return some[nms(boxes[some], scores[some], self.rules.overlap, level[some])[: self.rules.count]]

    def loss(
        self,
        logits: Sequence[Tensor],
        codes: Sequence[Tensor],
        anchors: Sequence[Tensor],
        truths: Sequence[Tensor],
    ) -> dict[str, Tensor]:
        """How wrong the network is about objects with the boxes `truths`, (G_b, 4) of each image."""
        every, rules = torch.cat(list(anchors)), self.rules
        said, is_object, coded, expected = [], [], [], []
        for logit, code, truth in zip(torch.cat(list(logits), 1), torch.cat(list(codes), 1), truths, strict=True):
            matched = match(truth, every, rules.positive, rules.negative, each_truth=True)
            shown, empty = draw(matched, rules.drawn, rules.share)
            said.append(logit[torch.cat([shown, empty])])
            is_object.append(torch.cat([torch.ones_like(logit[shown]), torch.zeros_like(logit[empty])]))
            coded.append(code[shown])
            expected.append(encode_boxes(truth[matched[shown]], every[shown], self.WEIGHTS))
        drawn = max(1, sum(map(len, said)))
        apart = F.smooth_l1_loss(torch.cat(coded), torch.cat(expected), beta=1 / 9, reduction="sum") / drawn
        missed = F.binary_cross_entropy_with_logits(torch.cat(said), torch.cat(is_object), reduction="sum") / drawn
        return {"proposal": missed, "proposal_box": apart}
