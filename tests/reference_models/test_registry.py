"""What every bundled model has to keep: its card is true, its nano size is small, its weights are those of the card."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import reference_models
from cvbench.benchmarks import BENCHMARKS
from cvbench.cost.counter import count
from cvbench.models import Entry, find_model, models
from model_checks import nano_of
from reference_models.model import Model
from reference_models.registry import MODELS

FOLDER = Path(reference_models.__file__).parent
FIELDS = ("detection", "instance", "semantic", "panoptic", "pose")

EVERY = pytest.mark.parametrize("model", [Entry(name, module) for name, module in MODELS.items()], ids=list(MODELS))


def test_every_file_is_a_model_that_is_found() -> None:
    files = [path for field in FIELDS for path in (FOLDER / field).glob("*.py") if path.stem != "__init__"]
    assert {path.stem: f"reference_models.{path.parent.name}.{path.stem}" for path in files} == MODELS
    assert list(MODELS) == sorted(MODELS)
    assert {name: entry.module for name, entry in models().items()}.items() >= MODELS.items()
    assert find_model("centernet").card.title == "CenterNet"


@EVERY
def test_a_card_says_where_its_model_belongs(model: Entry) -> None:
    card = model.card
    assert model.module == f"reference_models.{card.field}.{card.name}"
    assert f"scenes.{card.field}" in BENCHMARKS
    assert card.citation
    assert all(number.source and number.verified in ("yes", "source", "memory") for number in card.published)


@EVERY
def test_the_paper_size_costs_what_its_card_says(model: Entry) -> None:
    with torch.device("meta"):
        built = model.build("paper")
    counted = count(built, built.spec, strict=True)
    assert counted.params == model.card.fact("params").value
    assert counted.macs == round(model.card.fact("macs").value * 1e9)
    assert str(built.spec) == model.card.fact("macs").input


@EVERY
def test_the_nano_size_is_small_and_of_the_size_of_its_benchmark(model: Entry) -> None:
    built = model.build("nano")
    assert isinstance(built, Model)
    counted = count(built, built.spec, strict=True)
    assert counted.params == sum(parameter.numel() for parameter in built.parameters()) < 500_000
    assert counted.macs < 220e6
    assert built.spec.shapes == ((1, 3, *BENCHMARKS[f"scenes.{model.card.field}"].size),)


@EVERY
def test_the_same_seed_builds_the_same_weights(model: Entry) -> None:
    first, second = (nano_of(model.build).state_dict() for _ in range(2))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@EVERY
def test_weights_are_small_and_those_of_the_card(model: Entry) -> None:
    training, path = model.card.training, model.card.weights_path
    assert (training is None) == (not path.exists())
    if training is not None:
        assert path.stat().st_size < 1_000_000
        assert training.benchmark == f"scenes.{model.card.field}"
        assert training.value > training.trivial_value
        model.trained()  # which compares the hash
