"""Stable orders in linear time: rows grouped by a small key, and rows of one group by falling score."""

from __future__ import annotations

import numpy as np

from cvbench.kernels import Int, kernel

DIGIT = 11
"""Bits per pass of the radix sort: 2,048 bins stay in the first-level cache."""

SMALL = 40
"""Groups up to this size are sorted by insertion: clearing the bins would cost more than the sort."""


@kernel
def group_rows(key: Int, n_keys: int) -> tuple[Int, Int]:
    """Order rows by `key`, equal keys in the order given; also where each key's rows start, (n_keys + 1,)."""
    offsets = np.zeros(n_keys + 1, np.int64)
    for row in range(len(key)):
        offsets[key[row] + 1] += 1
    for k in range(n_keys):
        offsets[k + 1] += offsets[k]
    place = np.empty(n_keys, np.int64)
    for k in range(n_keys):
        place[k] = offsets[k]
    order = np.empty(len(key), np.int64)
    for row in range(len(key)):
        order[place[key[row]]] = row
        place[key[row]] += 1
    return order, offsets


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
def sort_groups(start: int, stop: int, offsets: Int, bits: Int, order: Int) -> None:
    """Sort `order` within the groups `start` to `stop` by falling score, stably and in place.

    `bits` are the float64 scores of all rows, viewed as int64; `order` names rows. Digits that all rows of a group
    share are not sorted: scores of a network lie in (0, 1) and often stem from float32, which spares two or three of
    six passes.
    """
    passes = 64 // DIGIT + 1
    bins = np.empty((passes, 1 << DIGIT), np.int64)
    largest = 0
    for group in range(start, stop):
        largest = max(largest, offsets[group + 1] - offsets[group])
    keys, keys_next = np.empty(largest, np.int64), np.empty(largest, np.int64)
    rows, rows_next = np.empty(largest, np.int64), np.empty(largest, np.int64)
    for group in range(start, stop):
        first, n = offsets[group], offsets[group + 1] - offsets[group]
        for i in range(n):
            rows[i] = order[first + i]
            keys[i] = falling_key(bits[rows[i]])
        if n <= SMALL:
            for i in range(1, n):
                k, row, j = keys[i], rows[i], i
                while j > 0 and keys[j - 1] > k:
                    keys[j], rows[j] = keys[j - 1], rows[j - 1]
                    j -= 1
                keys[j], rows[j] = k, row
        else:
            for p in range(passes):
                for b in range(1 << DIGIT):
                    bins[p, b] = 0
            for i in range(n):
                for p in range(passes):
                    bins[p, (keys[i] >> (p * DIGIT)) & ((1 << DIGIT) - 1)] += 1
            for p in range(passes):
                shift = p * DIGIT
                # the last digit holds the sign: negative keys, which sort first, have its upper half
                flip = 1 << (DIGIT - 1) if p == passes - 1 else 0
                if bins[p, (keys[0] >> shift) & ((1 << DIGIT) - 1)] == n:
                    continue
                total = 0
                for b in range(1 << DIGIT):
                    size = bins[p, b ^ flip]
                    bins[p, b ^ flip] = total
                    total += size
                for i in range(n):
                    digit = (keys[i] >> shift) & ((1 << DIGIT) - 1)
                    keys_next[bins[p, digit]] = keys[i]
                    rows_next[bins[p, digit]] = rows[i]
                    bins[p, digit] += 1
                keys, keys_next = keys_next, keys
                rows, rows_next = rows_next, rows
        for i in range(n):
            order[first + i] = rows[i]
