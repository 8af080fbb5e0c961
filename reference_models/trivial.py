"""Predictors that have learnt nothing but what is commonest: what a trained model has to beat.

Each answers every image with the same prediction, made of the targets of some training images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Target = Mapping[str, NDArray[Any]]

THINGS = 8
"""Classes of things come before those of stuff."""


class Constant(nn.Module):
    """Answers every image with one prediction.

    Parameters
    ----------
    prediction
    """

    def __init__(self, prediction: Mapping[str, Any]) -> None:
        super().__init__()
        self.prediction = dict(prediction)

    def forward(self, images: Tensor) -> list[dict[str, Any]]:
        """The prediction for each of the images (B, 3, H, W)."""
        return [self.prediction] * len(images)


def trivial(field: str, targets: Iterable[Target], size: tuple[int, int]) -> tuple[str, Constant]:
    """The trivial predictor of a field.

    Parameters
    ----------
    field
        ``detection``, ``instance``, ``semantic``, ``panoptic`` or ``pose``.
    targets
        Of training images, as `cvbench.benchmarks` has them.
    size
        Height and width of an image.

    Returns
    -------
    str
        What it does, in words.
    Constant
        The predictor.

    Examples
    --------
    >>> import numpy as np
    >>> words, model = trivial("semantic", [{"labels": np.array([[3, 3, 255]])}], (2, 2))
    >>> words, model(torch.zeros(1, 3, 2, 2))[0]["labels"].tolist()
    ('the commonest class everywhere', [[3, 3], [3, 3]])
    """
    words, make = PREDICTORS[field]
    return words, Constant(make(list(targets), size))


def _labels(targets: list[Target], size: tuple[int, int]) -> dict[str, Any]:
    pixels = sum(np.bincount(target["labels"].ravel(), minlength=256)[:255] for target in targets)
    return {"labels": torch.full(size, int(np.argmax(pixels)))}


def _segments(targets: list[Target], size: tuple[int, int]) -> dict[str, Any]:
    pixels = sum(np.bincount(target["semantic"].ravel(), minlength=256)[THINGS:255] for target in targets)
    category = THINGS + int(np.argmax(pixels)) + 1
    return {"map": torch.ones(size, dtype=torch.int64), "segments": [{"id": 1, "category_id": category}]}


def _boxes(targets: list[Target], _: tuple[int, int]) -> dict[str, Any]:
    boxes = np.concatenate([target["boxes"] for target in targets]).astype(np.float64)
    labels = np.concatenate([target["labels"] for target in targets])
    classes, numbers = np.unique(labels, return_counts=True)
    means = np.stack([boxes[labels == label].mean(axis=0) for label in classes])
    return {
        "boxes": torch.tensor(means),
        "scores": torch.tensor(numbers / len(labels)),
        "labels": torch.tensor(classes + 1),
    }


def _masks(targets: list[Target], size: tuple[int, int]) -> dict[str, Any]:
    found = _boxes(targets, size)
    masks = torch.zeros(len(found["boxes"]), *size, dtype=torch.bool)
    for mask, box in zip(masks, found["boxes"].round().int().tolist(), strict=True):
        mask[box[1] : box[3], box[0] : box[2]] = True
    return found | {"masks": masks}


def _joints(targets: list[Target], _: tuple[int, int]) -> dict[str, Any]:
    points = np.stack([target["keypoints"] for target in targets]).astype(np.float64)
    weights = np.stack([target["visible"] for target in targets])[:, :, None]
    mean = (points * weights).sum(axis=0) / np.maximum(weights.sum(axis=0), 1)
    return {"keypoints": torch.tensor(mean), "scores": torch.ones(len(mean))}


PREDICTORS: dict[str, tuple[str, Callable[[list[Target], tuple[int, int]], dict[str, Any]]]] = {
    "detection": ("the mean box of each class, scored by how common the class is", _boxes),
    "instance": ("the mean box of each class, filled, scored by how common the class is", _masks),
    "semantic": ("the commonest class everywhere", _labels),
    "panoptic": ("the commonest class of stuff everywhere", _segments),
    "pose": ("the mean place of each joint", _joints),
}
