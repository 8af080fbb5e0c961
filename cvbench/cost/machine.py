"""What a machine can do at best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
