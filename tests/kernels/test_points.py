"""Distances and hits of paired keypoints, against loops written from the definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.io.extract import keypoint_boxes
from cvbench.kernels.points import count_hits, count_instance_hits, distances_rows, extents, first_reached


def drawn(seed: int, number: int = 6, joints: int = 4, dims: int = 2) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    gt = random.integers(-5, 20, (number, joints, dims)) / 2
    pred = gt + random.integers(-4, 5, gt.shape) / 2
    pred[random.random((number, joints)) < 0.1, random.integers(dims)] = np.nan
    return gt, pred, random.random((number, joints)) < 0.7, random.integers(1, 5, number) / 2


@given(st.integers(0, 10**6), st.sampled_from([2, 3]), st.booleans())
def test_distances_are_those_of_the_definition(seed: int, dims: int, divide_first: bool) -> None:
    gt, pred, visible, scale = drawn(seed, dims=dims)
    out = np.zeros(visible.shape)
    distances_rows(0, len(gt), gt, pred, visible, scale, divide_first, out)
    for n, j in np.ndindex(visible.shape):
        steps = [float(value) for value in pred[n, j] - gt[n, j]]
        if not visible[n, j]:
            assert math.isnan(out[n, j])
        elif any(map(math.isnan, steps)):
            assert out[n, j] == math.inf
        elif divide_first:
            assert out[n, j] == math.sqrt(sum((step / scale[n]) ** 2 for step in steps))
        else:
            assert out[n, j] == math.sqrt(sum(step**2 for step in steps)) / scale[n]


@given(st.integers(0, 10**6), st.integers(1, 6))
def test_extents_are_those_of_arrays(seed: int, joints: int) -> None:
    points, boxes = np.random.default_rng(seed).normal(0, 100, (4, 6, 3)), np.full((4, 4), np.nan)
    extents(points, joints, boxes)
    np.testing.assert_array_equal(boxes, keypoint_boxes(points[:, :joints]))


def test_single_precision_stays_single() -> None:
    random = np.random.default_rng(0)
    gt, pred = random.random((2, 50, 9, 2), np.float32) * np.float32(100)
    scale = random.random(50, np.float32) + np.float32(1)
    out = np.zeros((50, 9))
    distances_rows(0, 50, gt, pred, np.ones((50, 9), np.bool_), scale, True, out)
    assert np.array_equal(out, np.linalg.norm((pred - gt) / scale[:, None, None], axis=-1).astype(np.float64))
    assert np.array_equal(out, out.astype(np.float32))


def test_only_the_rows_of_the_range_are_written() -> None:
    gt, pred, visible, scale = drawn(3)
    out = np.full(visible.shape, -1.0)
    distances_rows(2, 4, gt, pred, visible, scale, False, out)
    assert (out[[0, 1, 4, 5]] == -1).all()
    assert (out[2:4] != -1).all()


@pytest.mark.parametrize(
    ("value", "strict", "index"),
    [
        (0.0, False, 0),
        (0.0, True, 1),
        (0.1, False, 1),
        (0.1, True, 3),
        (0.2, True, 3),
        (0.3, False, 3),
        (np.inf, False, 3),
    ],
)
def test_the_first_threshold_reached(value: float, strict: bool, index: int) -> None:
    assert first_reached(value, np.array([0.0, 0.1, 0.1]), strict) == index


@given(st.integers(0, 10**6), st.booleans())
def test_hits_are_those_of_the_definition(seed: int, strict: bool) -> None:
    gt, pred, visible, scale = drawn(seed)
    distance = np.zeros(visible.shape)
    distances_rows(0, len(gt), gt, pred, visible, scale, False, distance)
    thresholds, weights = np.array([0.0, 0.5, 1.0, 2.0]), np.random.default_rng(seed).integers(0, 3, len(gt))
    by_column, by_instance = np.zeros((4, 5), np.int64), np.zeros((5, 5, 4), np.int64)
    count_hits(0, len(gt), distance, weights, thresholds, strict, by_column)
    count_instance_hits(0, len(gt), distance, weights, thresholds, strict, np.zeros(5, np.int64), by_instance)
    reached = distance[:, :, None] < thresholds if strict else distance[:, :, None] <= thresholds
    assert np.array_equal(np.cumsum(by_column, axis=1)[:, :-1], (reached * weights[:, None, None]).sum(axis=0))
    assert np.array_equal(by_column.sum(axis=1), (~np.isnan(distance) * weights[:, None]).sum(axis=0))
    expected = np.zeros_like(by_instance)
    for n in range(len(gt)):
        for t in range(4):
            expected[np.count_nonzero(~np.isnan(distance[n])), np.count_nonzero(reached[n, :, t]), t] += weights[n]
    assert np.array_equal(by_instance, expected)
