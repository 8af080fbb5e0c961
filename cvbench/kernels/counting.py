"""Joint histograms: which values of two maps meet, and how often, in one pass over the pixels.

A map is read through a flat view of the memory that it spans, and a layout says where the pixel of a row and a column
lies in it. So any order and any strides will do, and nothing is copied or converted.

The layout of two maps is ten integers: rows, columns; then for each map the place of its first pixel, the steps to
the next row and to the next column, all in elements, and its channels: 1, or 3 for ids coded as colours, R + 256 G +
65536 B.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.kernels import Int, kernel

SIDE = 256
"""Pairs of values from 0 to 255 are counted in a table of this side."""


@kernel
def _value(pixels: NDArray[Any], at: int, channels: int) -> Any:
    if channels == 3:
        return np.int64(pixels[at]) + 256 * np.int64(pixels[at + 1]) + 65536 * np.int64(pixels[at + 2])
    return np.int64(pixels[at])


@kernel
def count_small(a: NDArray[Any], b: NDArray[Any], layout: Int, table: NDArray[np.int32]) -> Any:
    """Count pairs of small values up to the first pixel where one of them is not.

    The count of a run is kept in a register: with an addition per pixel, each would wait for the one before it, 0.8 ns
    per pixel for 0.45 on maps of regions. Indices are unsigned, so that Numba does not ask whether they are negative:
    0.6 ns for 0.95.

    Parameters
    ----------
    a, b
        Flat views.
    layout : (10,) int64
        See the module; one channel each.
    table : (SIDE * SIDE,) int32
        Out, added to: how often the value of `a` times `SIDE` plus the value of `b` occurs.

    Returns
    -------
    int
        Number of the pixel, row by row, where counting ended: the first one that is not counted.
    """
    rows, columns = layout[0], layout[1]
    a_first, a_row, a_column = layout[2], layout[3], layout[4]
    b_first, b_row, b_column = layout[6], layout[7], layout[8]
    key, length = 0, 0
    for i in range(rows):
        a_at, b_at = a_first + i * a_row, b_first + i * b_row
        for j in range(columns):
            x, y = np.int64(a[np.uint64(a_at)]), np.int64(b[np.uint64(b_at)])
            if x < 0 or x >= SIDE or y < 0 or y >= SIDE:
                table[key] += length
                return i * columns + j
            if x * SIDE + y != key:
                table[key] += length
                key, length = x * SIDE + y, 0
            length += 1
            a_at += a_column
            b_at += b_column
    table[key] += length
    return rows * columns


@kernel
def count_pairs(
    a: NDArray[Any], b: NDArray[Any], bits: NDArray[np.uint8], layout: Int, start: int, keys: Int, counts: Int
) -> Any:
    """Count pairs of any values from a pixel on, until all are counted or the table is half full.

    Maps of regions have long runs of equal pairs, and the table is asked once per run.

    Parameters
    ----------
    a, b
        Flat views.
    bits : (pixels,) or (0,) uint8
        A third value per pixel, row by row, to count apart by; empty: 0 everywhere.
    layout : (10,) int64
        See the module.
    start
        Number of the first pixel to count, row by row.
    keys : (N, 3) int64
        Out: the values of `a`, `b` and `bits` of each entry. N is a power of two.
    counts : (N,) int64
        Out: how often they occur; 0 for entries that are free. All 0 at first.

    Returns
    -------
    int
        Number of the first pixel that is not counted.
    """
    columns, total, last = layout[1], layout[0] * layout[1], len(counts) - 1
    a_first, a_row, a_column, a_channels = layout[2], layout[3], layout[4], layout[5]
    b_first, b_row, b_column, b_channels = layout[6], layout[7], layout[8], layout[9]
    free = (last + 1) // 2
    bit, bit_end = np.int64(0), start if len(bits) else total
    x, a_end, y, b_end, pixel = np.int64(0), start, np.int64(0), start, start
    while pixel < total:
        i, j = pixel // columns, pixel % columns
        if pixel == a_end:
            at = a_first + i * a_row + j * a_column
            x, a_end = _value(a, at, a_channels), pixel + _run(a, at, a_column, a_channels, columns - j)
        if pixel == b_end:
            at = b_first + i * b_row + j * b_column
            y, b_end = _value(b, at, b_channels), pixel + _run(b, at, b_column, b_channels, columns - j)
        if pixel == bit_end:
            bit, bit_end = np.int64(bits[pixel]), pixel + _run(bits, pixel, 1, 1, total - pixel)
        end = min(a_end, b_end, bit_end)
        slot = _first_slot(x, y, bit, last)
        while counts[slot] and (keys[slot, 0] != x or keys[slot, 1] != y or keys[slot, 2] != bit):
            slot = (slot + 1) & last
        if counts[slot] == 0:
            if free == 0:
                return pixel
            free -= 1
            keys[slot, 0], keys[slot, 1], keys[slot, 2] = x, y, bit
        counts[slot] += end - pixel
        pixel = end
    return pixel


@kernel
def _run(pixels: NDArray[Any], at: int, step: int, channels: int, most: int) -> Any:
    """How many pixels from one on have its value, up to `most`.

    On maps of regions 0.23 ns per pixel, where one at a time takes 0.42, and 0.57 with signed indices, which Numba asks
    whether they are negative. For `count_pairs` that is 1.2 ns for 2.1, on colours 1.85 for 3.1.
    """
    length = 1
    if channels == 1:
        value = pixels[at]
        while length + 4 <= most and _four_are(pixels, value, at + length * step, step):
            length += 4
        while length < most and pixels[np.uint64(at + length * step)] == value:
            length += 1
    else:
        red, green, blue = pixels[at], pixels[at + 1], pixels[at + 2]
        while length < most:
            at += step
            if (
                (pixels[np.uint64(at)] != red)
                | (pixels[np.uint64(at + 1)] != green)
                | (pixels[np.uint64(at + 2)] != blue)
            ):
                break
            length += 1
    return length


@kernel
def _four_are(pixels: NDArray[Any], value: Any, at: int, step: int) -> Any:
    """Whether four pixels have a value."""
    return (
        (pixels[np.uint64(at)] == value)
        & (pixels[np.uint64(at + step)] == value)
        & (pixels[np.uint64(at + 2 * step)] == value)
        & (pixels[np.uint64(at + 3 * step)] == value)
    )


@kernel
def _first_slot(x: int, y: int, bit: int, last: int) -> Any:
    """Where to look first: products of 31 bits by 32 do not overflow, and their high bits depend on all low ones."""
    mixed = (((x ^ (x >> 31)) & 0x7FFFFFFF) * 0x9E3779B1) ^ (((y ^ (y >> 31)) & 0x7FFFFFFF) * 0x85EBCA77)
    return ((mixed >> 29) ^ mixed ^ bit) & last
