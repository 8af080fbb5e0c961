"""Pairs of maps of any size, of two kinds: scenes, whose regions are large and smooth, and noise.

Scenes are what annotations and networks give: long runs of one value in each row. Noise, where hardly two neighbours
are equal, is nobody's data; it shows what a method owes to runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Kind = Literal["scene", "noise"]
Labels = NDArray[np.uint8]
PanopticImage = dict[str, Any]
IGNORED = 255
T = TypeVar("T")
DISTINCT = 4
"""So many images are made, and come again and again: making a large scene takes longer than scoring it."""

STUFF = 53
"""Categories from 80 on are stuff, 53 of them, as in COCO."""


def smooth_field(rng: np.random.Generator, height: int, width: int, cells: int) -> NDArray[np.float32]:
    """Random numbers on a coarse grid, drawn out to all pixels."""
    coarse = Image.fromarray(rng.random((cells, cells * width // height), np.float32))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float32)


def regions(rng: np.random.Generator, kind: Kind, height: int, width: int, n: int) -> Labels:
    """A map of about `n` values, 0 to n - 1."""
    if kind == "noise":
        return rng.integers(0, n, (height, width), np.uint8)
    fields = [smooth_field(rng, height, width, 5) for _ in range(n)]
    return np.asarray(np.argmax(fields, axis=0), np.uint8)


def found_in(labels: Labels, rng: np.random.Generator, kind: Kind) -> Labels:
    """What a good network makes of a map: the same regions a few pixels away; of noise, nine pixels of ten."""
    if kind == "noise":
        return np.where(rng.random(labels.shape) < 0.9, labels, rng.permutation(labels))
    return np.roll(labels, rng.integers(1, 4, 2), (0, 1))


def label_maps(kind: Kind, images: int, height: int, width: int, classes: int) -> tuple[list[Labels], list[Labels]]:
    """Ground truth and prediction; about one pixel of 20 in the ground truth is ignored."""
    rng = np.random.default_rng(0)
    truths, found = [], []
    for _ in range(DISTINCT):
        gt = regions(rng, kind, height, width, classes)
        found.append(found_in(gt, rng, kind))
        unknown = rng.random(gt.shape) < 0.05 if kind == "noise" else smooth_field(rng, height, width, 5) > 0.85
        truths.append(np.where(unknown, np.uint8(IGNORED), gt))
    return repeated(truths, images), repeated(found, images)


def repeated(parts: list[T], n: int) -> list[T]:
    """So many of the parts, in turn."""
    return [parts[k % len(parts)] for k in range(n)]


def panoptic_images(
    kind: Kind, images: int, height: int, width: int
) -> tuple[list[PanopticImage], list[PanopticImage]]:
    """Ground truth and prediction as id maps with their segments, without void and crowds: all peers agree on these.

    A category of stuff has one segment in an image, and one segment of five is predicted as another category.
    """
    rng = np.random.default_rng(0)
    truths, found = [], []
    for _ in range(DISTINCT):
        gt = regions(rng, kind, height, width, 20)
        categories = np.concatenate([rng.integers(0, 80, 12), rng.permutation(np.arange(80, 80 + STUFF))[:8]])
        guesses = np.where(np.arange(20) % 5 == 0, rng.integers(0, 80, 20), categories)
        truths.append(panoptic_image(gt, categories))
        found.append(panoptic_image(found_in(gt, rng, kind), guesses))
    return repeated(truths, images), repeated(found, images)


def panoptic_image(labels: Labels, categories: NDArray[np.int64]) -> PanopticImage:
    """Ids are scattered over 24 bits, as those of COCO are."""
    values, pixels = np.unique(labels, return_counts=True)
    ids = (np.arange(20, dtype=np.uint32) + 1) * 799_999 % (1 << 24)
    segments = [
        {"id": int(ids[value]), "category_id": int(categories[value]), "iscrowd": 0, "area": n}
        for value, n in zip(values.tolist(), pixels.tolist(), strict=True)
    ]
    return {"map": ids[labels], "segments": segments}


def panoptic_categories() -> list[dict[str, Any]]:
    """COCO's list of categories."""
    return [{"id": k, "name": f"category {k}", "isthing": int(k < 80)} for k in range(80 + STUFF)]


def pixels_of(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def write_label_maps(folder: Path, maps: list[Labels]) -> None:
    """PNG files, one channel of 8 bits; the folder gets its name when all are there."""
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    for k, labels in enumerate(maps):
        Image.fromarray(labels).save(part / f"{k:04}.png")
    part.rename(folder)


def read_label_maps(folder: Path) -> Iterator[NDArray[Any]]:
    for path in sorted(folder.glob("*.png")):
        yield pixels_of(path)


def write_panoptic(path: Path, images: list[PanopticImage]) -> None:
    """COCO's panoptic form: a folder of PNG files whose colours code the ids, and then the JSON file beside it."""
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    annotations = []
    for k, image in enumerate(images):
        colours = np.stack([image["map"] >> shift & 255 for shift in (0, 8, 16)], axis=2).astype(np.uint8)
        Image.fromarray(colours).save(folder / f"{k:04}.png")
        annotations.append({"image_id": k, "file_name": f"{k:04}.png", "segments_info": image["segments"]})
    height, width = images[0]["map"].shape
    entries = [{"id": k, "file_name": f"{k:04}.jpg", "height": height, "width": width} for k in range(len(images))]
    path.write_text(json.dumps({"images": entries, "annotations": annotations, "categories": panoptic_categories()}))


def read_panoptic(path: Path) -> Iterator[PanopticImage]:
    """The images of a panoptic JSON file, each decoded when it is asked for."""
    for annotation in json.loads(path.read_text())["annotations"]:
        colours = pixels_of(path.with_suffix("") / annotation["file_name"]).astype(np.uint32)
        ids = colours[..., 0] + 256 * colours[..., 1] + 65536 * colours[..., 2]
        yield {"map": ids, "segments": annotation["segments_info"]}
