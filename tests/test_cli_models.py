"""Transcripts of ``cvbench models``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import toy_model
from cvbench import cli, models as found
from reference_models.card import Training
from reference_models.registry import MODELS

Run = Callable[..., tuple[int, str, str]]

FACTS = {"steps": 300, "rate": 0.002, "stopped": None}
TRAINING = Training("0" * 64, "scenes.semantic", "mIoU", 0.5, "only sky", 1 / 3, FACTS)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Call the command line in this process."""

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            cli.app(["models", *arguments], prog_name="cvbench")
        out, err = capfd.readouterr()
        return int(exit_.value.code or 0), out, err

    return call


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Only the toy is installed; the file that says how it was trained, which is not there yet."""
    card = replace(toy_model.CARD, weights=tmp_path)
    monkeypatch.setattr(toy_model, "CARD", card)
    monkeypatch.setattr(toy_model, "MODELS", {"toy": "toy_model"}, raising=False)
    monkeypatch.setattr(found, "entry_points", lambda group: [EntryPoint("toys", "toy_model:MODELS", group)])
    return card.training_path


def test_bundled_models_are_listed(run: Run) -> None:
    code, out, err = run()
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == list(MODELS)


def test_an_empty_list_is_explained(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "entry_points", lambda group: [])
    assert run() == (0, "", "no installed package offers models; pip install 'cvbench[models]' anew\n")


def test_a_list_says_what_weights_score(run: Run, toy: Path) -> None:
    assert run()[1] == "toy  Toy  semantic  12 parameters  not trained\n"
    TRAINING.save(toy)
    assert run()[1] == "toy  Toy  semantic  12 parameters  mIoU 0.50000\n"


CARD = """\
toy  Toy, which is scored on scenes.semantic

paper       Nobody, 2001
module      toy_model
size nano   12 parameters
size paper  12 parameters
weights     {weights}
{trained}
Published by others, of the size paper
  params           1,234                              nobody (verified)
  macs             0.5 GMACs  1x3x8x6; batch=1  a page (read there)
  mIoU on Nowhere  40.25 %                      hearsay (from memory)

Deviations from the paper
  There is no paper.
"""

TRAINED = """
Trained, in the size nano
  mIoU of scenes.semantic                                     0.50000
  the same without learning: only sky  0.33333
  steps 300, rate 0.002
"""


def test_a_card_is_shown(run: Run, toy: Path) -> None:
    code, out, err = run("toy")
    assert (code, err) == (0, "")
    assert out.split() == CARD.format(weights="none: it is not trained", trained="").split()
    TRAINING.save(toy)
    weights = f"{toy.with_suffix('.safetensors')}, SHA-256 {'0' * 64}"
    assert run("toy")[1].split() == CARD.format(weights=weights, trained=TRAINED).split()


def test_cards_are_json(run: Run, toy: Path) -> None:
    (card,) = json.loads(run("--format", "json")[1])
    assert card["params"] == {"nano": 12, "paper": 12}
    assert card["weights"] is card["training"] is None
    assert card["published"][0]["value"] == 1234
    assert card["deviations"] == ["There is no paper."]
    TRAINING.save(toy)
    (card,) = json.loads(run("toy", "--format", "json")[1])
    assert card["weights"] == {"path": str(toy.with_suffix(".safetensors")), "sha256": "0" * 64}
    assert card["training"]["facts"] == FACTS
    assert card["training"]["trivial_value"] == 1 / 3


def test_an_unknown_model_has_no_card(run: Run) -> None:
    assert run("center_net") == (2, "", "error: unknown model 'center_net'; did you mean 'centernet'?\n")


def test_without_torch_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "torchless.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(toy_model, "MODELS", {"toy": "torchless"}, raising=False)
    monkeypatch.setattr(found, "entry_points", lambda group: [EntryPoint("toys", "toy_model:MODELS", group)])
    assert run("toy") == (2, "", "error: the model toy needs torch; pip install 'cvbench[models]'\n")
