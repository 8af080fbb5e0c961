"""The whole line: what training wrote is what a run loads, and scores as the card says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import trainable_model
from cvbench.benchmarks import find
from cvbench.models import Entry
from cvbench.running import Settings, candidate, candidates, run
from perfect import cached
from reference_models import train as command
from reference_models.train import produce
from reference_models.training import Recipe

ENTRY = Entry("trainable", "trainable_model")
PICTURES = 3
SEMANTIC = cached(find("scenes.semantic"), PICTURES)
SETTINGS = Settings(plan=None, replicates=39)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with weights and card entry of a model that an installed package would offer."""
    monkeypatch.setattr(command, "find", lambda name: SEMANTIC)
    monkeypatch.setattr(candidates, "find_model", lambda name: Entry(ENTRY.name, ENTRY.module))
    monkeypatch.setattr(trainable_model, "CARD", replace(trainable_model.CARD, weights=tmp_path / "weights"))
    produce(ENTRY, Recipe.of(ENTRY, pictures=PICTURES), tmp_path / "weights")
    return tmp_path / "weights"


def test_a_run_scores_what_the_card_says_to_the_last_bit(trained, tmp_path):
    one = candidate("trainable")
    (record,) = run([one], [SEMANTIC], tmp_path, SETTINGS)
    card = trainable_model.CARD.training
    assert record.error is None
    assert record.accuracy.values[card.figure] == card.value
    assert card.value in record.intervals[card.figure]
    assert record.model.label == "trainable-nano"
    assert record.model.weights_sha256 == card.sha256
    assert record.model.facts["title"] == "Trainable"
    assert record.model.facts["trivial_value"] == card.trivial_value
    assert record.model.facts["training steps"] == 6
    assert one.field == "semantic"
    assert one.source is not None


def test_other_weights_than_those_of_the_card_are_an_error(trained, tmp_path):
    path = trained / "trainable.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    (record,) = run([candidate("trainable")], [SEMANTIC], tmp_path, SETTINGS)
    assert record.accuracy is None
    assert f"building: {path}: has SHA-256 " in record.error


def test_a_model_that_was_not_trained_is_an_error(trained, tmp_path):
    (trained / "trainable.json").unlink()
    (record,) = run([candidate("trainable")], [SEMANTIC], tmp_path, SETTINGS)
    assert record.accuracy is None
    assert "building: trainable has no weights" in record.error
