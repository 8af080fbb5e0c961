"""What is made of times."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cvbench.cost.latency import Latency, noise_reasons, speed_ratio
from cvbench.cost.turns import ColdStart, Plan
from cvbench.cost.workload import Conditions
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
    assert math.isnan(found.values()["p99_bound_ms"])


def test_the_headline_is_the_whole_chain() -> None:
    forward, post = np.full((2, 2, 5), 3 * MS), np.full((2, 2, 5), 4 * MS)
    found = latency(forward, post=post)
    assert [(row["stage"], row["p50_ms"], row["calls"]) for row in found.rows()] == [
        ("forward", 3, 20),
        ("post", 4, 20),
        ("e2e", 7, 20),
    ]
    assert found.values()["p50_ms"] == found.milliseconds() == 7
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
