"""Heads that look at regions: what each one shows, where exactly, and which of its pixels.

Conventions are those of `reference_models.parts.regions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from reference_models.parts.assignment import draw, match
from reference_models.parts.regions import Regions


class Examples(NamedTuple):
    """Regions to learn from.

    Attributes
    ----------
    regions
        (R_b, 4) of each image, those of objects first.
    labels
        (R,) int64: 0 for background, 1 + the class of the object that the region stands for.
    truths
        (P_b,) of each image: the row of the object that each of the first P_b regions stands for.
    """

    regions: Regions
    labels: Tensor
    truths: list[Tensor]

    @property
    def shown(self) -> Regions:
        """The regions that stand for objects."""
        return [boxes[: len(rows)] for boxes, rows in zip(self.regions, self.truths, strict=True)]


def draw_examples(
    regions: Regions, targets: Sequence[dict[str, Tensor]], count: int = 512, share: float = 0.25
) -> Examples:
    """Regions to learn from: `count` of each image, at most a `share` of them with an IoU of 0.5 with an object.

    The true boxes are among them, so that there is something to learn before anything is found.
    """
    chosen, labels, truths = [], [], []
    for proposed, target in zip(regions, targets, strict=True):
        boxes = torch.cat([target["boxes"].to(proposed), proposed])
        matched = match(target["boxes"].to(proposed), boxes, 0.5, 0.5)
        shown, empty = draw(matched, count, share)
        chosen.append(boxes[torch.cat([shown, empty])])
        labels += [target["labels"][matched[shown]] + 1, torch.zeros_like(empty)]
        truths.append(matched[shown])
    return Examples(chosen, torch.cat(labels), truths)
