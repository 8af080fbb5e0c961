"""Splits and their images: a split is a name and a number of images, and an image is a function of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from cvbench.errors import InputError, did_you_mean
from cvbench.scenes.composition import WORLD, compose
from cvbench.scenes.draws import Draws
from cvbench.scenes.graph import Scene
from cvbench.scenes.rendering import Sample, render

SPLITS = {"train": 8000, "val": 1000}
"""Images by split."""

_STREAMS = {"train": 1, "val": 2}


def scene(split: str, index: int) -> Scene:
    """The scene graph of an image, which is not drawn.

    Parameters and errors are those of `generate`.

    Examples
    --------
    >>> from cvbench import scenes
    >>> len(scenes.scene("val", 0).entities)
    10
    """
    if index not in range(images_of(split)):
        raise InputError(f"image {index}; {split} has images 0 to {SPLITS[split] - 1}")
    return compose(Draws(WORLD, _STREAMS[split], index))


def generate(split: str, index: int) -> Sample:
    """One image with all of its annotations; the same on every machine.

    Parameters
    ----------
    split : {"train", "val"}
    index
        From 0 to 7999 (train) or 999 (val).

    Returns
    -------
    Sample

    Raises
    ------
    InputError
        An unknown split, or an index that it does not have.

    Examples
    --------
    >>> from cvbench import scenes
    >>> sample = scenes.generate("val", 0)
    >>> sample.image.shape, [scenes.CATEGORIES[category] for category in sample.categories.tolist()]
    ((128, 128, 3), ['face', 'person', 'person', 'ring', 'star'])
    """
    return render(scene(split, index))


def images_of(split: str) -> int:
    """How many images a split has; `InputError` for one that there is not."""
    if split not in SPLITS:
        raise InputError(f"unknown split {split!r}{did_you_mean(split, SPLITS)}")
    return SPLITS[split]


class Dataset(Sequence[Sample]):
    """The images of a split, each drawn when it is asked for.

    Parameters
    ----------
    split : {"train", "val"}
    indices
        Of the images, in order.
    """

    def __init__(self, split: str, indices: range) -> None:
        self.split = split
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Dataset: ...
    def __getitem__(self, index: int | slice) -> Sample | Dataset:
        if isinstance(index, slice):
            return Dataset(self.split, self.indices[index])
        return generate(self.split, self.indices[index])

    def __repr__(self) -> str:
        return f"Dataset({self.split!r}, {self.indices})"


def dataset(split: str, limit: int | None = None) -> Dataset:
    """The images of a split as a sequence; a data loader can take it as it is.

    Parameters
    ----------
    split : {"train", "val"}
    limit
        Only the first so many images.

    Returns
    -------
    Dataset
        Nothing is drawn or kept before an image is asked for.

    Raises
    ------
    InputError
        An unknown split, or a limit that is not from 1 to its number of images.

    Examples
    --------
    >>> from cvbench import scenes
    >>> sum(len(sample) for sample in scenes.dataset("val", 3))
    17
    """
    images = images_of(split)
    if limit is not None and not 1 <= limit <= images:
        raise InputError(f"limit {limit}; expected 1 to {images}, the images of {split}")
    return Dataset(split, range(images if limit is None else limit))
