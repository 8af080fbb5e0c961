"""Operations of several models that have no weights: boxes, pooling of regions, masks, peaks.

Conventions
-----------
Boxes are (x1, y1, x2, y2) in pixels of the image, where pixel i spans [i, i + 1): a box over a whole image is
(0, 0, width, height). Cell i of a feature map of stride s spans [i s, (i + 1) s), and its value stands at its centre.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# Boxes ---------------------------------------------------------------------------------------------------------------


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes (N, 4) with boxes (M, 4): (N, M) in [0, 1]; 0 where the union is empty."""
    return paired_iou(a[:, None], b[None])


def paired_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of each box (..., 4) with its partner, shapes broadcast; 0 where the union is empty."""
    width, height = (  # each by itself: 4 times as fast for 1000 × 1000 as a product over a last axis of 2
        torch.minimum(a[..., i + 2], b[..., i + 2]) - torch.maximum(a[..., i], b[..., i]) for i in (0, 1)
    )
    common = width.clamp(min=0) * height.clamp(min=0)
    union = box_area(a) + box_area(b) - common
    return torch.where(union > 0, common / union, torch.zeros_like(union))


def box_area(boxes: Tensor) -> Tensor:
    """Areas (...) of boxes (..., 4); 0 where the corners are in the wrong order."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The boxes (..., 4) within an image of `size` (height, width)."""
    height, width = size
    return torch.stack([boxes[..., i].clamp(0, limit) for i, limit in enumerate((width, height) * 2)], -1)


def nms(boxes: Tensor, scores: Tensor, threshold: float, groups: Tensor | None = None) -> Tensor:
    """Greedy non-maximum suppression: boxes that no better kept box overlaps.

    Parameters
    ----------
    boxes
        (N, 4).
    scores
        (N,); of equal ones the first box goes first.
    threshold
        Boxes whose IoU with a kept one is larger go.
    groups
        (N,) integers: only boxes of one group suppress each other, such as those of one class. None is one group.

    Returns
    -------
    Tensor
        Indices (K,) of the kept boxes, the best first.

    Notes
    -----
    Box by box would be N steps. Here all boxes are decided at once and again, by the boxes that are kept so far, until
    nothing changes. After n rounds the first n boxes are decided as the greedy rule decides them, and what no longer
    changes obeys the rule everywhere; rounds are as many as the longest chain of boxes that decide each other.

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 10, 10], [20, 0, 30, 10]])
    >>> nms(boxes, torch.tensor([0.5, 0.9, 0.1]), threshold=0.5).tolist()
    [1, 2]
    """
    return _suppressed(_greedy, boxes, scores, threshold, groups)


def fast_nms(boxes: Tensor, scores: Tensor, threshold: float, groups: Tensor | None = None) -> Tensor:
    """Boxes that no better box overlaps, kept or not: one step in place of `nms`, which keeps more.

    Parameters and what is returned are those of `nms`.

    References
    ----------
    Bolya, Zhou, Xiao and Lee, "YOLACT: Real-time Instance Segmentation", ICCV 2019.

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])
    >>> scores = torch.tensor([0.9, 0.8, 0.7])
    >>> fast_nms(boxes, scores, threshold=0.3).tolist(), nms(boxes, scores, threshold=0.3).tolist()
    ([0], [0, 2])
    """
    return _suppressed(lambda beats: ~beats.any(0), boxes, scores, threshold, groups)


def soft_nms(
    boxes: Tensor, scores: Tensor, count: int, groups: Tensor | None = None, spread: float = 0.5
) -> tuple[Tensor, Tensor]:
    """The best boxes, one after another; each takes from the scores of boxes that it overlaps, and suppresses none.

    Parameters
    ----------
    boxes
        (N, 4).
    scores
        (N,), at least 0; of equal ones the first box goes first.
    count
        Boxes to pick.
    groups
        (N,) integers: only boxes of one group take from each other. None is one group.
    spread
        A score is multiplied by ``exp(-iou² / spread)`` for each better box.

    Returns
    -------
    tuple of Tensor
        Indices (K,) of the picked boxes, the best first, and the scores (K,) that they are left with.

    References
    ----------
    Bodla, Singh, Chellappa and Davis, "Soft-NMS: Improving Object Detection With One Line of Code", ICCV 2017.

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [20, 0, 30, 10]])
    >>> picked, left = soft_nms(boxes, torch.tensor([0.9, 0.8, 0.5]), count=3)
    >>> picked.tolist(), [round(score, 3) for score in left.tolist()]
    ([0, 2, 1], [0.9, 0.5, 0.108])
    """
    remains = (-(box_iou(boxes, boxes) ** 2) / spread).exp()
    if groups is not None:
        remains = torch.where(groups[:, None] == groups[None], remains, torch.ones_like(remains))
    picked, kept, left = [], [scores[:0]], scores.clone()
    for _ in range(min(count, len(scores))):
        score, best = left.max(0)
        picked.append(best)
        kept.append(score[None])
        left = left * remains[best]
        left[best] = -math.inf
    return torch.tensor(picked, dtype=torch.int64, device=boxes.device), torch.cat(kept)


def _suppressed(
    decide: Callable[[Tensor], Tensor], boxes: Tensor, scores: Tensor, threshold: float, groups: Tensor | None
) -> Tensor:
    """Rows of the boxes that are kept, the best first.

    Each group is decided by itself: 3,000 boxes of eight classes are an eighth of the pairs.

    Parameters
    ----------
    decide
        From whether each box of a group (N, N), the best first, overlaps a worse one, to whether each is kept.
    boxes, scores, threshold, groups
        As of `nms`.
    """
    order = scores.argsort(descending=True, stable=True)
    groups = torch.zeros_like(order) if groups is None else groups[order]
    kept = torch.ones_like(order, dtype=torch.bool)
    for group in set(groups.tolist()):
        own = groups == group
        ordered = boxes[order[own]]
        kept[own] = decide((box_iou(ordered, ordered) > threshold).triu(diagonal=1))
    return order[kept]


def _greedy(beats: Tensor) -> Tensor:
    kept, before = ~beats.any(0), None
    while before is None or not torch.equal(kept, before):
        kept, before = ~beats[kept].any(0), kept
    return kept


LARGEST_GROWTH = math.log(1000 / 16)
"""Largest logarithm by which a coded box may be larger than its anchor, lest ``exp`` overflow early in training."""


def encode_boxes(boxes: Tensor, anchors: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Boxes (N, 4) as seen from anchors (N, 4): (N, 4) of shifts of the centre in sides, and logarithms of growth.

    Parameters
    ----------
    boxes, anchors
        Of positive width and height.
    weights
        What the four numbers are multiplied by, so that they have about unit variance.

    References
    ----------
    Girshick et al., "Rich feature hierarchies for accurate object detection and semantic segmentation", CVPR 2014,
    appendix C.
    """
    centre, size = _centre_and_size(boxes)
    anchor_centre, anchor_size = _centre_and_size(anchors)
    code = torch.cat([(centre - anchor_centre) / anchor_size, (size / anchor_size).log()], -1)
    return code * code.new_tensor(weights)


def decode_boxes(code: Tensor, anchors: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """The boxes (..., 4) whose `encode_boxes` is `code` (..., 4); growth is cut off at `LARGEST_GROWTH`."""
    shift, growth = (code / code.new_tensor(weights)).chunk(2, -1)
    centre, size = _centre_and_size(anchors)
    centre, half = centre + shift * size, growth.clamp(max=LARGEST_GROWTH).exp() * size / 2
    return torch.cat([centre - half, centre + half], -1)


def _centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    low, high = boxes.chunk(2, -1)
    return (low + high) / 2, high - low


# Regions -------------------------------------------------------------------------------------------------------------


def roi_align(features: Tensor, boxes: Sequence[Tensor], size: int, stride: float, samples: int = 2) -> Tensor:
    """The content of boxes, at a fixed size: the mean of bilinear samples in each of `size` × `size` bins.

    Samples up to half a cell outside of the map take the value of its border, those beyond are 0. This is the rule of
    the compiled operators that published detectors were trained with. Boxes within the image have no sample beyond:
    only for boxes that leave the image does another rule (to repeat the border for ever) give other values.

    Parameters
    ----------
    features
        (B, C, H, W).
    boxes
        Those of each of the B images, (N_b, 4) in pixels.
    size
        Bins in each direction.
    stride
        Pixels from one cell to the next.
    samples
        In each direction of a bin. It does not depend on the size of the box, so neither does the work.

    Returns
    -------
    Tensor
        (N, C, size, size), boxes of the first image first.

    References
    ----------
    He, Gkioxari, Dollár and Girshick, "Mask R-CNN", ICCV 2017. Boxes are not rounded and cells have their values at
    their centres (``aligned=True`` where that is an option).
    """
    pooled = []
    for image, own in zip(features, boxes, strict=True):
        steps = torch.arange(size * samples, device=features.device)
        at = (steps + 0.5) / (size * samples)
        x, y = (own[:, i, None] / stride + at * (own[:, i + 2] - own[:, i])[:, None] / stride for i in (0, 1))
        values = _sampled(image, x, y, "border")
        height, width = image.shape[-2:]
        known = ((y + 0.5) * (height + 0.5 - y) >= 0)[:, :, None] & ((x + 0.5) * (width + 0.5 - x) >= 0)[:, None]
        pooled.append(F.avg_pool2d((values * known).transpose(0, 1), samples))
    return torch.cat(pooled)


def paste_masks(masks: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float = 0.5) -> Tensor:
    """Masks drawn at the size of their boxes into images: bilinear between the centres of their cells.

    Parameters
    ----------
    masks
        (N, M, M) probabilities.
    boxes
        (N, 4).
    size
        (height, width) of the image.
    threshold
        Pixels with a probability of at least this belong to the object. Towards the border of the box the probability
        falls to half of that of the outermost cell; outside of the box no pixel belongs to it.

    Returns
    -------
    Tensor
        (N, height, width) bool.
    """
    cells = masks.shape[-1]
    x, y = (
        (torch.arange(side, device=boxes.device) + 0.5 - boxes[:, i, None])
        * (cells / (boxes[:, i + 2] - boxes[:, i]).clamp(min=1e-6))[:, None]
        for i, side in ((0, size[1]), (1, size[0]))
    )
    inside = (x >= 0) & (x <= cells), (y >= 0) & (y <= cells)
    drawn = [_sampled(mask[None], x[i, None], y[i, None], "zeros")[0, 0] for i, mask in enumerate(masks)]
    probabilities = torch.stack(drawn) if drawn else masks.new_zeros((0, *size))
    return (probabilities >= threshold) & inside[1][:, :, None] & inside[0][:, None]


def _sampled(image: Tensor, x: Tensor, y: Tensor, outside: str) -> Tensor:
    """Values of `image` (C, H, W) on N grids of columns x (N, X) and rows y (N, Y), in cells: (C, N, Y, X)."""
    height, width = image.shape[-2:]
    (count, columns), rows = x.shape, y.shape[1]
    grid = torch.stack(
        [
            (2 * x / width - 1)[:, None].expand(count, rows, columns),
            (2 * y / height - 1)[:, :, None].expand(count, rows, columns),
        ],
        -1,
    )
    flat = grid.reshape(1, count * rows, columns, 2).to(image.dtype)
    values = F.grid_sample(image[None], flat, padding_mode=outside, align_corners=False)
    return values.view(len(image), count, rows, columns)
