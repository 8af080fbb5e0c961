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

AHEAD = 4096
"""Pixels whose runs are found at once, by comparing each with the one before, many in one instruction."""

MANY_RUNS = 16
"""Where runs are on average shorter than this, it is faster to go along."""

MARKS, BEGINS = AHEAD + 8, AHEAD + 8 + AHEAD // 8 + 1
"""Sizes of scratch: where runs begin; and the places of all begins, then those of words with one."""

Marks = NDArray[np.uint8]
"""1 where a run begins."""


@kernel
def _value(pixels: NDArray[Any], at: int, channels: int) -> Any:
    if channels == 3:
        red, green, blue = pixels[np.uint64(at)], pixels[np.uint64(at + 1)], pixels[np.uint64(at + 2)]
        return np.int64(red) + 256 * np.int64(green) + 65536 * np.int64(blue)
    return np.int64(pixels[np.uint64(at)])


@kernel
def count_small(a: NDArray[Any], b: NDArray[Any], layout: Int, marks: Marks, table: NDArray[np.int32]) -> Any:
    """Count pairs of small values up to the first pixel where one of them is not.

    Parameters
    ----------
    a, b
        Flat views.
    layout : (10,) int64
        See the module; one channel each.
    marks : (MARKS,) uint8
        Scratch.
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
    narrow = a.itemsize <= 2 and b.itemsize <= 2 and a_column == 1 and b_column == 1
    step, runs = AHEAD if narrow else columns, 0
    for i in range(rows):
        for start in range(0, columns, step):
            n = min(columns - start, step)
            a_at, b_at = a_first + i * a_row + start * a_column, b_first + i * b_row + start * b_column
            if narrow and runs * MANY_RUNS < n:
                done, runs = _count_marked(a, a_at, b, b_at, n, marks, table)
            else:
                done, runs = _count_along(a, a_at, a_column, b, b_at, b_column, n, table)
            if done < n:
                return i * columns + start + done
    return rows * columns


@kernel
def _count_marked(
    a: NDArray[Any], a_at: int, b: NDArray[Any], b_at: int, n: int, marks: Marks, table: NDArray[np.int32]
) -> Any:
    """Count pairs of `n` pixels, of eight at once where no run begins: how many were counted, and runs, roughly.

    Faster than going along by a third on maps of regions; slower on noise, wide types and steps.
    """
    _clear(marks, n)
    _mark(a, a_at, 1, 1, n, marks, marks)
    _mark(b, b_at, 1, 1, n, marks, marks)
    key, length, runs, words = 0, 0, 0, marks.view(np.uint64)
    for j in range(0, n, 8):
        if j + 8 <= n and words[np.uint64(j >> 3)] == 0:
            length += 8
            continue
        table[np.uint64(key)] += length
        length = 0
        runs += 1
        for k in range(j, min(j + 8, n)):
            x, y = np.int64(a[np.uint64(a_at + k)]), np.int64(b[np.uint64(b_at + k)])
            if x < 0 or x >= SIDE or y < 0 or y >= SIDE:
                return k, runs
            key = x * SIDE + y
            table[np.uint64(key)] += 1
    table[np.uint64(key)] += length
    return n, runs


@kernel
def _count_along(
    a: NDArray[Any], a_at: int, a_step: int, b: NDArray[Any], b_at: int, b_step: int, n: int, table: NDArray[np.int32]
) -> Any:
    """Count pairs of `n` pixels: how many were counted, and in how many runs.

    The count of a run is kept in a register: with an addition per pixel, each would wait for the one before it.
    """
    key, length, runs = 0, 0, 0
    for k in range(n):
        x, y = np.int64(a[np.uint64(a_at + k * a_step)]), np.int64(b[np.uint64(b_at + k * b_step)])
        if x < 0 or x >= SIDE or y < 0 or y >= SIDE:
            table[np.uint64(key)] += length
            return k, runs
        if x * SIDE + y != key:
            table[np.uint64(key)] += length
            key, length = x * SIDE + y, 0
            runs += 1
        length += 1
    table[np.uint64(key)] += length
    return n, runs


@kernel
def count_pairs(
    a: NDArray[Any],
    b: NDArray[Any],
    bits: NDArray[np.uint8],
    layout: Int,
    start: int,
    marks: Marks,
    begins: Int,
    table: Int,
    rows: Int,
) -> Any:
    """Count pairs of any values from a pixel on, until all are counted or no row is left.

    Maps of regions have long runs of equal pairs, and the table is asked once per run. Where runs begin is put down
    first: looking for the next one between two questions takes half as long again, as processors guess its place wrong.

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
    marks : (MARKS,) uint8
    begins : (BEGINS,) int64
        Scratch.
    table : (2 * R,) int64
        Scratch: 0 at first. R is a power of two.
    rows : (R, 4) int64
        Out: the values of `a`, `b` and `bits` of each pair, and how often it occurs, in the order in which they come.

    Returns
    -------
    int
        Number of the first pixel that is not counted.
    int
        How many rows were written.
    """
    columns, total, last = layout[1], layout[0] * layout[1], len(table) - 1
    a_first, a_row, a_column, a_channels = layout[2], layout[3], layout[4], layout[5]
    b_first, b_row, b_column, b_channels = layout[6], layout[7], layout[8], layout[9]
    colours = a_channels == 3 and b_channels == 3 and a_column == 3 and b_column == 3
    found, pixel, changes = 0, start, begins.view(np.uint8)
    while pixel < total:
        i, column = pixel // columns, pixel % columns
        n = min(columns - column, AHEAD)
        a_at, b_at = a_first + i * a_row + column * a_column, b_first + i * b_row + column * b_column
        _clear(marks, n)
        if colours:
            _mark_colours(a, a_at, b, b_at, n, marks, changes)
        else:
            _mark(a, a_at, a_column, a_channels, n, marks, changes)
            _mark(b, b_at, b_column, b_channels, n, marks, changes)
        if len(bits):
            _mark(bits, pixel, 1, 1, n, marks, changes)
        for run in range(_begins(marks, n, begins)):
            j, end = begins[np.uint64(run)], begins[np.uint64(run + 1)]
            x, y = _value(a, a_at + j * a_column, a_channels), _value(b, b_at + j * b_column, b_channels)
            bit = np.int64(bits[pixel + j]) if len(bits) else 0
            slot = _first_slot(x, y, bit, last)
            row = table[np.uint64(slot)]
            while row and (rows[row - 1, 0] != x or rows[row - 1, 1] != y or rows[row - 1, 2] != bit):
                slot = (slot + 1) & last
                row = table[np.uint64(slot)]
            if row == 0:
                if found == len(rows):
                    return pixel + j, found
                found += 1
                row = found
                table[np.uint64(slot)] = row
                rows[row - 1, 0], rows[row - 1, 1], rows[row - 1, 2], rows[row - 1, 3] = x, y, bit, 0
            rows[row - 1, 3] += end - j
        pixel += n
    return pixel, found


@kernel
def _clear(marks: Marks, n: int) -> None:
    """Mark the first one of `n` pixels, and their end."""
    for k in range(n + 8):
        marks[k] = 0
    marks[0] = marks[n] = 1


@kernel
def _mark(pixels: NDArray[Any], at: int, step: int, channels: int, n: int, marks: Marks, changes: Marks) -> None:
    """Mark those of `n` pixels that are not the one before; `changes` is scratch for three bytes of each colour."""
    if channels == 3 and step == 3:
        _mark_colours(pixels, at, pixels, at, n, marks, changes)
    elif step == 1 and channels == 1:
        for k in range(1, n):
            marks[k] |= pixels[np.uint64(at + k)] != pixels[np.uint64(at + k - 1)]
    else:
        for c in range(channels):
            for k in range(1, n):
                marks[k] |= pixels[np.uint64(at + c + k * step)] != pixels[np.uint64(at + c + k * step - step)]


@kernel
def _mark_colours(a: NDArray[Any], a_at: int, b: NDArray[Any], b_at: int, n: int, marks: Marks, changes: Marks) -> None:
    """Mark those of `n` pixels of three channels, one beside the other, that in one of two maps are not the one before.

    Channels of both maps are compared in one pass: with a pass for each, counting takes twice as long.
    """
    for k in range(3, 3 * n):
        changes[np.uint64(k)] = (a[np.uint64(a_at + k)] != a[np.uint64(a_at + k - 3)]) | (
            b[np.uint64(b_at + k)] != b[np.uint64(b_at + k - 3)]
        )
    for k in range(1, n):
        marks[np.uint64(k)] |= changes[np.uint64(3 * k)] | changes[np.uint64(3 * k + 1)] | changes[np.uint64(3 * k + 2)]


@kernel
def _begins(marks: Marks, n: int, begins: Int) -> int:
    """The places of all marks and of the end of `n` pixels, and how many are before the end.

    Eight pixels without a mark are passed over without a branch, which would be guessed wrong as often as not.
    """
    words, marked, places, found = marks.view(np.uint64), 0, begins[AHEAD + 8 :], 0
    for word in range((n >> 3) + 1):
        places[np.uint64(marked)] = word
        marked += np.int64(words[np.uint64(word)] != 0)
    for place in range(marked):
        first = 8 * places[np.uint64(place)]
        for k in range(first, first + 8):
            begins[np.uint64(found)] = k
            found += np.int64(marks[np.uint64(k)])
    return found - 1


@kernel
def _first_slot(x: int, y: int, bit: int, last: int) -> Any:
    """Where to look first: products of 31 bits by 32 do not overflow, and their high bits depend on all low ones."""
    mixed = (((x ^ (x >> 31)) & 0x7FFFFFFF) * 0x9E3779B1) ^ (((y ^ (y >> 31)) & 0x7FFFFFFF) * 0x85EBCA77)
    return ((mixed >> 29) ^ mixed ^ bit) & last
