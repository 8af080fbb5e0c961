"""What a machine can do at best: rates of matrix products and convolutions, bandwidth, the price of one operator.

A roofline divides what a model needs by these. They are measured once for each processor, number of threads, element
type and version of torch, and kept in the user's cache folder with their date.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cvbench.errors import FormatError, InputError, MissingDependency
from cvbench.result import Provenance, replace_file

Clock = Callable[[], int]
"""Says the time in nanoseconds, from any beginning."""

DTYPES = ("float32", "float64", "bfloat16", "float16")
"""Element types by torch's names."""

VERSION = 1
"""Rises with every change of what is measured; older files are then not looked at."""


@dataclass(frozen=True)
class Machine:
    """Rates of this machine, each the best of several runs, so that a measured time is seldom below the predicted one.

    Attributes
    ----------
    cpu
        Name of the processor.
    threads
        Threads of torch within an operator.
    dtype
        Element type, one of `DTYPES`.
    torch
        Its version.
    date
        UTC, ISO 8601.
    matmul_rate
        FLOP/s of a product of two 1024 × 1024 matrices. A multiply-accumulate is 2 FLOPs.
    convolution_rate
        FLOP/s of a 3 × 3 convolution of 64 to 64 channels on 56 × 56 pixels.
    bandwidths
        Pairs of bytes and bytes per second, rising in bytes: the rate of the triad ``a = b + s * c`` whose three arrays
        have so many bytes together. What a cache reads on its own account before it writes is not counted.
    dispatch_seconds
        Time from one operator on a single element to the next, called from Python.
    """

    cpu: str
    threads: int
    dtype: str
    torch: str
    date: str
    matmul_rate: float
    convolution_rate: float
    bandwidths: tuple[tuple[int, float], ...]
    dispatch_seconds: float

    @property
    def bandwidth(self) -> float:
        """Bytes per second from and to memory, past all caches."""
        return self.bandwidths[-1][1]

    def bandwidth_at(self, working_set: float) -> float:
        """Bytes per second where an operator touches `working_set` bytes: the rate of the next larger triad."""
        return next((rate for size, rate in self.bandwidths if size >= working_set), self.bandwidth)

    @classmethod
    def measure(cls, threads: int = 1, dtype: str = "float32", *, clock: Clock = perf_counter_ns) -> Machine:
        """Measure this machine, in about two seconds.

        Parameters
        ----------
        threads
            Threads of torch within an operator; the number it had is restored.
        dtype
            One of `DTYPES`.
        clock
            Says the time in nanoseconds.

        Raises
        ------
        InputError
            The number of threads is below 1 or the type unknown.
        MissingDependency
            Torch is not installed.
        """
        cpu, version = _identity(threads, dtype)
        with torch_threads(threads), import_torch().inference_mode():
            rates = {name: probe.rate(clock) for name, probe in probes(dtype)}
        return cls(
            cpu=cpu,
            threads=threads,
            dtype=dtype,
            torch=version,
            date=Provenance.collect().time,
            matmul_rate=rates["matmul"],
            convolution_rate=rates["convolution"],
            bandwidths=tuple((size, rates[f"triad {size}"]) for size in TRIADS),
            dispatch_seconds=1 / rates["dispatch"],
        )

    @classmethod
    def load(
        cls,
        threads: int = 1,
        dtype: str = "float32",
        *,
        refresh: bool = False,
        folder: str | os.PathLike[str] | None = None,
    ) -> Machine:
        """The rates of this machine from the cache; measured, and cached, where they are not there.

        Parameters
        ----------
        threads, dtype
            See `measure`.
        refresh
            Measure again and replace what is cached.
        folder
            Where rates are cached; None for `cache_folder`. Where nothing can be written, rates are not cached.

        Raises
        ------
        FormatError
            The cached file is damaged; ``refresh=True`` replaces it.
        InputError, MissingDependency
            See `measure`.
        """
        cpu, version = _identity(threads, dtype)
        digest = hashlib.sha256(msgspec.json.encode([VERSION, cpu, threads, dtype, version])).hexdigest()
        path = Path(cache_folder() if folder is None else folder) / f"machine-{digest[:16]}.json"
        if path.exists() and not refresh:
            return cls.read(path)
        machine = cls.measure(threads, dtype)
        with suppress(OSError):  # no place to write costs the next caller two seconds, not this one the figures
            path.parent.mkdir(parents=True, exist_ok=True)
            machine.save(path)
        return machine

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the rates to `path` as JSON, all or nothing."""
        replace_file(path, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Machine:
        """The rates in the file at `path`.

        Raises
        ------
        FormatError
            The file is not what `save` writes.
        """
        try:
            machine = msgspec.json.decode(Path(path).read_bytes(), type=cls)
        except msgspec.MsgspecError as error:
            raise FormatError(f"{error}; measure the machine again with refresh=True", where=str(path)) from error
        rates = [machine.matmul_rate, machine.convolution_rate, machine.dispatch_seconds]
        if not machine.bandwidths or min(*rates, *(rate for _, rate in machine.bandwidths)) <= 0:
            raise FormatError("a rate is missing or not above 0; measure again with refresh=True", where=str(path))
        return machine


def _identity(threads: int, dtype: str) -> tuple[str, str]:
    """Processor and version of torch, for arguments that are possible."""
    if threads < 1:
        raise InputError(f"threads {threads}: expected at least 1")
    if dtype not in DTYPES:
        raise InputError(f"dtype {dtype!r} is unknown; expected one of {', '.join(DTYPES)}")
    import_torch()
    return Provenance.collect().cpu, metadata.version("torch")


def cache_folder() -> Path:
    """Where this user's machine lets programs keep what they can make again."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cvbench"


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
