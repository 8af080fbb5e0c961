"""Training: the same weights every time, also after a stop; what it writes; what a model has to beat."""

from __future__ import annotations

import csv
import doctest
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import typer

import trainable_model
from cvbench.benchmarks import BENCHMARKS
from cvbench.errors import InputError
from cvbench.models import Entry
from cvbench.running import evaluate
from perfect import shared
from reference_models import train as command, training, trivial as trivial_module
from reference_models.card import Training
from reference_models.registry import MODELS
from reference_models.train import produce
from reference_models.training import Recipe, batches, train
from reference_models.trivial import trivial

ENTRY = Entry("trainable", "trainable_model")
SEMANTIC = shared("scenes.semantic")
RECIPE = Recipe.of(ENTRY)


def learnt(recipe: Recipe, checkpoint: Path, progress: Callable[[str, int, int], object] | None = None):
    torch.manual_seed(recipe.seed)
    return train(trainable_model.build(), SEMANTIC, recipe, checkpoint, progress)


def weights(run) -> dict[str, list[float]]:
    return {name: tensor.tolist() for name, tensor in run.model.state_dict().items()}


# Recipes -------------------------------------------------------------------------------------------------------------


def test_a_model_has_its_own_recipe_and_the_caller_has_the_last_word():
    assert (RECIPE.steps, RECIPE.decay) == (6, Recipe().decay)
    assert Recipe.of(ENTRY, steps=9, rate=None) == Recipe(steps=9, batch=2, rate=0.02, warm_up=2, pictures=5)
    with pytest.raises(InputError, match="expected steps and a batch from 1"):
        Recipe.of(ENTRY, steps=0)


def test_a_recipe_with_an_unknown_name_is_refused(monkeypatch):
    monkeypatch.setattr(trainable_model, "RECIPE", {"step": 3})
    with pytest.raises(InputError, match="trainable_model: RECIPE has 'step'; did you mean 'steps'"):
        Recipe.of(ENTRY)


# Batches -------------------------------------------------------------------------------------------------------------


def test_every_picture_comes_once_before_any_comes_again():
    recipe = Recipe(steps=5, batch=2, pictures=5, warm_up=0)
    shown = [image.tobytes() for batch in batches(SEMANTIC, recipe) for image, _ in batch]
    all_of_them = sorted(picture.images[0].tobytes() for picture in SEMANTIC.pictures("train", 5))
    assert sorted(shown[:5]) == sorted(shown[5:]) == all_of_them
    assert shown[:5] != shown[5:]


def test_batches_are_the_same_from_any_step_on():
    whole = [[image.tobytes() for image, _ in batch] for batch in batches(SEMANTIC, RECIPE)]
    later = [[image.tobytes() for image, _ in batch] for batch in batches(SEMANTIC, RECIPE, start=4)]
    assert len(whole) == RECIPE.steps
    assert later == whole[4:]


# Training ------------------------------------------------------------------------------------------------------------


def test_training_is_the_same_every_time_and_learns(tmp_path):
    first, second = (learnt(RECIPE, tmp_path / name) for name in ("a", "b"))
    assert weights(first) == weights(second)
    other = learnt(Recipe.of(ENTRY, seed=1), tmp_path / "c")
    assert weights(other) != weights(first)
    longer = learnt(Recipe.of(ENTRY, steps=30), tmp_path / "d")
    assert longer.log[-1]["loss"] < 0.8 * longer.log[0]["loss"]


@pytest.mark.parametrize("stop", [1, 4])
def test_a_training_that_was_stopped_ends_at_the_same_weights(tmp_path, monkeypatch, stop):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)  # after every step

    def kill(stage, done, total):
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learnt(RECIPE, tmp_path / "a", kill)
    steps = []
    resumed = learnt(RECIPE, tmp_path / "a", lambda stage, done, total: steps.append(done))
    assert steps[0] == stop + 1
    assert weights(resumed) == weights(learnt(RECIPE, tmp_path / "b"))
    assert [row["step"] for row in resumed.log] == [1, 6]


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    learnt(RECIPE, tmp_path / "a")
    with pytest.raises(InputError, match=r"a: is of a training by another recipe; go on with that one, or delete it"):
        learnt(Recipe.of(ENTRY, seed=3), tmp_path / "a")


def test_a_loss_that_is_not_finite_ends_it(tmp_path, monkeypatch):
    terms = {"a": torch.tensor(1.0), "b": torch.tensor(torch.inf)}
    monkeypatch.setattr(trainable_model.Trainable, "loss", lambda *_: terms)
    with pytest.raises(InputError, match=r"step 0: the loss is inf \(a 1, b inf\); try a lower rate"):
        learnt(RECIPE, tmp_path / "a")


def test_settings_of_torch_are_as_before(tmp_path):
    learnt(RECIPE, tmp_path / "a")
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


# What is written -----------------------------------------------------------------------------------------------------


@pytest.fixture
def semantic(monkeypatch):
    monkeypatch.setattr(command, "find", lambda name: {"scenes.semantic": SEMANTIC}[name])


def test_what_is_written_is_what_scores_so(tmp_path, semantic):
    made = produce(ENTRY, RECIPE, tmp_path / "out", limit=2)
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".csv", ".json", ".safetensors"]
    assert Training.load(tmp_path / "out" / "trainable.json") == made
    stored = trainable_model.build()
    stored.load(tmp_path / "out" / "trainable.safetensors", made.sha256)
    assert evaluate(stored, SEMANTIC, limit=2).result.values["mIoU"] == made.value
    assert (made.benchmark, made.figure, made.facts["steps"]) == ("scenes.semantic", "mIoU", 6)
    assert made.trivial == "the commonest class everywhere"
    assert 0 < made.trivial_value < 0.1
    rows = list(csv.DictReader((tmp_path / "out" / "trainable.csv").read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == ["step", "seconds", "rate", "loss", "labels"]
    assert [row["step"] for row in rows] == ["1", "6"]


def test_the_command_line_trains(tmp_path, semantic, monkeypatch, capsys):
    monkeypatch.setattr(command, "find_model", lambda name: {"trainable": ENTRY}[name])
    command.main(["trainable"], steps=2, limit=1, threads=1, output=tmp_path)
    out, err = capsys.readouterr()
    made = Training.load(tmp_path / "trainable.json")
    assert out == f"trainable  scenes.semantic  mIoU  {made.value:.5f}\n"
    assert f"the commonest class everywhere: {made.trivial_value:.5f}" in err
    assert (made.facts["steps"], made.facts["threads"]) == (2, 1)


def test_all_models_are_trained_one_after_another(tmp_path, semantic, monkeypatch, capsys):
    made = Training("0" * 64, "scenes.semantic", "mIoU", 0.5, "nothing", 0.0, {})
    monkeypatch.setattr(command, "produce", lambda *arguments, **options: made)
    command.main(every=True, steps=1, threads=1, output=tmp_path)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(MODELS)


@pytest.mark.parametrize("asked", [{}, {"names": ["unet"], "every": True}])
def test_models_are_named_or_all_are_trained(asked, capsys):
    with pytest.raises(typer.Exit) as exit_:
        command.main(**asked)
    assert exit_.value.exit_code == 2
    assert "name the models to train, or ask for --all of them" in capsys.readouterr().err


def test_a_device_that_torch_has_not_is_refused(tmp_path, capsys):
    with pytest.raises(typer.Exit) as exit_:
        command.main(["unet"], device="gpu", output=tmp_path)
    assert exit_.value.exit_code == 2
    assert "torch cannot compute on 'gpu'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# Trivial predictors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(BENCHMARKS))
def test_trivial_predictors_score_little_but_something(name):
    benchmark = shared(name)
    targets = [target for picture in benchmark.pictures("train", 3) for target in picture.targets]
    words, predictor = trivial(benchmark.field, targets, benchmark.size)
    result = evaluate(predictor, benchmark, limit=3).result
    assert words
    assert 0 <= result.values[benchmark.figure] < 0.6
    counted = {"scenes.pose": "keypoints", "scenes.semantic": "pixels", "scenes.panoptic": "images"}
    assert result.counts.get(counted.get(name, "detections"), 1) > 0


@pytest.mark.parametrize("module", [training, trivial_module])
def test_examples(module):
    tested = doctest.testmod(module)
    assert (tested.attempted > 0, tested.failed) == (True, 0)
