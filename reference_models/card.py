"""Cards: what is known of a model beside its code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from cvbench.errors import FormatError, InputError
from cvbench.records import Fact, Published
from cvbench.result import replace_file

Field = Literal["detection", "instance", "semantic", "panoptic", "pose"]

WEIGHTS = Path(__file__).parent / "weights"
"""Where the weights of the models in this package are."""


@dataclass(frozen=True, slots=True)
class Training:
    """How the nano size of a model came to its weights; a file beside them, which training writes.

    Attributes
    ----------
    sha256
        Of the file of weights.
    benchmark, figure, value
        What the weights score there, on all images: ``scenes.detection``, ``AP``, 0.5.
    trivial, trivial_value
        A predictor that has learnt nothing, in words, and what that scores.
    facts
        The recipe and what it took, by name: seed, steps, images, seconds, library versions.
    """

    sha256: str
    benchmark: str
    figure: str
    value: float
    trivial: str
    trivial_value: float
    facts: dict[str, Fact]

    def save(self, path: Path) -> None:
        """Write the facts to a file, which holds the old content or the new one at every moment."""
        replace_file(path, msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")

    @classmethod
    def load(cls, path: Path) -> Training:
        """The facts in a file; `FormatError` where it holds anything else."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except msgspec.DecodeError as error:
            raise FormatError(f"does not say how a model was trained: {error}", where=str(path)) from error


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a model beside its code.

    Attributes
    ----------
    name
        Of the file of the model, which is also that of its weights: ``mask_rcnn``.
    title
        As people write it: ``Mask R-CNN``.
    field
        What it predicts; it is scored on the benchmark ``scenes.<field>``.
    citation
        Authors, title, where and when.
    published
        What others printed about the `paper` size. The first of each quantity stands for the model; the first
        ``params`` and ``macs`` are of what ``build("paper")`` builds, on the input that its ``spec`` says.
    deviations
        Where this code differs from the paper, in sentences; what concerns only one size begins with its name.
    weights
        Folder of the trained weights.
    """

    name: str
    title: str
    field: Field
    citation: str
    published: tuple[Published, ...] = ()
    deviations: tuple[str, ...] = ()
    weights: Path = WEIGHTS

    def fact(self, quantity: str) -> Published:
        """The number that stands for a quantity: ``params``, ``macs``, ``accuracy`` or ``latency``.

        Raises
        ------
        InputError
            Nobody printed one.
        """
        for number in self.published:
            if number.quantity == quantity:
                return number
        raise InputError(f"nobody published {quantity} of {self.title}")

    @property
    def weights_path(self) -> Path:
        """The file of weights of the nano size."""
        return self.weights / f"{self.name}.safetensors"

    @property
    def training_path(self) -> Path:
        """The file of `Training` beside it."""
        return self.weights / f"{self.name}.json"

    @property
    def training(self) -> Training | None:
        """How the nano size was trained; None before it has been."""
        return Training.load(self.training_path) if self.training_path.exists() else None
