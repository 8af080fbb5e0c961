"""A split on disk: images as PNG and every kind of ground truth, as the official tools read them.

::

    FOLDER/
      images/000000.png ...
      instances.json           COCO: boxes and masks of all things
      person_keypoints.json    COCO: 14 joints
      face_landmarks.json      COCO: 5 landmarks
      panoptic.json            COCO panoptic, with the ids of segments as colours in
      panoptic/000000.png ...
      labels/000000.png ...    label maps of 14 classes, void 255
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvbench.errors import InputError
from cvbench.kernels import map_ranges
from cvbench.scenes.splits import dataset
from cvbench.scenes.truth import DOCUMENTS, Document, Record, document, file_name, records_of

Progress = Callable[[str, int, int], object]
"""Called with a stage, how many of its items are done, and how many there are; from any thread."""

CHUNK = 8
"""Images that a thread takes at once."""

BATCH = 128
"""Images that are begun before an interrupt or an error ends the run."""


def write_folder(
    folder: str | os.PathLike[str],
    split: str,
    limit: int | None = None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the images and annotations of a split.

    Parameters
    ----------
    folder
        To be made, or empty. It appears when all is written: until then everything lies in a hidden folder beside it.
    split : {"train", "val"}
    limit
        Only the first so many images.
    threads
        Threads to use; None for all processors.
    progress
        Told how many images are written.

    Raises
    ------
    InputError
        The folder is not empty, is a file, or there is no folder to make it in; or as `dataset`.
    """
    target = Path(os.path.abspath(folder))  # noqa: PTH100  # Path.resolve would follow a link in the target's place
    samples = dataset(split, limit)
    _check_target(target, os.fspath(folder))
    hidden = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        for name in ("images", "panoptic", "labels"):
            (hidden / name).mkdir(parents=True)
        records: dict[Document, list[list[Record]]] = {kind: [[] for _ in samples.indices] for kind in DOCUMENTS}
        done, lock = [0], threading.Lock()

        def write(first: int, start: int, stop: int) -> None:
            for image in range(first + start, first + stop):
                sample = samples[image]
                for kind in DOCUMENTS:
                    records[kind][image] = records_of(kind, image, sample)
                maps = {"images": sample.image, "panoptic": as_colours(sample.segments), "labels": sample.labels}
                for name, pixels in maps.items():
                    Image.fromarray(pixels).save(hidden / name / file_name(image))

        def finished(images: int) -> None:
            with lock:
                done[0] += images
                if progress is not None:
                    progress(f"drawing {split}", done[0], len(samples))

        for first in range(0, len(samples), BATCH):
            map_ranges(partial(write, first), min(BATCH, len(samples) - first), threads, CHUNK, finished)
        for kind in DOCUMENTS:
            text = json.dumps(document(split, kind, len(samples), records[kind]), separators=(",", ":"))
            (hidden / f"{kind}.json").write_text(text, encoding="utf-8")
        if target.is_dir():
            target.rmdir()  # empty, or this fails
        hidden.rename(target)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)  # has its own name by now, where all went well


def _check_target(target: Path, name: str) -> None:
    if target.is_dir() and next(target.iterdir(), None) is not None:
        raise InputError(f"{name}: the folder is not empty; name a new or an empty one")
    if target.exists() and not target.is_dir():
        raise InputError(f"{name}: is a file; name a folder")
    if not target.parent.is_dir():
        raise InputError(f"{name}: there is no folder {target.parent} to make it in")


def as_colours(segments: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Ids of segments (H, W) as red, green, blue (H, W, 3): id = red + 256 green + 65536 blue, as in COCO's files."""
    return np.stack([segments >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)
