"""Run-length encoded masks: measuring, comparing, merging, rasterising, the string code, the boundary.

Every kernel works on the flat arrays of `cvbench.columns.Masks`: run lengths ``counts`` of all masks one after
another, and ``offsets`` that say where each mask starts. The runs of a mask go down its columns, background first.
Run lengths are read into int64 at once: arithmetic that mixes uint32 with int64 would leave the integers.

The run-by-run loops stop at the same place as the C loops of pycocotools, also where a run of length zero inside of a
mask makes those stop early. Where the C loops would never end (two masks whose runs cover different numbers of
pixels), these end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, Int
from cvbench.kernels import kernel

Counts = NDArray[np.uint32]
Bytes = NDArray[np.uint8]

WRAP = 1 << 32
"""pycocotools computes the box of a mask in unsigned 32-bit integers."""

SCALE = 5
"""A polygon is rasterised on a grid this many times finer than the pixels."""


@kernel
def rle_sums(counts: Counts, offsets: Int, foreground: Int, covered: Int, start: int, stop: int) -> None:
    """Pixels of the foreground, and of all runs, of the masks ``start:stop``."""
    for n in range(start, stop):
        background = area = np.int64(0)
        for k in range(offsets[n], offsets[n + 1], 2):
            background += np.int64(counts[k])
        for k in range(offsets[n] + 1, offsets[n + 1], 2):
            area += np.int64(counts[k])
        foreground[n] = area
        covered[n] = background + area


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
