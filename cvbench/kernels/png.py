"""Undoing the filters of the rows of a PNG.

Most of what filters leave of regions are zeros, so runs of them are filled or copied at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbench.kernels import kernel

Bytes = NDArray[np.uint8]

SUB, UP, AVERAGE, PAETH = 1, 2, 3, 4
"""Filters that change bytes; there is none above."""

SPAN = 24
"""Bytes that are looked at together; a multiple of every step that there is."""


@kernel
def unfilter(rows: Bytes, step: int, out: Bytes) -> None:
    """Undo the filters of rows.

    Parameters
    ----------
    rows : (H, 1 + W) uint8
        Of each row its filter, 0 to 4, and its bytes.
    step : 1, 2 or 3
        Bytes from a pixel to the next one, at least 1.
    out : (1 + H, W) uint8
        Out: a row of zeros, which is above the first one, and the rows.
    """
    width = out.shape[1]
    for k in range(width):
        out[0, k] = 0
    for i in range(len(rows)):
        kind, source, above, line = rows[i, 0], rows[i, 1:], out[i], out[i + 1]
        if kind == SUB:
            _sub(source, step, line)
        elif kind == UP:
            for k in range(width):
                line[k] = (source[k] + np.int64(above[k])) & 255
        elif kind == AVERAGE:
            for k in range(width):
                left = np.int64(line[k - step]) if k >= step else 0
                line[k] = (np.int64(source[k]) + ((left + above[k]) >> 1)) & 255
        elif kind == PAETH:
            _paeth(source, step, above, line)
        else:
            for k in range(width):
                line[k] = source[k]


@kernel
def _zeros(source: Bytes, k: int) -> int:
    """How many bytes from one on are 0."""
    end, bits = k, np.uint8(0)
    while end + SPAN <= len(source):
        for m in range(SPAN):
            bits |= source[np.uint64(end + m)]
        if bits:
            break
        end += SPAN
    while end < len(source) and source[np.uint64(end)] == 0:
        end += 1
    return end - k


@kernel
def _sub(source: Bytes, step: int, line: Bytes) -> None:
    """Add the pixel to the left."""
    k, width = 0, len(line)
    while k < width:
        if source[k] == 0 and k >= step:
            n = _zeros(source, k)
            for c in range(step):
                value = line[k - step + c]
                for place in range(k + c, k + n, step):
                    line[np.uint64(place)] = value
            k += n
        stop = min(k + step, width)
        while k < stop:
            line[k] = (source[k] + (np.int64(line[k - step]) if k >= step else 0)) & 255
            k += 1


@kernel
def _paeth(source: Bytes, step: int, above: Bytes, line: Bytes) -> None:
    """Add the one of the left, upper and upper left pixel that is next to left plus upper minus upper left.

    Where the left pixel is the upper left one this is the upper one, and remains so while the bytes of the row are 0.
    """
    k, width = 0, len(line)
    while k < width:
        same = source[k] == 0
        for c in range(max(k - step, 0), k):
            same &= line[c] == above[c]
        if same:
            n = _zeros(source, k)
            for place in range(k, k + n):
                line[np.uint64(place)] = above[np.uint64(place)]
            k += n
        stop = min(k + step, width)
        while k < stop:
            left, corner = (np.int64(line[k - step]), np.int64(above[k - step])) if k >= step else (0, 0)
            up = np.int64(above[k])
            to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
            near = left if to_left <= to_up and to_left <= to_corner else up if to_up <= to_corner else corner
            line[k] = (source[k] + near) & 255
            k += 1
