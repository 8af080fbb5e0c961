"""Means from integer sums against fractions, which are exact."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.metrics.sums import exact_means

NUMBERS = st.floats(-(2.0**20), 2.0**20, allow_subnormal=False).map(lambda x: x if abs(x) > 2**-20 else 0.0)


def exactly(numbers):
    numbers = [Fraction(x) for x in numbers if not math.isnan(x)]
    return float(sum(numbers) / len(numbers)) if numbers else math.nan


@given(st.lists(st.tuples(NUMBERS | st.just(math.nan), NUMBERS, st.integers(0, 3)), max_size=20))
def test_means_are_rounded_once(rows):
    values = np.array([row[:2] for row in rows]).reshape(-1, 2)
    times = np.array([row[2] for row in rows], np.int64)
    means, pooled = exact_means(values, times)
    every = np.repeat(values, times, axis=0)
    np.testing.assert_equal(means, [exactly(column) for column in every.T])
    np.testing.assert_equal(pooled, exactly(every.ravel()))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20), st.randoms())
def test_the_order_of_rows_does_not_matter(numbers, random):
    shuffled = random.sample(numbers, len(numbers))
    first, second = (exact_means(np.array(rows)[:, None], np.ones(len(rows), np.int64)) for rows in (numbers, shuffled))
    assert first[1] == second[1]
    # what lies below 2**-93 of the largest is cut off
    assert first[1] == pytest.approx(exactly(numbers), rel=1e-15, abs=max(map(abs, numbers)) * 2.0**-92)


@pytest.mark.parametrize("number", [5e-324, 2.0**-1000, 2.0**-30, 1.0, 2.0**30, 2.0**31, 1.7976931348623157e308])
def test_numbers_of_any_size(number):
    times = np.array([2**31, 1], np.int64)
    means, pooled = exact_means(np.array([[number, -number], [number, math.nan]]), times)
    assert means.tolist() == [number, -number]
    assert pooled == float(Fraction(number) / (2**32 + 1))


def test_rows_that_stand_nowhere_are_not_looked_at():
    rows = np.array([[1.0, 2], [math.inf, 1e300], [3, 4]])
    assert exact_means(rows, np.array([1, 0, 1]))[0].tolist() == [2, 3]


def test_nothing_is_undefined():
    means, pooled = exact_means(np.zeros((0, 3)), np.zeros(0, np.int64))
    assert np.isnan(means).all()
    assert means.shape == (3,)
    assert math.isnan(pooled)
    assert math.isnan(exact_means(np.full((2, 1), math.nan), np.ones(2, np.int64))[1])
