"""Fresh processes and what is made of their times, on a fake clock."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost.fake_clock import FakeClock, Takes
from cvbench.cost import latency as module
from cvbench.cost.latency import Latency, measure_latencies, measure_latency, noise_reasons, samples_of, speed_ratio
from cvbench.cost.turns import ColdStart, Plan, Turn
from cvbench.cost.workload import Conditions, ModuleWorkload, Workload
from cvbench.errors import InputError, MismatchError
from cvbench.result import Result, Signature

MS = 10**6
COLD = ColdStart(1.0, 0.5, 100e6, 300e6, {"processors": 4, "torch": 2})


def latency(forward: np.ndarray, *, post: np.ndarray | None = None, batch: int = 1) -> Latency:
    """Made of times (P, R, N) in ns."""
    p, r, n = forward.shape
    stages = {"forward": forward.ravel()} | ({} if post is None else {"post": post.ravel()})
    process, round_, _ = (index.ravel() for index in np.indices(forward.shape))
    return Latency(
        name="model",
        conditions=Conditions(batch=batch),
        plan=Plan(p, r, max(n, 5)),
        samples=stages if post is None else stages | {"e2e": (forward + post).ravel()},
        process=process,
        round=round_,
        warm_up=np.full((p, r), 5),
        calibration=np.full((p, r, 2), 1000),
        cold=COLD,
        load_average=0.0,
        noise=(),
    )


# What times say ------------------------------------------------------------------------------------------------------


def test_percentiles_and_bounds_are_in_milliseconds() -> None:
    times = np.arange(1, 751).reshape(5, 3, 50) * MS
    found = latency(times, batch=4)
    assert [found.milliseconds(p) for p in (50, 90, 99)] == [375, 675, 743]
    assert found.bound_milliseconds(99) == 749  # one sample may be above
    assert found.images_per_second() == 4 / 0.375
    assert found.headline == "forward"


def test_bounds_of_few_calls_are_undefined() -> None:
    found = latency(np.arange(1, 101).reshape(2, 1, 50) * MS)
    assert not math.isnan(found.bound_milliseconds(90))
    assert math.isnan(found.bound_milliseconds(99))
    assert math.isnan(found.values()["forward_p99_bound_ms"])


def test_the_headline_is_the_whole_chain() -> None:
    forward, post = np.full((2, 2, 5), 3 * MS), np.full((2, 2, 5), 4 * MS)
    found = latency(forward, post=post)
    assert [(row["stage"], row["p50_ms"], row["calls"]) for row in found.rows()] == [
        ("forward", 3, 20),
        ("post", 4, 20),
        ("e2e", 7, 20),
    ]
    assert found.values()["e2e_p50_ms"] == found.milliseconds() == 7
    assert found.values()["peak_rss_delta_bytes"] == 200e6
    with pytest.raises(InputError, match="model has no stage 'pots'; did you mean 'post'"):
        found.milliseconds(50, "pots")


def test_processes_that_disagree_show_it() -> None:
    times = np.array([100, 110, 121])[:, None, None] * np.ones((3, 2, 5), np.int64)
    found = latency(times)
    assert found.process_spread() == pytest.approx(0.21, rel=1e-12)
    assert found.round_medians().tolist() == [[100, 100], [110, 110], [121, 121]]


def test_what_is_measured_fits_into_a_result() -> None:
    found = latency(np.full((2, 2, 5), 3 * MS))
    signature = Signature("model.cost@1", tuple(found.conditions.conventions()))
    tables = {"latency": found.rows()}
    result = Result(
        "model.cost@1", found.values(), signature, tables=tables, notes=found.notes(), arrays=found.arrays()
    )
    assert Result.from_json(result.to_json()).same_scores(result)
    assert result.arrays["latency_forward_ns"].sum() == 60 * MS
    assert result.notes == ["2 processes of 2 rounds; threads: processors 4, torch 2"]


def test_stages_of_all_turns_are_joined_and_added_up() -> None:
    turns = [Turn("a", r, ("pre", "forward"), np.array([[1, 10], [2, 20]]) + r, 5, True) for r in range(2)]
    samples = samples_of(turns)
    assert {name: times.tolist() for name, times in samples.items()} == {
        "pre": [1, 2, 2, 3],
        "forward": [10, 20, 11, 21],
        "e2e": [11, 22, 13, 24],
    }
    alone = [replace(turn, stages=("forward",), times=turn.times[:, 1:]) for turn in turns]
    assert list(samples_of(alone)) == ["forward"]


# Noise ---------------------------------------------------------------------------------------------------------------

STEADY = np.full((3, 2, 2), 1000)
CALM = np.full(20, 1000)


def drifting(slowest: int) -> np.ndarray:
    times = STEADY.copy()
    times[1, 0, 1] = slowest
    return times


@pytest.mark.parametrize(
    ("calibration", "times", "load", "unsettled", "reasons"),
    [
        (STEADY, CALM, 1.0, 0, []),
        (STEADY, CALM, math.nan, 0, []),
        (drifting(1030), CALM, 0.0, 0, []),
        (drifting(1031), CALM, 0.0, 0, ["the same piece of work took up to 3.1% longer (more than 3%)"]),
        (STEADY, np.repeat([1000, 1100], [10, 10]), 0.0, 0, []),
        (STEADY, np.repeat([1000, 1101], [10, 10]), 0.0, 0, ["the middle half of times spans 10.1% of the median"]),
        (STEADY, CALM, 1.01, 0, ["the load average was 1.01 on 4 processors (more than 0.25 of each)"]),
        (STEADY, CALM, 0.0, 2, ["warm-up did not settle in 2 turns"]),
        (drifting(2000), CALM, 4.0, 1, ["the same piece", "the load average", "warm-up did not settle"]),
    ],
)
def test_figures_are_noisy_for_named_reasons(
    calibration: np.ndarray, times: np.ndarray, load: float, unsettled: int, reasons: list[str]
) -> None:
    found = noise_reasons(calibration, times, load, 4, unsettled)
    assert len(found) == len(reasons)
    assert all(told.startswith(reason) for told, reason in zip(found, reasons, strict=True))
    noisy = replace(latency(np.full((1, 1, 5), MS)), noise=found)
    assert noisy.noisy == bool(reasons)
    assert [note for note in noisy.notes() if note.startswith("noisy: ")] == [f"noisy: {told}" for told in found]


# Ratios --------------------------------------------------------------------------------------------------------------


def test_models_that_took_turns_are_compared_round_by_round() -> None:
    times = np.random.default_rng(0).integers(1000, 1100, (3, 4, 9))
    ratio = speed_ratio(latency(2 * times), latency(times))
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2, 2, 2), rel=1e-14)
    assert speed_ratio(latency(times), latency(times[::-1])).tie
    twice = latency(times, post=2 * times)
    assert speed_ratio(twice, latency(times, post=times), "post").value == pytest.approx(2, rel=1e-14)
    assert speed_ratio(twice, latency(times, post=times)).value == pytest.approx(1.5, rel=1e-14)


def test_models_that_did_not_take_turns_are_not_compared() -> None:
    a = latency(np.full((2, 2, 5), MS))
    with pytest.raises(MismatchError, match="did not take turns"):
        speed_ratio(a, replace(a, calibration=a.calibration + 1))


# Fresh processes -----------------------------------------------------------------------------------------------------


@dataclass
class Scripted:
    """Makes a workload whose forward takes the listed times, and whose post tells of its process."""

    clock: FakeClock
    times: tuple[int, ...]
    log: Path

    def __call__(self, conditions: Conditions) -> Workload:
        self.clock.spend(3 * 10**9)
        variables = {os.environ[name] for name in module.THREADS}
        with self.log.open("a") as file:
            file.write(f"{os.getpid()} {','.join(variables)} {conditions.batch}\n")
        return Workload([object() for _ in range(4)], Takes(self.clock, *self.times), post=Takes(self.clock, 7))


def constant(clock: FakeClock) -> int:
    return 1000


def test_models_take_turns_in_fresh_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (9e9, 0, 0))
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    clock, told = FakeClock(), []
    builds = {"a": Scripted(clock, (10**9, *[100] * 500), tmp_path / "a"), "b": Scripted(clock, (200,), tmp_path / "b")}
    found = measure_latencies(
        builds,
        conditions=Conditions(batch=2, threads=3),
        plan=Plan(processes=2, rounds=2, samples=6, distinct=4),
        clock=clock,
        calibrate=constant,
        progress=lambda *step: told.append(step),
    )
    a, b = found.values()
    assert (a.milliseconds(50, "forward"), b.milliseconds(50, "forward"), b.milliseconds()) == (1e-4, 2e-4, 207e-6)
    assert (a.cold.build_seconds, a.cold.first_call_seconds) == (3, 1 + 7e-9)
    # Medians 10⁹, 5·10⁸ and then 107, five times: the first call of the process is warm-up.
    assert a.warm_up.tolist() == [[7, 5], [7, 5]]
    assert a.process.tolist() == [0] * 12 + [1] * 12
    assert a.round.tolist() == ([0] * 6 + [1] * 6) * 2
    assert a.calibration.tolist() == b.calibration.tolist() == [[[1000, 1000]] * 2] * 2
    assert [reason.split(" was ")[0] for reason in a.noise] == ["the load average"]
    assert speed_ratio(a, b).verdict == "faster"
    runs = [line.split() for name in "ab" for line in (tmp_path / name).read_text().splitlines()]
    assert [run[1:] for run in runs] == [["3", "2"]] * 6
    assert len({run[0] for run in runs} | {str(os.getpid())}) == 1 + 4  # one for the cold start of each, two for both
    assert told == [("latency", done, 4) for done in range(1, 5)]
    assert (os.environ["OMP_NUM_THREADS"], os.environ.get("MKL_NUM_THREADS")) == ("5", None)
    assert clock.now == 0  # others worked on copies of it


def module_of_one_layer() -> Any:
    import torch

    return torch.nn.Conv2d(3, 4, 3)


def test_torch_runs_with_the_threads_that_the_conditions_name() -> None:
    found = measure_latency(
        ModuleWorkload(module_of_one_layer, (3, 8, 8)),
        conditions=Conditions(threads=3, interop_threads=4),
        plan=Plan(processes=1, rounds=1, samples=5, seconds=1e-9),
    )
    assert {name: found.cold.threads[name] for name in ("torch", "torch_interop")} == {"torch": 3, "torch_interop": 4}
    assert len(found.process) == 5
    assert min(found.samples["forward"]) > 0


def fail(conditions: Conditions) -> Workload:
    raise OSError("no weights")


def leave(conditions: Conditions) -> Workload:
    sys.stdout.flush()
    os._exit(3)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (fail, "latency of x: OSError: no weights"),
        (leave, "latency of x: the process ended before its work did: out of memory, or a script"),
        (
            lambda conditions: None,
            "latency of x: cannot be sent to a fresh process .*; make it by a function of a module",
        ),
    ],
)
def test_failures_in_other_processes_are_named(build: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        measure_latency(build, name="x", clock=FakeClock())


def test_nothing_to_time_is_refused() -> None:
    with pytest.raises(InputError, match="at least one model"):
        measure_latencies({})
