"""Boundaries of label maps, slowly, from their definitions, one region or class at a time."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naive.rle import boundary

Labels = NDArray[Any]
Pixels = NDArray[np.bool_]


def region_bands(labels: Labels, ratio: float) -> Pixels:
    """The bands of all regions, by erosions: ``mask_to_boundary`` in boundary_utils.py of boundary-iou-api."""
    return np.any([boundary(labels == value, ratio) for value in np.unique(labels)], axis=0)


def within(labels: Labels, reach: int) -> Pixels:
    """Whether a pixel sees another value, or the outside, within so many columns and rows: pixel by pixel."""
    height, width = labels.shape
    answer = np.zeros(labels.shape, bool)
    for y, x in np.ndindex(height, width):
        square = [(v, u) for v in range(y - reach, y + reach + 1) for u in range(x - reach, x + reach + 1)]
        answer[y, x] = any(not (0 <= v < height and 0 <= u < width) or labels[v, u] != labels[y, x] for v, u in square)
    return answer


def edges(mask: Pixels) -> Pixels:
    """The boundary of a mask: ``_seg2bmap`` in davis2017/metrics.py of davis2017-evaluation."""
    result = np.zeros(mask.shape, bool)
    result[:, :-1] |= mask[:, :-1] ^ mask[:, 1:]
    result[:-1] |= mask[:-1] ^ mask[1:]
    result[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    result[-1, :-1] = mask[-1, :-1] ^ mask[-1, 1:]
    result[:-1, -1] = mask[:-1, -1] ^ mask[1:, -1]
    result[-1, -1] = False
    return result


def near(points: Pixels, others: Pixels, radius: float) -> int:
    """How many of the points have one of the others within the radius, by all their distances."""
    away = np.argwhere(points)[:, None, :] - np.argwhere(others)[None, :, :]
    return int(((away**2).sum(axis=2) <= radius**2).any(axis=1).sum())


def boundary_f_counts(
    gt: Labels, pred: Labels, classes: list[int], tolerance: float, valid: Pixels | None = None
) -> list[list[int]]:
    """``f_measure`` in davis2017/metrics.py, up to its ratios, for the mask of each class."""
    radius = tolerance if tolerance >= 1 else ceil(tolerance * float(np.linalg.norm(gt.shape)))
    known = np.ones(gt.shape, bool) if valid is None else valid
    rows = []
    for label in classes:
        true, found = edges((gt == label) & known), edges((pred == label) & known)
        rows.append([near(found, true, radius), int(found.sum()), near(true, found, radius), int(true.sum())])
    return rows


def boundary_f_score(near_found: int, found: int, near_true: int, true: int) -> float:
    """The rest of ``f_measure``."""
    if found == 0 or true == 0:
        return 1.0 if found == true else 0.0
    precision, recall = near_found / found, near_true / true
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
