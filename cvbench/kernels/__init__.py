"""Compiled kernels: arrays in, arrays out.

No I/O, no validation, no state: whoever calls a kernel has checked its arguments. `cvbench.kernels.compiling` alone has
the flags of the compiler, this module the pool of threads.

A kernel that works on many items takes a range ``[start, stop)`` of them and releases the interpreter lock, and
`map_ranges` spreads ranges over threads. (Numba's own ``prange`` multiplies the time to compile and clashes with
torch's threads.)
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import update_wrapper
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from cvbench.kernels.loading import Entry, find_entry, parts, usable

Float = NDArray[np.float64]
Index = NDArray[np.int32]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

F = TypeVar("F", bound=Callable[..., object])

KERNELS: list[Kernel] = []
"""All kernels of the modules that were imported so far; none where kernels run as Python."""


class Kernel:
    """A function that is compiled on its first call.

    It is called by its entry where it can have one, else by Numba's dispatcher. Other kernels may call it as if it were
    one.

    Attributes
    ----------
    entries
        By the types of arguments, how machine code is called without Numba, or None where it cannot be.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        update_wrapper(self, function)
        self._function = function
        self.entries: dict[tuple[Any, ...], Entry | None] = {}
        self._code: Any = None
        self._dispatcher: Any = None
        self._lock = threading.Lock()
        self._found = 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it on numbers, arrays and named tuples of them; no parameter has a default."""
        if named:
            code = self._function.__code__
            arguments += tuple(named[name] for name in code.co_varnames[len(arguments) : code.co_argcount])
        kinds: list[Any] = []
        values: list[Any] = []
        if usable() and parts(arguments, kinds, values):
            types = tuple(kinds)
            if types not in self.entries:
                self.entries[types] = self._entry(arguments, types)
            entry = self.entries[types]
            if entry is not None:
                return entry(values)
        return self.dispatcher(*arguments)

    def _entry(self, arguments: Sequence[Any], types: tuple[Any, ...]) -> Entry | None:
        found = find_entry(self._function, types)
        if found is not None:
            self._found += 1
            return found
        from cvbench.kernels.compiling import make_entry

        return make_entry(self.code, arguments, types)

    @property
    def code(self) -> Any:
        """What entries are made of."""
        from cvbench.kernels.compiling import Code

        with self._lock:
            self._code = self._code or Code(self._function)
        return self._code

    @property
    def dispatcher(self) -> Any:
        """Numba's dispatcher."""
        from cvbench.kernels.compiling import dispatcher_of

        with self._lock:
            self._dispatcher = self._dispatcher or dispatcher_of(self._function)
        return self._dispatcher

    @property
    def loaded(self) -> int:
        """For how many combinations of types machine code, or code of LLVM, was there already."""
        return self._found + sum(sum(made.stats.cache_hits.values()) for made in self._made())

    @property
    def compiled(self) -> int:
        """For how many combinations of types it was compiled in this process."""
        return sum(sum(made.stats.cache_misses.values()) for made in self._made())

    def _made(self) -> list[Any]:
        return [made for made in (self._code, self._dispatcher) if made is not None]

    @property
    def _numba_type_(self) -> Any:
        """What Numba takes it for where other kernels call it."""
        import numba

        return numba.types.Dispatcher(self.code if usable() else self.dispatcher)


def kernel(function: F) -> F:
    """Compile `function`, which makes no arrays, on its first call and keep the machine code on disk.

    Division by zero gives inf or NaN as in NumPy. Never ``fastmath``: it reorders sums and fuses multiplications with
    additions, and the figures of a reference evaluator are equal to the last bit or they are not equal.

    References to arrays are not counted. Numba counts them in nearly every call of one kernel by another, with atomic
    instructions on one word that all threads share; whoever calls from Python holds the arrays until the call returns.
    """
    if not compiled():
        return function
    KERNELS.append(Kernel(function))
    return cast(F, KERNELS[-1])


def compiled() -> bool:
    """Whether kernels are machine code, not plain Python."""
    if "numba" not in sys.modules and usable():
        return True
    import numba

    return not numba.config.DISABLE_JIT  # type: ignore[attr-defined]  # the module makes it when imported


def compile_seconds() -> float:
    """How long this process has compiled kernels so far."""
    compiling = sys.modules.get("cvbench.kernels.compiling")
    return compiling.COMPILING.duration if compiling is not None and compiling.COMPILING.done else 0.0


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
