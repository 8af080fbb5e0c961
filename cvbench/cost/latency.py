"""How long a model takes, and how sure that is.

What is timed is a chain of stages, ``pre`` → ``forward`` → ``post``, one call at a time on the next of many inputs.

1. One fresh process for each model builds it and calls it for the first time: cold start and memory.
2. In several more fresh processes all models take turns, in rounds of random order, so that a machine that slows down
   slows all of them. A turn begins with warm-up until the running median stands still and ends after a fixed number
   of calls, or a fixed time.
3. Before and after each round a fixed piece of work is timed. Where that drifts, times scatter, or the machine is
   busy, the figures are marked noisy, with the reasons.

Raw times are kept; everything else is derived from them.

Processes are spawned: a script has to call these functions under ``if __name__ == "__main__":``, and models have to be
made by functions that other processes can import.
"""

from __future__ import annotations

import io
import math
import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cvbench.cost.machine import Clock, calibrate
from cvbench.cost.statistics import Ratio, percentile, ratio_of_times, relative_spread, upper_bound
from cvbench.cost.turns import ColdStart, Plan, Turn, cold_start, failures_named, processors, take_turns
from cvbench.cost.workload import Build, Conditions, Workload
from cvbench.errors import InputError, MismatchError, did_you_mean
from cvbench.result import Row

Int = NDArray[np.int64]
T = TypeVar("T")
Progress = Callable[[str, int, int], object]
Calibrate = Callable[[Clock], int]

PERCENTILES = (50, 90, 99)

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS")
"""Variables of the environment from which libraries read their number of threads."""

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
        """The figures of the headline stage, such as ``e2e_p50_ms``, of the cold start and of memory."""
        row = self.row(self.headline)
        return {
            **{f"{self.headline}_{name}": value for name, value in row.items() if isinstance(value, float)},
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


# Fresh processes -----------------------------------------------------------------------------------------------------


def measure_latency(
    build: Build,
    *,
    name: str = "model",
    conditions: Conditions | None = None,
    plan: Plan | None = None,
    clock: Clock = perf_counter_ns,
    calibrate: Calibrate = calibrate,
    progress: Progress | None = None,
) -> Latency:
    """Time one model by the protocol of this module; see `measure_latencies`."""
    return measure_latencies(
        {name: build}, conditions=conditions, plan=plan, clock=clock, calibrate=calibrate, progress=progress
    )[name]


def measure_latencies(
    builds: Mapping[str, Build],
    *,
    conditions: Conditions | None = None,
    plan: Plan | None = None,
    clock: Clock = perf_counter_ns,
    calibrate: Calibrate = calibrate,
    progress: Progress | None = None,
) -> dict[str, Latency]:
    """Time models side by side by the protocol of this module.

    Parameters
    ----------
    builds
        By name, what makes each workload: a function of the conditions that other processes can import, or an object
        such as `cvbench.cost.workload.ModuleWorkload`.
    conditions
        The same for all; None for one image, one thread and float32.
    plan
        How much is timed; None for 750 calls of each model.
    clock
        Says the time in nanoseconds.
    calibrate
        Times a fixed piece of work by a clock.
    progress
        Called with ``"latency"``, the number of processes that have ended and that of all.

    Returns
    -------
    dict of Latency
        In the order of `builds`.

    Raises
    ------
    InputError
        A workload cannot be sent to another process, fails, has too few inputs, or its process dies.
    """
    conditions, plan = conditions or Conditions(), plan or Plan()
    if not builds:
        raise InputError("there is nothing to time; expected at least one model")
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    total = len(builds) + plan.processes

    def fresh(function: Callable[..., T], done: int, builds: Mapping[str, Build], *arguments: Any) -> T:
        payload = _packed(clock, (dict(builds), conditions, plan, calibrate), ", ".join(builds))
        outcome = _in_fresh_process(function, conditions, ", ".join(builds), payload, *arguments)
        if progress is not None:
            progress("latency", done, total)
        return outcome

    cold = {name: fresh(_cold, i + 1, {name: build}, name) for i, (name, build) in enumerate(builds.items())}
    runs = [fresh(_run, len(builds) + p + 1, builds, plan.seed + p) for p in range(plan.processes)]
    calibration = np.stack([calibrations for _, calibrations in runs])
    latencies = {}
    for name in builds:
        turns = [turn for taken, _ in runs for turn in sorted(taken, key=lambda turn: turn.round) if turn.name == name]
        samples = samples_of(turns)
        unsettled = sum(not turn.settled for turn in turns)
        shape = plan.processes, plan.rounds
        process, round_ = (np.repeat(index.ravel(), [len(turn.times) for turn in turns]) for index in np.indices(shape))
        latencies[name] = Latency(
            name=name,
            conditions=conditions,
            plan=plan,
            samples=samples,
            process=process,
            round=round_,
            warm_up=np.array([turn.warm_up for turn in turns], np.int64).reshape(shape),
            calibration=calibration,
            cold=cold[name],
            load_average=load_average,
            noise=noise_reasons(calibration, [*samples.values()][-1], load_average, processors(), unsettled),
        )
    return latencies


def samples_of(turns: Sequence[Turn]) -> dict[str, Int]:
    """The times of all turns by stage; where there are several, their sum follows as ``e2e``."""
    times = np.concatenate([turn.times for turn in turns])
    samples = dict(zip(turns[0].stages, times.T, strict=True))
    return samples if len(samples) == 1 else samples | {"e2e": times.sum(axis=1)}


def _packed(clock: Clock, rest: object, names: str) -> bytes:
    """Both as bytes that can be read one after the other. What is in both, such as a clock, stays one object."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer)
    try:
        pickler.dump(clock)
        pickler.dump(rest)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        message = f"cannot be sent to a fresh process ({error}); make it by a function of a module, not within another"
        raise InputError(message, where=f"latency of {names}") from error
    return buffer.getvalue()


def _cold(payload: bytes, name: str) -> ColdStart:
    """Cold start of the one model in the payload. Reading it imports what makes the model, so that is timed, too."""
    unpickler = pickle.Unpickler(io.BytesIO(payload))

    def build() -> Workload:
        builds, conditions, _, _ = unpickler.load()
        workload: Workload = builds[name](conditions)
        _limit_torch(conditions)
        return workload

    return cold_start(name, build, unpickler.load())


def _run(payload: bytes, seed: int) -> tuple[list[Turn], Int]:
    """The turns of all models in this process, and the calibrations."""
    unpickler = pickle.Unpickler(io.BytesIO(payload))
    clock = unpickler.load()
    builds, conditions, plan, calibrate = unpickler.load()
    workloads = {}
    for name, build in builds.items():
        with failures_named(name):
            workloads[name] = build(conditions)
    _limit_torch(conditions)
    return take_turns(workloads, plan, seed, clock=clock, calibrate=calibrate)


def _limit_torch(conditions: Conditions) -> None:
    """Tell torch, where it was loaded, what it does not read from the environment: threads between operators."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(conditions.threads)
        if torch.get_num_interop_threads() != conditions.interop_threads:
            torch.set_num_interop_threads(conditions.interop_threads)


def _in_fresh_process(function: Callable[..., T], conditions: Conditions, names: str, *arguments: Any) -> T:
    """What `function` returns in a new process that has so many threads and ends with the call."""
    spawn = multiprocessing.get_context("spawn")
    with _threads_in_environment(conditions.threads), ProcessPoolExecutor(1, mp_context=spawn) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            message = (
                "the process ended before its work did: out of memory, or a script that does not call this under "
                "`if __name__ == '__main__':`"
            )
            raise InputError(message, where=f"latency of {names}") from error


@contextmanager
def _threads_in_environment(threads: int) -> Iterator[None]:
    """Processes that start meanwhile use so many threads: libraries read these variables when they are loaded."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
