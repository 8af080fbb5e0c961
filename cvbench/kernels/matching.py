"""Which detection is matched to which ground truth: COCO's greedy rule, for all IoU thresholds and area ranges at once.

Rows are detections, one category after another, by falling score inside a category and, between equal scores, by image
and file order. Because the rule looks at one image at a time, walking a category in this order is the same as walking
its images.

Outcomes are bit sets over (area range, threshold): bit ``a * T + t``, `WORD` bits to an int64.
"""

from __future__ import annotations

import numpy as np

from cvbench.kernels import Float, Int, kernel

WORD = 62
"""Bits used of an int64: the sign stays out of it, and so do the surprises of unsigned arithmetic."""

CROWD = 1
UNMATCHABLE = 2
"""Marks of a ground truth: many detections may share it; a match with it counts as none."""

MAX_AREAS = 60


@kernel
def rank_rows(
    start: int, stop: int, offsets: Int, order: Int, image: Int, n_images: int, cap: int, rank: Int, kept: Int
) -> None:
    """Number the rows of each (category, image) from 0 in the order of `order`, and count per category those below
    `cap`.

    rank : (N,) written, along `order`; kept : (K,) written.
    """
    seen = np.zeros(n_images, np.int64)
    for category in range(start, stop):
        n = 0
        for i in range(offsets[category], offsets[category + 1]):
            rank[i] = seen[image[order[i]]]
            seen[image[order[i]]] += 1
            n += rank[i] < cap
        for i in range(offsets[category], offsets[category + 1]):
            seen[image[order[i]]] = 0
        kept[category] = n


@kernel
def join_rows(
    start: int,
    stop: int,
    gt_offsets: Int,
    gt_image: Int,
    row_offsets: Int,
    row_image: Int,
    n_images: int,
    first_gt: Int,
    n_gt: Int,
) -> None:
    """Find for every row the run of ground truths of its category and image.

    Ground truths are grouped by category, ascending by image; first_gt, n_gt : (N,) written.
    """
    first = np.zeros(n_images, np.int64)
    count = np.zeros(n_images, np.int64)
    for category in range(start, stop):
        for g in range(gt_offsets[category], gt_offsets[category + 1]):
            if count[gt_image[g]] == 0:
                first[gt_image[g]] = g
            count[gt_image[g]] += 1
        for row in range(row_offsets[category], row_offsets[category + 1]):
            first_gt[row] = first[row_image[row]]
            n_gt[row] = count[row_image[row]]
        for g in range(gt_offsets[category], gt_offsets[category + 1]):
            count[gt_image[g]] = 0


@kernel
def near_rows(first: int, similarity: Float, start: int, stop: int, lowest: float, near: Int, by: Float) -> int:
    """Collect the ground truths of the pairs `start` to `stop` that reach `lowest`, the preferred first; returns their
    number.

    More similar ones are preferred, and of equally similar ones the later. near, by : written, ground truth and
    similarity.
    """
    n = 0
    for p in range(start, stop):
        if similarity[p] >= lowest:
            i = n
            while i > 0 and by[i - 1] <= similarity[p]:
                near[i], by[i] = near[i - 1], by[i - 1]
                i -= 1
            near[i], by[i] = first + p - start, similarity[p]
            n += 1
    return n


@kernel
def match_rows(
    start: int,
    stop: int,
    row_offsets: Int,
    first_gt: Int,
    pairs: Int,
    similarity: Float,
    limits: Float,
    reach: Int,
    mark: Int,
    gt_ignored: Int,
    taken: Int,
    true: Int,
    ignored: Int,
    partner: Int,
) -> None:
    """Match the rows of the categories `start` to `stop`, 62 thresholds and area ranges in one step.

    A detection takes the best ground truth that counts and is free, else the best ignored one; a crowd is always free.
    Asking the ground truths in order of preference for all bits that are still open is 10 times as fast as asking for
    the best one bit by bit.

    first_gt : (N,) first ground truth of a row's image and category
    pairs : (N + 1,) a row's similarities are ``similarity[pairs[row]:pairs[row + 1]]``
    limits : (T,) rising similarities that match; reach : (T + 1, W) the bits whose limit is among the first 0, 1, ...
    of them
    mark : (G,) `CROWD` and `UNMATCHABLE`
    gt_ignored : (G, W) the bits for which a ground truth is ignored
    taken : (G, W) zeros; scratch
    true : (N, W) zeros, written: matched to a ground truth that counts
    ignored : (N, W) the bits for which an unmatched detection is ignored; written: neither right nor wrong
    partner : (N, bits) of -1, written: the ground truth of each match; or (0, bits): not written
    """
    largest = 0
    for row in range(row_offsets[start], row_offsets[stop]):
        largest = max(largest, pairs[row + 1] - pairs[row])
    near, by = np.empty(largest, np.int64), np.empty(largest)
    for row in range(row_offsets[start], row_offsets[stop]):
        n = near_rows(first_gt[row], similarity, pairs[row], pairs[row + 1], limits[0], near, by)
        if n == 0:
            continue
        for w in range(true.shape[1]):
            closed = 0
            for i in range(2 * n):
                g, fallback = near[i % n], i >= n
                reached = 1
                while reached < len(limits) and limits[reached] <= by[i % n]:
                    reached += 1
                won = reach[reached, w] & ~closed & (gt_ignored[g, w] if fallback else ~gt_ignored[g, w])
                if mark[g] & CROWD == 0:
                    won &= ~taken[g, w]
                closed |= won
                taken[g, w] |= won
                if fallback:
                    ignored[row, w] |= won
                elif mark[g] & UNMATCHABLE == 0:
                    true[row, w] |= won
                    ignored[row, w] &= ~won
                if len(partner) > 0:
                    for bit in range(min(WORD, partner.shape[1] - w * WORD)):
                        if (won >> bit) & 1:
                            partner[row, w * WORD + bit] = g
