"""Timing within one process."""

from __future__ import annotations

from itertools import cycle

from cvbench.cost.machine import Clock
from cvbench.cost.workload import Workload


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
