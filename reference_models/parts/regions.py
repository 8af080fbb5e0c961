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
from typing import NamedTuple

import torch
from torch import Tensor

from reference_models.parts.ops import roi_align

Regions = list[Tensor]


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
        """(R, C, size, size): RoIAlign of regions in maps (B, C, h, w); there may be more maps than strides."""
        if maps[0].is_meta:  # all maps cost the same
            return roi_align(maps[0], regions, size, self.strides[0])
        boxes = torch.cat(regions)
        level, image = self.levels(boxes), image_of(regions)
        pooled, rows = [], []
        for k, stride in enumerate(self.strides):
            own = [((level == k) & (image == b)).nonzero()[:, 0] for b in range(len(regions))]
            pooled.append(roi_align(maps[k], [boxes[each] for each in own], size, stride))
            rows += own
        return torch.cat(pooled)[torch.cat(rows).argsort()]


def image_of(regions: Regions) -> Tensor:
    """(R,) the image of each region."""
    counts = torch.tensor([len(boxes) for boxes in regions], device=regions[0].device)
    return torch.arange(len(regions), device=counts.device).repeat_interleave(counts)


def parts_of(rows: Tensor, regions: Regions) -> tuple[Tensor, ...]:
    """The rows (R, …) of each image."""
    return torch.split(rows, [len(boxes) for boxes in regions])
