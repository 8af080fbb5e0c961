"""Stable orders in linear time: rows grouped by a small key, and rows of one group by falling score."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cvbench.kernels import Index, Int, kernel

DIGIT = 11
"""Bits per pass of the radix sort: 2,048 bins stay in the first-level cache."""

N_BINS = 1 << DIGIT

PASSES = 64 // DIGIT + 1

SMALL = 128
"""Runs up to this size are sorted by insertion: clearing the bins would cost more than the sort."""

PATIENCE = 4
"""Moves per row after which insertion gives way to a radix sort."""


class Room(NamedTuple):
    """What `sort_run` works in."""

    keys: Int
    """(2, N) the first are sorted"""
    rows: Int
    """(2, N) the first are sorted along with them"""
    bins: Int
    """(`N_BINS`,) scratch, and so are the second rows above"""


def room_for(n: int) -> Room:
    """Room for runs of up to `n` rows."""
    return Room(np.empty((2, n), np.int64), np.empty((2, n), np.int64), np.empty(N_BINS, np.int64))


@kernel
def group_rows(key: Index, offsets: Int, order: Index) -> None:
    """Order rows by `key`, equal keys in the order given.

    offsets : (K + 1,) zeros, written: where each key's rows start
    order : (N,) written
    """
    for row in range(len(key)):
        offsets[key[row] + 1] += 1
    for k in range(len(offsets) - 1):
        offsets[k + 1] += offsets[k]
    for row in range(len(key)):
        order[offsets[key[row]]] = row
        offsets[key[row]] += 1
    for k in range(len(offsets) - 1, 0, -1):
        offsets[k] = offsets[k - 1]
    offsets[0] = 0


@kernel
def falling_key(bits: int) -> int:
    """Map the bits of a float64 to an integer that rises where the number falls; -0.0 equals 0.0 and NaN comes last."""
    rising = bits if bits >= 0 else bits ^ 0x7FFFFFFFFFFFFFFF
    if bits == -0x8000000000000000:
        rising = 0
    if rising > 0x7FF0000000000000 or rising < -0x7FF0000000000001:
        return 0x7FFFFFFFFFFFFFFF
    return ~rising


@kernel
def sort_run(room: Room, n: int) -> None:
    """Sort the first `n` of ``room.keys[0]`` and with them ``room.rows[0]``, stably.

    By insertion where that does: for small runs and for those that are almost in order. Else by the first 22 bits in
    which keys differ, after which there is little left to insert: half the time of sorting by all bits. Only where many
    keys differ in later bits alone, these are looked at.
    """
    keys, rows, bins = room
    varying, top = 0, 0
    for i in range(n):
        varying |= keys[0, i] ^ keys[0, 0]
    while top < 63 and varying >> (top + 1) != 0:
        top += 1
    passes = 0
    while True:
        a = 0
        for p in range(passes - 1, -1, -1):
            if p * DIGIT > top:
                continue
            shift = max(0, top + 1 - (p + 1) * DIGIT)
            # negative keys, which sort first, have a bit set that others have not
            flip = N_BINS >> 1 if shift + DIGIT == 64 else 0
            for b in range(N_BINS):
                bins[b] = 0
            for i in range(n):
                bins[((keys[a, i] >> shift) & (N_BINS - 1)) ^ flip] += 1
            total = 0
            for b in range(N_BINS):
                size = bins[b]
                bins[b] = total
                total += size
            for i in range(n):
                digit = ((keys[a, i] >> shift) & (N_BINS - 1)) ^ flip
                keys[1 - a, bins[digit]], rows[1 - a, bins[digit]] = keys[a, i], rows[a, i]
                bins[digit] += 1
            a = 1 - a
        for i in range(n if a == 1 else 0):
            keys[0, i], rows[0, i] = keys[1, i], rows[1, i]
        left = n * (n if n <= SMALL else PATIENCE)
        for i in range(1, n):
            key, row, j = keys[0, i], rows[0, i], i
            while j > 0 and keys[0, j - 1] > key:
                keys[0, j], rows[0, j] = keys[0, j - 1], rows[0, j - 1]
                j -= 1
            keys[0, j], rows[0, j] = key, row
            left -= i - j
            if left < 0:
                break
        if left >= 0:
            return
        passes = 2 if passes == 0 else PASSES


@kernel
def sort_rows(
    start: int, stop: int, offsets: Int, room: Room, image: Index, rank: Index, bits: Int, true: Int, ignored: Int
) -> None:
    """Sort the rows of the groups `start` to `stop` by falling score, stably and in place.

    Group *k* has the rows ``offsets[k]:offsets[k + 1]`` of all arrays; room : for the largest of these groups; bits :
    (N,) float64 scores, viewed as int64; true, ignored : (N, W).
    """
    keys, rows, _ = room
    for group in range(start, stop):
        first, n = offsets[group], offsets[group + 1] - offsets[group]
        for i in range(n):
            rows[0, i] = first + i
            keys[0, i] = falling_key(bits[first + i])
        sort_run(room, n)
        order, a, b = rows[0], keys[0], keys[1]
        for i in range(n):
            a[i], b[i] = image[order[i]], rank[order[i]]
        for i in range(n):
            image[first + i], rank[first + i] = a[i], b[i]
        for i in range(n):
            a[i] = bits[order[i]]
        for i in range(n):
            bits[first + i] = a[i]
        for w in range(true.shape[1]):
            for i in range(n):
                a[i], b[i] = true[order[i], w], ignored[order[i], w]
            for i in range(n):
                true[first + i, w], ignored[first + i, w] = a[i], b[i]
