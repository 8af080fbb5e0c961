"""Precision and recall along falling scores, interpolated at fixed recall points.

Precision can only rise where a true positive is added, so the curve is known from its true positives. Each falls into
the bucket of the last recall point that it reaches; the best precision of a bucket and of all later ones is the
interpolated precision at that point.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cvbench.kernels import Float, Index, Int, kernel
from cvbench.kernels.matching import WORD

EPSILON = 2.0**-52
"""The spacing of float64 at 1; it keeps 0 / 0 out of the first precisions and shows in their last bit."""

NEVER = 1 << 60
"""More true positives than there can be: stands where a recall point is out of reach."""


class Rows(NamedTuple):
    """Detections by category, in it by falling score, between equal scores by image and rank."""

    image: Index
    """(N,) image index"""
    rank: Index
    """(N,) position among the detections of the same image and category"""
    score: Float
    """(N,)"""
    true: Int
    """(N, W) bits over (area range, threshold), as in `cvbench.kernels.matching`"""
    ignored: Int
    """(N, W)"""


class Curves(NamedTuple):
    """Interpolated curves for thresholds T, recall points R, categories K, area ranges A and caps on detections M."""

    precision: Float
    """(T, R, K, A, M) highest precision at this recall or a later one; 0 where the recall is not reached"""
    recall: Float
    """(T, K, A, M) recall after the last detection"""
    score: Float
    """(T, R, K, A, M) score of the detection that reaches the recall; 0 where none does"""


@kernel
def count_positives(category: Index, image: Index, counted: Int, weights: Int, positives: Int) -> None:
    """positives (K, A): weighted number of ground truths whose bit *a* of `counted` (G,) is set."""
    for g in range(len(category)):
        for area in range(positives.shape[1]):
            positives[category[g], area] += ((counted[g] >> area) & 1) * weights[image[g]]


@kernel
def needed_true(positives: int, points: Float, needed: Int) -> None:
    """needed (R,): how many true positives reach each of the rising recall `points`; more than `positives`: out of
    reach.
    """
    true = 0
    for r in range(len(points)):
        while true <= positives and true / positives < points[r]:
            true += 1
        needed[r] = true


@kernel
def add_true(n: int, precision: float, score: float, needed: Int, reached: int, best: Float, at: Float) -> int:
    """Put the *n*-th true positive on a curve; returns how many recall points are reached with it."""
    while needed[reached] <= n:
        if needed[reached] == n:
            at[reached] = score
        reached += 1
    best[reached] = max(best[reached], precision)
    return reached


@kernel
def walk(
    start: int,
    stop: int,
    rows: Rows,
    weights: Int,
    max_dets: Int,
    area_words: Int,
    needed: Int,
    best: Float,
    at: Float,
    n_true: Int,
) -> None:
    """Walk the rows of one category by falling score and collect its curves for every area A, threshold T and cap M.

    weights : (I,) how many times an image counts; its rows of one score are repeated together, as those of a copy would
    be
    area_words : (A, W) the bits of all thresholds of an area range
    needed : (A, R + 1) true positives that reach each recall point, `NEVER` at the end
    best : (A, T, M, R + 1) zeros, written: highest precision while 0, 1, ... recall points are reached
    at : (A, T, M, R) zeros, written: the score at which each recall point is reached
    n_true : (A, T, M) zeros, written
    """
    n_areas, n_limits, n_caps = n_true.shape
    uniform = np.zeros((n_areas, n_caps), np.int64)  # false at all thresholds: 3 of 4 rows, counted in one step
    others = np.zeros((n_areas, n_limits, n_caps), np.int64)
    reached = np.zeros((n_areas, n_limits, n_caps), np.int64)
    opened = n_caps
    row = start
    while row < stop:
        end = row + 1
        while end < stop and rows.image[end] == rows.image[row] and rows.score[end] == rows.score[row]:
            end += 1
        for repeat in range(weights[rows.image[row]] * (end - row)):
            i = row + repeat % (end - row)
            cap = 0
            while rows.rank[i] >= max_dets[cap]:
                cap += 1
            for m in range(cap, opened):
                for r in range(at.shape[3]):
                    for area in range(n_areas):
                        if needed[area, r] == 0:
                            at[area, :, m, r] = rows.score[i]
            opened = min(opened, cap)
            for area in range(n_areas):
                is_true = is_ignored = False
                is_uniform = True
                for w in range(area_words.shape[1]):
                    is_true |= (rows.true[i, w] & area_words[area, w]) != 0
                    some = rows.ignored[i, w] & area_words[area, w]
                    is_ignored |= some != 0
                    is_uniform &= some == 0 or some == area_words[area, w]
                if is_uniform and not is_true:
                    for m in range(cap, n_caps):
                        uniform[area, m] += not is_ignored
                    continue
                for t in range(n_limits):
                    word, shift = (area * n_limits + t) // WORD, (area * n_limits + t) % WORD
                    if (rows.ignored[i, word] >> shift) & 1:
                        continue
                    hit = (rows.true[i, word] >> shift) & 1
                    for m in range(cap, n_caps):
                        others[area, t, m] += 1
                        n_true[area, t, m] += hit
                        if hit:
                            n = n_true[area, t, m]
                            precision = n / (uniform[area, m] + others[area, t, m] + EPSILON)
                            reached[area, t, m] = add_true(
                                n,
                                precision,
                                rows.score[i],
                                needed[area],
                                reached[area, t, m],
                                best[area, t, m],
                                at[area, t, m],
                            )
        row = end


@kernel
def category_curves(
    start: int,
    stop: int,
    offsets: Int,
    rows: Rows,
    weights: Int,
    max_dets: Int,
    area_words: Int,
    points: Float,
    positives: Int,
    curves: Curves,
) -> None:
    """Fill the curves of the categories `start` to `stop`; those without positives stay as they are.

    offsets : (K + 1,) a category's rows are ``offsets[k]:offsets[k + 1]``
    points : (R,) rising recalls; positives : (K, A); curves : written
    """
    n_limits, n_points, n_areas, n_caps = (
        curves.precision.shape[0],
        len(points),
        curves.precision.shape[3],
        curves.precision.shape[4],
    )
    needed = np.full((n_areas, n_points + 1), NEVER)
    best = np.empty((n_areas, n_limits, n_caps, n_points + 1))
    at = np.empty((n_areas, n_limits, n_caps, n_points))
    n_true = np.empty((n_areas, n_limits, n_caps), np.int64)
    for k in range(start, stop):
        best[:] = 0
        at[:] = 0
        n_true[:] = 0
        needed[:] = NEVER
        for area in range(n_areas):
            if positives[k, area] > 0:
                needed_true(positives[k, area], points, needed[area])
        walk(offsets[k], offsets[k + 1], rows, weights, max_dets, area_words, needed, best, at, n_true)
        for area in range(n_areas):
            if positives[k, area] == 0:
                continue
            for t in range(n_limits):
                for m in range(n_caps):
                    curves.recall[t, k, area, m] = n_true[area, t, m] / positives[k, area]
                    highest = 0.0
                    for r in range(n_points - 1, -1, -1):
                        highest = max(highest, best[area, t, m, r + 1])
                        curves.precision[t, r, k, area, m] = highest
                        curves.score[t, r, k, area, m] = at[area, t, m, r]
