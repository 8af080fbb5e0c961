"""The least time that a model takes on a machine, one operator at a time.

An operator takes as long as its arithmetic or its memory traffic, whichever is longer, and then what calling it takes:

    seconds = max(flops / rate, bytes / bandwidth) + dispatch

The rates are the best that `cvbench.cost.machine` reached with shapes that suit the machine. Nothing in them is fitted
to models, so the sum is what a model would take if each of its operators ran that well. How far real models stay
behind is their efficiency.

Conventions
-----------
*Rates.* Convolutions run at the rate of the measured convolution, matrix products and attention at that of the measured
product, all else at the higher of the two, since nothing measured is faster: in practice, all else waits for memory.

*Bytes* are those of operators that run alone (``bytes_unfused``): torch without a compiler runs them one by one, and
each writes its result to memory before the next one reads it. They come at the bandwidth of the working set, all that
the call reads and writes. What the call before it left in a cache, or drove out of one, is not looked at.

*Dispatch* is paid by every call, views and allocations included: they move nothing, but they have to be asked for.

What takes longer in reality: convolutions over few channels or one (depthwise) and other shapes that do not fill the
machine, weights that are brought into another order on each call, recurrent steps that wait for each other. Operators
without a formula count with their bytes only. What may take less: a fast algorithm for convolutions (Winograd) where
the measured one did not use it, operands that are in a nearer cache than the size of the working set says, and
operators that read much and write little: the triad behind the bandwidth also has to fetch what it overwrites.

References
----------
Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore architectures",
Communications of the ACM 52(4), 2009.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import fsum, nan
from typing import Literal

from cvbench.cost.counter import Count
from cvbench.cost.machine import Machine
from cvbench.cost.operators import OpCall
from cvbench.errors import InputError, MismatchError
from cvbench.result import Row

Limit = Literal["compute", "memory", "dispatch"]
"""What an operator's time is spent on."""

GroupBy = Literal["kind", "op", "module"]
"""Attributes of `OpCall` by which times are summed."""


@dataclass(frozen=True, slots=True)
class CallTime:
    """The predicted time of one call.

    Attributes
    ----------
    call
        The call.
    compute_seconds
        Its FLOPs at the rate of its kind.
    memory_seconds
        Its bytes at the bandwidth of its working set.
    dispatch_seconds
        What any call takes.
    """

    call: OpCall
    compute_seconds: float
    memory_seconds: float
    dispatch_seconds: float

    @property
    def roof_seconds(self) -> float:
        """Arithmetic or memory, whichever takes longer."""
        return max(self.compute_seconds, self.memory_seconds)

    @property
    def roof(self) -> Limit:
        """Which of the two that is; arithmetic where they are equal."""
        return "compute" if self.compute_seconds >= self.memory_seconds else "memory"

    @property
    def seconds(self) -> float:
        """All in all."""
        return self.roof_seconds + self.dispatch_seconds

    @property
    def bound(self) -> Limit:
        """What most of the time is spent on."""
        return "dispatch" if self.dispatch_seconds > self.roof_seconds else self.roof


@dataclass(frozen=True)
class Prediction:
    """The least time of a model on a machine.

    Attributes
    ----------
    machine
        Whose rates these are.
    calls
        Every call with its time, in order.
    """

    machine: Machine
    calls: tuple[CallTime, ...] = field(repr=False)

    @property
    def seconds(self) -> float:
        """The sum over all calls."""
        return fsum(call.seconds for call in self.calls)

    @property
    def milliseconds(self) -> float:
        """The same in ms."""
        return self.seconds * 1e3

    def shares(self) -> dict[Limit, float]:
        """Where the time goes, as fractions that add to 1; NaN for a model without operators.

        A call's dispatch is under ``dispatch``, the rest of its time under ``compute`` or ``memory``, whichever took
        longer.
        """
        total = self.seconds
        return {limit: _share(part, total) for limit, part in _parts(self.calls).items()}

    def efficiency(self, measured_seconds: float) -> float:
        """The predicted time divided by a measured one: 1 where the model runs as well as the machine can.

        Above 1, one of the two is not what it says: the machine was busy while its rates were measured, or a
        convolution took a shorter way than the measured one.

        **Undefined**: NaN where nothing was measured (NaN).

        Raises
        ------
        InputError
            The measured time is not above 0.
        """
        if measured_seconds <= 0:
            raise InputError(f"{measured_seconds} s is no time that a model takes; expected seconds above 0")
        return self.seconds / measured_seconds

    def rows(self, by: GroupBy = "kind") -> list[Row]:
        """Times summed by kind of operator, by operator, or by the module that called it; the longest first.

        Cells: what `by` says, ``calls``, ``ms``, its ``share`` of the total, and the three parts of `shares` in ms.
        """
        total = self.seconds
        groups: dict[str, list[CallTime]] = {}
        for time in self.calls:
            groups.setdefault(getattr(time.call, by), []).append(time)
        rows: list[tuple[float, Row]] = []
        for name, times in groups.items():
            seconds = fsum(time.seconds for time in times)
            parts: Row = {f"{limit}_ms": part * 1e3 for limit, part in _parts(times).items()}
            cells: Row = {by: name, "calls": len(times), "ms": seconds * 1e3, "share": _share(seconds, total)}
            rows.append((seconds, cells | parts))
        return [row for _, row in sorted(rows, key=lambda item: -item[0])]


def _parts(times: Iterable[CallTime]) -> dict[Limit, float]:
    """Seconds by what they are spent on."""
    parts: dict[Limit, list[float]] = {"compute": [], "memory": [], "dispatch": []}
    for time in times:
        parts[time.roof].append(time.roof_seconds)
        parts["dispatch"].append(time.dispatch_seconds)
    return {limit: fsum(seconds) for limit, seconds in parts.items()}


def _share(part: float, total: float) -> float:
    return part / total if total else nan


def predict(count: Count, machine: Machine) -> Prediction:
    """The least time that a counted model takes on a machine.

    Parameters
    ----------
    count
        From `cvbench.cost.counter.count`, on the input whose time is asked for. With ``backward``, the time of both
        passes.
    machine
        Measured with the threads and the element type that the model is to run with.

    Raises
    ------
    MismatchError
        The model computes in another element type than the machine was measured with.

    Examples
    --------
    >>> import torch
    >>> from cvbench.cost.counter import count
    >>> rates = {"matmul_rate": 1e11, "convolution_rate": 2e11, "bandwidths": ((2**20, 8e10), (2**28, 3e10))}
    >>> machine = Machine(cpu="", threads=1, dtype="float32", torch="", date="", dispatch_seconds=1e-6, **rates)
    >>> predicted = predict(count(torch.nn.Linear(4096, 1000), (1, 4096)), machine)
    >>> [(time.call.op, time.bound) for time in predicted.calls]
    [('aten.t', 'dispatch'), ('aten.addmm', 'memory')]
    >>> round(predicted.milliseconds, 3), round(predicted.efficiency(measured_seconds=0.001), 3)
    (0.549, 0.549)
    """
    return Prediction(machine, tuple(_time(call, machine) for call in count.calls))


def _time(call: OpCall, machine: Machine) -> CallTime:
    moved = call.bytes_read + call.bytes_written
    return CallTime(
        call=call,
        compute_seconds=call.flops / _rate(call, machine),
        memory_seconds=moved / machine.bandwidth_at(moved),
        dispatch_seconds=machine.dispatch_seconds,
    )


def _rate(call: OpCall, machine: Machine) -> float:
    """FLOP/s of the call's kind."""
    if call.kind not in ("conv", "matmul", "attention"):
        return max(machine.matmul_rate, machine.convolution_rate)
    if call.dtype != machine.dtype:
        message = (
            f"{call.op} computes in {call.dtype}, and the machine was measured in {machine.dtype}; "
            f"use Machine.load(dtype={call.dtype!r})"
        )
        raise MismatchError(message, where=call.module or "model")
    return machine.convolution_rate if call.kind == "conv" else machine.matmul_rate
