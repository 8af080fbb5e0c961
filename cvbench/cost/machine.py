"""What a machine can do at best."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.errors import InputError, MissingDependency

Clock = Callable[[], int]
"""Says the time in nanoseconds, from any beginning."""


def import_torch() -> Any:
    """Torch.

    Raises
    ------
    MissingDependency
        It is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingDependency("models run with torch; install it with: pip install 'cvbench[models]'") from error
    return torch


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch use so many threads within an operator, and what it used before afterwards."""
    torch = import_torch()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# Probes --------------------------------------------------------------------------------------------------------------

TRIADS = (3 << 18, 3 << 22, 3 << 26)
"""Bytes of the three arrays of a triad: in a core's cache, in the shared one, in memory."""


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


def probes(dtype: str) -> Iterator[tuple[str, Probe]]:
    """What `Machine.measure` runs, by name, each made when its turn comes."""
    torch = import_torch()
    element = getattr(torch, dtype)
    a = torch.ones(1024, 1024, dtype=element)
    yield "matmul", Probe(lambda: a @ a, 2 * 1024**3)
    image, weight = torch.ones(1, 64, 56, 56, dtype=element), torch.ones(64, 64, 3, 3, dtype=element)
    yield "convolution", Probe(lambda: torch.conv2d(image, weight, padding=1), 2 * (64 * 56 * 56) * (64 * 3 * 3))
    for size in TRIADS:
        yield f"triad {size}", _triad(torch, size, element)
    single = torch.ones(1, dtype=element)
    yield "dispatch", Probe(lambda: [torch.relu(single) for _ in range(1000)], 1000)


def _triad(torch: Any, size: int, element: Any) -> Probe:
    out, b, c = torch.ones(3, size // 3 // element.itemsize, dtype=element)
    return Probe(lambda: torch.add(b, c, alpha=3, out=out), size)


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
