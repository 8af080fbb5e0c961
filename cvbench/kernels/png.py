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


@kernel
def unfilter(rows: Bytes, step: int, row: Bytes, out: Bytes) -> None:
    """Undo the filters of rows.

    Parameters
    ----------
    rows : (H, 1 + W) uint8
        Of each row its filter, 0 to 4, and its bytes.
    step : 1, 2 or 3
        Bytes from a pixel to the next one, at least 1.
    row : (N,) uint8
        Scratch: N is a multiple of 8 above W.
    out : (1 + H, W) uint8
        Out: a row of zeros, which is above the first one, and the rows.
    """
    width, words = out.shape[1], row.view(np.uint64)
    for k in range(width):
        out[0, k] = 0
    for i in range(len(rows)):
        kind, source, above, line = rows[i, 0], rows[i, 1:], out[i], out[i + 1]
        if kind == SUB or kind == PAETH:
            for k in range(width):
                row[k] = source[k]
            row[width] = 1  # where runs of zeros end
        if kind == SUB:
            _sub(row, words, step, line)
        elif kind == UP:
            for k in range(width):
                line[k] = (source[k] + np.int64(above[k])) & 255
        elif kind == AVERAGE:
            for k in range(width):
                left = np.int64(line[k - step]) if k >= step else 0
                line[k] = (np.int64(source[k]) + ((left + above[k]) >> 1)) & 255
        elif kind == PAETH:
            _paeth(row, words, step, above, line)
        else:
            for k in range(width):
                line[k] = source[k]


@kernel
def _sub(row: Bytes, words: NDArray[np.uint64], step: int, line: Bytes) -> None:
    """Add the pixel to the left."""
    for k in range(step):
        line[k] = row[k]
    k, width = step, len(line)
    while k < width:
        if k & 7 == 0 and words[np.uint64(k >> 3)] == 0:
            stop = _nonzero(row, words, k)
            _fill(line, k, stop, step)
            k = stop
        else:
            line[np.uint64(k)] = (row[np.uint64(k)] + np.int64(line[np.uint64(k - step)])) & 255
            k += 1


@kernel
def _nonzero(row: Bytes, words: NDArray[np.uint64], k: int) -> int:
    """The first byte that is not 0, from the first one of a word on."""
    word = k >> 3
    while words[np.uint64(word)] == 0:
        word += 1
    k = word << 3
    while row[np.uint64(k)] == 0:
        k += 1
    return k


@kernel
def _fill(line: Bytes, start: int, stop: int, step: int) -> None:
    """Repeat the pixel that ends at `start`. One loop for any step takes four times as long."""
    if step == 1:
        value = line[np.uint64(start - 1)]
        for k in range(start, stop):
            line[np.uint64(k)] = value
    elif step == 3:
        red, green, blue = line[np.uint64(start - 3)], line[np.uint64(start - 2)], line[np.uint64(start - 1)]
        pixels = (stop - start) // 3
        for n in range(pixels):
            line[np.uint64(start + 3 * n)] = red
            line[np.uint64(start + 3 * n + 1)] = green
            line[np.uint64(start + 3 * n + 2)] = blue
        start += 3 * pixels
    if step > 1:
        for k in range(start, stop):
            line[np.uint64(k)] = line[np.uint64(k - step)]


@kernel
def _paeth(row: Bytes, words: NDArray[np.uint64], step: int, above: Bytes, line: Bytes) -> None:
    """Add the one of the left, upper and upper left pixel that is next to left plus upper minus upper left.

    Where the left pixel is the upper left one this is the upper one, and remains so while the bytes of the row are 0.
    """
    width = len(line)
    for k in range(width):
        line[k] = above[k]
    k, same = 0, 0  # so many bytes before this one are those above them
    while k < width:
        if same >= step and k & 7 == 0 and words[np.uint64(k >> 3)] == 0:
            k = _nonzero(row, words, k)
        else:
            up, left, corner = np.int64(above[np.uint64(k)]), 0, 0
            if k >= step:
                left, corner = np.int64(line[np.uint64(k - step)]), np.int64(above[np.uint64(k - step)])
            to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
            near = left if to_left <= to_up and to_left <= to_corner else up if to_up <= to_corner else corner
            value = (row[np.uint64(k)] + near) & 255
            line[np.uint64(k)] = value
            same = same + 1 if value == up else 0
            k += 1
