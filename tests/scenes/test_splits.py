"""Splits: what an index gives is the same everywhere, always."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from cvbench import scenes
from cvbench.errors import InputError
from cvbench.scenes.truth import DOCUMENTS, records_of

PINNED = {
    ("train", 0): ("71e26b792b1d34ae50e686c0cb5a2b12", "d46d0549e0da7a0ee3c6d7d70c4a90cc"),
    ("train", 7999): ("988eb3c7bcca2f117de31a8bfa83b341", "5caf06d8cf41c0f5e55a80d2a4cb78e4"),
    ("val", 0): ("7f3382c84a3006eb0ce7916fe80acd07", "345a03fd3b5db4be7a77d3e0d08f3f34"),
    ("val", 6): ("bddbdddf4ff320e94560c38996c7d7fe", "3554dcf336c771ef800d3efaed78c9ea"),
}
"""SHA-256 of the pixels and of all annotations of world 1, first half. Another value on any machine is an error there;
whoever changes the world on purpose raises `cvbench.scenes.WORLD` with it."""


def digests(split: str, index: int) -> tuple[str, str]:
    sample = scenes.generate(split, index)
    annotations = hashlib.sha256(sample.labels.tobytes() + sample.segments.astype("<i4").tobytes())
    for kind in DOCUMENTS:
        annotations.update(json.dumps(records_of(kind, index, sample)).encode())
    return hashlib.sha256(sample.image.tobytes()).hexdigest()[:32], annotations.hexdigest()[:32]


@pytest.mark.parametrize(("split", "index"), PINNED)
def test_pixels_and_annotations_are_pinned(split, index):
    assert scenes.WORLD == 1
    assert digests(split, index) == PINNED[split, index]


def test_a_data_set_is_a_sequence_of_samples():
    data = scenes.dataset("val", 5)
    assert len(data) == 5
    assert (data[1].image == scenes.generate("val", 1).image).all()
    assert (data[1:][0].image == data[-4].image).all()
    assert repr(data[1:]) == "Dataset('val', range(1, 5))"
    with pytest.raises(IndexError):
        data[5]
    assert len(scenes.dataset("train")) == 8000
    assert len(scenes.dataset("val")) == 1000


def test_no_two_scenes_are_the_same():
    seen = {scenes.scene(split, index) for split in scenes.SPLITS for index in range(200)}
    assert len(seen) == 400


@pytest.mark.parametrize(
    ("split", "index", "message"),
    [
        ("vall", 0, "unknown split 'vall'; did you mean 'val'?"),
        ("val", 1000, "image 1000; val has images 0 to 999"),
        ("val", -1, "image -1; val has images 0 to 999"),
    ],
)
def test_images_that_there_are_not_are_refused(split, index, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        scenes.generate(split, index)


@pytest.mark.parametrize("limit", [0, -3, 1001])
def test_limits_are_numbers_of_images(limit):
    with pytest.raises(InputError, match=rf"^limit {limit}; expected 1 to 1000, the images of val$"):
        scenes.dataset("val", limit)
