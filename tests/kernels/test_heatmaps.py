"""Kernels of heatmaps against slow twins: what is painted where, and what is read around a peak."""

from __future__ import annotations

import numpy as np
from hypothesis import given, strategies as st

from cvbench.kernels import heatmaps

SIDES = st.tuples(st.integers(1, 7), st.integers(1, 7))


def windows(seed: int, height: int, width: int, side: int, n: int = 5):
    """Corners of windows that touch the map, or end just before it."""
    first = np.random.default_rng(seed).integers(-side, (width, height), (n, 2))
    return np.concatenate([first, first + side], axis=1)


@given(st.integers(0, 10**6), SIDES, st.integers(1, 5))
def test_a_template_is_cut_off_at_the_border(seed, size, side):
    corners = windows(seed, *size, side)
    template = np.arange(1, side**2 + 1, dtype=np.float32).reshape(side, side)
    drawn = np.array([True, False, True, True, True])
    maps = np.zeros((5, *size), np.float32)
    heatmaps.stamp(template, corners, drawn, maps)
    for (left, top, *_), shown, found in zip(corners.tolist(), drawn, maps, strict=True):
        for y, x in np.ndindex(*size):
            inside = shown and 0 <= y - top < side and 0 <= x - left < side
            assert found[y, x] == (template[y - top, x - left] if inside else 0)


@given(st.integers(0, 10**6), SIDES, st.integers(1, 5))
def test_a_gaussian_is_painted_in_its_window(seed, size, side):
    corners = windows(seed, *size, side)
    centres = np.random.default_rng(seed).uniform(-1, side + 1, (5, 2))
    drawn = np.array([True, True, False, True, True])
    maps = np.zeros((5, *size), np.float32)
    heatmaps.paint(centres, 4.5, corners, drawn, np.empty(size[1]), maps)
    for m, (left, top, *_) in enumerate(corners.tolist()):
        rows, columns = np.mgrid[: size[0], : size[1]] - np.array([top, left])[:, None, None]
        inside = drawn[m] & (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
        gaussian = np.exp(-((columns - centres[m, 0]) ** 2 + (rows - centres[m, 1]) ** 2) / 4.5)
        # one rounding to float32, from float64 figures that differ in their last bits
        np.testing.assert_array_max_ulp(maps[m], np.where(inside, gaussian, 0).astype(np.float32), 1)
