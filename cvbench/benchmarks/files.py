"""Benchmarks of one's own: a COCO ground truth and a folder of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from cvbench.benchmarks.benchmark import Benchmark, Picture, Pictures
from cvbench.benchmarks.procedural import MASKS, OBJECTS, MaskAndBoxAP, add_detections, average_precision
from cvbench.columns import GroundTruth
from cvbench.errors import FormatError, InputError, did_you_mean
from cvbench.io import read_ground_truth
from cvbench.io.source import Document
from cvbench.metrics.masks import rle_to_strings

TASKS = ("coco.bbox", "coco.segm")
"""What can be run on files."""


class _Image(msgspec.Struct):
    id: int | str
    file_name: str


class _Images(msgspec.Struct):
    images: list[_Image]


def from_files(task: str, gt: str | os.PathLike[str], images: str | os.PathLike[str]) -> Benchmark:
    """The benchmark of a COCO ground truth.

    Parameters
    ----------
    task : {"coco.bbox", "coco.segm"}
    gt
        Path of the JSON file.
    images
        Folder that the ``file_name`` of its images are names in.

    Returns
    -------
    Benchmark
        Of the same name as the task, for evaluation only. Its figures are those of ``cvbench score`` on a file of the
        same predictions (of ``coco.segm`` with ``detection_area=mask``); those of ``coco.segm`` have the figures of
        boxes beside them.

    Raises
    ------
    FormatError
        The file is no ground truth, or an image has no ``file_name``.
    InputError
        The task is another one, or the folder lacks an image.
    """
    if task not in TASKS:
        raise InputError(f"{task!r} does not run on files{did_you_mean(task, TASKS)}")
    boxes_only = task == "coco.bbox"
    reading = read_ground_truth(gt, "bbox" if boxes_only else "segm")
    truth = reading.columns
    if not boxes_only:
        truth = replace(truth, boxes=read_ground_truth(gt, "bbox").columns.boxes)
    names = _file_names(gt)
    files = [Path(images) / names[image] for image in truth.image_ids.tolist()]
    lacking = next((file for file in files if not file.is_file()), None)
    if lacking is not None:
        raise InputError("there is no such file; expected every image of the ground truth", where=str(lacking))
    categories = dict(zip(truth.category_ids.tolist(), truth.category_names, strict=True))
    metric = partial(average_precision if boxes_only else MaskAndBoxAP, categories)

    def pictures(_split: str, limit: int | None) -> Sequence[Picture]:
        number = len(files) if limit is None else min(limit, len(files))
        return Pictures(lambda index: _picture(truth, index, files[index]), number)

    return Benchmark(
        name=task,
        field="detection" if boxes_only else "instance",
        summary=f"{len(files)} images of {os.fspath(gt)}",
        figure="AP",
        classes=tuple(truth.category_names),
        expects=OBJECTS if boxes_only else MASKS,
        pictures=pictures,
        metric=metric,
        add=add_detections,
        splits=("val",),
        truth={"path": reading.source.path, "sha256": reading.source.sha256, "bytes": reading.source.bytes},
    )


def _file_names(gt: str | os.PathLike[str]) -> dict[int | str, str]:
    found = Document(gt, "gt").decode(_Images)
    if found is None:
        raise FormatError("an image has no file_name, by which its pixels are found", where=f"{os.fspath(gt)}: images")
    return {image.id: image.file_name for image in found.images}


def _picture(truth: GroundTruth, index: int, file: Path) -> Picture:
    """An image with its pixels and annotations."""
    rows = np.arange(truth.offsets[index], truth.offsets[index + 1])
    image_id = truth.image_ids[index].item()
    objects: dict[str, Any] = {
        "image_id": image_id,
        "labels": truth.category_ids[truth.category[rows]],
        "area": truth.area[rows],
        "iscrowd": truth.crowd[rows],
        "ignore": truth.ignore[rows],
        "boxes": truth.boxes[rows] if truth.boxes is not None else [],
    }
    if truth.masks is not None:
        masks = truth.masks.take(rows)
        sizes = masks.sizes.tolist()
        objects["masks"] = [
            {"size": size, "counts": counts} for size, counts in zip(sizes, rle_to_strings(masks), strict=True)
        ]
    return Picture(image_id, (_pixels(file),), ({},), objects)


def _pixels(file: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise FormatError(f"cannot be read as an image: {error}", where=str(file)) from error
