"""A clock that stands still until someone moves it, so that tests of timing depend on no machine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Any


class FakeClock:
    """Says the nanoseconds that were spent on it. It can be sent to another process together with who spends them."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def spend(self, nanoseconds: int) -> None:
        self.now += nanoseconds


class Takes:
    """A call that takes the listed times, over and over, and returns what it got."""

    def __init__(self, clock: FakeClock, *times: int) -> None:
        self.clock, self.calls = clock, 0
        self.times: Iterator[int] = cycle(times)

    def __call__(self, item: Any = None) -> Any:
        self.clock.spend(next(self.times))
        self.calls += 1
        return item
