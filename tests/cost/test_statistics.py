"""Percentiles, bounds, warm-up and ratios, held to their definitions."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.cost.statistics import Ratio, WarmUp, percentile, ratio_of_times, relative_spread, upper_bound
from cvbench.errors import InputError

TIMES = st.lists(st.integers(0, 50), min_size=1, max_size=80).map(np.array)


@given(TIMES, st.integers(1, 99))
def test_a_percentile_is_the_smallest_sample_with_enough_others_not_above_it(times: np.ndarray, percent: int) -> None:
    enough = [t for t in sorted(times) if 100 * np.count_nonzero(times <= t) >= percent * len(times)]
    assert percentile(times, percent / 100) == enough[0]


def exact_tail(n: int, percent: int, t: int) -> Fraction:
    """The chance that at most t of n samples are above the true percentile, in whole numbers."""
    return Fraction(sum(math.comb(n, k) * (100 - percent) ** k * percent ** (n - k) for k in range(t + 1)), 100**n)


@pytest.mark.parametrize(
    ("percent", "spared", "fewest"),
    [(90, 1, 64), (95, 1, 130), (99, 1, 662), (90, 0, 44), (95, 0, 90), (99, 0, 459)],
)
def test_bounds_begin_at_the_published_numbers_of_samples(percent: int, spared: int, fewest: int) -> None:
    share = percent / 100
    assert math.isnan(upper_bound(np.arange(fewest - 1), share, spared=spared))
    assert upper_bound(np.arange(fewest), share, spared=spared) == fewest - 1 - spared
    assert exact_tail(fewest, percent, spared) <= Fraction(1, 100)
    assert exact_tail(fewest - 1, percent, spared) > Fraction(1, 100)


@pytest.mark.parametrize("n", [7, 64, 300])
@pytest.mark.parametrize("percent", [50, 90, 99])
def test_a_bound_spares_as_many_samples_as_the_binomial_law_allows(n: int, percent: int) -> None:
    above = next(t for t in range(n) if exact_tail(n, percent, t) > Fraction(1, 100)) - 1
    bound = upper_bound(np.arange(n), percent / 100, spared=0)
    assert math.isnan(bound) if above < 0 else bound == n - 1 - above


def test_bounds_hold_as_often_as_they_say() -> None:
    draws = np.random.default_rng(0).random((4000, 100))  # the true p90 is 0.9
    held = np.mean([upper_bound(draw, 0.9, confidence=0.95) >= 0.9 for draw in draws])
    law = 1 - float(exact_tail(100, 90, 4))  # 4 samples above are the most at 95 %
    assert abs(held - law) < 4 * math.sqrt(law * (1 - law) / len(draws))  # four standard errors, and a fixed seed


def test_without_samples_nothing_is_defined() -> None:
    none = np.array([], np.int64)
    assert all(math.isnan(value) for value in (percentile(none, 0.5), upper_bound(none, 0.5), relative_spread(none)))
    assert math.isnan(relative_spread(np.zeros(9)))


def test_the_spread_is_the_interquartile_range_over_the_median() -> None:
    assert relative_spread(np.array([1, 2, 3, 4, 5, 6, 7, 8])) == (6 - 2) / 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: percentile(np.arange(3), 90), "percentile at 90: expected a share between 0 and 1"),
        (lambda: upper_bound(np.arange(3), 0.9, confidence=99), "confidence 99, spared 1"),
        (lambda: WarmUp(window=1), "expected a window from 2"),
    ],
)
def test_shares_are_no_percentages(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize(
    ("times", "calls", "settled"),
    [
        ([10] * 9, 5, True),  # five calls at least
        ([500, 10, 10, 10, 10, 10, 10, 10], 7, True),  # the median of two is far from that of three
        ([100.0, 100.0, 101.9, 101.9, 101.9], 5, True),  # medians 100, 100, 100, 100.95, 101.9
        ([100.0, 100.0, 102.1, 102.1, 102.1, 102.1, 102.1, 102.1], 8, True),  # until the last 100 is out of sight
        ([2**i for i in range(100)], 100, False),  # slower with every call
    ],
)
def test_warm_up_ends_when_the_running_median_stands_still(times: list[float], calls: int, settled: bool) -> None:
    queue = iter(times)
    assert WarmUp().run(lambda: next(queue)) == (calls, settled)


def times(processes: int, rounds: int, seed: int = 0) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, 0.02, (processes, rounds)))


def test_a_ratio_compares_rounds_with_each_other() -> None:
    drift = np.array([[1.0, 4.0], [2.0, 9.0], [1.0, 5.0]])  # hits both alike
    ratio = ratio_of_times(3 * drift, 2 * drift)
    np.testing.assert_allclose([ratio.value, ratio.low, ratio.high], 1.5, rtol=1e-14)  # one exponential of one sum
    assert ratio.verdict == "slower"


def test_turning_a_ratio_round_turns_its_interval_round() -> None:
    a, b = times(5, 3), 1.1 * times(5, 3, seed=1)
    ratio, other = ratio_of_times(a, b), ratio_of_times(b, a)
    assert ratio.value * other.value == pytest.approx(1, rel=1e-14)
    # The ends are nearest ranks from below and above, one of 10,000 replicates apart.
    assert (ratio.low * other.high, ratio.high * other.low) == pytest.approx((1, 1), rel=1e-3)
    assert (ratio.verdict, other.verdict) == ("faster", "slower")


def test_processes_are_drawn_as_a_whole() -> None:
    apart = np.repeat([[0.8], [1.0], [1.25]], 50, axis=1)  # rounds of one process are alike
    ratio = ratio_of_times(apart, np.ones_like(apart))
    assert (ratio.low, ratio.high) == pytest.approx((0.8, 1.25), rel=1e-14)  # 1 draw in 27 takes one process only
    assert ratio.tie


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.9, 1.0, "tie"), (1.0, 1.1, "tie"), (0.9, 0.99, "faster"), (1.01, 1.1, "slower")]
)
def test_an_interval_that_holds_1_is_a_tie(low: float, high: float, verdict: str) -> None:
    assert Ratio((low + high) / 2, low, high, 0.95).verdict == verdict


@pytest.mark.parametrize(
    ("a", "b"), [(times(3, 2), times(2, 3)), (times(1, 9), times(1, 9)), (times(3, 2), 0 * times(3, 2))]
)
def test_ratios_need_processes_and_times(a: np.ndarray, b: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"expected \(processes, rounds\)|not a finite number above 0"):
        ratio_of_times(a, b)
