"""A detection workload of any size: half of the detections near an object, scores as a network gives them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvbench.columns import Detections, GroundTruth, image_of_rows, offsets_of


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    images: int = 5_000
    objects: int = 36_000
    detections: int = 500_000
    categories: int = 80


def columns(size: Size, seed: int = 0) -> tuple[GroundTruth, Detections]:
    """The workload as columns; the same on every machine with the same NumPy."""
    rng = np.random.default_rng(seed)
    frequency = 1 / np.arange(1, size.categories + 1) ** 0.8
    frequency /= frequency.sum()
    image = np.sort(rng.integers(0, size.images, size.objects))
    category = rng.choice(size.categories, size.objects, p=frequency).astype(np.int64)
    extent = np.exp(rng.normal(4, 1, (size.objects, 2))).clip(4, 400)
    boxes = np.hstack([rng.random((size.objects, 2)) * 500, extent]).round(2)

    near = rng.random(size.detections) < 0.5
    source = rng.integers(0, size.objects, size.detections)
    shift = rng.normal(0, 0.12, (size.detections, 4)) * boxes[source][:, [2, 3, 2, 3]]
    found = boxes[source] + shift
    found[~near, :2] = rng.random((np.count_nonzero(~near), 2)) * 500
    found[:, 2:] = np.abs(found[:, 2:]) + 1
    where = np.where(near, image[source], rng.integers(0, size.images, size.detections))
    what = np.where(rng.random(size.detections) < 0.3, rng.choice(size.categories, size.detections), category[source])
    score = np.where(near, rng.beta(3, 2, size.detections), rng.beta(1, 4, size.detections))
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
        score=score.astype(np.float32).astype(np.float64),
        area=found[:, 2] * found[:, 3],
        boxes=found,
    )
    return gt, dt


def files(size: Size, folder: Path) -> tuple[Path, Path]:
    """The workload as COCO files in `folder`, written once."""
    gt_path, dt_path = folder / f"gt-{size.objects}.json", folder / f"dt-{size.detections}.json"
    if not dt_path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        gt, dt = columns(size)
        assert gt.boxes is not None
        assert dt.boxes is not None
        gt_path.write_text(
            json.dumps(
                {
                    "images": [{"id": i, "width": 640, "height": 480} for i in gt.image_ids.tolist()],
                    "categories": [
                        {"id": k, "name": name}
                        for k, name in zip(gt.category_ids.tolist(), gt.category_names, strict=True)
                    ],
                    "annotations": [
                        {"id": n, "image_id": i, "category_id": k + 1, "bbox": box, "area": area, "iscrowd": int(crowd)}
                        for n, (i, k, box, area, crowd) in enumerate(
                            zip(
                                gt.image_ids[image_of_rows(gt.offsets)].tolist(),
                                gt.category.tolist(),
                                gt.boxes.tolist(),
                                gt.area.tolist(),
                                gt.crowd.tolist(),
                                strict=True,
                            ),
                            1,
                        )
                    ],
                }
            )
        )
        rows = zip(
            gt.image_ids[image_of_rows(dt.offsets)].tolist(),
            dt.category.tolist(),
            dt.boxes.tolist(),
            dt.score.tolist(),
            strict=True,
        )
        dt_path.write_text(
            json.dumps([{"image_id": i, "category_id": k + 1, "bbox": box, "score": s} for i, k, box, s in rows])
        )
    return gt_path, dt_path
