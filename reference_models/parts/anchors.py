"""Anchors: boxes of fixed shapes around the centres of all cells, of each of which a network says what it shows.

Conventions
-----------
Boxes are those of `reference_models.parts.ops`. Anchors are listed map after map, in a map row by row, all shapes of a
cell together; what a network says of them has the same order. Classes count from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from reference_models.parts.assignment import BACKGROUND, match
from reference_models.parts.detections import Found, distinct
from reference_models.parts.ops import clip_boxes, decode_boxes, encode_boxes

Weights = tuple[float, float, float, float]
"""Of the four numbers of a code, see `reference_models.parts.ops.encode_boxes`."""


def anchor_shapes(sides: Sequence[float], ratios: Sequence[float], device: torch.device | None = None) -> Tensor:
    """Width and height (S, 2) of anchors of all `ratios` of height to width, as large as squares of all `sides`.

    Shapes of one side are together.

    Examples
    --------
    >>> anchor_shapes((8, 16), (1, 4)).tolist()
    [[8.0, 8.0], [4.0, 16.0], [16.0, 16.0], [8.0, 32.0]]
    """
    side = torch.tensor(sides, device=device, dtype=torch.float32)[:, None]
    ratio = torch.tensor(ratios, device=device, dtype=torch.float32).sqrt()
    return torch.stack([side * ratio.reciprocal(), side * ratio], -1).reshape(-1, 2)


def grid_anchors(cells: tuple[int, int], steps: tuple[float, float], shapes: Tensor) -> Tensor:
    """Anchors (A, 4) of a map.

    Parameters
    ----------
    cells
        Rows and columns of the map.
    steps
        Pixels from one row to the next, and from one column to the next.
    shapes
        (S, 2) width and height in pixels.
    """
    rows, columns = (
        (torch.arange(count, device=shapes.device) + 0.5) * step for count, step in zip(cells, steps, strict=True)
    )
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    centre = torch.stack([x, y], -1).reshape(-1, 1, 2)
    return torch.cat([centre - shapes / 2, centre + shapes / 2], 2).reshape(-1, 4)


def by_anchor(output: Tensor, values: int) -> Tensor:
    """What a network puts out of a map, (B, S · values, h, w), all values of a shape together, as (B, A, values)."""
    return output.permute(0, 2, 3, 1).reshape(len(output), -1, values)


# Learning ------------------------------------------------------------------------------------------------------------


class Assigned(NamedTuple):
    """What A anchors stand for in each of B images.

    Attributes
    ----------
    rows
        (B, A) int64: a row of the objects of the image, or `BACKGROUND` or `NEITHER` of
        `reference_models.parts.assignment`.
    labels
        (B, A) int64: the class of the object, or the same two.
    codes
        (P, 4) the codes of the boxes of the objects, for the P anchors that stand for one, image by image.
    """

    rows: Tensor
    labels: Tensor
    codes: Tensor

    @property
    def shown(self) -> Tensor:
        """(B, A) bool: which anchors stand for objects."""
        return self.rows >= 0


def assign(
    anchors: Tensor,
    targets: Sequence[dict[str, Tensor]],
    positive: float,
    negative: float,
    weights: Weights,
    *,
    each_truth: bool = False,
) -> Assigned:
    """What anchors (A, 4) stand for, by the boxes and labels of targets; numbers as in `match` and `encode_boxes`."""
    rows, labels, codes = [], [], []
    for target in targets:
        truths = target["boxes"].to(anchors)
        matched = match(truths, anchors, positive, negative, each_truth=each_truth)
        shown = matched >= 0
        own = matched.clone()
        own[shown] = target["labels"][matched[shown]]
        rows.append(matched)
        labels.append(own)
        codes.append(encode_boxes(truths[matched[shown]], anchors[shown], weights))
    return Assigned(torch.stack(rows), torch.stack(labels), torch.cat(codes))


def hard_negatives(wrong: Tensor, labels: Tensor, ratio: int = 3) -> Tensor:
    """The background to learn from: of each image, the anchors about which the network is most wrong.

    Parameters
    ----------
    wrong
        (B, A) the loss of each anchor, without `NaN`.
    labels
        (B, A) as in `Assigned`.
    ratio
        So many for each anchor that stands for an object; all where there are not as many.

    Returns
    -------
    Tensor
        (B, A) bool.

    References
    ----------
    Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016.

    Examples
    --------
    >>> hard_negatives(torch.tensor([[9.0, 1, 2, 3]]), torch.tensor([[5, -1, -1, -1]]), ratio=2).tolist()
    [[False, False, True, True]]
    """
    empty = labels == BACKGROUND
    order = wrong.detach().masked_fill(~empty, -torch.inf).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    rank = torch.empty_like(order).scatter_(1, order, places)
    return empty & (rank < ratio * (labels >= 0).sum(1, keepdim=True))


def multibox_loss(logits: Tensor, codes: Tensor, assigned: Assigned) -> dict[str, Tensor]:
    """How wrong a network is about anchors, of which it says one class or background.

    Images without objects teach nothing, as in the paper: their background is not compared with anything.

    Parameters
    ----------
    logits
        (B, A, 1 + classes), background first.
    codes
        (B, A, 4).
    assigned
        What the anchors stand for.

    Returns
    -------
    dict of Tensor
        The cross entropy ``class`` of objects and `hard_negatives`, and the smooth L1 distance ``box`` of codes; each
        over the number of anchors in the batch that stand for objects.

    References
    ----------
    Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016.
    """
    kinds = assigned.labels.clamp(min=BACKGROUND) + 1  # what is neither is not learnt from
    wrong = F.cross_entropy(logits.transpose(1, 2), kinds, reduction="none")
    learnt = assigned.shown | hard_negatives(wrong, assigned.labels)
    said, count = codes[assigned.shown], assigned.shown.sum().clamp(min=1)
    apart = F.smooth_l1_loss(said, assigned.codes.to(said), reduction="sum")
    return {"class": (wrong * learnt).sum() / count, "box": apart / count}


# Detection -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DetectionRules:
    """Which anchors are reported.

    Attributes
    ----------
    least
        Probabilities have to be larger.
    per_map
        So many pairs of an anchor and a class are looked at, of each map, the likeliest.
    overlap, most
        As in `reference_models.parts.detections.distinct`.
    """

    least: float = 0.05
    per_map: int = 1000
    overlap: float = 0.5
    most: int = 100


def detect(
    likely: Sequence[Tensor],
    codes: Sequence[Tensor],
    anchors: Sequence[Tensor],
    weights: Weights,
    sizes: Sequence[tuple[int, int]],
    rules: DetectionRules,
) -> list[Found]:
    """The objects in each image.

    Parameters
    ----------
    likely, codes, anchors
        Of each map: probabilities (B, A, K) of classes, codes (B, A, 4) of boxes, and anchors (A, 4).
    weights
        Of the codes.
    sizes
        Height and width of each image, to which boxes are clipped; what is outside is not reported.
    rules
        What is.
    """
    boxes, scores, classes = [], [], []
    for probability, code, anchor in zip(likely, codes, anchors, strict=True):
        kinds = probability.shape[2]
        score, place = probability.flatten(1).topk(min(rules.per_map, probability[0].numel()))
        row = place // kinds
        chosen = code.gather(1, row[:, :, None].expand(-1, -1, 4))
        boxes.append(decode_boxes(chosen, anchor[row], weights))
        scores.append(score)
        classes.append(place % kinds)
    found = []
    for size, box, score, label in zip(
        sizes, torch.cat(boxes, 1), torch.cat(scores, 1), torch.cat(classes, 1), strict=True
    ):
        clipped = clip_boxes(box, size)
        inside = (clipped[:, 2:] > clipped[:, :2]).all(1)
        found.append(distinct(clipped[inside], score[inside], label[inside], rules.least, rules.overlap, rules.most))
    return found
