"""Compiled kernels: arrays in, arrays out.

No I/O, no validation, no state: whoever calls a kernel has checked its arguments. This module is the one place that
knows the flags of the compiler and the pool of threads.

A kernel that works on many items takes a range ``[start, stop)`` of them and releases the interpreter lock, and
`map_ranges` spreads ranges over threads. (Numba's own ``prange`` multiplies the time to compile and clashes with
torch's threads.)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from cvbench.kernels.caching import CONFIG, KernelCache

Float = NDArray[np.float64]
Index = NDArray[np.int32]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

F = TypeVar("F", bound=Callable[..., object])

KERNELS: list[Any] = []
"""Numba's dispatchers of all kernels of the modules that were imported so far; none where kernels run as Python."""


def kernel(function: F) -> F:
    """Compile `function` on its first call and keep the machine code on disk.

    Division by zero gives inf or NaN as in NumPy. Never ``fastmath``: it reorders sums and fuses multiplications with
    additions, and the figures of a reference evaluator are equal to the last bit or they are not equal.
    """
    compiled: Any = numba.njit(nogil=True, error_model="numpy")(function)
    if not CONFIG.DISABLE_JIT:
        compiled._cache = KernelCache(function)  # noqa: SLF001  # where Numba would put its own
        KERNELS.append(compiled)
    return cast(F, compiled)


def available_threads() -> int:
    """The number of processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_ranges(
    function: Callable[[int, int], object],
    n: int,
    threads: int | None = None,
    chunk: int = 1,
    done: Callable[[int], object] | None = None,
) -> None:
    """Call ``function(start, stop)`` over consecutive ranges that cover ``range(n)``.

    Parameters
    ----------
    function
        Must write to places that belong to its range only, so that the order of the calls cannot matter.
    n
        Number of items.
    threads
        Threads to use; None for all processors. One thread, or one range, stays in the calling thread.
    chunk
        Items per range.
    done
        Called with the number of items of each finished range, from any thread.
    """
    ranges = [(start, min(start + chunk, n)) for start in range(0, n, max(chunk, 1))]

    def call(bounds: tuple[int, int]) -> None:
        function(*bounds)
        if done is not None:
            done(bounds[1] - bounds[0])

    workers = min(available_threads() if threads is None else threads, len(ranges))
    if workers <= 1:
        for bounds in ranges:
            call(bounds)
        return
    pool = ThreadPoolExecutor(workers, "cvbench")
    try:
        for future in [pool.submit(call, bounds) for bounds in ranges]:
            future.result()
    finally:
        # after an error, or Ctrl-C, ranges that have not begun never do
        pool.shutdown(cancel_futures=True)
