"""Run-length encoded masks: measuring, comparing, merging, rasterising, the string code, the boundary.

Every kernel works on the flat arrays of `cvbench.columns.Masks`: run lengths ``counts`` of all masks one after
another, and ``offsets`` that say where each mask starts. The runs of a mask go down its columns, background first.
Run lengths are read into int64 at once: arithmetic that mixes uint32 with int64 would leave the integers.

The run-by-run loops stop at the same place as the C loops of pycocotools, also where a run of length zero inside of a
mask makes those stop early. Where the C loops would never end (two masks whose runs cover different numbers of
pixels), these end.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cvbench.kernels import Bool, Float, Index, Int, kernel

Counts = NDArray[np.uint32]
Bytes = NDArray[np.uint8]

WRAP = 1 << 32
"""pycocotools computes the box of a mask in unsigned 32-bit integers."""

POSITIVE = (1 << 62) - 1
"""``index & POSITIVE`` tells the compiler that an index is not counted from the end: strings decode twice as fast."""

SCALE = 5
"""A polygon is rasterised on a grid this many times finer than the pixels."""


class Runs(NamedTuple):
    """Masks, and what `measure` found of those that it was asked for.

    counts : (sum of run numbers,) uint32; offsets : (N + 1,) int64
        As in `cvbench.columns.Masks`.
    facts : (N, 4) int64
        Where the foreground begins and ends, its pixels, and 1 if no run behind the first has length zero.
    """

    counts: Counts
    offsets: Int
    facts: Int


@kernel
def rle_sums(counts: Counts, offsets: Int, foreground: Int, covered: Int, start: int, stop: int) -> None:
    """Pixels of the foreground, and of all runs, of the masks ``start:stop``.

    A slice of runs lets the compiler add several at once: 5 times as fast as indices into `counts`.
    """
    for n in range(start, stop):
        runs = counts[offsets[n] : offsets[n + 1]]
        inside = outside = np.int64(0)
        for k in range(len(runs) // 2):
            outside += np.int64(runs[2 * k])
            inside += np.int64(runs[2 * k + 1])
        if len(runs) % 2 == 1:
            outside += np.int64(runs[len(runs) - 1])
        foreground[n] = inside
        covered[n] = inside + outside


@kernel
def rle_box(counts: Counts, offsets: Int, sizes: Int, boxes: Float, start: int, stop: int) -> None:
    """Smallest ``[x, y, width, height]`` around the foreground of the masks ``start:stop``.

    Zeros for a mask of at most one run. A mask whose foreground runs are all of length zero gets what pycocotools'
    unsigned integers make of the untouched minimum and maximum.
    """
    for n in range(start, stop):
        height = sizes[n, 0]
        left, top, right, bottom = sizes[n, 1], height, np.int64(0), np.int64(0)
        end = np.int64(0)
        column = np.int64(0)  # where the column that holds `begin` starts
        for k in range(offsets[n], offsets[n + 1] - 1, 2):
            begin = end + np.int64(counts[k])
            end = begin + np.int64(counts[k + 1])
            if begin == end:
                continue
            if begin - column >= height:
                column += height
                if begin - column >= height:
                    column = begin // height * height
            if left == sizes[n, 1]:
                left = column // height
            if end - column > height:  # the run goes on in the next column
                top, bottom = np.int64(0), height - 1
                column = (end - 1) // height * height
            else:
                top = min(top, begin - column)
                bottom = max(bottom, end - 1 - column)
            right = column
        boxes[n] = 0.0
        if offsets[n + 1] - offsets[n] > 1:
            boxes[n, 0] = left
            boxes[n, 1] = top
            boxes[n, 2] = (right // height - left + 1) % WRAP
            boxes[n, 3] = (bottom - top + 1) % WRAP


@kernel
def rle_iou_by_runs(
    counts_a: Counts, a0: int, a1: int, counts_b: Counts, b0: int, b1: int, area_a: float, crowd: bool
) -> float:
    """`rle_iou` by the reference's loop, which takes both masks apart into pieces between any two ends of runs.

    It ends, as the reference's does, where two runs of length zero come up at once, even if pixels are left.
    """
    if a0 == a1 or b0 == b1:
        return 0.0
    left_a, left_b = np.int64(counts_a[a0]), np.int64(counts_b[b0])
    a, b = a0 + 1, b0 + 1
    in_a = in_b = False
    both = either = np.int64(0)
    while True:
        step = min(left_a, left_b)
        if in_a or in_b:
            either += step
            if in_a and in_b:
                both += step
        left_a -= step
        left_b -= step
        if left_a == 0:
            if a == a1:
                break
            left_a, a, in_a = np.int64(counts_a[a]), a + 1, not in_a
        if left_b == 0:
            if b == b1:
                break
            left_b, b, in_b = np.int64(counts_b[b]), b + 1, not in_b
        if left_a == 0 and left_b == 0:
            break
    if both == 0:
        return 0.0
    return float(both / (area_a if crowd else np.float64(either)))


@kernel
def measure(masks: Runs, n: int) -> None:
    """Write down the facts of mask *n*; one without foreground begins and ends at 0."""
    runs = masks.counts[masks.offsets[n] : masks.offsets[n + 1]]
    inside = outside = np.int64(0)
    plain = True
    for k in range(len(runs) // 2):
        outside += np.int64(runs[2 * k])
        inside += np.int64(runs[2 * k + 1])
    for k in range(1, len(runs)):
        plain &= runs[k] != 0
    masks.facts[n, 0] = np.int64(runs[0]) if inside > 0 else 0
    masks.facts[n, 1] = outside + inside if inside > 0 else 0
    masks.facts[n, 2] = inside
    masks.facts[n, 3] = plain


@kernel
def shared_pixels(runs_a: Counts, runs_b: Counts) -> int:
    """Pixels of the foreground of both masks, which have foreground, and no run of length zero behind the first.

    Takes one step per run of foreground where `rle_iou_by_runs` takes one per run: 4 times as fast on 18,000 pairs of
    masks of 125 runs.
    """
    begin_b = np.int64(runs_b[0])
    end_b = begin_b + np.int64(runs_b[1])
    b = np.int64(2)
    end_a = both = np.int64(0)
    for k in range(len(runs_a) // 2):
        begin_a = end_a + np.int64(runs_a[2 * k])
        end_a = begin_a + np.int64(runs_a[2 * k + 1])
        while end_b < end_a:
            both += max(end_b - max(begin_a, begin_b), 0)
            if b + 1 >= len(runs_b):
                return int(both)
            begin_b = end_b + np.int64(runs_b[b & POSITIVE])
            end_b = begin_b + np.int64(runs_b[(b + 1) & POSITIVE])
            b += 2
        both += max(end_a - max(begin_a, begin_b), 0)
    return int(both)


@kernel
def rle_iou(masks_a: Runs, i: int, masks_b: Runs, j: int, crowd: bool) -> float:
    """Intersection over union of mask *i* of one and mask *j* of other masks, both measured and of one size.

    0 without an intersection. Where `crowd` (the second mask's), the intersection is divided by the area of the first
    mask instead. A run of length zero behind the first leads over to `rle_iou_by_runs`, which it may end early.
    """
    a, b = masks_a.facts[i], masks_b.facts[j]
    if a[0] >= b[1] or b[0] >= a[1]:
        return 0.0
    a0, a1, b0, b1 = masks_a.offsets[i], masks_a.offsets[i + 1], masks_b.offsets[j], masks_b.offsets[j + 1]
    if a[3] == 0 or b[3] == 0:
        return rle_iou_by_runs(masks_a.counts, a0, a1, masks_b.counts, b0, b1, np.float64(a[2]), crowd)
    both = shared_pixels(masks_a.counts[a0:a1], masks_b.counts[b0:b1])
    if both == 0:
        return 0.0
    return float(both / (a[2] if crowd else a[2] + b[2] - both))


@kernel
def measure_range(masks: Runs, start: int, stop: int) -> None:
    """`measure` the masks ``start:stop``."""
    for n in range(start, stop):
        measure(masks, n)


@kernel
def rle_iou_pairs(masks_a: Runs, masks_b: Runs, crowd_b: Bool, pairs: Int, iou: Float, start: int, stop: int) -> None:
    """`rle_iou` of the mask pairs ``pairs[start:stop]``, each the row of a first and the row of a second mask."""
    for k in range(start, stop):
        iou[k] = rle_iou(masks_a, pairs[k, 0], masks_b, pairs[k, 1], crowd_b[pairs[k, 1]])


@kernel
def rle_merge_pair(
    counts_a: Counts, a0: int, a1: int, counts_b: Counts, b0: int, b1: int, intersect: bool, out: Counts, at: int
) -> int:
    """Write the union or intersection of two masks to ``out[at:]`` and return where it ends.

    It has at most as many runs as both masks together.
    """
    if a0 == a1 or b0 == b1:
        return at
    left_a, left_b = np.int64(counts_a[a0]), np.int64(counts_b[b0])
    a, b = a0 + 1, b0 + 1
    in_a = in_b = inside = False
    length = np.int64(0)
    while True:
        step = min(left_a, left_b)
        length += step
        left_a -= step
        left_b -= step
        if left_a == 0:
            if a == a1:
                break
            left_a, a, in_a = np.int64(counts_a[a]), a + 1, not in_a
        if left_b == 0:
            if b == b1:
                break
            left_b, b, in_b = np.int64(counts_b[b]), b + 1, not in_b
        if left_a == 0 and left_b == 0:
            break
        if inside != ((in_a and in_b) if intersect else (in_a or in_b)):
            out[at] = length
            at, length, inside = at + 1, np.int64(0), not inside
    out[at] = length
    return at + 1


@kernel
def decode_pixels(counts: Counts, offsets: Int, pixels: Bytes) -> None:
    """Set the foreground to 1 in `pixels` (N, width * height), which is zero before and runs down the columns."""
    for n in range(len(offsets) - 1):
        end = np.int64(0)
        for k in range(offsets[n], offsets[n + 1] - 1, 2):
            begin = end + np.int64(counts[k])
            end = begin + np.int64(counts[k + 1])
            pixels[n, begin:end] = 1


@kernel
def string_lengths(codes: Bytes, offsets: Int, lengths: Int, start: int, stop: int) -> None:
    """Number of runs in the compressed strings ``start:stop``, which are ``codes[offsets[n]:offsets[n + 1]]``.

    0 for the empty string and for one that is not of the code: a byte below 48 or above 111, or an end in the middle
    of a number.
    """
    for n in range(start, stop):
        string = codes[offsets[n] : offsets[n + 1]]
        runs = foreign = np.int64(0)
        for byte in string:
            foreign |= np.int64(byte) - 48
            runs += byte < 80
        whole = len(string) > 0 and string[len(string) - 1] < 80
        lengths[n] = runs if whole and foreign & ~63 == 0 else 0


@kernel
def string_counts(codes: Bytes, starts: Int, offsets: Int, counts: Counts, start: int, stop: int) -> None:
    """Decode the compressed strings ``start:stop``, which begin at `starts`, to ``counts[offsets[n]:offsets[n + 1]]``.

    Six bits per byte, least significant first: five bits of the number, then whether more follow. The last of the five
    bits is the sign. From the fourth run on the number is the difference to the run two before. A negative run, or a
    number of more bytes than a run can need, becomes a run longer than any image.
    """
    for n in range(start, stop):
        string, runs = codes[starts[n] : starts[n + 1]], counts[offsets[n] : offsets[n + 1]]
        p = before = last = np.int64(0)
        for k in range(len(runs)):
            code = np.int64(string[p & POSITIVE]) - 48
            p += 1
            value = (code & 15) - (code & 16)
            if code & 32:
                value, shift = code & 31, np.int64(5)
                while code & 32:
                    code = np.int64(string[p & POSITIVE]) - 48
                    value |= (code & 31) << shift
                    shift = min(shift + 5, 40)
                    p += 1
                value -= (code & 16) << (shift - 4)
                if shift == 40:
                    value = np.int64(WRAP)
            if k > 2:
                value += before
            if not 0 <= value < WRAP:
                value = np.int64(WRAP - 1)
            runs[k] = value
            before, last = last, value


@kernel
def encode_strings(counts: Counts, offsets: Int, codes: Bytes, ends: Int) -> None:
    """Write the compressed strings of all masks to `codes`, at most 7 bytes a run, and where each ends to `ends`."""
    p = 0
    for n in range(len(offsets) - 1):
        for k in range(offsets[n], offsets[n + 1]):
            value = np.int64(counts[k])
            if k - offsets[n] > 2:
                value -= np.int64(counts[k - 2])
            while not -16 <= value < 16:
                codes[p] = (value & 31) + 32 + 48
                value >>= 5
                p += 1
            codes[p] = (value & 31) + 48
            p += 1
        ends[n] = p


@kernel
def fine(coordinate: float) -> int:
    """The point of the fine grid next to a coordinate in pixels, truncated toward zero as C does."""
    return int(SCALE * coordinate + 0.5)


@kernel
def edge_row(x0: int, y0: int, x1: int, y1: int, seam: int) -> int:
    """Row of the fine grid at which an edge between two of its points steps from column `seam` to the next or back.

    The reference draws the edge with one point per step along its longer side, from its left or top end whatever its
    direction, and takes the upper one of the two points on both sides of the seam. Only these two are computed here.
    """
    dx, dy = abs(x1 - x0), abs(y1 - y0)
    if dx >= dy:
        if x0 > x1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        slope = (y1 - y0) / dx
        t = seam - x0
        return min(int(y0 + slope * t + 0.5), int(y0 + slope * (t + 1) + 0.5))
    if y0 > y1:
        x0, y0, x1, y1 = x1, y1, x0, y0
    slope = (x1 - x0) / dy
    rising = slope > 0.0
    t = int((seam + 0.5 - x0) / slope)  # a guess: which step crosses is up to the rounding of each point
    while t > 1 and (x0 + slope * (t - 1) + 0.5 >= seam + 1) == rising:
        t -= 1
    while t < 1 or (x0 + slope * t + 0.5 >= seam + 1) != rising:
        t += 1
    return y0 + t - 1


@kernel
def polygon_crossings(xy: Float, parts: Int, masks: Int, sizes: Int, keys: Int, start: int, stop: int) -> int:
    """Where the outlines of the masks ``start:stop`` change a pixel column from outside to inside or back.

    Part *p* is the polygon with the points ``xy[2 * parts[p]:2 * parts[p + 1]]``, mask *n* the parts
    ``masks[n]:masks[n + 1]``. A key holds the part in its upper and the position in the runs of the mask in its lower
    32 bits. Keys come in no order. Returns their number; with `keys` of length 0 it only counts.
    """
    total = 0
    for n in range(start, stop):
        height, width = sizes[n]
        for part in range(masks[n], masks[n + 1]):
            x0 = y0 = 0
            if parts[part] < parts[part + 1]:
                x0, y0 = fine(xy[2 * parts[part + 1] - 2]), fine(xy[2 * parts[part + 1] - 1])
            for point in range(parts[part], parts[part + 1]):
                x1, y1 = fine(xy[2 * point]), fine(xy[2 * point + 1])
                # a seam lies in the middle of every pixel column c, right of the fine column 5 c + 2
                first = max((min(x0, x1) + 2) // SCALE, 0)
                last = min((max(x0, x1) - 3) // SCALE, width - 1)
                if len(keys) > 0:
                    for c in range(first, last + 1):
                        row = (edge_row(x0, y0, x1, y1, SCALE * c + 2) + 2) // SCALE
                        keys[total + c - first] = (part << 32) | (c * height + min(max(row, 0), height))
                total += max(last + 1 - first, 0)
                x0, y0 = x1, y1
    return total


@kernel
def polygon_runs(keys: Int, masks: Int, sizes: Int, counts: Counts, lengths: Int, start: int, stop: int) -> int:
    """Runs of the masks ``start:stop``, each the union of its parts, from their sorted `polygon_crossings`.

    Returns the end of the runs in `counts`, which also needs room behind them: twice the number of crossings and
    parts will do.
    """
    at = k = 0
    for n in range(start, stop):
        pixels = sizes[n, 0] * sizes[n, 1]
        end = at
        for part in range(masks[n], masks[n + 1]):
            begin, last = end, np.int64(0)
            while k < len(keys) and keys[k] >> 32 == part:
                if k + 1 < len(keys) and keys[k] == keys[k + 1]:  # out and in again at the same pixel
                    k += 2
                    continue
                position = keys[k] & 0xFFFFFFFF
                k += 1
                if position < pixels:
                    counts[end] = position - last
                    end, last = end + 1, position
            counts[end] = pixels - last
            end += 1
            if begin > at:
                union = rle_merge_pair(counts, at, begin, counts, begin, end, False, counts, end)
                for i in range(union - end):
                    counts[at + i] = counts[end + i]
                end = at + union - end
        lengths[n] = end - at
        at = end
    return at


@kernel
def push_run(counts: Counts, first: int, at: int, gap: int, length: int) -> int:
    """Append `gap` background and `length` foreground pixels to the runs ``counts[first:at]``; where they end now."""
    if gap == 0 and at > first:
        counts[at - 1] += length
        return at
    counts[at] = gap
    counts[at + 1] = length
    return at + 2


class Columns(NamedTuple):
    """The foreground of a mask, cut where a column ends; arrays may be longer than it takes."""

    of_column: Int
    """(W + 1,) where the pieces of each column start"""
    tops: Index
    """(P,) the first row of each piece"""
    bottoms: Index
    """(P,) the row after the last one of each piece"""
    streaks: Index
    """(H,) of the box, scratch of `boundary_runs`"""


@kernel
def column_pieces(counts: Counts, first: int, stop: int, height: int, x0: int, width: int, columns: Columns) -> None:
    """Write into `columns` the foreground of the mask ``counts[first:stop]``, which lies in columns from `x0` on."""
    of_column, tops, bottoms, _ = columns
    of_column[: width + 1] = 0
    n = end = np.int64(0)
    for k in range(first, stop - 1, 2):
        begin = end + np.int64(counts[k])
        end = begin + np.int64(counts[k + 1])
        while begin < end:
            x = begin // height
            top = begin - x * height
            if n > 0 and of_column[x - x0 + 1] == n and bottoms[n - 1] == top:  # a run of length zero is no gap
                n -= 1
            else:
                tops[n] = top
            bottoms[n] = min(end - x * height, height)
            begin = (x + 1) * height
            n += 1
            of_column[x - x0 + 1] = n
    for c in range(width):
        of_column[c + 1] = max(of_column[c + 1], of_column[c])


@kernel
def extend_streaks(
    streaks: NDArray[np.int32], y0: int, tops: NDArray[np.int32], bottoms: NDArray[np.int32], reach: int
) -> None:
    """Count one column more for rows (from `y0` on) that lie deeper than `reach` in a piece, begin anew for others."""
    row = 0
    for n in range(len(tops)):
        inner, outer = tops[n] + reach - y0, bottoms[n] - reach - y0
        if inner < outer:
            streaks[row:inner] = 0
            for y in range(inner, outer):
                streaks[y] += 1
            row = outer
    streaks[row:] = 0


@kernel
def boundary_runs(
    counts: Counts,
    offsets: Int,
    sizes: Int,
    boxes: Int,
    reach: Int,
    columns: Columns,
    out: Counts,
    lengths: Int,
    start: int,
    stop: int,
) -> int:
    """Runs of the boundaries of the masks ``start:stop``: foreground within ``reach[n]`` of background or the outside.

    Returns the end of the runs in `out`, or -1 if they do not fit.

    One sweep over the columns of a mask's box. The streak of a row is the number of columns, up to the leading one, in
    which all rows within reach are foreground. A pixel is inside, not boundary, when the streak of its row, `reach`
    columns further on, covers the whole neighbourhood. So a mask costs time by the area of its box, whatever the reach.
    """
    at = 0
    for n in range(start, stop):
        height, pixels = sizes[n, 0], sizes[n, 0] * sizes[n, 1]
        x0, y0, width, box_height = boxes[n]
        d = reach[n]
        column_pieces(counts, offsets[n], offsets[n + 1], height, x0, width, columns)
        of_column, tops, bottoms, room = columns
        streaks = room[:box_height]
        streaks[:] = 0
        first, written = at, np.int64(0)
        for c in range(-d, width):
            if c + d < width:
                ahead = slice(of_column[c + d], of_column[c + d + 1])
                extend_streaks(streaks, y0, tops[ahead], bottoms[ahead], d)
            else:
                streaks[:] = 0
            if c < 0:
                continue
            if at + box_height + 3 > len(out):
                return -1
            column = (x0 + c) * height
            for piece in range(of_column[c], of_column[c + 1]):
                begin, end = np.int64(tops[piece]), np.int64(bottoms[piece])
                row = begin + d
                while row < end - d:
                    if streaks[row - y0] <= 2 * d:
                        row += 1
                        continue
                    at = push_run(out, first, at, column + begin - written, row - begin)
                    written = column + row
                    while row < end - d and streaks[row - y0] > 2 * d:
                        row += 1
                    begin = row
                at = push_run(out, first, at, column + begin - written, end - begin)
                written = column + end
        if written < pixels:
            if at == len(out):
                return -1
            out[at] = pixels - written
            at += 1
        lengths[n] = at - first
    return at
