"""Detections of any size with their ground truth: boxes, masks, keypoints; the same on every machine with this NumPy.

Half of the detections lie near an object, and scores are as a network gives them. The number of images grows with
that of detections, so that the work on one of them stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Detections, GroundTruth, Masks, image_of_rows, offsets_of
from cvbench.metrics.masks import rle_area, rle_boxes, rle_to_strings

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Kind = Literal["boxes", "masks", "polygons", "keypoints"]

HEIGHT, WIDTH = 480, 640
CORNERS = 24
"""Of a polygon; those of COCO have 20 to 30."""
CHUNK = 20_000
"""So many records are drawn and written at once."""


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    images: int = 5_000
    objects: int = 36_000
    detections: int = 500_000
    categories: int = 80

    @classmethod
    def of(cls, detections: int, kind: Kind = "boxes") -> Size:
        """The size with so many detections: 100 of 80 categories in an image, or 20 people with keypoints."""
        if kind == "keypoints":
            return cls(detections // 20, detections // 8, detections, 1)
        return cls(detections // 100, detections * 36 // 500, detections)


def columns(size: Size, seed: int = 0) -> tuple[GroundTruth, Detections]:
    """The workload of boxes as columns."""
    rng = np.random.default_rng(seed)
    frequency = 1 / np.arange(1, size.categories + 1) ** 0.8
    frequency /= frequency.sum()
    image = np.sort(rng.integers(0, size.images, size.objects))
    category = rng.choice(size.categories, size.objects, p=frequency).astype(np.int64)
    extent = np.exp(rng.normal(4, 1, (size.objects, 2))).clip(4, 400)
    boxes = np.hstack([rng.random((size.objects, 2)) * 500, extent]).round(2)

    near, source = _sources(rng, size)
    shift = rng.normal(0, 0.12, (size.detections, 4)) * boxes[source][:, [2, 3, 2, 3]]
    found = boxes[source] + shift
    found[~near, :2] = rng.random((np.count_nonzero(~near), 2)) * 500
    found[:, 2:] = np.abs(found[:, 2:]) + 1
    where = np.where(near, image[source], rng.integers(0, size.images, size.detections))
    what = np.where(rng.random(size.detections) < 0.3, rng.choice(size.categories, size.detections), category[source])
    score = _scores(rng, near)
    order = np.argsort(where, kind="stable")
    found, where, what, score = found[order].round(3), where[order], what[order], score[order]
    none = np.zeros(size.objects, np.bool_)
    gt = GroundTruth(
        image_ids=np.arange(1, size.images + 1),
        category_ids=np.arange(1, size.categories + 1),
        category_names=tuple(f"category {k}" for k in range(1, size.categories + 1)),
        offsets=offsets_of(np.bincount(image, minlength=size.images)),
        category=category,
        area=boxes[:, 2] * boxes[:, 3] * 0.7,
        crowd=rng.random(size.objects) < 0.01,
        ignore=none,
        id_zero=none,
        boxes=boxes,
    )
    dt = Detections(
        offsets=offsets_of(np.bincount(where, minlength=size.images)),
        category=what,
        score=score,
        area=found[:, 2] * found[:, 3],
        boxes=found,
    )
    return gt, dt


def people(size: Size, seed: int = 0) -> tuple[GroundTruth, Detections]:
    """People with 17 keypoints, four of five labelled; half of the predictions are a few pixels away from a person."""
    rng = np.random.default_rng(seed)
    image = np.sort(rng.integers(0, size.images, size.objects))
    extent = np.exp(rng.normal(4.5, 0.6, (size.objects, 1, 1))).clip(10, 300) * [1.0, 1.6]
    corner = rng.random((size.objects, 1, 2)) * [500, 300]
    joints = (corner + rng.random((size.objects, 17, 2)) * extent).round()
    labels = rng.choice(3, (size.objects, 17), p=[0.2, 0.2, 0.6])
    keypoints = np.dstack([joints * (labels > 0)[..., None], labels])
    near, source = _sources(rng, size)
    away = rng.normal(0, 1, (size.detections, 17, 2)) * extent[source] * rng.exponential(0.06, (size.detections, 1, 1))
    found = joints[source] + away
    found[~near] += rng.normal(0, 200, (np.count_nonzero(~near), 1, 2))
    where = np.where(near, image[source], rng.integers(0, size.images, size.detections))
    score = _scores(rng, near)
    order = np.argsort(where, kind="stable")
    third = rng.random((size.detections, 17)).round(2)
    none = np.zeros(size.objects, np.bool_)
    gt = GroundTruth(
        image_ids=np.arange(1, size.images + 1),
        category_ids=np.arange(1, 2),
        category_names=("person",),
        offsets=offsets_of(np.bincount(image, minlength=size.images)),
        category=np.zeros(size.objects, np.int64),
        area=(extent[:, 0, 0] * extent[:, 0, 1] * 0.6).round(2),
        crowd=none,
        ignore=none,
        id_zero=none,
        boxes=np.hstack([corner[:, 0], extent[:, 0]]).round(2),
        keypoints=keypoints,
        num_keypoints=np.count_nonzero(labels, axis=1),
    )
    dt = Detections(
        offsets=offsets_of(np.bincount(where, minlength=size.images)),
        category=np.zeros(size.detections, np.int64),
        score=score[order],
        area=np.zeros(size.detections),  # follows from the keypoints that a reader reads
        keypoints=np.dstack([found[order].round(2), third]),
    )
    return gt, dt


def _sources(rng: np.random.Generator, size: Size) -> tuple[NDArray[np.bool_], Int]:
    """Whether a detection lies near an object, and which."""
    return rng.random(size.detections) < 0.5, rng.integers(0, size.objects, size.detections)


def _scores(rng: np.random.Generator, near: NDArray[np.bool_]) -> Float:
    """Rounded to single precision, as those of networks are: some are equal."""
    scores = np.where(near, rng.beta(3, 2, len(near)), rng.beta(1, 4, len(near)))
    return scores.astype(np.float32).astype(np.float64)


def outlines(boxes: Float, rows: Int) -> Float:
    """(N, CORNERS, 2) corners of a wobbling oval in each box, within the image; `rows` seed the wobble."""
    turn = np.arange(CORNERS) * (2 * np.pi / CORNERS)
    phase = (rows * 2.399963 % (2 * np.pi))[:, None]
    reach = 0.5 * (0.85 + 0.1 * np.sin(3 * turn + phase) + 0.05 * np.sin(7 * turn - 2 * phase))
    oval = np.stack([0.5 + reach * np.cos(turn), 0.5 + reach * np.sin(turn)], axis=2)
    corners: Float = (boxes[:, None, :2] + oval * boxes[:, None, 2:]).clip(0, [WIDTH, HEIGHT])
    return corners.round(2)


def masks_in(boxes: Float, rows: Int) -> Masks:
    """A wobbling oval in each box: in each column of pixels one run, as masks without holes have.

    Runs are computed from the shape, never from pixels: 4,000,000 masks take a minute.
    """
    first = np.floor(boxes[:, 0]).clip(0, WIDTH - 2).astype(np.int64)
    last = np.ceil(boxes[:, 0] + boxes[:, 2]).astype(np.int64).clip(first + 1, WIDTH)
    widths = last - first
    offsets = offsets_of(widths)
    owner = np.repeat(np.arange(len(boxes)), widths)
    inside = np.arange(offsets[-1]) - offsets[owner]  # column within the mask
    phase = rows[owner] * 2.399963 % (2 * np.pi)
    across = (inside + 0.5) / widths[owner]
    reach = np.sqrt(across * (1 - across))
    top = 0.5 - reach * (0.85 + 0.1 * np.sin(9 * across + phase))
    bottom = 0.5 + reach * (0.85 + 0.1 * np.sin(7 * across - phase))
    start = np.floor(boxes[owner, 1] + top * boxes[owner, 3]).clip(0, HEIGHT - 2).astype(np.int64)
    stop = np.ceil(boxes[owner, 1] + bottom * boxes[owner, 3]).astype(np.int64).clip(start + 1, HEIGHT - 1)
    column = (first[owner] + inside) * HEIGHT
    ends = column + stop
    gaps = column + start
    gaps[1:] -= ends[:-1]
    gaps[offsets[:-1]] = (column + start)[offsets[:-1]]
    lengths = offsets_of(2 * widths + 1)
    counts = np.empty(lengths[-1], np.uint32)
    at = lengths[owner] + 2 * inside
    counts[at], counts[at + 1] = gaps, stop - start
    counts[lengths[1:] - 1] = HEIGHT * WIDTH - ends[offsets[1:] - 1]
    return Masks(counts, lengths, np.tile([HEIGHT, WIDTH], (len(boxes), 1)))


def write_files(kind: Kind, size: Size, gt_path: Path, dt_path: Path) -> None:
    """Write the workload as COCO files, those that are not there yet.

    ``masks`` are run lengths on both sides; ``polygons`` are those of the ground truth, and predictions run lengths.
    """
    gt, dt = people(size) if kind == "keypoints" else columns(size)
    categories = [{"id": k, "name": name} for k, name in zip(gt.category_ids.tolist(), gt.category_names, strict=True)]
    images = [{"id": i, "width": WIDTH, "height": HEIGHT} for i in gt.image_ids.tolist()]
    head = json.dumps({"images": images, "categories": categories})[:-1] + ', "annotations": ['
    if not dt_path.exists():
        _write(dt_path, "[", _records(dt, gt.image_ids, kind), "]")
    if not gt_path.exists():
        _write(gt_path, head, _records(gt, gt.image_ids, kind), "]}")


def _write(path: Path, head: str, records: Iterator[list[dict[str, Any]]], tail: str) -> None:
    """JSON as Python's encoder writes it, in parts; a killed run leaves no file of this name."""
    part = path.with_suffix(".part")
    with part.open("w") as file:
        file.write(head)
        for n, some in enumerate(records):
            file.write(", " * bool(n) + json.dumps(some)[1:-1])
        file.write(tail)
    part.replace(path)


def _records(rows: GroundTruth | Detections, image_ids: NDArray[Any], kind: Kind) -> Iterator[list[dict[str, Any]]]:
    """Records of annotations, or of results, chunk by chunk."""
    images = image_ids[image_of_rows(rows.offsets)]
    truth = isinstance(rows, GroundTruth)
    for start in range(0, len(rows), CHUNK):
        numbers = np.arange(start, min(start + CHUNK, len(rows)))
        records: list[dict[str, Any]] = [
            {"image_id": i, "category_id": k + 1}
            for i, k in zip(images[numbers].tolist(), rows.category[numbers].tolist(), strict=True)
        ]
        for name, values in _shapes(rows, numbers, kind, truth).items():
            for record, value in zip(records, values, strict=True):
                record[name] = value
        if isinstance(rows, GroundTruth):
            areas, crowd = rows.area[numbers].tolist(), rows.crowd[numbers].tolist()
            for n, record in enumerate(records):
                record.setdefault("area", areas[n])
                # a polygon stands for one object
                record |= {"iscrowd": int(crowd[n] and kind != "polygons"), "id": start + n + 1}
        else:
            for record, score in zip(records, rows.score[numbers].tolist(), strict=True):
                record["score"] = score
        yield records


def _shapes(rows: GroundTruth | Detections, numbers: Int, kind: Kind, truth: bool) -> dict[str, list[Any]]:
    """What records of this kind say about where an object is."""
    if kind == "keypoints":
        assert rows.keypoints is not None
        points = rows.keypoints[numbers]
        third = points[..., 2].astype(np.int64).tolist() if truth else points[..., 2].tolist()
        flat = [
            [number for (x, y), v in zip(person, marks, strict=True) for number in (x, y, v)]
            for person, marks in zip(points[..., :2].tolist(), third, strict=True)
        ]
        if not isinstance(rows, GroundTruth):
            return {"keypoints": flat}
        assert rows.boxes is not None
        assert rows.num_keypoints is not None
        labelled = rows.num_keypoints[numbers].tolist()
        return {"keypoints": flat, "num_keypoints": labelled, "bbox": rows.boxes[numbers].tolist()}
    assert rows.boxes is not None
    boxes = rows.boxes[numbers]
    if kind == "boxes":
        return {"bbox": boxes.tolist()}
    if kind == "polygons" and truth:
        corners = outlines(boxes, numbers)
        x, y = corners[..., 0], corners[..., 1]
        area = np.abs((x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(axis=1) / 2).round(4)
        polygons = [[corner] for corner in corners.reshape(len(boxes), -1).tolist()]
        return {"segmentation": polygons, "bbox": boxes.tolist(), "area": area.tolist()}
    masks = masks_in(boxes, numbers)
    strings = [{"size": [HEIGHT, WIDTH], "counts": string.decode()} for string in rle_to_strings(masks)]
    if not truth:
        return {"segmentation": strings}
    return {"segmentation": strings, "bbox": rle_boxes(masks).tolist(), "area": rle_area(masks).tolist()}
