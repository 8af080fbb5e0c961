"""Which detection is matched to which ground truth: COCO's greedy rule, for all IoU thresholds and area ranges at once.

The rule looks at one *cell* at a time: the detections and ground truths of one image and category. Rows stand image by
image, in it cell by cell; those of detections by falling score, those of ground truths as they were given. So all that
a cell needs lies close together in memory, and images can be spread over threads. What comes out of it is put down
category by category, as curves need it.

Outcomes are bit sets over (area range, threshold): bit ``a * T + t``, `WORD` bits to an int64.
"""

from __future__ import annotations

from cvbench.kernels import Float, Index, Int, kernel
from cvbench.kernels.ordering import Room, falling_key, sort_run
from cvbench.kernels.similarity import xywh_iou

WORD = 62
"""Bits used of an int64: the sign stays out of it, and so do the surprises of unsigned arithmetic."""

CROWD = 1
UNMATCHABLE = 2
"""Marks of a ground truth: many detections may share it; a match with it counts as none."""

MAX_AREAS = 60


@kernel
def gather_cells(start: int, stop: int, category: Int, size: Int, place: Int, row: Int) -> None:
    """Put the rows `start` to `stop` into ``row[start:stop]``, category by category, each in the order given.

    Categories stand in the order in which they first occur. size (K,) of 0 and place (K,) of -1, written: the number
    of a category's rows, and where they end.
    """
    for i in range(start, stop):
        size[category[i]] += 1
    free = start
    for i in range(start, stop):
        k = category[i]
        if place[k] < 0:
            place[k] = free
            free += size[k]
        row[place[k]] = i
        place[k] += 1


@kernel
def order_cells(
    start: int,
    stop: int,
    gt_offsets: Int,
    gt_category: Int,
    offsets: Int,
    category: Int,
    bits: Int,
    cap: int,
    size: Int,
    place: Int,
    room: Room,
    gt_row: Int,
    row: Int,
    first_gt: Int,
    n_gt: Int,
    kept: Int,
    kept_of: Int,
) -> None:
    """Order the rows of the images `start` to `stop` by cell, detections of a cell by falling score up to the first
    `cap`, and see which meet.

    bits : (N,) float64 scores, viewed as int64
    size : (2, K) of 0 and place : (2, K) of -1, as of `gather_cells`; room : for all detections of any of the images
    gt_row : (G,), row : (N,) written: what stands where; an image's rows of `row` are its first ones, see `kept`
    first_gt, n_gt : (N,) written, along `row`: the cell's ground truths, as the first of them along `gt_row` and their
        number
    kept : (I,) and kept_of : (K,) zeros, written: the number of rows within `cap` by image and by category
    """
    keys, rows, _ = room
    for image in range(start, stop):
        gather_cells(gt_offsets[image], gt_offsets[image + 1], gt_category, size[0], place[0], gt_row)
        gather_cells(offsets[image], offsets[image + 1], category, size[1], place[1], row)
        first, free = offsets[image], offsets[image]
        while first < offsets[image + 1]:
            k = category[row[first]]
            n = size[1, k]
            for i in range(n):
                rows[0, i] = row[first + i]
                keys[0, i] = falling_key(bits[rows[0, i]])
            sort_run(room, n)
            first += n
            for i in range(min(n, cap)):
                row[free] = rows[0, i]
                first_gt[free] = place[0, k] - size[0, k]
                n_gt[free] = size[0, k]
                free += 1
            kept_of[k] += min(n, cap)
            size[1, k], place[1, k] = 0, -1
        kept[image] = free - offsets[image]
        for g in range(gt_offsets[image], gt_offsets[image + 1]):
            size[0, gt_category[g]], place[0, gt_category[g]] = 0, -1


@kernel
def match_rows(
    start: int,
    stop: int,
    offsets: Int,
    row: Int,
    first_gt: Int,
    n_gt: Int,
    category: Int,
    bits: Int,
    area: Float,
    boxes: Float,
    gt_boxes: Float,
    pairs: Int,
    similarity: Float,
    lows: Float,
    highs: Float,
    area_words: Int,
    limits: Float,
    reach: Int,
    mark: Int,
    gt_ignored: Int,
    own: Float,
    near: Int,
    by: Float,
    taken: Int,
    place: Int,
    image_of: Index,
    rank_of: Index,
    bits_of: Int,
    true: Int,
    ignored: Int,
    n_ignored: Int,
    partner: Int,
) -> None:
    """Match the rows of the images `start` to `stop`, 62 thresholds and area ranges in one step.

    A detection takes the best ground truth that counts and is free, else the best ignored one; a crowd is always free;
    of equally similar ones it takes the later. Asking the ground truths in order of preference for all bits that are
    still open is 10 times as fast as asking for the best one bit by bit.

    offsets : (I + 1,) rows of an image; row, first_gt, n_gt : (N,) see `order_cells`
    category, bits, area, boxes : columns of the detections, `bits` their scores; gt_boxes : (G, 4)
    pairs : (N + 1,) a row's similarities are ``similarity[pairs[n]:pairs[n + 1]]``; or (0,): they are the IoUs of
        `boxes` with `gt_boxes`
    lows, highs : (A,) area ranges, closed; area_words : (A, W) the bits of their thresholds
    limits : (T,) rising similarities that match; reach : (T + 1, W) the bits whose limit is among the first 0, 1, ...
        of them
    mark : (G,) `CROWD` and `UNMATCHABLE`
    gt_ignored : (G, W) the bits for which a ground truth is ignored
    own : (rows of an image, 5) scratch: boxes and areas, fetched at once; a miss of the cache behind a branch that was
        foretold wrongly costs more than all else
    near, by : at least the largest of `n_gt`; scratch
    taken : (G, W) zeros; scratch
    place : (K,) where the first row of each category goes, written: where the next one goes

    Written, in the place of each row: image_of, rank_of, bits_of : (N,) image, position in its cell and score;
    true : (N, W) matched to a ground truth that counts; ignored : (N, W) neither right nor wrong: matched to an ignored
    one, or unmatched and outside of the area range. Further n_ignored : (I,) how many are ignored for the first bit;
    partner : (N, bits) of -1, along `row`: the ground truth of each match; or (0, bits): not written.
    """
    for image in range(start, stop):
        n_ignored[image] = 0
        last, rank = -1, 0
        for n in range(offsets[image], offsets[image + 1]):
            own[n - offsets[image], 4] = area[row[n]]
            for c in range(4 if len(pairs) == 0 else 0):
                own[n - offsets[image], c] = boxes[row[n], c]
        for n in range(offsets[image], offsets[image + 1]):
            d = row[n]
            k = category[d]
            rank = rank + 1 if k == last else 0
            last = k
            to = place[k]
            place[k] += 1
            image_of[to], rank_of[to], bits_of[to] = image, rank, bits[d]
            m = 0
            for j in range(n_gt[n]):
                g = first_gt[n] + j
                if len(pairs) > 0:
                    s = similarity[pairs[n] + j]
                else:
                    s = xywh_iou(own, n - offsets[image], gt_boxes, g, mark[g] & CROWD)
                if s >= limits[0]:
                    i = m
                    while i > 0 and by[i - 1] <= s:
                        near[i], by[i] = near[i - 1], by[i - 1]
                        i -= 1
                    near[i], by[i] = g, s
                    m += 1
            for w in range(true.shape[1]):
                hit, skipped, closed = 0, 0, 0
                for a in range(len(lows)):
                    if own[n - offsets[image], 4] < lows[a] or own[n - offsets[image], 4] > highs[a]:
                        skipped |= area_words[a, w]
                for i in range(2 * m):
                    fallback = i >= m
                    g, reached = near[i - m if fallback else i], 1
                    while reached < len(limits) and limits[reached] <= by[i - m if fallback else i]:
                        reached += 1
                    won = reach[reached, w] & ~closed & (gt_ignored[g, w] if fallback else ~gt_ignored[g, w])
                    if mark[g] & CROWD == 0:
                        won &= ~taken[g, w]
                    closed |= won
                    taken[g, w] |= won
                    if fallback:
                        skipped |= won
                    elif mark[g] & UNMATCHABLE == 0:
                        hit |= won
                        skipped &= ~won
                    if len(partner) > 0:
                        for bit in range(min(WORD, partner.shape[1] - w * WORD)):
                            if (won >> bit) & 1:
                                partner[n, w * WORD + bit] = g
                true[to, w], ignored[to, w] = hit, skipped
            n_ignored[image] += ignored[to, 0] & 1
