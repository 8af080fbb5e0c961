"""Drawing in integers: which part covers a pixel, what colour it has there, what the camera makes of it.

Everything is int64: positions in `UNIT` per pixel, rotations in `ONE`, colours in `DEPTH` per grey level. No floats, so
that no compiler, library or processor can change a pixel. Products stay below 2**63: positions below 2**15, so fourth
powers below 2**60; hashes of 32 bits are multiplied by constants below 2**31.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvbench.kernels import Int, kernel

UNIT = 64
ONE = 1 << 14
DEPTH = 16
MASK = 0xFFFFFFFF

ELLIPSE, BAR, POLYGON = 0, 1, 2
"""Kinds of parts: half axes a and b; a line of half length a with everything closer than b; corners in a list."""

KIND, X, Y, COS, SIN, A, B, HOLE, FIRST, STOP = range(10)
"""Columns of a part. It has its own axes, turned by an angle around (X, Y); corners ``FIRST:STOP`` are given in them.
What is inside of the ellipse of HOLE / 256 of the axes is left out."""

TEXTURE, SECOND, PERIOD, SEED, GRAIN, WIDTH = 0, 4, 7, 8, 9, 10
"""Columns of a surface; 1 to 3 and 4 to 6 are the colours that its texture goes between."""

PLAIN, NOISE, STRIPES, CHECKS, DOTS, BRICKS, WAVES = range(7)


@kernel
def hashed(x: int, y: int, seed: int) -> int:
    """32 bits that depend on all bits of a place and a seed."""
    bits = (x * 0x27D4EB2F + y * 0x165667B1 + seed * 0x3C6EF372) & MASK
    bits = ((bits ^ (bits >> 16)) * 0x45D9F3B) & MASK
    bits = ((bits ^ (bits >> 16)) * 0x45D9F3B) & MASK
    return bits ^ (bits >> 16)


@kernel
def value_noise(p: int, q: int, seed: int) -> int:
    """Smooth noise from 0 to 255: random values on a lattice, blended in between. (p, q) is in 1/256 of a cell."""
    i, j, s, t = p >> 8, q >> 8, p & 255, q & 255
    s, t = s * s * (768 - 2 * s) >> 16, t * t * (768 - 2 * t) >> 16
    top = (hashed(i, j, seed) & 255) * (256 - s) + (hashed(i + 1, j, seed) & 255) * s
    bottom = (hashed(i, j + 1, seed) & 255) * (256 - s) + (hashed(i + 1, j + 1, seed) & 255) * s
    return (top * (256 - t) + bottom * t) >> 16


@kernel
def pattern(texture: int, u: int, v: int, period: int, seed: int) -> int:
    """How much of the second colour there is at (u, v), from 0 to 256."""
    p, q = u * 256 // period, v * 256 // period
    if texture == NOISE:
        return (5 * value_noise(p, q, seed) + 3 * value_noise(2 * p, 2 * q, seed + 1)) >> 3
    if texture == STRIPES:
        return 2 * (p & 128)
    if texture == CHECKS:
        return 2 * ((p ^ q) & 128)
    if texture == DOTS:
        s, t = (p & 255) - 128, (q & 255) - 128
        return 256 if s * s + t * t < 7282 else 0
    if texture == BRICKS:
        row = q >> 7
        p += 128 * (row & 1)
        joint = UNIT * 256 // period
        return 256 if (p & 255) < joint or (q & 127) < joint else hashed(p >> 8, row, seed) & 127
    if texture == WAVES:
        phase = (q + (value_noise(p >> 2, 3 * q >> 2, seed) * 4 // 3)) & 255
        return abs(2 * phase - 256)
    return 0


@kernel
def inside_polygon(corners: Int, first: int, stop: int, u: int, v: int) -> bool:
    """Whether (u, v) is inside: a ray to the right crosses an odd number of edges."""
    inside = False
    before = stop - 1
    for k in range(first, stop):
        u0, v0, u1, v1 = corners[before, 0], corners[before, 1], corners[k, 0], corners[k, 1]
        if (v0 > v) != (v1 > v):
            side = (u - u0) * (v1 - v0) - (u1 - u0) * (v - v0)
            inside ^= side < 0 if v1 > v0 else side > 0
        before = k
    return inside


@kernel
def covers(kind: int, a: int, b: int, hole: int, corners: Int, first: int, stop: int, u: int, v: int) -> bool:
    """Whether a part covers the point (u, v) of its own axes."""
    if kind == POLYGON:
        return inside_polygon(corners, first, stop, u, v)
    if kind == BAR:
        beyond = max(abs(u) - a, 0)
        return beyond * beyond + v * v <= b * b
    if u * u * b * b + v * v * a * a > a * a * b * b:
        return False
    a, b = a * hole >> 8, b * hole >> 8
    return u * u * b * b + v * v * a * a >= a * a * b * b


@kernel
def cover(parts: Int, reaches: Int, corners: Int, owner: Int) -> None:
    """Write to owner (H, W), which is -1 before, the last part that covers a pixel's centre.

    `reaches` (P, 2) says how far from its centre, across and down, a part may cover anything. Parts are taken from
    front to back, so that most pixels are not asked for the background: 1.4 times as fast.
    """
    height, width = owner.shape
    for k in range(len(parts) - 1, -1, -1):
        x0, y0, cos, sin = parts[k, X], parts[k, Y], parts[k, COS], parts[k, SIN]
        kind, a, b, hole = parts[k, KIND], parts[k, A], parts[k, B], parts[k, HOLE]
        first, stop = parts[k, FIRST], parts[k, STOP]
        top, bottom = max((y0 - reaches[k, 1]) // UNIT, 0), min((y0 + reaches[k, 1]) // UNIT + 1, height)
        left, right = max((x0 - reaches[k, 0]) // UNIT, 0), min((x0 + reaches[k, 0]) // UNIT + 1, width)
        for y in range(top, bottom):
            dy = y * UNIT + UNIT // 2 - y0
            for x in range(left, right):
                if owner[y, x] < 0:
                    dx = x * UNIT + UNIT // 2 - x0
                    u, v = (dx * cos + dy * sin) >> 14, (dy * cos - dx * sin) >> 14
                    if covers(kind, a, b, hole, corners, first, stop, u, v):
                        owner[y, x] = k


@kernel
def shade(owner: Int, parts: Int, surfaces: Int, gain: Int, slope: Int, light: Int) -> None:
    """Write the light (H, W, 3) that comes from each pixel, in `DEPTH` per grey level."""
    height, width = owner.shape
    for y in range(height):
        for x in range(width):
            k = owner[y, x]
            dx, dy = x * UNIT + UNIT // 2 - parts[k, X], y * UNIT + UNIT // 2 - parts[k, Y]
            u = (dx * parts[k, COS] + dy * parts[k, SIN]) >> 14
            v = (dy * parts[k, COS] - dx * parts[k, SIN]) >> 14
            seed, grain = surfaces[k, SEED], surfaces[k, GRAIN]
            mix = pattern(surfaces[k, TEXTURE], u, v, surfaces[k, PERIOD], seed)
            off = (((hashed(x, y, seed) & 255) - 128) * grain) >> 3
            fall = (slope[0] * (2 * x + 1 - width) + slope[1] * (2 * y + 1 - height)) >> 1
            for c in range(3):
                colour = surfaces[k, 1 + c] * (256 - mix) + surfaces[k, SECOND + c] * mix
                light[y, x, c] = max((colour * DEPTH >> 8) + off, 0) * max((gain[c] << 8) + fall, 0) >> 16


@kernel
def blur(light: Int, along_rows: bool) -> None:
    """Average with neighbours, weights 1, 2, 1, along rows or down columns; the ends are their own neighbours."""
    height, width, colours = light.shape
    for n in range(height if along_rows else width):
        for c in range(colours):
            line = light[n, :, c] if along_rows else light[:, n, c]
            before = line[0]
            for k in range(len(line)):
                here = line[k]
                line[k] = (before + 2 * here + line[min(k + 1, len(line) - 1)] + 2) >> 2
                before = here


@kernel
def expose(light: Int, noise: int, seed: int, image: NDArray[np.uint8]) -> None:
    """Add noise, each the sum of two even ones, and round to grey levels."""
    height, width, colours = light.shape
    for y in range(height):
        for x in range(width):
            bits = hashed(x, y, seed)
            for c in range(colours):
                off = ((bits & 255) + (bits >> 8 & 255) - 255) * noise * DEPTH >> 8
                image[y, x, c] = min(max((light[y, x, c] + off + DEPTH // 2) // DEPTH, 0), 255)
                bits = ((bits ^ (bits >> 16)) * 0x45D9F3B) & MASK  # 1.3 times as fast as three hashes
