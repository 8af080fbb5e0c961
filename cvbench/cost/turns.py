"""Timing within one process: models take turns in rounds of random order, each round between two calibrations.

Clock and calibration are arguments, so that all of it can be tested without a machine.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from cvbench.cost.machine import Clock, calibrate
from cvbench.cost.statistics import WarmUp
from cvbench.cost.workload import Workload
from cvbench.errors import CvbenchError, InputError

Int = NDArray[np.int64]

LEAST = 5
"""Calls in a turn, however long they take."""


@dataclass(frozen=True)
class Plan:
    """How much is timed.

    The defaults make 750 calls, enough for the bound of p99. Five processes are where an interval of 95 % around a
    ratio begins to deserve the name, see `cvbench.cost.statistics.ratio_of_times`.

    Attributes
    ----------
    processes
        Fresh processes in which all models take turns.
    rounds
        Turns of each model in each process.
    samples
        Calls in a turn after warm-up.
    seconds
        A turn ends after this time if it has had 5 calls.
    distinct
        Inputs that a workload has to have at least, so that no call finds its input in a cache.
    warm_up
        When a model counts as warm.
    seed
        Of the order of turns.
    """

    processes: int = 5
    rounds: int = 3
    samples: int = 50
    seconds: float = 10.0
    distinct: int = 32
    warm_up: WarmUp = field(default_factory=WarmUp)
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.processes, self.rounds, self.distinct) < 1 or self.samples < LEAST or not self.seconds > 0:
            raise InputError(f"{self}: expected processes, rounds and inputs from 1, samples from {LEAST}, some time")


@dataclass(frozen=True, eq=False)
class Turn:
    """One model's turn in one round.

    Attributes
    ----------
    name
        Of the model.
    round
    stages
        Names of the S stages.
    times : (N, S) int64
        Nanoseconds of each call in each stage.
    warm_up
        Calls before these.
    settled
        Whether warm-up ended because the median stood still.
    """

    name: str
    round: int
    stages: tuple[str, ...]
    times: Int
    warm_up: int
    settled: bool


class Timed:
    """Calls a workload on one input after another; each call returns the nanoseconds of its stages."""

    def __init__(self, workload: Workload, clock: Clock) -> None:
        self.stages = tuple(workload.stages)
        self._calls = list(workload.stages.values())
        self._inputs = cycle(workload.inputs)
        self._sync = workload.sync
        self._clock = clock

    def __call__(self) -> list[int]:
        """The times of the next call. Its last output is let go of when the clock has stopped."""
        item, sync, clock = next(self._inputs), self._sync, self._clock
        if sync is not None:
            sync()
        times = []
        before = clock()
        for call in self._calls:
            item = call(item)
            if sync is not None:
                sync()
            now = clock()
            times.append(now - before)
            before = now
        return times


def take_turns(
    workloads: Mapping[str, Workload],
    plan: Plan,
    seed: int,
    *,
    clock: Clock = perf_counter_ns,
    calibrate: Callable[[Clock], int] = calibrate,
) -> tuple[list[Turn], Int]:
    """Time all workloads in this process, round by round in random order, each round between two calibrations.

    Parameters
    ----------
    workloads
        By name.
    plan
        Its processes are not looked at.
    seed
        Of the order.
    clock
        Says the time in nanoseconds.
    calibrate
        Times a fixed piece of work by a clock.

    Returns
    -------
    list of Turn
        In the order in which they were taken.
    (R, 2) int64
        Nanoseconds of the calibrations before and after each round.

    Raises
    ------
    InputError
        A workload fails, or has too few inputs.
    """
    for name, workload in workloads.items():
        found = len({id(item) for item in workload.inputs})
        if found < plan.distinct:
            raise InputError(f"{found} distinct inputs; expected {plan.distinct}", where=f"latency of {name}")
    timed = {name: Timed(workload, clock) for name, workload in workloads.items()}
    order, shuffle = list(workloads), random.Random(seed).shuffle
    turns: list[Turn] = []
    calibrations = []
    with _collector_at_rest():
        for round_ in range(plan.rounds):
            shuffle(order)
            before = calibrate(clock)
            for name in order:
                with workloads[name].context():
                    turns.append(_turn(name, round_, timed[name], plan, clock))
            calibrations.append((before, calibrate(clock)))
    return turns, np.array(calibrations, np.int64)


def _turn(name: str, round_: int, timed: Timed, plan: Plan, clock: Clock) -> Turn:
    with failures_named(name):
        calls, settled = plan.warm_up.run(lambda: sum(timed()))
        times: list[list[int]] = []
        end = clock() + plan.seconds * 1e9
        while len(times) < LEAST or (len(times) < plan.samples and clock() < end):
            times.append(timed())
    return Turn(name, round_, timed.stages, np.array(times, np.int64), calls, settled)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """What lives stays out of the garbage collector's sight, and it does not start on its own."""
    enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


@contextmanager
def failures_named(name: str) -> Iterator[None]:
    """Errors of other people's code say which model it was, in a form that can be sent to another process."""
    try:
        yield
    except CvbenchError as error:
        raise type(error)(error.message, where=error.where or f"latency of {name}") from error
    except Exception as error:
        raise InputError(f"{type(error).__name__}: {error}", where=f"latency of {name}") from error
