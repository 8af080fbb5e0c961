"""The weights in the package: their cards, the records of their runs and a fresh evaluation say the same."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from cvbench import bootstrap
from cvbench.benchmarks import Benchmark, find
from cvbench.leaderboard import leaderboards
from cvbench.models import find_model
from cvbench.publishing import differences, leftovers
from cvbench.records import RunRecord, read_records
from cvbench.result import processor
from cvbench.running import evaluate
from mode import JIT
from perfect import cached
from reference_models.card import Card, Training
from reference_models.registry import MODELS

BOARDS = Path(__file__).parents[2] / "leaderboards"
TRAINED = [name for name in MODELS if find_model(name).card.training is not None]


@cache
def drawn(name: str) -> Benchmark:
    """All pictures of a benchmark, each of which is drawn once."""
    benchmark = find(name)
    return cached(benchmark, len(benchmark.pictures("val", None)))


def card_of(name: str) -> tuple[Card, Training]:
    """The card, and how the weights came about."""
    card = find_model(name).card
    assert isinstance(card, Card)
    assert card.training is not None
    return card, card.training


def record_of(training: Training, name: str) -> RunRecord:
    return RunRecord.load(BOARDS / "results" / training.benchmark / f"{name}-nano.json")


def test_the_tables_are_what_the_records_give() -> None:
    boards = leaderboards(read_records([BOARDS / "results"]))
    assert sorted(boards) == sorted({card_of(name)[1].benchmark for name in TRAINED})
    for board in boards.values():
        assert [record.model.name for record in board.records if record.error] == []
        assert differences(board, BOARDS) == []
    assert leftovers(boards, BOARDS) == []


@pytest.mark.parametrize("name", TRAINED)
def test_record_and_card_speak_of_the_same_weights(name: str) -> None:
    card, training = card_of(name)
    record = record_of(training, name)
    assert record.error is None
    assert record.model.weights_sha256 == training.sha256
    assert card.weights_path.stat().st_size < 1_000_000
    interval = record.intervals[training.figure]
    assert interval.low <= training.value <= interval.high


@pytest.mark.parametrize("name", TRAINED)
def test_the_model_learnt_more_than_a_trivial_predictor_knows(name: str) -> None:
    _, training = card_of(name)
    interval = record_of(training, name).intervals[training.figure]
    assert training.trivial_value < interval.low


@pytest.mark.skipif(not JIT, reason="a thousand scenes take minutes in plain Python")
@pytest.mark.parametrize("name", TRAINED)
def test_the_weights_score_what_the_record_says(name: str) -> None:
    _, training = card_of(name)
    record = record_of(training, name)
    evaluation = evaluate(find_model(name).trained(), drawn(training.benchmark), threads=1, name=name)
    assert record.accuracy is not None
    assert evaluation.images == record.data["images"]
    assert evaluation.result.inputs == record.accuracy.inputs
    found, stored = evaluation.result.values[training.figure], record.accuracy.values[training.figure]
    interval = bootstrap(evaluation.metric).interval(training.figure)
    assert interval.low <= stored <= interval.high
    if processor() == record.made_by.cpu:
        assert found == stored
