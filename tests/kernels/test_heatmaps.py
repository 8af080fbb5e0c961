"""Kernels of heatmaps against slow twins: what is painted where, and what is read around a peak."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.kernels import heatmaps
from naive import heatmaps as naive

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


@given(st.integers(0, 10**6), SIDES, st.sampled_from((1, 2)), st.sampled_from((3, 5, 11)))
def test_a_blur_around_a_peak_is_part_of_the_whole_blur(seed, size, reach, width):
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(4, *size)).astype(np.float32)
    peaks = np.stack([rng.integers(0, size[1], 4), rng.integers(0, size[0], 4)], axis=1)
    taps = rng.uniform(-0.2, 1, width)
    around = np.full((4, 2 * reach + 1, 2 * reach + 1), 7.0)
    wanted = np.array([True, True, False, True])
    heatmaps.blur_around(maps, peaks, wanted, taps, np.empty((2 * reach + width, 2 * reach + 1)), around)
    maxima = np.empty(2)
    heatmaps.blurred_maxima(maps, np.array([3, 0]), taps, np.empty((size[0] + 1, size[1])), maxima)
    for m in (0, 1, 3):
        padded = np.pad(maps[m].astype(np.float64), width // 2)
        views = np.lib.stride_tricks.sliding_window_view(padded, (width, width))
        whole = (views * np.outer(taps, taps)).sum(axis=(2, 3))
        x, y = peaks[m]
        near = np.pad(whole, reach, mode="edge")[y : y + 2 * reach + 1, x : x + 2 * reach + 1]
        # the twin adds all products of a window at once
        np.testing.assert_allclose(around[m], near, rtol=0, atol=1e-13)
        if m != 1:
            assert maxima[[3, 0].index(m)] == pytest.approx(whole.max(), rel=0, abs=1e-13)
    assert (around[2] == 7).all(), "what is not wanted stays"


@given(st.integers(0, 10**6), SIDES, st.tuples(*[st.integers(1, 3), st.integers(1, 2), st.integers(0, 2)]))
def test_signs_point_to_the_higher_neighbour(seed, size, borders):
    rng = np.random.default_rng(seed)
    maps = rng.integers(0, 3, (6, *size)).astype(np.float32)
    peaks = np.stack([rng.integers(-1, size[1], 6), rng.integers(-1, size[0], 6)], axis=1)
    peaks[(peaks == -1).any(axis=1)] = -1
    signs = np.full((6, 2), 9.0)
    heatmaps.side_signs(maps, peaks, np.array(borders), signs)
    for found, (x, y), pixels in zip(signs.tolist(), peaks.tolist(), maps, strict=True):
        for axis, row, k, other in ((0, pixels[y], x, y), (1, pixels[:, x], y, x)):
            inside = borders[0] <= k < size[1 - axis] - 1 and borders[1] <= other < size[axis] - borders[2]
            assert found[axis] == (np.sign(row[k + 1] - row[k - 1]) if inside else 0)


@given(st.integers(0, 10**6), SIDES)
def test_centres_under_the_softmax(seed, size):
    maps = np.random.default_rng(seed).normal(size=(3, *size)).astype(np.float32)
    centres = np.empty((3, 2))
    heatmaps.soft_centres(maps, maps.max(axis=(1, 2)).astype(np.float64), 2.5, centres)
    for found, pixels in zip(centres, maps, strict=True):
        # the twin adds in another order
        assert tuple(found) == pytest.approx(naive.soft_argmax(pixels, 2.5), rel=1e-12)
