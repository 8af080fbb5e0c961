"""Models that installed packages offer, found through the entry point group ``cvbench.models``.

An entry point of the group names a mapping from names of models to modules, such as
``{"centernet": "reference_models.detection.centernet"}``. Such a module has

``CARD``
    what is known of the model, see `Card`;
``build(size, **options)``
    makes it in the size ``nano`` or ``paper``, a torch module; in the first, its method ``load(path, sha256)`` reads
    trained weights.

Names are found without torch; a card is read by importing the module, which needs it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from cvbench.errors import CvbenchError, InputError, MissingDependency, did_you_mean
from cvbench.records import Fact, Published

GROUP = "cvbench.models"
"""The entry points."""

SIZES = ("nano", "paper")


class Training(Protocol):
    """How a model came to its weights."""

    @property
    def sha256(self) -> str:
        """Of the file of weights."""

    @property
    def benchmark(self) -> str:
        """On which the weights were scored."""

    @property
    def figure(self) -> str:
        """The name of the score."""

    @property
    def value(self) -> float:
        """The score."""

    @property
    def trivial(self) -> str:
        """A predictor that has learnt nothing, in words."""

    @property
    def trivial_value(self) -> float:
        """What that scores."""

    @property
    def facts(self) -> Mapping[str, Fact]:
        """The recipe and what it took, by name."""


@runtime_checkable
class Card(Protocol):
    """What a card has to say; `reference_models.card.Card` is one."""

    @property
    def name(self) -> str:
        """Of the model, as it is asked for."""

    @property
    def title(self) -> str:
        """The name as people write it."""

    @property
    def field(self) -> str:
        """What the model predicts; it is scored on the benchmark ``scenes.<field>``."""

    @property
    def citation(self) -> str:
        """Authors, title, where and when."""

    @property
    def published(self) -> tuple[Published, ...]:
        """What others printed about the size ``paper``."""

    @property
    def deviations(self) -> tuple[str, ...]:
        """Where the code differs from the paper, in sentences."""

    @property
    def weights_path(self) -> Path:
        """The file of trained weights of the size ``nano``."""

    @property
    def training(self) -> Training | None:
        """How it was trained; None before it has been."""


@dataclass(frozen=True)
class Entry:
    """A model that a package offers.

    Attributes
    ----------
    name
        ``centernet``.
    module
        Where its card and its builder are.
    """

    name: str
    module: str

    def _loaded(self) -> tuple[Card, Callable[..., object]]:
        try:
            module = importlib.import_module(self.module)
        except CvbenchError:
            raise
        except ImportError as error:
            if error.name is not None and error.name.partition(".")[0] in ("torch", "safetensors"):
                message = f"the model {self.name} needs {error.name}; pip install 'cvbench[models]'"
                raise MissingDependency(message) from error
            raise InputError(f"cannot be imported: {error}", where=f"{self.module}, the model {self.name}") from error
        card, build = getattr(module, "CARD", None), getattr(module, "build", None)
        if not isinstance(card, Card):
            raise InputError(f"its CARD is of type {type(card).__name__}; expected a Card", where=self.module)
        if card.name != self.name:
            raise InputError(f"its CARD is that of {card.name!r}; expected {self.name!r}", where=self.module)
        if not callable(build):
            raise InputError("has no function build(size), which makes the model", where=self.module)
        return card, build

    @property
    def card(self) -> Card:
        """What is known of the model.

        Raises
        ------
        InputError
            The module cannot be imported, or has no card or builder.
        MissingDependency
            Torch is not installed.
        """
        return self._loaded()[0]

    def build(self, size: str = "nano", **options: Any) -> Any:
        """The model with random weights.

        Parameters
        ----------
        size : {"nano", "paper"}
        **options
            Of the model's own builder.

        Raises
        ------
        InputError
            There is no such size, or what is built is no torch module; and as `card` does.
        """
        if size not in SIZES:
            raise InputError(f"{self.name} has no size {size!r}{did_you_mean(size, SIZES)}")
        model = self._loaded()[1](size, **options)
        import torch

        if not isinstance(model, torch.nn.Module):
            kind = type(model).__name__
            raise InputError(f"built a {kind}; expected a torch.nn.Module", where=f"{self.module}:build")
        return model

    def trained(self) -> Any:
        """The nano size with its trained weights, in evaluation mode.

        Raises
        ------
        InputError
            It has not been trained; and as `build` does.
        MismatchError
            The weights are not those that the card speaks of.
        """
        if self.card.training is None:
            raise InputError(f"{self.name} has no weights; expected them in {self.card.weights_path}, from training")
        model = self.build("nano")
        model.load(self.card.weights_path, self.card.training.sha256)
        return model.eval()


def models() -> dict[str, Entry]:
    """All models that installed packages offer, by name and in the order of names.

    Raises
    ------
    InputError
        An entry point cannot be loaded or is no mapping, or two offer the same name.
    """
    found: dict[str, Entry] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        where = f"entry point {point.name} = {point.value}"
        try:
            offered = point.load()
        except (ImportError, AttributeError) as error:
            raise InputError(f"cannot be loaded: {error}", where=where) from error
        if not isinstance(offered, Mapping):
            kind = type(offered).__name__
            raise InputError(f"is of type {kind}; expected a mapping from names of models to modules", where=where)
        for name, module in offered.items():
            if found.setdefault(name, Entry(name, module)).module != module:
                raise InputError(f"offers a model {name!r}, which {found[name].module} is, too", where=where)
    return dict(sorted(found.items()))


def find_model(name: str) -> Entry:
    """The model of a name.

    Raises
    ------
    InputError
        No package offers it; and as `models` does.

    Examples
    --------
    >>> find_model("centernet").module
    'reference_models.detection.centernet'
    """
    offered = models()
    if name not in offered:
        hint = did_you_mean(name, offered) if offered else "; no installed package offers any"
        raise InputError(f"unknown model {name!r}{hint}")
    return offered[name]
