"""What is reported of an image: of many boxes with scores, those that are likely and differ."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from reference_models.parts.ops import nms


class Found(NamedTuple):
    """Objects found in an image, the likeliest first.

    Attributes
    ----------
    boxes
        (N, 4).
    scores
        (N,) probabilities.
    classes
        (N,) int64, from 0.
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor

    def prediction(self) -> dict[str, Tensor]:
        """What metrics take: boxes, scores, and labels that are ids of categories, from 1."""
        return {"boxes": self.boxes, "scores": self.scores, "labels": self.classes + 1}


def distinct(boxes: Tensor, scores: Tensor, classes: Tensor, least: float, overlap: float, most: int) -> Found:
    """The likeliest boxes of an image that do not show the same object.

    Parameters
    ----------
    boxes, scores, classes
        (N, 4), (N,) and (N,).
    least
        Scores have to be larger.
    overlap
        Of the boxes of one class whose IoU is larger, only the likeliest is reported.
    most
        Boxes that are reported.

    Examples
    --------
    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 10, 10], [1, 0, 10, 10], [20, 0, 30, 10]])
    >>> found = distinct(boxes, torch.tensor([0.5, 0.9, 0.8, 0.1]), torch.tensor([0, 0, 1, 0]), 0.2, 0.5, 10)
    >>> found.scores.tolist(), found.classes.tolist()
    ([0.8999999761581421, 0.800000011920929], [0, 1])
    """
    some = (scores > least).nonzero()[:, 0]
    kept = some[nms(boxes[some], scores[some], overlap, classes[some])[:most]]
    return Found(boxes[kept], scores[kept], classes[kept])
