"""Precision and recall along falling scores, interpolated at fixed recall points.

Precision can only rise where a true positive is added, so the curve is known from its true positives. Each falls into
the bucket of the last recall point that it reaches; the best precision of a bucket and of all later ones is the
interpolated precision at that point.
"""

from __future__ import annotations

from typing import NamedTuple

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


class Tally(NamedTuple):
    """Where the curves of one category grow; made outside, as allocations inside of a kernel cost compile time.

    A threshold T, cap M and area range A has its own place everywhere; R recall points.
    """

    needed: Int
    """(A, R + 1) true positives that reach each recall point, `NEVER` at the end"""
    best: Float
    """(A, T, M, R + 1) highest precision while 0, 1, ... recall points are reached"""
    at: Float
    """(A, T, M, R) the score at which each recall point is reached"""
    true: Int
    """(A, T, M) number of true positives"""
    others: Int
    """(A, T, M) number of rows that count, without those in `uniform`"""
    uniform: Int
    """(A, M) number of rows that are false at all thresholds: 3 of 4, counted in one step"""
    reached: Int
    """(A, T, M) number of recall points reached"""


@kernel
def clear(tally: Tally, positives: Int, points: Float) -> None:
    """Begin a category with `positives` (A,) ground truths."""
    n_areas, n_limits, n_caps, n_points = tally.at.shape
    for area in range(n_areas):
        for r in range(n_points + 1):
            tally.needed[area, r] = NEVER
        if positives[area] > 0:
            needed_true(positives[area], points, tally.needed[area])
        for m in range(n_caps):
            tally.uniform[area, m] = 0
        for t in range(n_limits):
            for m in range(n_caps):
                tally.true[area, t, m] = 0
                tally.others[area, t, m] = 0
                tally.reached[area, t, m] = 0
                tally.best[area, t, m, n_points] = 0
                for r in range(n_points):
                    tally.best[area, t, m, r] = 0
                    tally.at[area, t, m, r] = 0


@kernel
def add_row(tally: Tally, area: int, t: int, m: int, hit: bool, score: float) -> None:
    """Put a row that counts on a curve."""
    tally.others[area, t, m] += 1
    if not hit:
        return
    n = tally.true[area, t, m] + 1
    tally.true[area, t, m] = n
    reached = tally.reached[area, t, m]
    while tally.needed[area, reached] <= n:
        if tally.needed[area, reached] == n:
            tally.at[area, t, m, reached] = score
        reached += 1
    tally.reached[area, t, m] = reached
    precision = n / (tally.uniform[area, m] + tally.others[area, t, m] + EPSILON)
    tally.best[area, t, m, reached] = max(tally.best[area, t, m, reached], precision)


@kernel
def walk(start: int, stop: int, rows: Rows, weights: Int, max_dets: Int, area_words: Int, tally: Tally) -> None:
    """Walk the rows of one category by falling score and collect its curves for all area ranges, thresholds and caps.

    weights : (I,) how many times an image counts; its rows of one score are repeated together, as those of a copy
        would be
    area_words : (A, W) the bits of all thresholds of an area range
    """
    n_areas, n_limits, n_caps, n_points = tally.at.shape
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
                # a recall of 0 is reached by the first row, true or not
                for area in range(n_areas):
                    for r in range(n_points):
                        if tally.needed[area, r] == 0:
                            for t in range(n_limits):
                                tally.at[area, t, m, r] = rows.score[i]
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
                        tally.uniform[area, m] += not is_ignored
                    continue
                for t in range(n_limits):
                    word, shift = (area * n_limits + t) // WORD, (area * n_limits + t) % WORD
                    if (rows.ignored[i, word] >> shift) & 1 == 0:
                        hit = (rows.true[i, word] >> shift) & 1 == 1
                        for m in range(cap, n_caps):
                            add_row(tally, area, t, m, hit, rows.score[i])
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
    tally: Tally,
    curves: Curves,
) -> None:
    """Fill the curves of the categories `start` to `stop`; those without positives stay as they are.

    offsets : (K + 1,) a category's rows are ``offsets[k]:offsets[k + 1]``
    points : (R,) rising recalls; positives : (K, A); tally : scratch; curves : written
    """
    n_areas, n_limits, n_caps, n_points = tally.at.shape
    for k in range(start, stop):
        clear(tally, positives[k], points)
        walk(offsets[k], offsets[k + 1], rows, weights, max_dets, area_words, tally)
        for area in range(n_areas):
            if positives[k, area] == 0:
                continue
            for t in range(n_limits):
                for m in range(n_caps):
                    curves.recall[t, k, area, m] = tally.true[area, t, m] / positives[k, area]
                    highest = 0.0
                    for r in range(n_points - 1, -1, -1):
                        highest = max(highest, tally.best[area, t, m, r + 1])
                        curves.precision[t, r, k, area, m] = highest
                        curves.score[t, r, k, area, m] = tally.at[area, t, m, r]
