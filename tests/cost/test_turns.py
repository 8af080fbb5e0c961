"""Timing within one process, on a fake clock."""

from __future__ import annotations

from cost.fake_clock import FakeClock, Takes
from cvbench.cost.turns import Timed
from cvbench.cost.workload import Workload

INPUTS = [object() for _ in range(3)]


def test_stages_follow_each_other_and_waiting_counts_for_the_stage_before() -> None:
    clock = FakeClock()
    seen: list[object] = []
    workload = Workload(
        INPUTS,
        pre=lambda item: [Takes(clock, 10)(item)],
        forward=lambda items: seen.append(items[0]) or Takes(clock, 200)(items),
        post=Takes(clock, 3000),
        sync=lambda: clock.spend(1),
    )
    timed = Timed(workload, clock)
    assert timed.stages == ("pre", "forward", "post")
    assert [timed() for _ in range(4)] == [[11, 201, 3001]] * 4
    assert seen == [*INPUTS, INPUTS[0]]
