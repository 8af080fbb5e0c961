"""Heatmaps of keypoints: Gaussians painted into them, and what a decoder reads around their peaks.

M maps of (H, W) are contiguous, one behind the other; a thread gets a slice of them. Which keypoints are painted and
what becomes of the values read is for the caller to say: the rules of the field are arithmetic on few numbers, pixels
are many.
"""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from cvbench.kernels import Bool, Float, Int, kernel

Maps = NDArray[Any]


@kernel
def stamp(template: Maps, corners: Int, drawn: Bool, maps: Maps) -> None:
    """Copy a template into each map, cut off at the border of the map.

    Parameters
    ----------
    template : (S, S) float32
        Its first pixel goes to the left top corner.
    corners : (M, 4) int64
        Left, top, right and bottom of the part that is copied. Right and bottom are exclusive and at least 0, left and
        top are below W and H; else any of them may lie outside of the map.
    drawn : (M,) bool
        False leaves a map alone.
    maps : (M, H, W) float32
        Out.
    """
    height, width = maps.shape[1:]
    for m in range(len(maps)):
        if drawn[m]:
            left, top, right, bottom = corners[m]
            first, last = max(left, 0), min(right, width)
            for y in range(max(top, 0), min(bottom, height)):
                maps[m, y, first:last] = template[y - top, first - left : last - left]


@kernel
def paint(centres: Float, spread: float, corners: Int, drawn: Bool, falloff: Float, maps: Maps) -> None:
    """Paint a Gaussian with a centre of its own into each map.

    It is computed in float64 as a column times a row, and rounded once. That takes 112 exponentials for a map of 48 x
    64 pixels, not 3072: 2.5 µs in place of 17.

    Parameters
    ----------
    centres : (M, 2) float64
        x and y, from the left top corner.
    spread
        Twice the variance, in pixels squared.
    corners, drawn, maps
        As for `stamp`.
    falloff : (W,) float64
        Scratch.
    """
    height, width = maps.shape[1:]
    for m in range(len(maps)):
        if drawn[m]:
            left, top, right, bottom = corners[m]
            first, last = max(left, 0), min(right, width)
            for x in range(first, last):
                away = x - left - centres[m, 0]
                falloff[x - first] = math.exp(-away * away / spread)
            for y in range(max(top, 0), min(bottom, height)):
                away = y - top - centres[m, 1]
                factor = math.exp(-away * away / spread)
                row = maps[m, y, first:last]
                for k in range(len(row)):
                    row[k] = factor * falloff[k]
