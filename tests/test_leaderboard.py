"""Which records stand on a board, in what order, and what is refused with which reason."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations

import pytest

from cvbench.errors import InputError
from cvbench.intervals import Interval
from cvbench.leaderboard import AXES, leaderboard, leaderboards, sign
from cvbench.records import Model, RunRecord
from cvbench.result import Result, Signature
from run_records import MADE, TRUTH, cost, draws, record, score, timing


def labels(records: tuple[RunRecord, ...]) -> list[str]:
    return [record.model.name for record in records]


def test_the_best_is_first_in_whatever_order_records_come() -> None:
    failed = RunRecord(Model("d"), "scenes.detection", error="out of memory", made_by=MADE)
    records = [record("a", 0.3), record("b", 0.5), record("c", math.nan, intervals={}), failed]
    for order in permutations(records):
        board = leaderboard(order)
        assert (board.benchmark, board.figure, labels(board.records)) == (
            "scenes.detection",
            "AP",
            ["b", "a", "c", "d"],
        )
        assert (board.refused, board.notes) == ((), ())
        assert board.reference is not None


def test_errors_are_better_the_lower_they_are() -> None:
    def of(name: str, error: float, macs: int) -> RunRecord:
        result = Result("landmarks.nme@1", {"NME": error}, Signature("landmarks.nme@1"), inputs=TRUTH, made_by=MADE)
        return record(
            name, macs=macs, accuracy=result, intervals={"NME": Interval(error - 0.01, error + 0.01, 0.95, 999, 0)}
        )

    board = leaderboard([of("a", 0.08, 10**9), of("b", 0.03, 10**8), of("c", 0.02, 10**10), of("d", 0.04, 10**9)])
    assert labels(board.records) == ["c", "b", "d", "a"]
    assert board.standings["macs"] == ["front", "front", "tied", "behind"]
    assert [sign(name) for name in ("NME", "FR@0.1", "EPE", "PA-MPJPE", "MPJPE_groups", "PCK@150", "AP")] == [
        -1
    ] * 5 + [1] * 2


def test_a_row_is_ahead_of_the_next_by_pairs_of_draws() -> None:
    records = [
        record("first", 0.40, bootstrap=draws(0.40)),
        record("second", 0.39, bootstrap=draws(0.39, noise=1)),
        record("third", 0.3895, bootstrap=draws(0.3895, noise=2)),
        record("other", 0.2, bootstrap=replace(draws(0.2), seed=1)),
        record("bare", 0.1),
    ]
    board = leaderboard(records)
    assert [record.model.name for record in board.records] == ["first", "second", "third", "other", "bare"]
    first, second, *unknown = board.leads
    assert unknown == [None, None, None]
    assert first is not None
    assert second is not None
    assert first.value == pytest.approx(0.01)
    assert first.interval.low == pytest.approx(0.01 - 0.0196, abs=0.002)  # what both have in common cancels out
    assert second.tie
    assert not leaderboard([records[0], record("far", 0.37, bootstrap=draws(0.37))]).leads[0].tie


def test_of_errors_the_lower_is_ahead() -> None:
    def of(name: str, error: float) -> RunRecord:
        result = Result("landmarks.nme@1", {"NME": error}, Signature("landmarks.nme@1"), inputs=TRUTH, made_by=MADE)
        return record(name, accuracy=result, intervals={}, bootstrap=draws(error, "NME"))

    lead, last = leaderboard([of("worse", 0.08), of("better", 0.03)]).leads
    assert lead is not None
    assert (lead.value, last) == (pytest.approx(0.05), None)


def test_each_benchmark_has_a_board() -> None:
    other = record("b", benchmark="scenes.pose")
    boards = leaderboards([other, record("a")])
    assert {name: labels(board.records) for name, board in boards.items()} == {
        "scenes.detection": ["a"],
        "scenes.pose": ["b"],
    }
    with pytest.raises(InputError, match="records of scenes.detection, scenes.pose: expected those of one benchmark"):
        leaderboard([other, record("a")])
    with pytest.raises(InputError, match="records of nothing"):
        leaderboard([])


def test_the_newest_record_of_a_model_stands() -> None:
    newer = record("a", 0.2, made_by=replace(MADE, time="2026-11-22T08:00:00+00:00"))
    board = leaderboard([newer, record("a", 0.5)])
    assert board.records == (newer,)
    said = f"made at {MADE.time}; there is a newer record, of 2026-11-22T08:00:00+00:00"
    assert board.refused == (("a-nano", said),)


def test_what_does_not_compare_is_refused_with_the_reason() -> None:
    others = {
        "rules": score(0.9, rules=(("iou", "0.50"),)),
        "truth": score(0.9, inputs={"gt": {"path": None, "sha256": "8" * 64, "bytes": 1}}),
        "unsaid": score(0.9, inputs={}),
        "task": Result("coco.segm@1", {"AP": 0.9}, Signature("coco.segm@1"), inputs=TRUTH, made_by=MADE),
    }
    records = [record("a", 0.3), record("b", 0.2), *(record(name, accuracy=result) for name, result in others.items())]
    for order in (records, records[::-1]):
        board = leaderboard(order)
        assert labels(board.records) == ["a", "b"]
        reasons = {name.removesuffix("-nano"): reason for name, reason in board.refused}
        assert reasons.keys() == others.keys()
        assert reasons["rules"] == "the results follow different conventions: iou is 0.50:0.95:0.05 and 0.50"
        assert reasons["truth"].startswith("the results were measured on different ground truths: gt.json (sha256 999")
        assert reasons["unsaid"].startswith("a result does not say which ground truth it was measured on")
        assert reasons["task"] == "the results are of different tasks: coco.bbox@1 and coco.segm@1"


def test_of_as_many_records_the_newest_say_the_rules() -> None:
    later = replace(MADE, time="2027-01-01T00:00:00+00:00")
    other = score(0.9, rules=(("iou", "0.50"),))
    for order in permutations([record("a"), record("b", accuracy=other, made_by=later)]):
        assert labels(leaderboard(order).records) == ["b"]


def test_records_without_a_ground_truth_never_say_the_rules() -> None:
    many = [record(f"x{i}", accuracy=score(0.9, inputs={})) for i in range(3)]
    board = leaderboard([*many, record("a")])
    assert (labels(board.records), len(board.refused)) == (["a"], 3)
    assert leaderboard(many).records == ()


def test_standings_know_intervals() -> None:
    near = record("near", 0.39, macs=2 * 10**9, params=300_000)
    far = record("far", 0.30, macs=2 * 10**9, params=200_000)
    board = leaderboard([record("first", 0.40), near, far])
    assert board.standings["macs"] == ["front", "tied", "behind"]
    assert board.standings["params"] == ["front", "tied", "front"]
    assert board.standings["latency"] == ["front", "tied", "behind"]
    assert list(board.standings) == [axis.name for axis in AXES]
    unsure = leaderboard([record("first", 0.40), replace(far, intervals={})])
    assert unsure.standings["macs"] == ["front", "tied"], "without an interval nothing is sure"


def test_medians_have_intervals_where_there_are_processes() -> None:
    (axis,) = (axis for axis in AXES if axis.name == "latency")
    value, low, high = axis.estimate(record())
    assert value == 10.0
    assert 9.8 < low < 10.0 < high < 10.2
    alone = record(latency=timing(10.0, round_medians_ns=[[1e7, 1e7]]))
    assert [math.isnan(number) for number in axis.estimate(alone)] == [False, True, True]
    assert all(map(math.isnan, axis.estimate(record(latency=None))))


def test_times_under_other_conditions_are_not_compared() -> None:
    threads = {"batch": "1", "threads": "8", "dtype": "float32"}
    fast = record("fast", 0.5, macs=10**7, latency=timing(0.1, conditions=threads))
    board = leaderboard(
        [fast, record("a", 0.4), record("b", 0.3, macs=2 * 10**9, latency=timing(20.0, noise=["it rained"]))]
    )
    assert labels(board.records) == ["fast", "a", "b"]
    assert board.standings["latency"] == ["", "front", "behind"]
    assert board.standings["macs"] == ["front", "behind", "behind"]
    assert board.notes == (
        "fast-nano was timed under other conditions (threads 8, not 1) and takes no part in the front against latency.",
        "The latency of b-nano is noisy: it rained.",
    )


def test_parameters_may_be_the_cards() -> None:
    (axis,) = (axis for axis in AXES if axis.name == "params")
    assert axis.estimate(record(cost=None)) == (250_000.0,) * 3
    assert axis.estimate(record(cost=cost(1, 7))) == (7.0,) * 3


def test_costs_by_other_rules_are_told() -> None:
    other = Result("model.cost@2", {"macs": 1.0}, Signature("model.cost@2"), made_by=MADE)
    board = leaderboard([record("a"), record("b", 0.1, cost=other)])
    assert board.notes == ("Costs were counted by 2 rules: `model.cost@1|input:1x3x128x128`, `model.cost@2`.",)
