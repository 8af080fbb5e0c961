"""PNG pixels: inflating the stream, summing it up for its checksum, and undoing the filters of rows.

`inflate` takes streams that are right and says no to everything else; it is for the caller to find out what is wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.kernels import Int, kernel

Bytes = NDArray[np.uint8]
Codes = NDArray[np.int16]
Read = tuple[int, int, int]
"""Where reading a stream is: the bits read ahead, lowest first; how many; the place of the next byte."""

FAST = 11
"""Codes of up to so many bits are looked up at once; the few longer ones are read bit by bit."""

ENTRIES = 1 << FAST
CODES = ENTRIES + 16 + 288
"""What a prefix code needs: an entry of 16 times symbol plus length for each row of `FAST` bits, 0 where the code is
longer; how many codes have each length; the symbols in the order of their codes."""

LENGTHS = 288 + 32
"""Symbols of the two codes of a block."""

ORDER = np.array([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15], np.int64)
LENGTH_BASE = np.array(
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258],
    np.int64,
)
LENGTH_BITS = np.array([0] * 8 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [5] * 4 + [0], np.int64)
DISTANCE_BITS = np.array([0, 0, *np.repeat(np.arange(14), 2)], np.int64)
DISTANCE_BASE = 1 + np.append(0, np.cumsum(1 << DISTANCE_BITS)[:-1])

FIXED = np.repeat(np.array([8, 9, 7, 8, 5]), [144, 112, 24, 8, 32])

CHUNK = 5552
"""The sums of a checksum are reduced after so many bytes."""


@kernel
def inflate(data: Bytes, start: int, stop: int, out: Bytes, codes: Codes, lengths: Int) -> int:
    """Decode a DEFLATE stream (RFC 1951).

    Parameters
    ----------
    data
        At least 4 bytes more than `stop`.
    start, stop
        Where the stream begins, and the end of its data and the 4 bytes of the checksum behind.
    out
        Out, as much as there is; it may be longer than that.
    codes : (2 * CODES,) int16
        Scratch.
    lengths : (LENGTHS,) int64
        Scratch.

    Returns
    -------
    int
        How many bytes there are; -1 where the stream is damaged, is longer than `out`, or does not end at ``stop - 4``.
    """
    read, size, last = (0, 0, start), 0, 0
    while not last:
        read = _filled(data, read, stop)
        last, kind = read[0] & 1, (read[0] >> 1) & 3
        if kind == 0:
            read = _filled(data, _past(read, 3 + (read[1] - 3 & 7)), stop)
            length, at = read[0] & 0xFFFF, read[2] - (read[1] >> 3) + 4
            if length ^ ((read[0] >> 16) & 0xFFFF) != 0xFFFF or at + length > stop or size + length > len(out):
                return -1
            for k in range(length):
                out[size + k] = data[at + k]
            size, read = size + length, (0, 0, at + length)
            continue
        first, second = 288, 32
        if kind == 1:
            read = _past(read, 3)
            for k in range(LENGTHS):
                lengths[k] = FIXED[k]
        else:
            first, second = 257 + ((read[0] >> 3) & 31), 1 + ((read[0] >> 8) & 31)
            given, read = 4 + ((read[0] >> 13) & 15), _past(read, 17)
            if kind == 3 or first > 286 or second > 30:
                return -1
            for k in range(19):
                read = _filled(data, read, stop)
                lengths[ORDER[k]] = (read[0] & 7) if k < given else 0
                if k < given:
                    read = _past(read, 3)
        # one call for all codes, that of the lengths of codes first: each call costs half a second of compile time
        for stage in range(0 if kind == 2 else 1, 3):
            if stage == 1 and kind == 2:
                read = _lengths_read(data, read, stop, codes, lengths, first + second)
                if read[1] < 0 or lengths[256] == 0:
                    return -1
            low, n = (first, second) if stage == 2 else (0, 19 if stage == 0 else first)
            if _make(lengths, low, n, codes, CODES if stage == 2 else 0) > (0 if stage == 0 else 1) and kind == 2:
                return -1
        size, read = _block(data, read, stop, out, size, codes)
        if size < 0 or read[2] - (read[1] >> 3) > stop - 4:
            return -1
    return size if read[2] - (read[1] >> 3) == stop - 4 else -1


@kernel
def _filled(data: Bytes, read: Read, stop: int) -> Read:
    """At least 32 bits ahead; beyond the end they mean nothing, and `inflate` finds out."""
    hold, bits, at = read
    if bits >= 32:
        return read
    place = np.uint64(min(at, stop))
    low = np.int64(data[place]) | (np.int64(data[place + np.uint64(1)]) << 8)
    high = (np.int64(data[place + np.uint64(2)]) << 16) | (np.int64(data[place + np.uint64(3)]) << 24)
    return hold | ((low | high) << bits), bits + 32, at + 4


@kernel
def _past(read: Read, bits: int) -> Read:
    return read[0] >> bits, read[1] - bits, read[2]


@kernel
def _lengths_read(data: Bytes, read: Read, stop: int, codes: Codes, lengths: Int, n: int) -> Read:
    """The lengths of the codes of a block, themselves in a code; fewer than 0 bits ahead where they are none."""
    k = 0
    while k < n:
        read = _filled(data, read, stop)
        entry = np.int64(codes[read[0] & (ENTRIES - 1)])
        symbol, value, times = entry >> 4, entry >> 4, 1
        read = _past(read, entry & 15)
        if symbol > 15:
            bits = 2 if symbol == 16 else 3 if symbol == 17 else 7
            times = (11 if symbol == 18 else 3) + (read[0] & ((1 << bits) - 1))
            value = lengths[max(k - 1, 0)] if symbol == 16 else 0
            read = _past(read, bits)
            if k + times > n or (symbol == 16 and k == 0):
                return 0, -1, 0
        for _ in range(times):
            lengths[k] = value
            k += 1
    return read


@kernel
def _make(lengths: Int, first: int, n: int, codes: Codes, at: int) -> int:
    """Make the table of a prefix code from the lengths of its codes; 0 is the length of symbols that do not occur.

    Returns
    -------
    int
        0 where every row of bits is a code or begins with one; 1 where none or one of a single bit is there; else 2.
    """
    counts, symbols = at + ENTRIES, at + ENTRIES + 16
    for k in range(at, symbols):
        codes[k] = 0
    for k in range(first, first + n):
        codes[counts + lengths[k]] += 1
    unused, left, code = np.int64(codes[counts]), 1, 0
    codes[counts] = 0
    for length in range(1, 16):
        left, code = 2 * left - np.int64(codes[counts + length]), code << 1
        if left < 0:
            return 2
        for k in range(n if codes[counts + length] else 0):
            if lengths[first + k] == length:
                codes[symbols] = k
                symbols += 1
                row, rest = 0, code
                for _ in range(length):
                    row, rest = row << 1 | rest & 1, rest >> 1
                for place in range(at + row, at + ENTRIES if length <= FAST else 0, 1 << length):
                    codes[place] = k << 4 | length
                code += 1
    return 0 if left == 0 else 1 if unused == n or (unused == n - 1 and codes[counts + 1] == 1) else 2


@kernel
def _entry(codes: Codes, at: int, hold: int) -> int:
    """The entry of a code of more than `FAST` bits, or 0."""
    code, first, place = 0, 0, at + ENTRIES + 16
    for length in range(1, 16):
        code |= (hold >> (length - 1)) & 1
        count = np.int64(codes[at + ENTRIES + length])
        if code - first < count:
            return int(codes[place + code - first]) << 4 | length
        place += count
        first, code = (first + count) << 1, code << 1
    return 0


@kernel
def _block(data: Bytes, read: Read, stop: int, out: Bytes, size: int, codes: Codes) -> Any:
    """The bytes of a block of codes: how many there are so far, or -1, and where reading is."""
    while True:
        read = _filled(data, read, stop)
        entry = np.int64(codes[np.uint64(read[0] & (ENTRIES - 1))])
        if entry == 0:
            entry = _entry(codes, 0, read[0])
        symbol = entry >> 4
        read = _past(read, entry & 15)
        if entry == 0 or symbol > 285 or size >= len(out) + (symbol == 256):
            return -1, read
        if symbol < 256:
            out[np.uint64(size)] = symbol
            size += 1
            continue
        if symbol == 256:
            return size, read
        bits = LENGTH_BITS[symbol - 257]
        length = LENGTH_BASE[symbol - 257] + (read[0] & ((1 << bits) - 1))
        read = _filled(data, _past(read, bits), stop)
        entry = np.int64(codes[np.uint64(CODES + (read[0] & (ENTRIES - 1)))])
        if entry == 0:
            entry = _entry(codes, CODES, read[0])
        symbol = entry >> 4
        if entry == 0 or symbol > 29:
            return -1, read
        read = _past(read, entry & 15)
        bits = DISTANCE_BITS[symbol]
        back = DISTANCE_BASE[symbol] + (read[0] & ((1 << bits) - 1))
        read = _past(read, bits)
        if back > size or size + length > len(out):
            return -1, read
        if back == 1:
            value = out[np.uint64(size - 1)]
            for k in range(length):
                out[np.uint64(size + k)] = value
        else:
            for k in range(length):
                out[np.uint64(size + k)] = out[np.uint64(size + k - back)]
        size += length


@kernel
def adler(data: Bytes) -> int:
    """The checksum Adler-32 of all bytes.

    The sum of sums is written as one of products, since each sum would wait for the one before it.
    """
    low, high = 1, 0
    for start in range(0, len(data), CHUNK):
        n = min(CHUNK, len(data) - start)
        plain, weighted = 0, 0
        for k in range(n):
            value = np.int64(data[np.uint64(start + k)])
            plain += value
            weighted += (n - k) * value
        high = (high + n * low + weighted) % 65521
        low = (low + plain) % 65521
    return high << 16 | low


SPAN = 24
"""Bytes that are looked at together; a multiple of every step that there is."""


@kernel
def unfilter(rows: Bytes, step: int) -> bool:
    """Undo the filters of rows, in place.

    Parameters
    ----------
    rows : (1 + H, 1 + W) uint8
        Of each row its filter, and its bytes; the row before them is made 0.
    step : 1, 2 or 3
        Bytes from a pixel to the next one, at least 1.

    Returns
    -------
    bool
        Whether all filters are known.
    """
    width = rows.shape[1] - 1
    for k in range(1, width + 1):
        rows[0, k] = 0
    for i in range(1, len(rows)):
        kind, above, line = rows[i, 0], rows[i - 1, 1:], rows[i, 1:]
        if kind == 1:
            _sub(line, step)
        elif kind == 2:
            for k in range(width):
                line[k] = (line[k] + np.int64(above[k])) & 255
        elif kind == 3:
            for k in range(width):
                left = np.int64(line[k - step]) if k >= step else 0
                line[k] = (np.int64(line[k]) + ((left + above[k]) >> 1)) & 255
        elif kind == 4:
            _paeth(line, step, above)
        elif kind > 4:
            return False
    return True


@kernel
def _zeros(line: Bytes, k: int) -> int:
    """How many bytes from one on are 0."""
    end, bits = k, np.uint8(0)
    while end + SPAN <= len(line):
        for m in range(SPAN):
            bits |= line[np.uint64(end + m)]
        if bits:
            break
        end += SPAN
    while end < len(line) and line[np.uint64(end)] == 0:
        end += 1
    return end - k


@kernel
def _sub(line: Bytes, step: int) -> None:
    """Add the pixel to the left."""
    k, width = 0, len(line)
    while k < width:
        if line[k] == 0 and k >= step:
            n = _zeros(line, k)
            for c in range(step):
                value = line[k - step + c]
                for place in range(k + c, k + n, step):
                    line[np.uint64(place)] = value
            k += n
        stop = min(k + step, width)
        while k < stop:
            line[k] = (line[k] + (np.int64(line[k - step]) if k >= step else 0)) & 255
            k += 1


@kernel
def _paeth(line: Bytes, step: int, above: Bytes) -> None:
    """Add the one of the left, upper and upper left pixel that is next to left plus upper minus upper left.

    Where the left pixel is the upper left one this is the upper one, and remains so while the bytes of the row are 0.
    """
    k, width = 0, len(line)
    while k < width:
        same = line[k] == 0
        for c in range(max(k - step, 0), k):
            same &= line[c] == above[c]
        if same:
            n = _zeros(line, k)
            for place in range(k, k + n):
                line[np.uint64(place)] = above[np.uint64(place)]
            k += n
        stop = min(k + step, width)
        while k < stop:
            left, corner = (np.int64(line[k - step]), np.int64(above[k - step])) if k >= step else (0, 0)
            up = np.int64(above[k])
            to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
            near = left if to_left <= to_up and to_left <= to_corner else up if to_up <= to_corner else corner
            line[k] = (line[k] + near) & 255
            k += 1
