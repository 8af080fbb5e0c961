"""What a machine can do at best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import median
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from cvbench.errors import InputError

Clock = Callable[[], int]
"""Says the time in nanoseconds, from any beginning."""


# Probes --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """A call that does a known amount of work."""

    run: Callable[[], object]
    work: float

    def rate(self, clock: Clock, seconds: float = 0.25, least: int = 7) -> float:
        """Work per second of the fastest call, of at least `least` and as many as fit into `seconds`."""
        for _ in range(3):
            self.run()
        times: list[int] = []
        while len(times) < least or sum(times) < seconds * 1e9:
            start = clock()
            self.run()
            times.append(clock() - start)
            if times[-1] <= 0:
                raise InputError(f"the clock went from {start} to {start + times[-1]} ns while a probe ran")
        return self.work / (min(times) / 1e9)


# Calibration ---------------------------------------------------------------------------------------------------------


def calibrate(clock: Clock = perf_counter_ns) -> int:
    """The nanoseconds of a fixed piece of work, to tell whether the machine runs as fast as it did.

    It is the median of 15 products of two 256 × 256 matrices of float32 in NumPy, after 3 that do not count.
    """
    matrix = _matrix()
    times = []
    for _ in range(18):
        start = clock()
        matrix @ matrix
        times.append(clock() - start)
    return int(median(times[3:]))


@cache
def _matrix() -> NDArray[np.float32]:
    return np.ones((256, 256), np.float32)
