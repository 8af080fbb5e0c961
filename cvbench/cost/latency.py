"""How long a model takes, and how sure that is: percentiles, their bounds, spreads, and reasons for doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.cost.statistics import Ratio, percentile, ratio_of_times, relative_spread, upper_bound
from cvbench.cost.turns import ColdStart, Plan
from cvbench.cost.workload import Conditions
from cvbench.errors import InputError, MismatchError, did_you_mean
from cvbench.result import Row

Int = NDArray[np.int64]

PERCENTILES = (50, 90, 99)


DRIFT, SPREAD, LOAD = 0.03, 0.10, 0.25
"""What marks figures as noisy when exceeded: the slowest calibration over the fastest, less 1; the interquartile range
over the median; the load average per processor."""


@dataclass(frozen=True, eq=False)
class Latency:
    """The times of one model and what they say.

    Attributes
    ----------
    name
    conditions
    plan
    samples : dict of (N,) int64
        Nanoseconds of each call by stage, warm-up apart. Where there is more than one stage, ``e2e`` is their sum.
    process, round : (N,) int64
        Where and when each call was made, counted from 0.
    warm_up : (P, R) int64
        Calls before those of each turn.
    calibration : (P, R, 2) int64
        Nanoseconds of the fixed piece of work before and after each round.
    cold
        The first moments in a process of its own.
    load_average
        Of the last minute, when measuring began; NaN where the system does not say.
    noise
        Why the figures are to be taken with care; empty for none of the reasons that are looked for.
    """

    name: str
    conditions: Conditions
    plan: Plan
    samples: dict[str, Int]
    process: Int
    round: Int
    warm_up: Int
    calibration: Int
    cold: ColdStart
    load_average: float
    noise: tuple[str, ...]

    @property
    def noisy(self) -> bool:
        """Whether there is a reason to take the figures with care."""
        return bool(self.noise)

    @property
    def headline(self) -> str:
        """The stage that stands for the model: ``e2e`` where there are several."""
        return next(reversed(self.samples))

    def milliseconds(self, percent: int = 50, stage: str | None = None) -> float:
        """A percentile by nearest rank, in ms.

        Parameters
        ----------
        percent
            50 for the median.
        stage
            None for the headline.
        """
        return percentile(self._times(stage), percent / 100) / 1e6

    def bound_milliseconds(self, percent: int, stage: str | None = None) -> float:
        """What the true percentile does not exceed at 99 % confidence, in ms; NaN where calls are too few.

        See `cvbench.cost.statistics.upper_bound`; p90 takes 64 calls, p99 662.
        """
        return upper_bound(self._times(stage), percent / 100) / 1e6

    def images_per_second(self, stage: str | None = None) -> float:
        """The batch divided by the median time."""
        return self.conditions.batch * 1e3 / self.milliseconds(50, stage)

    def process_spread(self, stage: str | None = None) -> float:
        """How far processes disagree: their slowest median over their fastest, less 1."""
        times = self._times(stage)
        medians = [percentile(times[self.process == p], 0.5) for p in range(self.plan.processes)]
        return max(medians) / min(medians) - 1

    def round_medians(self, stage: str | None = None) -> NDArray[np.float64]:
        """(P, R) the median of each turn, in ns."""
        times = self._times(stage)
        turns = range(self.plan.processes), range(self.plan.rounds)
        return np.array(
            [[percentile(times[(self.process == p) & (self.round == r)], 0.5) for r in turns[1]] for p in turns[0]]
        )

    def _times(self, stage: str | None) -> Int:
        chosen = self.headline if stage is None else stage
        if chosen not in self.samples:
            raise InputError(f"{self.name} has no stage {chosen!r}{did_you_mean(chosen, self.samples)}")
        return self.samples[chosen]

    def values(self) -> dict[str, float]:
        """The figures of the headline stage, of the cold start and of memory, named with their units."""
        return {
            **{name: value for name, value in self.row(self.headline).items() if isinstance(value, float)},
            "cold_build_s": self.cold.build_seconds,
            "cold_first_call_s": self.cold.first_call_seconds,
            "peak_rss_bytes": self.cold.peak_bytes,
            "peak_rss_delta_bytes": self.cold.peak_bytes - self.cold.resident_before_bytes,
        }

    def row(self, stage: str) -> Row:
        """One stage as cells: percentiles, their bounds, rate, spreads, number of calls."""
        return {
            "stage": stage,
            **{f"p{p}_ms": self.milliseconds(p, stage) for p in PERCENTILES},
            **{f"p{p}_bound_ms": self.bound_milliseconds(p, stage) for p in PERCENTILES},
            "images_per_s": self.images_per_second(stage),
            "spread": relative_spread(self._times(stage)),
            "process_spread": self.process_spread(stage),
            "calls": len(self.process),
        }

    def rows(self) -> list[Row]:
        """All stages, in their order."""
        return [self.row(stage) for stage in self.samples]

    def arrays(self) -> dict[str, Int]:
        """The raw samples, for `cvbench.result.Result.arrays`."""
        times = {f"latency_{stage}_ns": samples for stage, samples in self.samples.items()}
        return times | {
            "latency_process": self.process,
            "latency_round": self.round,
            "latency_warm_up": self.warm_up,
            "latency_calibration_ns": self.calibration,
        }

    def notes(self) -> list[str]:
        """What a reader of the figures should know, in sentences."""
        threads = ", ".join(f"{name} {number}" for name, number in self.cold.threads.items())
        said = [f"{self.plan.processes} processes of {self.plan.rounds} rounds; threads: {threads}"]
        return said + [f"noisy: {reason}" for reason in self.noise]


def speed_ratio(a: Latency, b: Latency, stage: str | None = None, **options: Any) -> Ratio:
    """How many times as long `a` takes as `b`, with an interval; a tie where the interval holds 1.

    Parameters
    ----------
    a, b
        From one call of `measure_latencies`, so that their turns lie side by side.
    stage
        None for the headline.
    **options
        See `cvbench.cost.statistics.ratio_of_times`.

    Raises
    ------
    MismatchError
        They were not measured together.
    """
    if not np.array_equal(a.calibration, b.calibration):
        raise MismatchError(f"{a.name} and {b.name} did not take turns; measure them in one call of measure_latencies")
    return ratio_of_times(a.round_medians(stage), b.round_medians(stage), **options)


def noise_reasons(
    calibration: Int, headline: Int, load_average: float, processors: int, unsettled: int = 0
) -> tuple[str, ...]:
    """Why times are to be taken with care.

    Parameters
    ----------
    calibration : (P, R, 2)
        Times of the fixed piece of work.
    headline : (N,)
        Times of the stage that stands for the model.
    load_average
        When measuring began; NaN for unknown.
    processors
        That may be used.
    unsettled
        Turns whose warm-up ended before the median stood still.
    """
    reasons = []
    drift, spread = float(np.ptp(calibration) / calibration.min()), relative_spread(headline)
    if drift > DRIFT:
        reasons.append(f"the same piece of work took up to {drift:.1%} longer (more than {DRIFT:.0%})")
    if spread > SPREAD:
        reasons.append(f"the middle half of times spans {spread:.1%} of the median (more than {SPREAD:.0%})")
    if load_average > LOAD * processors:
        reasons.append(f"the load average was {load_average:.2f} on {processors} processors (more than {LOAD} of each)")
    if unsettled:
        reasons.append(f"warm-up did not settle in {unsettled} turns")
    return tuple(reasons)
