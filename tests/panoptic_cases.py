"""Generated panoptic images that crowd around the edges: void on both sides, crowds, several crowds of one category,
ids that no segment lists, overlaps of exactly one half, segments of one pixel, empty images, wrong areas.

An image is a pair of dicts, ``{"map": ids, "segments": [...], "image_id": ...}`` for the ground truth and the same
for the prediction. The same knobs as for detections shrink them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from generated import Knobs

Pair = tuple[dict[str, Any], dict[str, Any]]

CATEGORIES = {category: {"name": f"category {category}", "isthing": category % 2} for category in (1, 2, 3, 7)}
"""Things have odd ids."""

HEIGHT, WIDTH = 12, 16
CELL = 4  # rectangles of whole cells and halves of them make overlaps of exactly one half


def panoptic_images(knobs: Knobs) -> list[Pair]:
    """Images by ascending id; ``detections`` is read as how strongly predictions differ."""
    rng = np.random.default_rng(knobs.seed)
    ids = np.sort(rng.permutation(knobs.images * 3)[: knobs.images]).tolist()
    return [_pair(rng, knobs, image) for image in ids]


def _pair(rng: np.random.Generator, knobs: Knobs, image: int) -> Pair:
    kinds = list(CATEGORIES)[: knobs.categories]
    gt_map = np.zeros((HEIGHT, WIDTH), np.int64)
    for _ in range(rng.integers(0, knobs.objects + 1)):
        gt_map[_rectangle(rng, knobs.grid)] = rng.integers(1, 30)
    kind = {int(value): int(rng.choice(kinds)) for value in np.unique(gt_map)}
    pred_map, pred_kind = _predicted(rng, knobs, gt_map, kind, kinds)
    gt = [
        {"id": value, "category_id": kind[value], "iscrowd": int(knobs.crowds and rng.random() < 0.35)}
        for value in _listed(gt_map)
        if rng.random() < 0.9  # the others are in the map and nobody lists them
    ]
    for segment in gt:
        segment["area"] = int((gt_map == segment["id"]).sum())
        if rng.random() < 0.1:
            segment["area"] = int(segment["area"] * rng.choice([0.6, 0.9, 1.2, 3])) + 1
    if rng.random() < 0.2:
        gt.append({"id": 900, "category_id": kinds[0], "iscrowd": int(rng.random() < 0.3), "area": 5})  # not in the map
    pred = [{"id": value, "category_id": pred_kind[value]} for value in _listed(pred_map)]
    if knobs.shuffled:
        gt, pred = ([side[i] for i in rng.permutation(len(side))] for side in (gt, pred))
    return {"map": gt_map, "segments": gt, "image_id": image}, {"map": pred_map, "segments": pred}


def _predicted(
    rng: np.random.Generator, knobs: Knobs, gt_map: np.ndarray, kind: dict[int, int], kinds: list[int]
) -> tuple[np.ndarray, dict[int, int]]:
    """The ground truth under other ids, with some segments shifted, cut, joined, or of another category."""
    names = rng.permutation(len(kind)) + 100
    pred_map, pred_kind = np.zeros_like(gt_map), {}
    for name, (value, category) in zip(names.tolist(), kind.items(), strict=True):
        mask = gt_map == value
        if value == 0 and rng.random() < 0.6:
            continue  # void stays void; else somebody predicts what nobody knows
        if rng.random() < 0.4:
            mask = np.roll(mask, rng.integers(-2, 3, 2).tolist(), (0, 1))
        pred_map[mask] = name
        pred_kind[name] = int(rng.choice(kinds)) if rng.random() < 0.2 else category
    for _ in range(rng.integers(0, knobs.detections + 1) // 3):
        name = int(rng.choice([0, *range(200, 205)]))
        pred_map[_rectangle(rng, knobs.grid)] = name
        pred_kind.setdefault(name, int(rng.choice(kinds)))
    return pred_map, pred_kind


def _rectangle(rng: np.random.Generator, grid: bool) -> tuple[slice, slice]:
    if rng.random() < 0.15:
        y, x = int(rng.integers(HEIGHT)), int(rng.integers(WIDTH))
        return slice(y, y + 1), slice(x, x + 1)
    step = CELL // 2 if grid else 1
    (y, x), (height, width) = rng.integers(0, (HEIGHT // step, WIDTH // step)), rng.integers(1, 8 // step + 1, 2)
    return slice(int(y * step), int((y + height) * step)), slice(int(x * step), int((x + width) * step))


def _listed(ids: np.ndarray) -> list[int]:
    return [int(value) for value in np.unique(ids) if value]
