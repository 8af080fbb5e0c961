"""How much two objects overlap: boxes (IoU, GIoU, DIoU, CIoU), masks and keypoints (OKS), pair by pair.

Kernels named ``..._rows`` fill the pairs of a range of rows (detections) with the ground truths of the same image and
category; the others fill a whole matrix.
"""

from __future__ import annotations

import math

import numpy as np

from cvbench.kernels import Bool, Float, Int, kernel
from cvbench.kernels.rle import Runs, measure, rle_iou

EPSILON = 2.0**-52
"""The spacing of float64 at 1, by which OKS keeps a ground truth of area 0 from dividing by zero."""


@kernel
def lesser(a: float, b: float) -> float:
    """The smaller of two numbers, or the one that is a number (C's ``fmin``)."""
    return a if a < b or b != b else b


@kernel
def greater(a: float, b: float) -> float:
    """The larger of two numbers, or the one that is a number (C's ``fmax``)."""
    return a if a > b or b != b else b


@kernel
def xywh_iou(a: Float, i: int, b: Float, j: int, crowd: bool) -> float:
    """IoU of the boxes ``a[i]`` and ``b[j]``; of their intersection with ``a[i]`` alone where `crowd`."""
    w = lesser(a[i, 2] + a[i, 0], b[j, 2] + b[j, 0]) - greater(a[i, 0], b[j, 0])
    if w <= 0:
        return 0.0
    h = lesser(a[i, 3] + a[i, 1], b[j, 3] + b[j, 1]) - greater(a[i, 1], b[j, 1])
    if h <= 0:
        return 0.0
    shared = w * h
    area = a[i, 2] * a[i, 3]
    iou: float = shared / (area if crowd else area + b[j, 2] * b[j, 3] - shared)
    return iou


@kernel
def box_iou_pairs(a: Float, b: Float, crowd: Bool, out: Float) -> None:
    """out (N, M): IoU of every box of `a` (N, 4) with every box of `b` (M, 4), all xywh."""
    for i in range(len(a)):
        for j in range(len(b)):
            out[i, j] = xywh_iou(a, i, b, j, crowd[j])


@kernel
def box_iou_rows(
    start: int, stop: int, boxes: Float, first_gt: Int, gt_boxes: Float, crowd: Bool, pairs: Int, out: Float
) -> None:
    """IoU of the rows `start` to `stop` with the ground truths of their cell."""
    for row in range(start, stop):
        for p in range(pairs[row], pairs[row + 1]):
            g = first_gt[row] + p - pairs[row]
            out[p] = xywh_iou(boxes, row, gt_boxes, g, crowd[g])


@kernel
def corner_iou_pairs(a: Float, b: Float, crowd: Bool, penalty: int, out: Float) -> None:
    """out (N, M): IoU of corner boxes ``x1, y1, x2, y2`` less a penalty: 0 none, 1 GIoU, 2 DIoU, 3 CIoU."""
    for i in range(len(a)):
        for j in range(len(b)):
            width = max(min(a[i, 2], b[j, 2]) - max(a[i, 0], b[j, 0]), 0.0)
            height = max(min(a[i, 3], b[j, 3]) - max(a[i, 1], b[j, 1]), 0.0)
            aw, ah = a[i, 2] - a[i, 0], a[i, 3] - a[i, 1]
            bw, bh = b[j, 2] - b[j, 0], b[j, 3] - b[j, 1]
            union = aw * ah if crowd[j] else aw * ah + bw * bh - width * height
            iou = width * height / union if union > 0 else 0.0
            hull_w = max(a[i, 2], b[j, 2]) - min(a[i, 0], b[j, 0])
            hull_h = max(a[i, 3], b[j, 3]) - min(a[i, 1], b[j, 1])
            loss = 0.0
            if penalty == 1 and hull_w * hull_h > 0:
                loss = (hull_w * hull_h - union) / (hull_w * hull_h)
            # squares of very small boxes would be 0
            diagonal = math.hypot(hull_w, hull_h)
            if penalty >= 2 and diagonal > 0:
                dx = (a[i, 0] + a[i, 2] - b[j, 0] - b[j, 2]) / 2
                dy = (a[i, 1] + a[i, 3] - b[j, 1] - b[j, 3]) / 2
                loss = (math.hypot(dx, dy) / diagonal) ** 2
            if penalty == 3:
                v = 4 / math.pi**2 * (math.atan2(bw, bh) - math.atan2(aw, ah)) ** 2
                if v > 0:
                    loss += v * v / (1 - iou + v)
            out[i, j] = iou - loss


@kernel
def mask_iou_rows(
    start: int,
    stop: int,
    walk: Int,
    rows: Int,
    masks: Runs,
    first_gt: Int,
    gt_rows: Int,
    gt_masks: Runs,
    crowd: Bool,
    pairs: Int,
    bands: bool,
    out: Float,
) -> None:
    """Mask IoU of the rows ``walk[start:stop]`` with the ground truths of their cell.

    Row *r* is the mask ``rows[r]``, which is measured here, and ground-truth row *g* the mask ``gt_rows[g]``, which has
    been measured, and a crowd if ``crowd[gt_rows[g]]``. Where the masks are `bands` (boundaries of other masks), `out`
    becomes the lesser of what it was and of their IoU, but for crowds.

    A walk in the order of the file reads masks as they lie in memory: 1.3 times as fast as the order of rows.
    """
    for step in range(start, stop):
        row = walk[step]
        if pairs[row] == pairs[row + 1]:
            continue
        measure(masks, rows[row])
        for p in range(pairs[row], pairs[row + 1]):
            g = gt_rows[first_gt[row] + p - pairs[row]]
            if not bands:
                out[p] = rle_iou(masks, rows[row], gt_masks, g, crowd[g])
            elif out[p] > 0 and not crowd[g]:
                out[p] = min(out[p], rle_iou(masks, rows[row], gt_masks, g, crowd[g]))


@kernel
def exp_bound(e: float) -> float:
    """Three lines, of which one is above ``exp(-e)`` wherever `e` is 0 or more."""
    return max(1.0 - 0.632 * e, 0.4845 - 0.1165 * e, 0.0185)


@kernel
def oks_exponents_rows(
    start: int,
    stop: int,
    keypoints: Float,
    rows: Int,
    first_gt: Int,
    gt_keypoints: Float,
    gt_boxes: Float,
    gt_area: Float,
    variances: Float,
    lowest: float,
    pairs: Int,
    terms: Float,
    out: Float,
) -> int:
    """What OKS takes the exponential of, for the pairs of the rows `start` to `stop`; returns for how many.

    Each pair gets the next row of `terms`, its labelled joints first and zeros behind, and ``out[p] = -1``; one whose
    OKS is proven to be below `lowest` gets none, and ``out[p] = 0``: twice as fast where one pair in six can match. The
    proof is a bound of each exponential from above; a share of 1e-12 stays for what is rounded.

    Of a ground truth without labelled joints, all joints count, each with its distance to the box three times as wide
    and high around the same centre.

    rows : (N,) where in `keypoints` each row is
    """
    used = 0
    for row in range(start, stop):
        for p in range(pairs[row], pairs[row + 1]):
            g = first_gt[row] + p - pairs[row]
            scale = gt_area[g] + EPSILON
            labelled = False
            for j in range(len(variances)):
                labelled |= gt_keypoints[g, j, 2] > 0
            n, bound, half = 0, 0.0, 0.5 / scale
            for j in range(len(variances)):
                x, y = keypoints[rows[row], j, 0], keypoints[rows[row], j, 1]
                if labelled:
                    if not gt_keypoints[g, j, 2] > 0:
                        continue
                    dx, dy = x - gt_keypoints[g, j, 0], y - gt_keypoints[g, j, 1]
                else:
                    left, top = gt_boxes[g, 0] - gt_boxes[g, 2], gt_boxes[g, 1] - gt_boxes[g, 3]
                    right, bottom = gt_boxes[g, 0] + gt_boxes[g, 2] * 2, gt_boxes[g, 1] + gt_boxes[g, 3] * 2
                    dx = max(0.0, left - x) + max(0.0, x - right)
                    dy = max(0.0, top - y) + max(0.0, y - bottom)
                terms[used, n] = (dx * dx + dy * dy) / variances[j]
                bound += exp_bound(terms[used, n] * half)
                n += 1
            if scale > 0 and bound < lowest * n * (1 - 1e-12):
                out[p] = 0.0
                continue
            for i in range(n):
                terms[used, i] = -(terms[used, i] / scale / 2)
            for i in range(n, len(variances)):
                terms[used, i] = 0.0
            out[p] = -1.0
            used += 1
    return used


BLOCK = 128
"""Up to this many numbers, NumPy adds in eight lanes; more it halves."""


@kernel
def block_sum(values: Float, start: int, n: int) -> float:
    """Sum of up to `BLOCK` numbers in eight lanes."""
    total: float = 0.0
    if n < 8:
        for i in range(start, start + n):
            total += values[i]
        return total
    r0, r1, r2, r3 = values[start], values[start + 1], values[start + 2], values[start + 3]
    r4, r5, r6, r7 = values[start + 4], values[start + 5], values[start + 6], values[start + 7]
    i = 8
    while i < n - n % 8:
        r0 += values[start + i]
        r1 += values[start + i + 1]
        r2 += values[start + i + 2]
        r3 += values[start + i + 3]
        r4 += values[start + i + 4]
        r5 += values[start + i + 5]
        r6 += values[start + i + 6]
        r7 += values[start + i + 7]
        i += 8
    total = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
    while i < n:
        total += values[start + i]
        i += 1
    return total


def sum_room() -> tuple[Int, Float]:
    """What `pairwise_sum` works in."""
    return np.empty((3, 64), np.int64), np.empty(64)


@kernel
def pairwise_sum(values: Float, start: int, n: int, places: Int, left: Float) -> float:
    """Sum of ``values[start:start + n]`` in the order in which NumPy adds a contiguous array.

    NumPy's own form is recursive. Here the halves that wait for each other stand on a stack: a compiled function that
    calls itself crashes when Numba loads it from its cache.

    places, left : scratch, from `sum_room`
    """
    if n <= BLOCK:
        return block_sum(values, start, n)
    begin, size, step = places
    begin[0], size[0], step[0] = start, n, 0
    depth, total = 0, 0.0
    while depth >= 0:
        half = size[depth] // 2
        half -= half % 8
        if size[depth] <= BLOCK:
            total = block_sum(values, begin[depth], size[depth])
            depth -= 1
        elif step[depth] == 0:
            step[depth] = 1
            begin[depth + 1], size[depth + 1], step[depth + 1] = begin[depth], half, 0
            depth += 1
        elif step[depth] == 1:
            step[depth], left[depth] = 2, total
            begin[depth + 1], size[depth + 1], step[depth + 1] = begin[depth] + half, size[depth] - half, 0
            depth += 1
        else:
            total += left[depth]
            depth -= 1
    return total


@kernel
def oks_means_rows(
    start: int,
    stop: int,
    first_gt: Int,
    gt_keypoints: Float,
    pairs: Int,
    terms: Float,
    places: Int,
    left: Float,
    out: Float,
) -> None:
    """OKS of the rows' pairs that are marked by -1 in `out`, from the exponentials of `oks_exponents_rows`.

    places, left : scratch, from `sum_room`
    """
    used = 0
    for row in range(start, stop):
        for p in range(pairs[row], pairs[row + 1]):
            if out[p] == 0:
                continue
            g = first_gt[row] + p - pairs[row]
            n = 0
            for j in range(gt_keypoints.shape[1]):
                n += gt_keypoints[g, j, 2] > 0
            if n == 0:
                n = gt_keypoints.shape[1]
            out[p] = pairwise_sum(terms[used], 0, n, places, left) / n
            used += 1
