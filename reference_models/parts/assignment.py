"""What boxes should predict: which true object each one stands for, and which of them to learn from."""

from __future__ import annotations

import torch
from torch import Tensor

from reference_models.parts.ops import box_iou

BACKGROUND = -1
"""Stands for a true object where a box shows none."""

NEITHER = -2
"""Where a box shows too little of an object and too much of it for background: nothing is learned from it."""


def match(truths: Tensor, boxes: Tensor, positive: float, negative: float, *, each_truth: bool = False) -> Tensor:
    """The true object that each box stands for.

    Parameters
    ----------
    truths
        (G, 4) boxes of the objects.
    boxes
        (N, 4).
    positive
        A box stands for the object with which it has the largest IoU if that is at least this; of several the first.
    negative
        It shows background if that is below this.
    each_truth
        The boxes with the largest IoU of all with an object stand for one, too, however small it is above 0.

    Returns
    -------
    Tensor
        (N,) int64: a row of `truths`, `BACKGROUND` or `NEITHER`.

    Examples
    --------
    >>> truths = torch.tensor([[0.0, 0, 10, 10]])
    >>> boxes = torch.tensor([[0.0, 0, 10, 9], [0, 0, 10, 5], [50, 50, 60, 60]])
    >>> match(truths, boxes, positive=0.7, negative=0.3).tolist()
    [0, -2, -1]
    """
    if not len(truths):
        return torch.full((len(boxes),), BACKGROUND, device=boxes.device)
    overlaps = box_iou(truths, boxes)
    best, row = overlaps.max(0)
    matched = row.masked_fill(best < positive, NEITHER).masked_fill(best < negative, BACKGROUND)
    if each_truth:
        largest = overlaps.amax(1, keepdim=True)
        matched = torch.where(((overlaps == largest) & (largest > 0)).any(0), row, matched)
    return matched


def draw(matched: Tensor, count: int, share: float) -> tuple[Tensor, Tensor]:
    """Rows to learn from, drawn at random: nearly all boxes show background, and most of these teach nothing.

    Parameters
    ----------
    matched
        (N,) as `match` gives it.
    count
        Rows to draw; fewer where there are not as many.
    share
        At most this share of `count` stands for objects; background fills up.

    Returns
    -------
    tuple of Tensor
        Rows that stand for objects, and rows that show background, both int64.
    """
    objects, background = ((matched >= 0).nonzero()[:, 0], (matched == BACKGROUND).nonzero()[:, 0])
    objects = _some(objects, int(count * share))
    return objects, _some(background, count - len(objects))


def _some(rows: Tensor, count: int) -> Tensor:
    return rows[torch.randperm(len(rows), device=rows.device)[:count]]
