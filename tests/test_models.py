"""Finding models: what packages offer, and what of it cannot be used."""

from __future__ import annotations

import doctest
import pickle
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from torch import nn

from cvbench import models as found
from cvbench.errors import InputError, MismatchError, MissingDependency
from cvbench.models import GROUP, Entry, find_model, models
from reference_models.card import Card, Training
from reference_models.weights import save_weights
from toy_model import Toy

CARD = Card("toy", "Toy", "semantic", "nobody")


def test_examples() -> None:
    assert doctest.testmod(found) == (0, 1)


def offer(monkeypatch: pytest.MonkeyPatch, **packages: Any) -> None:
    """Let packages offer mappings from names to modules."""
    offering = ModuleType("offering")
    for name, offered in packages.items():
        setattr(offering, name, offered)
    monkeypatch.setitem(sys.modules, "offering", offering)
    points = [EntryPoint(name, f"offering:{name}", GROUP) for name in packages]
    monkeypatch.setattr(found, "entry_points", lambda group: points if group == GROUP else [])


def entry(monkeypatch: pytest.MonkeyPatch, **contents: Any) -> Entry:
    """A model whose module has these contents."""
    module = ModuleType("toys")
    vars(module).update(contents)
    monkeypatch.setitem(sys.modules, "toys", module)
    return Entry("toy", "toys")


def test_models_of_all_packages_are_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, b={"unet": "b.unet"}, a={"yolo": "a.yolo", "fcn": "a.fcn"})
    assert list(models().values()) == [Entry("fcn", "a.fcn"), Entry("unet", "b.unet"), Entry("yolo", "a.yolo")]
    assert find_model("unet") == Entry("unet", "b.unet")
    with pytest.raises(InputError, match="unknown model 'u-net'; did you mean 'unet'?"):
        find_model("u-net")


def test_without_packages_there_are_no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch)
    with pytest.raises(InputError, match="unknown model 'unet'; no installed package offers any"):
        find_model("unet")


def test_a_name_is_offered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, a={"unet": "a.unet"}, b={"unet": "b.unet"})
    with pytest.raises(InputError, match="entry point b = offering:b: offers a model 'unet', which a.unet is, too"):
        models()


def test_entry_points_that_offer_no_mapping_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, a=["unet"])
    with pytest.raises(InputError, match="entry point a = offering:a: is of type list; expected a mapping"):
        models()
    monkeypatch.setattr(found, "entry_points", lambda group: [EntryPoint("a", "nowhere:MODELS", GROUP)])
    with pytest.raises(InputError, match="a = nowhere:MODELS: cannot be loaded: No module named 'nowhere'"):
        models()


def test_a_model_is_built_and_sent_to_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = entry(monkeypatch, CARD=CARD, build=lambda size: Toy())
    assert isinstance(toy.build("paper"), Toy)
    assert toy.card is CARD
    assert pickle.loads(pickle.dumps(toy)) == toy
    with pytest.raises(InputError, match="toy has no size 'papr'; did you mean 'paper'?"):
        toy.build("papr")


def test_trained_models_have_the_weights_of_their_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    card = Card("toy", "Toy", "semantic", "nobody", weights=tmp_path)
    toy = entry(monkeypatch, CARD=card, build=lambda size: Toy())
    with pytest.raises(InputError, match="toy has no weights; expected them in .*toy.safetensors"):
        toy.trained()
    saved = Toy()
    sha256 = save_weights(saved, card.weights_path)
    Training(sha256, "scenes.semantic", "mIoU", 0.5, "one class", 0.1, {}).save(card.training_path)
    loaded = toy.trained()
    assert loaded.conv.weight.equal(saved.conv.weight.half().float())
    assert not loaded.training
    save_weights(Toy(), card.weights_path)
    with pytest.raises(MismatchError, match="toy.safetensors: has SHA-256"):
        toy.trained()


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"build": Toy}, "toys: its CARD is of type NoneType; expected a Card"),
        ({"build": Toy, "CARD": "a toy"}, "toys: its CARD is of type str; expected a Card"),
        ({"build": Toy, "CARD": Card("toi", "", "pose", "")}, "toys: its CARD is that of 'toi'; expected 'toy'"),
        ({"CARD": CARD}, r"toys: has no function build\(size\)"),
        ({"CARD": CARD, "build": lambda size: nn.Conv2d}, "toys:build: built a type; expected a torch.nn.Module"),
    ],
)
def test_modules_that_are_no_models_are_refused(
    monkeypatch: pytest.MonkeyPatch, contents: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        entry(monkeypatch, **contents).build()


@pytest.mark.parametrize(
    ("missing", "error", "message"),
    [
        ("torch", MissingDependency, r"the model toy needs torch; pip install 'cvbench\[models\]'"),
        ("timber", InputError, "toys, the model toy: cannot be imported: No module named 'timber'"),
    ],
)
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "toys.py").write_text(f"raise ModuleNotFoundError(\"No module named '{missing}'\", name='{missing}')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "toys", raising=False)
    with pytest.raises(error, match=message):
        Entry("toy", "toys").build()
