"""Keypoints that belong together: how far apart they are, and how many are near enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbench.kernels import Bool, Float, Int, kernel

Points = NDArray[np.floating]
"""float64, or float32 where a reference computes in single precision."""


@kernel
def distances_rows(
    start: int, stop: int, gt: Points, pred: Points, visible: Bool, scale: Points, divide_first: bool, out: Float
) -> None:
    """out (N, J): distances of the keypoints of `pred` and `gt` (N, J, D) over the `scale` (N,) of their instance.

    NaN where a keypoint is not `visible`, infinite where one coordinate of the prediction is NaN. The arithmetic is
    that of the arrays' type. Where `divide_first`, coordinates are divided before they are squared.
    """
    for n in range(start, stop):
        for j in range(gt.shape[1]):
            if not visible[n, j]:
                out[n, j] = np.nan
                continue
            step = pred[n, j, 0] - gt[n, j, 0]
            if divide_first:
                step /= scale[n]
            # no zero to start from: it would be a float64 and take the sum with it
            total = step * step
            for d in range(1, gt.shape[2]):
                step = pred[n, j, d] - gt[n, j, d]
                if divide_first:
                    step /= scale[n]
                total += step * step
            distance = np.sqrt(total)
            if not divide_first:
                distance /= scale[n]
            out[n, j] = distance if distance == distance else np.inf


@kernel
def extents(points: Float, joints: int, boxes: Float) -> None:
    """The extent of the first `joints` keypoints of each row: points (N, J, 3) finite; boxes (N, 4) written, xywh."""
    for n in range(len(points)):
        for axis in range(2):
            low = high = points[n, 0, axis]
            for joint in range(1, joints):
                low, high = min(low, points[n, joint, axis]), max(high, points[n, joint, axis])
            boxes[n, axis], boxes[n, 2 + axis] = low, high - low


@kernel
def first_reached(value: float, thresholds: Float, strict: bool) -> int:
    """Index of the first of the rising `thresholds` above `value`, or equal to it unless `strict`; T where none is."""
    low, high = 0, len(thresholds)
    while low < high:
        middle = (low + high) // 2
        if value < thresholds[middle] or (value == thresholds[middle] and not strict):
            high = middle
        else:
            low = middle + 1
    return low


@kernel
def count_hits(start: int, stop: int, distance: Float, weights: Int, thresholds: Float, strict: bool, out: Int) -> None:
    """out (C, T + 1): add the weight of each row of `distance` (N, C) where its value first reaches a threshold.

    The last place is for values that reach none; NaN is not counted.
    """
    for n in range(start, stop):
        for c in range(distance.shape[1]):
            value = distance[n, c]
            if value == value:
                out[c, first_reached(value, thresholds, strict)] += weights[n]


@kernel
def count_instance_hits(
    start: int, stop: int, distance: Float, weights: Int, thresholds: Float, strict: bool, found: Int, out: Int
) -> None:
    """out (C + 1, C + 1, T): add the weight of each row with *v* numbers, of which *k* reach threshold *t*, at v, k, t.

    `found` (T + 1,) is scratch.
    """
    for n in range(start, stop):
        counted = 0
        found[:] = 0
        for c in range(distance.shape[1]):
            value = distance[n, c]
            if value == value:
                counted += 1
                found[first_reached(value, thresholds, strict)] += 1
        reached = 0
        for t in range(len(thresholds)):
            reached += found[t]
            out[counted, reached, t] += weights[n]
