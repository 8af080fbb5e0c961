"""What ``leaderboards/README.md`` says of the tables is what the results say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cvbench.leaderboard import Leaderboard, lead, leaderboards
from cvbench.records import RunRecord, read_records

FOLDER = Path(__file__).parents[1] / "leaderboards"
TEXT = " ".join((FOLDER / "README.md").read_text(encoding="utf-8").split())
BOARDS = leaderboards(read_records([FOLDER / "results"]))

NUMBER = r"(-?\d\.\d+)"
INTERVAL = rf"{NUMBER} \[{NUMBER}, {NUMBER}\]"
SCORES = re.findall(rf"`([\w-]+)` has {INTERVAL} on `([\w.]+)`", TEXT)
LEADS = re.findall(rf"`([\w-]+)` is {INTERVAL} ahead of `([\w-]+)` on `([\w.]+)`", TEXT)
COSTS = re.findall(r"`([\w-]+)` needs (\d+) % of the multiply-accumulates of `([\w-]+)`", TEXT)
ROUNDED = 0.0015
"""Three decimals, and what another processor may change in the last of them."""


def of(board: Leaderboard, name: str) -> RunRecord:
    return next(record for record in board.records if record.model.name == name)


def numbers(texts: list[str]) -> list[float]:
    return [float(text) for text in texts]


def test_the_text_says_something_of_every_board() -> None:
    assert {task for *_, task in (*SCORES, *LEADS)} == set(BOARDS)
    assert len(re.findall(r"\[-?\d", TEXT)) == len(SCORES) + len(LEADS), "every interval is checked below"


@pytest.mark.parametrize(("name", "value", "low", "high", "task"), SCORES)
def test_scores_are_those_of_the_table(name: str, value: str, low: str, high: str, task: str) -> None:
    board = BOARDS[task]
    record = of(board, name)
    assert record.accuracy is not None
    interval = record.intervals[board.figure]
    expected = [record.accuracy.values[board.figure], interval.low, interval.high]
    assert numbers([value, low, high]) == pytest.approx(expected, abs=ROUNDED)


@pytest.mark.parametrize(("name", "value", "low", "high", "other", "task"), LEADS)
def test_leads_are_of_pairs(name: str, value: str, low: str, high: str, other: str, task: str) -> None:
    board = BOARDS[task]
    found = lead(of(board, name), of(board, other), board.figure)
    assert found is not None
    assert numbers([value, low, high]) == pytest.approx(
        [found.value, found.interval.low, found.interval.high], abs=ROUNDED
    )


@pytest.mark.parametrize(("name", "percent", "other"), COSTS)
def test_costs_are_of_pairs(name: str, percent: str, other: str) -> None:
    macs = {
        record.model.name: record.cost.values["macs"] for b in BOARDS.values() for record in b.records if record.cost
    }
    assert round(100 * macs[name] / macs[other]) == int(percent)
