"""What samples of time say, and how surely: percentiles with bounds, when warm-up ends, ratios with intervals.

A percentile is the nearest rank, so it is a time that was measured, and its upper bound is an order statistic: true for
any distribution, as long as samples are independent draws from it. Samples of one process are less than independent
(they share its memory layout), so a bound speaks of the processes that were run.

References
----------
MLPerf Inference rules, "Early stopping criterion", of whose test the bound is the inverse. H. A. David and H. N.
Nagaraja, *Order Statistics*, section 7.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.errors import InputError

Float = NDArray[np.float64]


def percentile(samples: NDArray[Any], share: float) -> float:
    """The smallest sample that at least this share of all samples does not exceed (nearest rank).

    Parameters
    ----------
    samples : (N,)
        Of any unit.
    share
        Between 0 and 1: 0.9 for p90.

    Returns
    -------
    float
        One of the samples.

    **Undefined**: NaN without samples.

    Examples
    --------
    >>> percentile(np.array([40, 10, 30, 20]), 0.5), percentile(np.array([40, 10, 30, 20]), 0.9)
    (20.0, 40.0)
    """
    _check_share(share)
    if not len(samples):
        return math.nan
    # 0.1 * 30 is above 3 in floating point; a rank that is whole but for rounding is whole.
    rank = math.ceil(round(share * len(samples), 9))
    return float(np.sort(samples)[max(rank, 1) - 1])


def upper_bound(samples: NDArray[Any], share: float, confidence: float = 0.99, spared: int = 1) -> float:
    """A time that the true percentile does not exceed, at the stated confidence.

    It is the smallest order statistic of which that holds exactly, by the binomial law of how many samples fall beyond
    the true percentile. At least `spared` samples have to lie above it, so that a bound never rests on the one slowest
    sample: for p90, p95 and p99 it takes 64, 130 and 662 samples.

    Parameters
    ----------
    samples : (N,)
        Independent draws.
    share
        Between 0 and 1: 0.9 for p90.
    confidence
        Between 0 and 1.
    spared
        How many samples have to be above the bound; 0 lets the largest be one (44, 90 and 459 samples).

    Returns
    -------
    float
        One of the samples, at least the percentile itself.

    **Undefined**: NaN where there are too few samples.

    Examples
    --------
    >>> upper_bound(np.arange(64), 0.9), upper_bound(np.arange(63), 0.9)
    (62.0, nan)
    """
    _check_share(share)
    if not 0 < confidence < 1 or spared < 0:
        raise InputError(f"confidence {confidence}, spared {spared}: expected a share between 0 and 1, a number from 0")
    above = _samples_above(len(samples), share, 1 - confidence)
    return math.nan if above < spared else float(np.sort(samples)[len(samples) - 1 - above])


def _samples_above(n: int, share: float, risk: float) -> int:
    """The largest t with ``P(Bin(n, 1 - share) <= t) <= risk``; -1 where there is none."""
    below, beyond = math.log(share), math.log1p(-share)
    tail, t = 0.0, -1
    while t + 1 <= n:
        k = t + 1
        ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)  # logarithms: 0.5^2000 is 0
        tail += math.exp(ways + k * beyond + (n - k) * below)
        if tail > risk:
            break
        t = k
    return t


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise InputError(f"percentile at {share}: expected a share between 0 and 1, such as 0.9 for p90")


def relative_spread(samples: NDArray[Any]) -> float:
    """The interquartile range divided by the median.

    **Undefined**: NaN without samples, or where the median is 0.
    """
    centre = percentile(samples, 0.5)
    return (percentile(samples, 0.75) - percentile(samples, 0.25)) / centre if centre else math.nan


# Warm-up -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WarmUp:
    """When a repeated call counts as warm: as soon as the median of its times so far has stopped to move.

    Attributes
    ----------
    window
        The last so many medians are compared, so it is also the smallest number of calls.
    change
        The largest of them may exceed the smallest by less than this share.
    most
        Calls after which warm-up ends in any case.

    Examples
    --------
    >>> times = iter([90, 30, 10, 10, 10, 10, 10, 10, 10, 10])
    >>> WarmUp().run(lambda: next(times))
    (9, True)
    """

    window: int = 5
    change: float = 0.02
    most: int = 100

    def __post_init__(self) -> None:
        if not 2 <= self.window <= self.most or not self.change > 0:
            raise InputError(f"{self}: expected a window from 2 to `most` calls and a change above 0")

    def run(self, call: Callable[[], float]) -> tuple[int, bool]:
        """Repeat `call`, which returns its own duration, until it is warm.

        Returns
        -------
        int
            The number of calls.
        bool
            Whether the median settled.
        """
        times: list[float] = []
        medians: list[float] = []
        while len(times) < self.most:
            times.append(call())
            medians = [*medians[1 - self.window :], median(times)]
            if len(medians) == self.window and max(medians) < min(medians) * (1 + self.change):
                return len(times), True
        return len(times), False


# Ratios --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ratio:
    """How many times as long one thing takes as another.

    Attributes
    ----------
    value
        Above 1 where the first takes longer.
    low, high
        Ends of its interval.
    confidence
        Of the interval.
    """

    value: float
    low: float
    high: float
    confidence: float

    @property
    def tie(self) -> bool:
        """Whether the interval holds 1: then neither is called faster."""
        return self.low <= 1 <= self.high

    @property
    def verdict(self) -> str:
        """``faster``, ``slower`` or ``tie``, said of the first."""
        return "tie" if self.tie else "faster" if self.value < 1 else "slower"


def ratio_of_times(
    a: NDArray[Any], b: NDArray[Any], *, confidence: float = 0.95, replicates: int = 10_000, seed: int = 0
) -> Ratio:
    """How many times as long `a` takes as `b`, with an interval from a hierarchical bootstrap.

    The two were timed side by side, so each round gives one quotient; the value is their geometric mean. A replicate
    draws processes with replacement, then rounds of each, and is again the geometric mean.

    With few processes the interval is too narrow. In simulations with 5 rounds where processes differ as much as
    rounds do, an interval of 95 % held the truth in 80, 88 and 93 % of 400 runs at 3, 5 and 10 processes.

    Parameters
    ----------
    a, b : (P, R)
        A typical time, such as the median, in each of R rounds of each of P processes, above 0.
    confidence
        Between 0 and 1.
    replicates
        Number of draws.
    seed
        Of the draws.

    Raises
    ------
    InputError
        Shapes differ, or there are fewer than two processes, or a time is not above 0.

    Examples
    --------
    >>> a = np.array([[10.0, 10.1], [10.3, 10.2], [9.9, 10.0]])
    >>> ratio_of_times(a, 2 * a).verdict, ratio_of_times(a, a[::-1]).verdict
    ('faster', 'tie')
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 2 or len(a) < 2 or not a.size:
        raise InputError(f"times of shapes {a.shape} and {b.shape}: expected (processes, rounds) of both, 2 processes")
    if not (np.isfinite(a) & np.isfinite(b) & (a > 0) & (b > 0)).all():
        raise InputError("a time is not a finite number above 0")
    _check_share(confidence)
    if replicates < 1:
        raise InputError(f"replicates {replicates}: expected at least 1")
    quotients = np.log(a / b)
    draw = np.random.default_rng(seed)
    processes = draw.integers(a.shape[0], size=(replicates, a.shape[0], 1))
    rounds = draw.integers(a.shape[1], size=(replicates, *a.shape))
    means = np.exp(quotients[processes, rounds].mean(axis=(1, 2)))
    risk = (1 - confidence) / 2
    value = float(np.exp(quotients.mean()))
    return Ratio(value, percentile(means, risk), percentile(means, 1 - risk), confidence)
