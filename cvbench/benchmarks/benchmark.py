"""What a benchmark is, and the digest of what one holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cvbench.errors import InputError
from cvbench.result import Input, Result

Prediction = Mapping[str, Any]
Target = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a benchmark.

    Attributes
    ----------
    id
        Of the image in the ground truth.
    images : K arrays (H, W, 3) uint8
        What the model is shown: the picture, or a crop for each of the K people in it.
    targets : K dicts of arrays
        What a loss is given for each; empty dicts where the benchmark is not for training.
    truth
        What the metric is given.
    """

    id: int | str
    images: tuple[NDArray[np.uint8], ...]
    targets: tuple[Target, ...]
    truth: Any


class Pictures(Sequence[Picture]):
    """Pictures that are made when they are asked for.

    Parameters
    ----------
    make
        From an index to its picture.
    number
        How many there are.
    """

    def __init__(self, make: Callable[[int], Picture], number: int) -> None:
        self._make = make
        self._number = number

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, index: Any) -> Any:
        """The picture at an index, or those of a slice in a list."""
        places = range(self._number)[index]
        return [self._make(place) for place in places] if isinstance(places, range) else self._make(places)


class Scorer(Protocol):
    """What a benchmark asks of a metric; every metric class of the library has it."""

    @property
    def state(self) -> Any:
        """The counts of all images so far."""

    def compute(self, weights: Any = None) -> Result:
        """The figures where each image counts so many times."""


@dataclass(frozen=True)
class Benchmark:
    """Pictures, their truth, and how predictions are judged.

    Attributes
    ----------
    name
        ``scenes.detection``.
    field
        ``detection``, ``instance``, ``semantic``, ``panoptic`` or ``pose``: models of this field can run.
    summary
        What is asked, in a line.
    figure
        The figure that stands for a score.
    classes
        Names by index: of categories, or of joints.
    expects
        What a prediction has to hold, by key.
    pictures
        From a split and a limit (None for all) to its pictures.
    metric
        From a number of threads to a new metric.
    add
        Gives a metric a picture and the predictions for its images.
    size
        Height and width of all images; None where they differ.
    splits
        Names of the splits; the last one is for evaluation.
    truth
        Path, hash and size of the file that holds the ground truth; None where it is made.
    """

    name: str
    field: str
    summary: str
    figure: str
    classes: tuple[str, ...]
    expects: Mapping[str, str]
    pictures: Callable[[str, int | None], Sequence[Picture]]
    metric: Callable[[int | None], Scorer]
    add: Callable[[Any, Picture, Sequence[Prediction]], object]
    size: tuple[int, int] | None = None
    splits: tuple[str, ...] = ("train", "val")
    truth: Input | None = None

    def update(self, metric: Scorer, picture: Picture, predictions: Sequence[Prediction]) -> None:
        """Score a picture.

        Parameters
        ----------
        metric
            From `metric`.
        picture
        predictions
            One for each of its images.

        Raises
        ------
        InputError
            A prediction is not what `expects` says; the message names the image and what was found.
        """
        where = f"prediction for image {picture.id}"
        for prediction in predictions:
            self._check(prediction, where)
        try:
            self.add(metric, picture, predictions)
        except InputError as error:
            raise InputError(error.message, where=f"{where}: {error.where}" if error.where else where) from error

    def _check(self, prediction: object, where: str) -> None:
        expected = ", ".join(f"{key!r}: {meaning}" for key, meaning in self.expects.items())
        if not isinstance(prediction, Mapping):
            raise InputError(f"is of type {type(prediction).__name__}; expected a dict of {expected}", where=where)
        missing = [key for key in self.expects if key not in prediction]
        if missing:
            found = ", ".join(map(repr, prediction)) or "nothing"
            raise InputError(f"has no {missing[0]!r}; it has {found}; expected {expected}", where=where)


class Digest:
    """A SHA-256 of pictures and truths in the order in which they were seen."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, value: Any) -> None:
        """Add an array, a text, a number, or a mapping or sequence of these."""
        if isinstance(value, np.ndarray):
            self._hash.update(repr((value.dtype.str, value.shape)).encode())
            self._hash.update(np.ascontiguousarray(value).data)
        elif isinstance(value, Mapping):
            self._hash.update(b"{%d" % len(value))
            for key in sorted(value):
                self.update(key)
                self.update(value[key])
        elif isinstance(value, (list, tuple)):
            self._hash.update(b"[%d" % len(value))
            for item in value:
                self.update(item)
        else:
            self._hash.update(repr(value).encode())

    def hexdigest(self) -> str:
        """Of all so far."""
        return self._hash.hexdigest()
