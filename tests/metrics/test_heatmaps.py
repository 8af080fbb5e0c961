"""Heatmaps from keypoints against slow twins, and what both refuse."""

from __future__ import annotations

import doctest
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.metrics import heatmaps as module
from cvbench.metrics.heatmaps import Encoding, encode_heatmaps
from naive import heatmaps as naive

ENCODINGS = get_args(Encoding)
SIGMAS = st.sampled_from((1, 2.0, 3, 0.3, 1.1, 1.5, 2.5))
SIZES = st.tuples(st.integers(2, 14), st.integers(2, 14))
COORDINATES = st.one_of(
    st.integers(-60, 60).map(lambda n: n / 4), st.floats(-40, 80), st.sampled_from((-0.7, -0.5, 1e300, -1e300, 3e9))
)


def test_examples():
    assert doctest.testmod(module).failed == 0


@given(
    st.lists(st.tuples(COORDINATES, COORDINATES), min_size=1, max_size=4),
    st.sampled_from((np.float32, np.float64)),
    SIZES,
    st.sampled_from((1, 2, 4, 3.7)),
    SIGMAS,
)
def test_a_map_is_its_formula_pixel_by_pixel(points, dtype, size, stride, sigma):
    keypoints = np.clip(np.array([points]), *((-1e30, 1e30) if dtype is np.float32 else (-1e300, 1e300))).astype(dtype)
    source = tuple(max(int(side * stride), 2) for side in size)
    for method in ENCODINGS:
        maps, weights = encode_heatmaps(keypoints, input_size=source, heatmap_size=size, sigma=sigma, method=method)
        assert (maps.dtype, weights.dtype) == (np.float32, np.float32)
        assert (maps.shape, weights.shape) == ((1, len(points), *size[::-1]), (1, len(points)))
        for j, point in enumerate(keypoints[0]):
            expected, inside = naive.encode(point, source, size, sigma, method)
            assert weights[0, j] == inside
            if method == "msra":
                assert np.array_equal(maps[0, j], expected)
            else:  # a product of two exponentials, and the exponential of a sum: they may fall to two sides of a half
                np.testing.assert_array_max_ulp(maps[0, j], expected, 1)


@pytest.mark.parametrize("method", ["msra", "udp"])
@pytest.mark.parametrize(
    ("x", "centre", "weight"),
    [
        (2.49, 2, 1),
        (2.5, 3, 1),
        (-0.7, 0, 1),  # cut off towards 0
        (-1.5, -1, 1),
        (-3.5, -3, 1),  # its window has pixel 0
        (-4.5, -4, 1),  # its window ends before pixel 0, which counts as inside
        (-5.5, -5, 0),
        (9.4, 9, 1),
        (9.5, 10, 1),
        (12.4, 12, 1),
        (12.5, 13, 0),
    ],
)
def test_where_a_window_is(method, x, centre, weight):
    maps, weights = encode_heatmaps([[[x, 5]]], input_size=(10, 10), heatmap_size=(10, 10), sigma=1, method=method)
    assert weights.tolist() == [[weight]]
    columns = np.flatnonzero(maps[0, 0].any(axis=0)).tolist()
    assert columns == ([k for k in range(centre - 3, centre + 4) if 0 <= k < 10] if weight else [])
