"""Operations of several models that have no weights: boxes, pooling of regions, masks, peaks.

Conventions
-----------
Boxes are (x1, y1, x2, y2) in pixels of the image, where pixel i spans [i, i + 1): a box over a whole image is
(0, 0, width, height). Cell i of a feature map of stride s spans [i s, (i + 1) s), and its value stands at its centre.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Boxes ---------------------------------------------------------------------------------------------------------------


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes (N, 4) with boxes (M, 4): (N, M) in [0, 1]; 0 where the union is empty."""
    sides = torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(a[:, None, :2], b[None, :, :2])
    common = sides.clamp(min=0).prod(2)
    union = box_area(a)[:, None] + box_area(b)[None] - common
    return torch.where(union > 0, common / union, torch.zeros_like(union))


def box_area(boxes: Tensor) -> Tensor:
    """Areas (N,) of boxes (N, 4); 0 where the corners are in the wrong order."""
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The boxes (..., 4) within an image of `size` (height, width)."""
    height, width = size
    return torch.stack([boxes[..., i].clamp(0, limit) for i, limit in enumerate((width, height) * 2)], -1)
