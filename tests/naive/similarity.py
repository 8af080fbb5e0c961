"""Similarities and average precision, slowly, one pair or point at a time, from their definitions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

Box = Sequence[float]  # left, top, right, bottom


def box_iou(a: Box, b: Box, kind: str, crowd: bool) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    union = area_a if crowd else area_a + area_b - shared
    iou = shared / union if union else 0.0
    hull = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    if kind == "giou":
        return iou - ((hull[0] * hull[1] - union) / (hull[0] * hull[1]) if hull[0] * hull[1] else 0)
    if kind in ("diou", "ciou"):
        centres = math.dist(((a[0] + a[2]) / 2, (a[1] + a[3]) / 2), ((b[0] + b[2]) / 2, (b[1] + b[3]) / 2))
        distance = (centres / math.hypot(*hull)) ** 2 if math.hypot(*hull) else 0
        angles = [math.atan2(box[2] - box[0], box[3] - box[1]) for box in (a, b)]
        v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
        trade_off = v / (1 - iou + v) if kind == "ciou" and v else 0
        return iou - distance - trade_off * v
    return iou


def oks(a: np.ndarray, b: np.ndarray, area: float, box: Box, sigmas: np.ndarray) -> float:
    """Of one detection and one ground truth; `box` is left, top, width, height."""
    terms = []
    labelled = [v > 0 for v in b[:, 2]]
    for j, sigma in enumerate(sigmas):
        if labelled[j]:
            d2 = (a[j, 0] - b[j, 0]) ** 2 + (a[j, 1] - b[j, 1]) ** 2
        elif any(labelled):
            continue
        else:
            x = min(max(a[j, 0], box[0] - box[2]), box[0] + 2 * box[2])
            y = min(max(a[j, 1], box[1] - box[3]), box[1] + 2 * box[3])
            d2 = (a[j, 0] - x) ** 2 + (a[j, 1] - y) ** 2
        terms.append(math.exp(-d2 / (2 * (area + np.spacing(1)) * (2 * sigma) ** 2)))
    return sum(terms) / len(terms)


def greedy_match(similarity: np.ndarray, threshold: float, ignored: np.ndarray, crowd: np.ndarray) -> list[int]:
    taken: set[int] = set()
    partners = []
    for row in similarity:
        free = [g for g in range(len(row)) if (crowd[g] or g not in taken) and row[g] >= min(threshold, 1 - 1e-10)]
        counted = [g for g in free if not ignored[g]]
        best = max(counted or free, key=lambda g: (row[g], g), default=-1)
        taken.add(best)
        partners.append(best)
    return partners


def average_precision(precision: Sequence[float], recall: Sequence[float], points: Sequence[float] | str) -> float:
    def interpolated(point: float) -> float:
        return max((p for p, r in zip(precision, recall, strict=True) if r >= point), default=0.0)

    if isinstance(points, str):
        steps = [0.0, *recall]
        return sum((new - old) * interpolated(new) for old, new in pairwise(steps))
    return sum(map(interpolated, points)) / len(points)
