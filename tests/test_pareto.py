"""Fronts against their definition in loops, hypervolumes against counted unit squares."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.errors import InputError
from cvbench.pareto import exclusive_hypervolumes, hypervolume, pareto_front, standings

GRID = st.integers(0, 5)
POINTS = st.lists(st.tuples(GRID | st.just(math.nan), GRID | st.just(math.nan)), max_size=7)
WIDTHS = st.lists(st.tuples(GRID, GRID, GRID, GRID), min_size=7, max_size=7)


def columns(rows: list[tuple[float, ...]], width: int = 2) -> list[np.ndarray]:
    return list(np.array(rows, float).reshape(-1, width).T)


def dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether all corners of a box (quality, then cost, low and high) are as good as all of another, and better."""
    corners = list(product(a[:2], a[2:])), list(product(b[:2], b[2:]))
    pairs = list(product(*corners))
    return all(p[0] >= q[0] and p[1] <= q[1] and p != q for p, q in pairs)


@given(POINTS, WIDTHS)
def test_fronts_are_those_that_nobody_dominates(
    points: list[tuple[float, float]], widths: list[tuple[int, ...]]
) -> None:
    quality, cost = columns(points)
    boxes = [(q - w[0], q + w[1], c - w[2], c + w[3]) for (q, c), w in zip(points, widths, strict=False)]
    q_low, q_high, c_low, c_high = columns(boxes, 4)
    defined = [not math.isnan(q + c) for q, c in points]

    def expected(shapes: list[tuple[float, ...]]) -> list[bool]:
        return [
            good and not any(dominates(a, b) for a, alive in zip(shapes, defined, strict=True) if alive)
            for b, good in zip(shapes, defined, strict=True)
        ]

    exact = expected([(q, q, c, c) for q, c in points])
    sure = expected(boxes)
    intervals = {"quality_interval": np.stack([q_low, q_high], 1), "cost_interval": np.stack([c_low, c_high], 1)}
    assert pareto_front(quality, cost).tolist() == exact
    found = pareto_front(quality, cost, **intervals)
    assert found.tolist() == sure
    names = [
        "undefined" if not good else "front" if on else "tied" if near else "behind"
        for good, on, near in zip(defined, exact, sure, strict=True)
    ]
    assert standings(quality, cost, **intervals) == names


def test_equals_share_the_front() -> None:
    assert pareto_front([1, 1, 0], [2, 2, 2]).tolist() == [True, True, False]


def test_nothing_is_sure_beyond_an_unknown_end() -> None:
    exact = standings([0.9, 0.1], [1, 2])
    unknown = standings([0.9, 0.1], [1, 2], quality_interval=[[0.8, 0.95], [0.05, math.nan]])
    assert (exact, unknown) == (["front", "behind"], ["front", "tied"])


def cells(points: list[tuple[float, float]], reference: tuple[int, int]) -> set[tuple[int, int]]:
    """Unit squares between points of whole numbers and the reference, by their lower corners."""
    return {
        (q, c)
        for quality, cost in points
        if not math.isnan(quality + cost)
        for q in range(reference[0], int(quality))
        for c in range(int(cost), reference[1])
    }


@given(POINTS, st.tuples(GRID, GRID))
def test_hypervolumes_are_areas(points: list[tuple[float, float]], reference: tuple[int, int]) -> None:
    quality, cost = columns(points)
    covered = cells(points, reference)
    assert hypervolume(quality, cost, reference) == len(covered)
    alone = [
        math.nan if math.isnan(sum(point)) else len(covered - cells([*points[:i], *points[i + 1 :]], reference))
        for i, point in enumerate(points)
    ]
    np.testing.assert_array_equal(exclusive_hypervolumes(quality, cost, reference), alone)


def test_contributions_are_exact() -> None:
    # the difference of two areas near 1e16, which float64 takes for equal
    found = exclusive_hypervolumes([1e16, 1e-20], [1.0, 0.5], (0.0, 2.0))
    assert found.tolist() == [1e16, 0.5e-20]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pareto_front([1, 2], [1]), "2 qualities and 1 costs; expected one of both"),
        (lambda: hypervolume([1, 2], [1], (0, 1)), "2 qualities and 1 costs"),
        (lambda: pareto_front([1, math.inf], [1, 2]), "expected finite numbers"),
        (lambda: pareto_front([[1]], [[2]]), r"quality of shape \(1, 1\)"),
        (lambda: pareto_front([1], [1], cost_interval=[0, 2]), r"expected \(1, 2\), lower and upper ends"),
        (lambda: pareto_front([1], [1], cost_interval=[[2, 3]]), r"cost_interval\[0\] from 2.0 to 3.0 does not"),
        (lambda: hypervolume([1], [1], (0, math.inf)), "expected a finite quality and a finite cost"),
        (lambda: hypervolume([1], [1], (math.nan, 1)), "expected a finite quality and a finite cost"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(InputError, match=message):
        call()
