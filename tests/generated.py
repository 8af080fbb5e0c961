"""Generated COCO data sets that crowd around the edges: ties, crowds, areas on the limits, empty images, zero sizes, id
0.

What a strategy draws are knobs and a seed, so that a failing example shrinks to a small data set that still fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from mode import JIT

AREAS = (0.0, 1.0, 1024.0, 1024.0, 9216.0, 9216.0, 1023.9999999999999, 1e10, 1e10 + 1e-5)
SIZE = (60, 80)


@dataclass(frozen=True)
class Knobs:
    """How a data set is to be."""

    seed: int
    images: int
    categories: int
    objects: int  # ground truths per image, at most
    detections: int  # per image, at most
    levels: int  # how many different scores there are
    grid: bool  # integer coordinates, which make equal IoUs
    crowds: bool
    first_id: int
    shuffled: bool  # annotations and detections of an image do not stand together


def knobs(detections: int = 30) -> st.SearchStrategy[Knobs]:
    """Strategy for data sets with up to so many detections per image."""
    return st.builds(
        Knobs,
        seed=st.integers(0, 2**32 - 1),
        images=st.integers(1, 6 if JIT else 3),
        categories=st.integers(1, 4),
        objects=st.integers(0, 8),
        detections=st.integers(0, detections),
        levels=st.sampled_from((1, 2, 5, 1000)),
        grid=st.booleans(),
        crowds=st.booleans(),
        first_id=st.sampled_from((1, 1, 0)),
        shuffled=st.booleans(),
    )


def coco(knobs: Knobs, iou_type: str, *, polygons: bool = True) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A ground truth and detections as COCO's JSON has them; without `polygons`, all masks are run-length encoded."""
    rng = np.random.default_rng(knobs.seed)
    images = [
        {"id": int(i), "height": SIZE[0], "width": SIZE[1]} for i in rng.permutation(knobs.images * 3)[: knobs.images]
    ]
    ids = [int(k) for k in rng.permutation(knobs.categories * 2)[: knobs.categories]]
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image in images:
        near = []
        for _ in range(rng.integers(0, knobs.objects + 1)):
            box = _box(rng, knobs.grid)
            near.append((box, int(rng.choice(ids))))
            annotations.append(_annotation(rng, knobs, iou_type, image["id"], *near[-1], polygons))
        for _ in range(rng.integers(0, knobs.detections + 1)):
            box, category = _box(rng, knobs.grid), int(rng.choice(ids))
            if near and rng.random() < 0.7:
                box, category = near[rng.integers(len(near))]
                shift = rng.integers(-2, 3, 4) if knobs.grid else rng.normal(0, 1.5, 4)
                box = np.concatenate([box[:2] + shift[:2], np.abs(box[2:] + shift[2:])])
            results.append(
                {
                    "image_id": image["id"],
                    "category_id": category,
                    "score": float(rng.integers(knobs.levels) / knobs.levels),
                    **_geometry(rng, iou_type, box, found=True),
                }
            )
    if knobs.shuffled:
        annotations = [annotations[i] for i in rng.permutation(len(annotations))]
        results = [results[i] for i in rng.permutation(len(results))]
    annotations = [{"id": i + knobs.first_id, **annotation} for i, annotation in enumerate(annotations)]
    categories = [{"id": k, "name": f"category {k}"} for k in ids]
    return {"images": images, "categories": categories, "annotations": annotations}, results


def _annotation(
    rng: np.random.Generator, knobs: Knobs, iou_type: str, image: int, box: np.ndarray, category: int, polygons: bool
) -> dict[str, Any]:
    annotation: dict[str, Any] = {
        "image_id": image,
        "category_id": category,
        "iscrowd": int(knobs.crowds and rng.random() < 0.2),
        "area": float(rng.choice(AREAS) if rng.random() < 0.5 else box[2] * box[3] * 0.7),
        **_geometry(rng, iou_type, box, found=False, polygons=polygons),
    }
    if iou_type == "keypoints":
        annotation["num_keypoints"] = int(np.count_nonzero(np.array(annotation["keypoints"])[2::3]))
    return annotation


def _box(rng: np.random.Generator, grid: bool) -> np.ndarray:
    corner, size = rng.uniform(0, 50, 2), rng.uniform(0, 40, 2)
    return np.round(np.concatenate([corner, size])) if grid else np.concatenate([corner, size])


def _geometry(
    rng: np.random.Generator, iou_type: str, box: np.ndarray, *, found: bool, polygons: bool = False
) -> dict[str, Any]:
    x, y, w, h = box.tolist()
    if iou_type == "bbox":
        return {"bbox": [x, y, w, h]}
    if iou_type == "keypoints":
        points = np.column_stack([x + w * np.linspace(0, 1, 17), y + h * np.linspace(0, 1, 17) ** 2, np.zeros(17)])
        if found:
            points[:, :2] += rng.normal(0, 2, (17, 2))
            points[:, 2] = 1
            return {"keypoints": points.reshape(-1).tolist()}
        points[:, 2] = rng.choice([0, 1, 2], 17) if rng.random() < 0.8 else 0
        return {"keypoints": points.reshape(-1).tolist(), "bbox": [x, y, w, h]}
    outline = [x, y, x + w, y, x + w, y + h * 0.8, x + w / 2, y + h, x, y + h * 0.6]
    if polygons and rng.random() < 0.7:
        return {"segmentation": [outline]}
    mask = np.zeros(SIZE, np.uint8)
    mask[max(int(y), 0) : max(int(y + h), 0), max(int(x), 0) : max(int(x + w), 0)] = 1
    mask &= rng.random(SIZE) < 0.95
    column = np.concatenate([[0], mask.T.reshape(-1), [2]])
    edges = np.flatnonzero(np.diff(column) != 0)
    counts = np.diff(np.concatenate([[0], edges])).tolist()
    if found:
        from pycocotools import mask as reference

        return {"segmentation": _text(reference.frPyObjects({"size": list(SIZE), "counts": counts}, *SIZE))}
    return {"segmentation": {"size": list(SIZE), "counts": counts}}


def _text(rle: dict[str, Any]) -> dict[str, Any]:
    return {"size": rle["size"], "counts": rle["counts"].decode()}
