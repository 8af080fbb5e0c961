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


class Curves(NamedTuple):
    """Interpolated curves for thresholds T, recall points R, categories K, area ranges A and caps on detections M."""

    precision: Float
    """(T, R, K, A, M) highest precision at this recall or a later one; 0 where the recall is not reached"""
    recall: Float
    """(T, K, A, M) recall after the last detection"""
    score: Float
    """(T, R, K, A, M) score of the detection that reaches the recall; 0 where none does"""


@kernel
def category_curves(
    start: int,
    stop: int,
    offsets: Int,
    image: Index,
    rank: Index,
    score: Float,
    true: Int,
    ignored: Int,
    weights: Int,
    max_dets: Int,
    area_words: Int,
    points: Float,
    positives: Int,
    spans: Int,
    needed: Int,
    bucket: Int,
    uniform: Int,
    others: Int,
    found: Int,
    hit: Int,
    precisions: Float,
    recalls: Float,
    scores: Float,
    detections: Int,
) -> None:
    """Walk the rows of the categories `start` to `stop` by falling score and write their curves.

    offsets : (K + 1,) a category's rows are ``offsets[k]:offsets[k + 1]``; in it they stand by falling score, between
        equal scores by image and rank
    image, rank, score : (N,) index of the image, position among the detections of the image and category
    true, ignored : (N, W) bits over (area range, threshold), as in `cvbench.kernels.matching`
    weights : (I,) how many times an image counts; its rows of one score are repeated together, as those of a copy
        would be
    max_dets : (M,) rising caps; area_words : (A, W) the bits of all thresholds of an area range
    points : (R,) rising recalls; positives : (K, A)
    spans : (A, 2) the first and the last word of an area range
    needed : (A, R) scratch: true positives that reach each point, or `NEVER`
    bucket : (A, P + 1) scratch: how many points 0, 1, ... true positives reach; no positives exceed P
    uniform : (A, M) scratch: rows that count at all thresholds, 9 of 10, within cap *m* but not within the one below
    others, found : (A, M, T) scratch: other rows that count, and true positives, within cap *m*
    hit : (T + 1,) scratch: the thresholds at which a row is true
    precisions, scores : (K, A, M, T, R) and recalls : (K, A, M, T) zeros, written where there are positives
    detections : (K,) written: number of rows
    """
    n_areas, n_caps, n_limits, n_points = precisions.shape[1:]
    for k in range(start, stop):
        for area in range(n_areas):
            reaching = 0
            for r in range(n_points):
                while 0 < positives[k, area] >= reaching and reaching / positives[k, area] < points[r]:
                    bucket[area, reaching] = r
                    reaching += 1
                needed[area, r] = reaching if 0 < positives[k, area] >= reaching else NEVER
            while reaching <= positives[k, area]:
                bucket[area, reaching] = n_points
                reaching += 1
            for m in range(n_caps):
                uniform[area, m] = 0
                for t in range(n_limits):
                    others[area, m, t] = found[area, m, t] = 0
        best, at = precisions[k], scores[k]
        detections[k], opened = 0, n_caps
        row = offsets[k]
        while row < offsets[k + 1]:
            end, copies = row + 1, weights[image[row]]
            while copies > 1 and end < offsets[k + 1] and image[end] == image[row] and score[end] == score[row]:
                end += 1
            detections[k] += copies * (end - row)
            for _ in range(copies):
                for i in range(row, end):
                    cap, odd, hits = 0, False, 0
                    for m in range(n_caps):
                        cap += rank[i] >= max_dets[m]
                    while opened > cap:
                        # a recall of 0 is reached by the first row, true or not
                        opened -= 1
                        for area in range(n_areas):
                            for r in range(n_points):
                                for t in range(n_limits if needed[area, r] == 0 else 0):
                                    at[area, opened, t, r] = score[i]
                    for area in range(n_areas):
                        w = spans[area, 0]
                        some, lacking = ignored[i, w] & area_words[area, w], ~ignored[i, w] & area_words[area, w]
                        hits |= true[i, w]
                        while w < spans[area, 1]:
                            w += 1
                            some |= ignored[i, w] & area_words[area, w]
                            lacking |= ~ignored[i, w] & area_words[area, w]
                            hits |= true[i, w]
                        uniform[area, cap] += some == 0
                        odd |= (some != 0) & (lacking != 0)
                    for area in range(n_areas if odd else 0):
                        w = spans[area, 0]
                        some = ignored[i, w] & area_words[area, w]
                        while w < spans[area, 1]:
                            w += 1
                            some |= ignored[i, w] & area_words[area, w]
                        for t in range(n_limits if some != 0 else 0):
                            word, shift = (area * n_limits + t) // WORD, (area * n_limits + t) % WORD
                            for m in range(cap, n_caps):
                                others[area, m, t] += 1 - ((ignored[i, word] >> shift) & 1)
                    for area in range(n_areas if hits != 0 else 0):
                        n_hits = 0
                        for t in range(n_limits):
                            word, shift = (area * n_limits + t) // WORD, (area * n_limits + t) % WORD
                            hit[n_hits] = t
                            n_hits += (true[i, word] >> shift) & 1
                        if n_hits == 0:
                            continue
                        counted = 0
                        for m in range(n_caps):
                            counted += uniform[area, m]
                            for j in range(n_hits if m >= cap else 0):
                                t = hit[j]
                                n = found[area, m, t] + 1
                                found[area, m, t] = n
                                r = bucket[area, n] - 1
                                if r >= 0:
                                    precision = n / (counted + others[area, m, t] + EPSILON)
                                    best[area, m, t, r] = max(best[area, m, t, r], precision)
                                    if n == needed[area, r]:
                                        at[area, m, t, r] = score[i]
            row = end
        for area in range(n_areas):
            if positives[k, area] == 0:
                continue
            for m in range(n_caps):
                for t in range(n_limits):
                    recalls[k, area, m, t] = found[area, m, t] / positives[k, area]
                    for r in range(n_points - 2, -1, -1):
                        best[area, m, t, r] = max(best[area, m, t, r], best[area, m, t, r + 1])
                        if needed[area, r] == needed[area, r + 1] and needed[area, r] > 0:
                            at[area, m, t, r] = at[area, m, t, r + 1]
