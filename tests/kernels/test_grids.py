"""Kernels of boundaries against slow twins."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from cvbench.kernels import grids
from grid_cases import label_maps
from naive import grids as naive

REACHES = st.sampled_from((1, 1, 2, 3, 5, 50))


def band_of(labels, reach):
    band = np.empty(labels.shape, bool)
    grids.region_band(labels, reach, np.zeros(labels.shape[1], np.int32), band)
    return band


def points_of(labels):
    rows = np.empty(len(labels) + 1, np.int64)
    grids.boundary_points(labels, rows, np.empty(0, np.int32), np.empty(0, labels.dtype))
    counted = rows.copy()
    columns, values = np.empty(rows[-1], np.int32), np.empty(rows[-1], labels.dtype)
    grids.boundary_points(labels, rows, columns, values)
    assert rows.tolist() == counted.tolist()
    return rows, columns, values


@given(label_maps(), REACHES)
@example(np.zeros((1, 1), int), 1)
@example(np.zeros((3, 3), int), 1)
@example(np.zeros((9, 9), int), 4)
@example(np.zeros((9, 9), int), 5)
def test_a_band_is_what_sees_another_value_within_reach(labels, reach):
    assert np.array_equal(band_of(labels, reach), naive.within(labels, reach))


@given(label_maps(), st.sampled_from((1, 2, 5)))
def test_regions_that_touch_at_a_corner_or_come_back_are_one(labels, reach):
    renamed = np.array([7, -3, 0, 2**40])[labels]
    assert np.array_equal(band_of(renamed, reach), band_of(labels, reach))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
def test_all_types_are_compared_as_they_are(dtype):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    labels = np.array([[low, low, low, high], [low, low, low, high], [low, low, low, high - 1]], dtype)
    assert np.array_equal(band_of(labels, 1), naive.within(labels, 1))
    rows, columns, values = points_of(labels)
    assert rows.tolist() == [0, 2, 7, 9]
    assert columns.tolist() == [2, 2, 2, 2, 2, 3, 3, 2, 2]
    assert values.tolist() == [low, high, low, high, high - 1, high, high - 1, low, high - 1]


@given(label_maps())
@example(np.array([[0, 1], [2, 3]]))
@example(np.array([[0, 1], [1, 0]]))
@example(np.array([[0, 0], [0, 1]]))
@example(np.array([[0], [1], [1]]))
@example(np.array([[0, 1, 1]]))
def test_points_are_the_edges_of_the_masks_of_all_values(labels):
    rows, columns, values = points_of(labels)
    found = {(y, int(columns[k]), int(values[k])) for y in range(len(labels)) for k in range(rows[y], rows[y + 1])}
    assert len(found) == rows[-1]
    expected = {(y, x, v) for v in range(4) for y, x in np.argwhere(naive.edges(labels == v)).tolist()}
    assert found == expected
    assert all(np.all(np.diff(columns[start:stop]) >= 0) for start, stop in pairwise(rows))


@given(st.data(), st.integers(0, 9))
def test_near_is_by_the_distance_between_the_centres(data, radius):
    a = data.draw(label_maps())
    b = np.roll(a, data.draw(st.tuples(st.integers(-4, 4), st.integers(-4, 4))), (0, 1))
    first, second = points_of(a), points_of(b)
    near = np.empty(len(first[1]), bool)
    widths = np.array([int((radius**2 - y**2) ** 0.5) for y in range(radius + 1)], np.int32)
    grids.near_points(*first, *second, widths, np.empty(2 * radius + 1, np.int64), near)
    for value in range(4):
        expected = naive.near(naive.edges(a == value), naive.edges(b == value), radius)
        assert near[first[2] == value].sum() == expected
