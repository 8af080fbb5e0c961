"""Heatmaps of keypoints: Gaussians painted into them, and what a decoder reads around their peaks.

M maps of (H, W) are contiguous, one behind the other; a thread gets a slice of them. Which keypoints are painted and
what becomes of the values read is for the caller to say: the rules of the field are arithmetic on few numbers, pixels
are many.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
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
                for x in range(first, last):
                    maps[m, y, x] = template[y - top, x - left]


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


@kernel
def side_signs(maps: Maps, peaks: Int, borders: Int, signs: Float) -> None:
    """On which side of each peak, along both axes, the neighbour is higher.

    Parameters
    ----------
    maps : (M, H, W)
    peaks : (M, 2) int64
        x and y; -1 where a map has no peak.
    borders : (3,) int64
        An axis counts where the coordinate along it is at least ``borders[0]`` and not the last one, and the one across
        it is at least ``borders[1]`` and below the size less ``borders[2]``.
    signs : (M, 2) float64
        Out: 1 where the right (lower) neighbour is higher than the left (upper) one, -1 where it is lower, else 0.
    """
    height, width = maps.shape[1:]
    low, low_across, margin_across = borders
    for m in range(len(maps)):
        x, y = peaks[m]
        signs[m, 0] = signs[m, 1] = 0.0
        if low <= x < width - 1 and low_across <= y < height - margin_across:
            before, after = maps[m, y, x - 1], maps[m, y, x + 1]
            signs[m, 0] = 1.0 if after > before else -1.0 if after < before else 0.0
        if low <= y < height - 1 and low_across <= x < width - margin_across:
            before, after = maps[m, y - 1, x], maps[m, y + 1, x]
            signs[m, 1] = 1.0 if after > before else -1.0 if after < before else 0.0


@kernel
def blur_around(maps: Maps, peaks: Int, wanted: Bool, taps: Float, rows: Float, around: Float) -> None:
    """Values of the blurred map in a square around each peak; outside of the map all is 0.

    Only these values are computed: for 5 x 5 of them and 11 taps, 1100 products and not the 67,000 of a whole map.
    That takes 1.6 µs in place of 35.

    Parameters
    ----------
    maps : (M, H, W)
    peaks : (M, 2) int64
        x and y, inside of the map where wanted.
    wanted : (M,) bool
        False leaves the values of a map alone.
    taps : (2 h + 1,) float64
        The separable filter.
    rows : (2 (r + h) + 1, 2 r + 1) float64
        Scratch.
    around : (M, 2 r + 1, 2 r + 1) float64
        Out: ``around[m, r + dy, r + dx]``; a place outside of the map has the value of the nearest inside.
    """
    height, width = maps.shape[1:]
    reach, half = around.shape[1] // 2, len(taps) // 2
    for m in range(len(maps)):
        if not wanted[m]:
            continue
        x, y = peaks[m]
        top = y - reach - half
        first, last = max(top, 0), min(y + reach + half + 1, height)
        for j in range(first, last):
            for i in range(2 * reach + 1):
                left = min(max(x + i - reach, 0), width - 1) - half
                total = 0.0
                for k in range(max(left, 0), min(left + len(taps), width)):
                    total += taps[k - left] * maps[m, j, k]
                rows[j - top, i] = total
        for j in range(2 * reach + 1):
            above = min(max(y + j - reach, 0), height - 1) - half
            for i in range(2 * reach + 1):
                total = 0.0
                for k in range(max(above, first), min(above + len(taps), last)):
                    total += taps[k - above] * rows[k - top, i]
                around[m, j, i] = total


@kernel
def blurred_maxima(maps: Maps, wanted: Int, taps: Float, blurred: Float, maxima: Float) -> None:
    """The highest value of a map after the blur, outside of which all is 0.

    Parameters
    ----------
    maps : (M, H, W)
    wanted : (K,) int64
        Maps to look at.
    taps : (2 h + 1,) float64
        The separable filter.
    blurred : (H + 1, W) float64
        Scratch.
    maxima : (K,) float64
        Out.
    """
    height, width = maps.shape[1:]
    half = len(taps) // 2
    column = blurred[height]
    for n in range(len(wanted)):
        pixels = maps[wanted[n]]
        for y in range(height):
            for x in range(width):
                total = 0.0
                for k in range(max(x - half, 0), min(x + half + 1, width)):
                    total += taps[k - x + half] * pixels[y, k]
                blurred[y, x] = total
        highest = -np.inf
        for y in range(height):
            column[:] = 0.0
            for k in range(max(y - half, 0), min(y + half + 1, height)):
                tap = taps[k - y + half]
                for x in range(width):
                    column[x] += tap * blurred[k, x]
            for x in range(width):
                highest = max(highest, column[x])
        maxima[n] = highest


@kernel
def soft_centres(maps: Maps, maxima: Float, beta: float, centres: Float) -> None:
    """The mean position under the softmax of each map.

    Parameters
    ----------
    maps : (M, H, W)
    maxima : (M,) float64
        Their highest values.
    beta
        Factor of the values before the softmax.
    centres : (M, 2) float64
        Out: x and y in pixels.
    """
    height, width = maps.shape[1:]
    for m in range(len(maps)):
        highest = maxima[m]
        total = total_x = total_y = 0.0
        for y in range(height):
            row = row_x = 0.0
            for x in range(width):
                weight = math.exp(beta * (np.float64(maps[m, y, x]) - highest))
                row += weight
                row_x += weight * x
            total += row
            total_x += row_x
            total_y += row * y
        centres[m, 0], centres[m, 1] = total_x / total, total_y / total
