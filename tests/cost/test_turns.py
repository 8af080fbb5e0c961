"""Timing within one process, on a fake clock."""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cost.fake_clock import FakeClock, Takes
from cvbench.cost import turns as module
from cvbench.cost.statistics import WarmUp
from cvbench.cost.turns import Plan, Timed, cold_start, memory, take_turns
from cvbench.cost.workload import Workload
from cvbench.errors import InputError, MismatchError

INPUTS = [object() for _ in range(3)]
SMALL = Plan(processes=1, rounds=2, samples=6, distinct=3)


def constant(clock: FakeClock) -> int:
    clock.spend(1000)
    return 1000


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


def test_warm_up_is_left_out_and_a_turn_has_its_number_of_calls() -> None:
    clock = FakeClock()
    forward = Takes(clock, 900, 300, *[100] * 1000)
    turns, calibrations = take_turns({"a": Workload(INPUTS, forward)}, SMALL, 0, clock=clock, calibrate=constant)
    # Medians 900, 600, 300, 200, 100 and from then on 100: five equal ones after nine calls.
    assert [(turn.round, turn.warm_up, turn.settled) for turn in turns] == [(0, 9, True), (1, 5, True)]
    assert all(turn.times.tolist() == [[100]] * 6 for turn in turns)
    assert calibrations.tolist() == [[1000, 1000]] * 2


def test_a_turn_ends_with_its_time_but_not_before_five_calls() -> None:
    clock = FakeClock()
    workloads = {"slow": Workload(INPUTS, Takes(clock, 10**9)), "slower": Workload(INPUTS, Takes(clock, 10**10))}
    plan = Plan(rounds=1, samples=1000, seconds=8, distinct=3)
    turns, _ = take_turns(workloads, plan, 0, clock=clock, calibrate=constant)
    assert {turn.name: len(turn.times) for turn in turns} == {"slow": 8, "slower": 5}


def test_warm_up_that_never_settles_is_told() -> None:
    clock = FakeClock()
    workload = Workload(INPUTS, Takes(clock, *(2**i for i in range(60))))
    plan = Plan(rounds=1, samples=5, distinct=3, warm_up=WarmUp(most=20), seconds=1e9)
    (turn,), _ = take_turns({"a": workload}, plan, 0, clock=clock, calibrate=constant)
    assert (turn.warm_up, turn.settled) == (20, False)


def test_all_take_a_turn_in_each_round_in_an_order_that_the_seed_decides() -> None:
    def names(seed: int) -> list[str]:
        clock = FakeClock()
        workloads = {name: Workload(INPUTS, Takes(clock, 5)) for name in "abc"}
        turns, calibrations = take_turns(workloads, Plan(rounds=40, distinct=3), seed, clock=clock, calibrate=constant)
        assert [turn.round for turn in turns] == [i // 3 for i in range(120)]
        assert calibrations.shape == (40, 2)
        return ["".join(turn.name for turn in turns[i : i + 3]) for i in range(0, 120, 3)]

    orders = Counter(names(0))
    assert set(orders) == {"abc", "acb", "bac", "bca", "cab", "cba"}
    assert names(0) == names(0) != names(1)


def test_the_collector_rests_and_the_context_is_entered_while_calls_are_timed() -> None:
    clock = FakeClock()
    entered: list[bool] = []
    states: set[tuple[bool, bool, bool]] = set()

    @contextmanager
    def context() -> Iterator[None]:
        entered.append(True)
        yield
        entered.pop()

    def forward(item: Any) -> None:
        clock.spend(7)
        states.add((gc.isenabled(), gc.get_freeze_count() > 0, bool(entered)))

    take_turns({"a": Workload(INPUTS, forward, context=context)}, SMALL, 0, clock=clock, calibrate=constant)
    assert states == {(False, True, True)}
    assert (gc.isenabled(), gc.get_freeze_count(), entered) == (True, 0, [])


def test_the_collector_is_back_after_a_failure_that_names_the_model() -> None:
    def forward(item: Any) -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(InputError, match="latency of broken: RuntimeError: shapes do not fit"):
        take_turns({"broken": Workload(INPUTS, forward)}, SMALL, 0, clock=FakeClock(), calibrate=constant)
    assert (gc.isenabled(), gc.get_freeze_count()) == (True, 0)


def test_errors_of_ours_keep_their_kind() -> None:
    def forward(item: Any) -> None:
        raise MismatchError("no match", where="there" if item is INPUTS[0] else "")

    for inputs, where in ((INPUTS, "there"), (INPUTS[::-1], "latency of a")):
        with pytest.raises(MismatchError, match=f"{where}: no match"):
            take_turns({"a": Workload(inputs, forward)}, SMALL, 0, clock=FakeClock(), calibrate=constant)


def test_the_same_input_again_is_no_other_input() -> None:
    workload = Workload(INPUTS[:2] * 9, lambda item: item)
    with pytest.raises(InputError, match="latency of a: 2 distinct inputs; expected 3"):
        take_turns({"a": workload}, SMALL, 0, clock=FakeClock(), calibrate=constant)


def test_a_cold_start_has_its_build_and_its_first_call() -> None:
    clock = FakeClock()
    forward = Takes(clock, 5 * 10**9, *[1] * 10)

    def build() -> Workload:
        clock.spend(2 * 10**9)
        return Workload(INPUTS, forward)

    cold = cold_start("a", build, clock)
    assert (cold.build_seconds, cold.first_call_seconds, forward.calls) == (2, 5, 6)
    assert cold.peak_bytes >= cold.resident_before_bytes > 2**20
    assert cold.threads["processors"] >= 1


def test_a_failing_build_names_the_model() -> None:
    with pytest.raises(InputError, match="latency of a: KeyError: 'weights'"):
        cold_start("a", lambda: {}["weights"], FakeClock())


def test_memory_is_not_known_where_the_system_does_not_say(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory("VmHWM") >= memory("VmRSS") / 2 > 0  # the kernel updates the two at different times
    monkeypatch.setattr(module, "Path", lambda name: tmp_path / "missing")
    assert math.isnan(memory("VmHWM"))


@pytest.mark.parametrize("wrong", [{"processes": 0}, {"rounds": 0}, {"samples": 4}, {"seconds": 0}, {"distinct": 0}])
def test_impossible_plans_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="expected processes, rounds and inputs from 1"):
        Plan(**wrong)
