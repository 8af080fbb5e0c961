"""The pool of threads that spreads ranges."""

from __future__ import annotations

import threading

import pytest

from cvbench.kernels import map_ranges


@pytest.mark.parametrize("threads", [None, 1, 3])
@pytest.mark.parametrize(("n", "chunk"), [(0, 1), (1, 4), (10, 3)])
def test_every_item_is_visited_once(threads: int | None, n: int, chunk: int) -> None:
    visits, done = [0] * n, []

    def visit(start: int, stop: int) -> None:
        assert 0 < stop - start <= chunk
        for i in range(start, stop):
            visits[i] += 1

    map_ranges(visit, n, threads, chunk, done.append)
    assert visits == [1] * n
    assert sum(done) == n


def test_after_an_error_nothing_more_begins() -> None:
    begun, release = [], threading.Event()

    def fail(start: int, stop: int) -> None:
        begun.append(start)
        if start == 0:
            raise ValueError("the first range")
        release.wait(0.2)

    with pytest.raises(ValueError, match="the first range"):
        map_ranges(fail, 100, threads=2)
    assert len(begun) < 10
