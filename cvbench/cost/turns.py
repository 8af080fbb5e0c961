"""Timing within one process: models take turns in rounds of random order, each round between two calibrations.

Clock and calibration are arguments, so that all of it can be tested without a machine.
"""

from __future__ import annotations

import gc
import math
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
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


@dataclass(frozen=True)
class ColdStart:
    """A model's first moments in a process of its own.

    Attributes
    ----------
    build_seconds
        From the import of what makes it until it can be called, with its inputs. A fresh process first imports the
        script that asked for it, so libraries which that script imports are not in it.
    first_call_seconds
        Of all stages: compilation and first allocations are in it.
    resident_before_bytes
        Memory in RAM before the model was built: the interpreter and cvbench. NaN where the system does not say.
    peak_bytes
        The most memory in RAM, all in all, until 5 more calls had been made. NaN where the system does not say.
    threads
        What the process ran with: ``processors`` it may use and threads by library, of those that were loaded.
    """

    build_seconds: float
    first_call_seconds: float
    resident_before_bytes: float
    peak_bytes: float
    threads: dict[str, int]


def cold_start(name: str, build: Callable[[], Workload], clock: Clock = perf_counter_ns) -> ColdStart:
    """Build a workload and call it, in a process that has not done so before.

    Parameters
    ----------
    name
        Of the model, for errors.
    build
        Imports what it needs and makes the workload.
    clock
        Says the time in nanoseconds.
    """
    resident = memory("VmRSS")
    with failures_named(name):
        start = clock()
        workload = build()
        built = clock() - start
        timed = Timed(workload, clock)
        with workload.context():
            first = sum(timed())
            for _ in range(LEAST):
                timed()
    return ColdStart(built / 1e9, first / 1e9, resident, memory("VmHWM"), threads_in_use())


def memory(name: str) -> float:
    """Bytes of this process by Linux' name for them, such as ``VmHWM`` for its peak; NaN on other systems.

    ``getrusage`` is no substitute: the peak that it tells is inherited from the process that started this one.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return math.nan
    lines = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
    return 1024.0 * int(lines[name].removesuffix("kB"))


def threads_in_use() -> dict[str, int]:
    """Processors and threads that this process uses, of the libraries that it has loaded."""
    torch, numba = sys.modules.get("torch"), sys.modules.get("numba")
    found = {"processors": processors()}
    if torch is not None:
        found |= {"torch": torch.get_num_threads(), "torch_interop": torch.get_num_interop_threads()}
    if numba is not None:
        found["numba"] = numba.get_num_threads()
    return found


def processors() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
