"""Shapes, noise and blur from their definitions, in exact fractions and one pixel at a time."""

from __future__ import annotations

from fractions import Fraction


def in_polygon(corners, u, v):
    """Edges are crossed an odd number of times on the way to the right."""
    crossings = 0
    for (u0, v0), (u1, v1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if min(v0, v1) <= v < max(v0, v1):
            crossings += u0 + Fraction(v - v0, v1 - v0) * (u1 - u0) > u
    return crossings % 2 == 1


def in_ellipse(a, b, hole, u, v):
    """Within the ellipse and not within its hole, whose rim belongs to the part."""
    inner_a, inner_b = a * hole // 256, b * hole // 256
    if hole and Fraction(u, inner_a) ** 2 + Fraction(v, inner_b) ** 2 < 1:
        return False
    return Fraction(u, a) ** 2 + Fraction(v, b) ** 2 <= 1


def in_bar(a, b, u, v):
    """No farther than b from the nearest point of the line."""
    nearest = min(max(u, -a), a)
    return (u - nearest) ** 2 + v**2 <= b**2


def covers(kind, a, b, hole, corners, u, v):
    """Kinds 0, 1 and 2: ellipse, bar, polygon."""
    return [in_ellipse(a, b, hole, u, v), in_bar(a, b, u, v), bool(corners) and in_polygon(corners, u, v)][kind]


def value_noise(p, q, corner):
    """Values of a lattice, `corner(i, j)`, blended by 3 s² − 2 s³: what the integers stand for, without rounding."""
    (i, s), (j, t) = divmod(p, 256), divmod(q, 256)
    s, t = (3 * x**2 - 2 * x**3 for x in (Fraction(s, 256), Fraction(t, 256)))
    top = corner(i, j) * (1 - s) + corner(i + 1, j) * s
    bottom = corner(i, j + 1) * (1 - s) + corner(i + 1, j + 1) * s
    return top * (1 - t) + bottom * t


def blurred(row):
    """Means with weights 1, 2, 1; the ends are their own neighbours."""
    padded = [row[0], *row, row[-1]]
    return [Fraction(padded[k] + 2 * padded[k + 1] + padded[k + 2], 4) for k in range(len(row))]
