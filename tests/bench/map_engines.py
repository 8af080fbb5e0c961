"""Engines on pairs of maps: ``engine((gt, pred), threads)`` gives the stages of a round.

In memory each gets maps in the form that it takes without a copy; from files each decodes them in every round.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from data import CLASSES
from map_workload import (
    IGNORED,
    STUFF,
    PanopticImage,
    panoptic_categories,
    pixels_of,
    read_label_maps,
    read_panoptic,
)
from stages import Figures, Stages

PANOPTIC_FIGURES = ("PQ", "PQ_things", "PQ_stuff")
Maps = tuple[list[Any], list[Any]]
Paths = tuple[Path, Path]


def panoptic_cvbench(maps: Maps, threads: int) -> Stages:
    from cvbench.metrics.panoptic_quality import PanopticQuality

    def evaluate(_: None) -> Figures:
        values = PanopticQuality(panoptic_categories(), threads=threads).update(*maps).compute().values
        return [values[name] for name in PANOPTIC_FIGURES]

    return Stages(evaluate)


def panoptic_two_sorts(maps: Maps, threads: int) -> Stages:
    """How panopticapi counts: the values of the prediction sorted, then the pairs of values sorted."""
    return Stages(lambda _: two_sorts(*maps))


def panoptic_two_sorts_files(paths: Paths, threads: int) -> Stages:
    return Stages(lambda _: two_sorts(*map(read_panoptic, paths)))


def two_sorts(gt: Iterable[PanopticImage], pred: Iterable[PanopticImage]) -> Figures:
    """Void and crowds, which the workload does not have, are left out."""
    iou_sum, tp, fp, fn = (dict.fromkeys(range(80 + STUFF), 0.0) for _ in range(4))
    for truth, guess in zip(gt, pred, strict=True):
        truths, guesses = ({row["id"]: row for row in side["segments"]} for side in (truth, guess))
        values, pixels = np.unique(guess["map"], return_counts=True)
        areas = dict(zip(values.tolist(), pixels.tolist(), strict=True))
        keys = truth["map"].astype(np.uint64) * (1 << 24) + guess["map"].astype(np.uint64)
        values, pixels = np.unique(keys, return_counts=True)
        taken = set()
        for key, shared in zip(values.tolist(), pixels.tolist(), strict=True):
            a, b = divmod(key, 1 << 24)
            category = truths[a]["category_id"]
            iou = shared / (truths[a]["area"] + areas[b] - shared)
            if category == guesses[b]["category_id"] and iou > 0.5:
                tp[category] += 1
                iou_sum[category] += iou
                taken |= {("gt", a), ("pred", b)}
        for side, segments, missed in (("gt", truths, fn), ("pred", guesses, fp)):
            for number, row in segments.items():
                missed[row["category_id"]] += (side, number) not in taken
    sizes = {k: tp[k] + 0.5 * fp[k] + 0.5 * fn[k] for k in tp}
    parts = (range(80 + STUFF), range(80), range(80, 80 + STUFF))
    return [float(np.mean([iou_sum[k] / sizes[k] for k in part if sizes[k]])) for part in parts]


def panoptic_torchmetrics(maps: Maps, threads: int) -> Stages:
    import torch
    from torchmetrics.detection import PanopticQuality

    torch.set_num_threads(threads)

    def pairs(image: PanopticImage) -> torch.Tensor:
        """(1, H, W, 2) category and instance of each pixel."""
        ids, at = np.unique(image["map"], return_inverse=True)
        category = {row["id"]: row["category_id"] for row in image["segments"]}
        classes = np.array([category[number] for number in ids.tolist()])
        return torch.from_numpy(np.stack([classes[at], at], axis=-1).reshape(1, *image["map"].shape, 2))

    tensors = [(pairs(guess), pairs(truth)) for truth, guess in zip(*maps, strict=True)]
    things, stuff = set(range(80)), set(range(80, 80 + STUFF))

    def evaluate(_: None) -> Figures:
        metric = PanopticQuality(things, stuff, return_per_class=True)
        for guess, truth in tensors:
            metric.update(guess, truth)
        quality, seen = metric.compute()[0].numpy(), (metric.true_positives + metric.false_positives).numpy()
        seen = seen + metric.false_negatives.numpy() > 0  # things and stuff, each ascending
        parts = (slice(None), slice(0, 80), slice(80, None))
        return [float(quality[part][seen[part]].mean()) for part in parts]

    return Stages(evaluate)


def panoptic_vernier(maps: Maps, threads: int) -> Stages:
    return Stages(lambda _: by_vernier(*maps, threads))


def panoptic_vernier_files(paths: Paths, threads: int) -> Stages:
    """Its own decoder on as many threads as it gets itself."""
    from vernier.panoptic import decode_label_map_png

    def images(path: Path, pool: ThreadPoolExecutor) -> list[PanopticImage]:
        annotations = json.loads(path.read_bytes())["annotations"]
        ids = pool.map(lambda row: decode_label_map_png(path.with_suffix("") / row["file_name"]), annotations)
        return [{"map": some, "segments": row["segments_info"]} for some, row in zip(ids, annotations, strict=True)]

    def load() -> Any:
        with ThreadPoolExecutor(threads) as pool:
            return [images(path, pool) for path in paths]

    return Stages(lambda both: by_vernier(*both, threads), load)


def by_vernier(gt: list[PanopticImage], pred: list[PanopticImage], threads: int) -> Figures:
    from vernier import panoptic

    def maps(side: list[PanopticImage]) -> dict[int, Any]:
        return {k: image["map"] for k, image in enumerate(side)}

    def segments(side: list[PanopticImage]) -> bytes:
        return json.dumps({str(k): image["segments"] for k, image in enumerate(side)}).encode()

    categories = json.dumps(panoptic_categories()).encode()
    truth = panoptic.Dataset.from_arrays(maps(gt), segments(gt), categories)
    guess = panoptic.Predictions.from_arrays(maps(pred), segments(pred))
    summary = panoptic.Evaluator(parity_mode="strict").evaluate(truth, guess, num_threads=threads)
    return [summary.pq, summary.pq_things or 0.0, summary.pq_stuff or 0.0]  # None: there are none


def panoptic_cvbench_files(paths: Paths, threads: int) -> Stages:
    from cvbench import score

    def evaluate(_: None) -> Figures:
        values = score("coco.panoptic", *paths, threads=threads).values
        return [values[name] for name in PANOPTIC_FIGURES]

    return Stages(evaluate)


def panoptic_hotcoco_files(paths: Paths, threads: int) -> Stages:
    from hotcoco.panoptic import pq_compute

    def evaluate(_: None) -> Figures:
        result = pq_compute(*map(str, paths))
        return [result[part]["pq"] for part in ("All", "Things", "Stuff")]

    return Stages(evaluate)


def decoding(paths: Paths, threads: int) -> Stages:
    """Nothing but decoding: the least that an evaluation with this decoder takes."""
    files = [path for side in paths for path in sorted(side.with_suffix("").glob("*.png"))]

    def evaluate(_: None) -> Figures:
        with ThreadPoolExecutor(threads) as pool:
            for _pixels in pool.map(pixels_of, files):
                pass
        return []

    return Stages(evaluate)


def semantic_cvbench(maps: Maps, threads: int) -> Stages:
    from cvbench.metrics.mean_iou import MeanIoU

    def evaluate(_: None) -> Figures:
        metric = MeanIoU(CLASSES, ignore_index=IGNORED, threads=threads)
        return [metric.update(*maps).compute().values["mIoU"]]

    return Stages(evaluate)


def semantic_cvbench_files(paths: Paths, threads: int) -> Stages:
    from cvbench import score

    rules = {"num_classes": CLASSES, "ignore_index": IGNORED}
    return Stages(lambda _: [score("semantic.miou", *paths, threads=threads, **rules).values["mIoU"]])


def semantic_bincount(maps: Maps, threads: int) -> Stages:
    return Stages(lambda _: bincount(*maps))


def semantic_bincount_files(paths: Paths, threads: int) -> Stages:
    return Stages(lambda _: bincount(*map(read_label_maps, paths)))


def bincount(gt: Iterable[Any], pred: Iterable[Any]) -> Figures:
    """The few lines of NumPy that most training scripts have."""
    confusion = np.zeros(CLASSES * CLASSES, np.int64)
    for truth, guess in zip(gt, pred, strict=True):
        valid = truth != IGNORED
        keys = CLASSES * truth[valid].astype(np.int64) + guess[valid]
        confusion += np.bincount(keys, minlength=CLASSES * CLASSES)
    square = confusion.reshape(CLASSES, CLASSES)
    shared = np.diag(square)
    return [float(np.mean(shared / (square.sum(0) + square.sum(1) - shared)))]


def semantic_torchmetrics(maps: Maps, threads: int) -> Stages:
    import torch
    from torchmetrics.classification import MulticlassJaccardIndex

    torch.set_num_threads(threads)
    tensors = [
        (torch.from_numpy(guess)[None], torch.from_numpy(truth)[None]) for truth, guess in zip(*maps, strict=True)
    ]

    def evaluate(_: None) -> Figures:
        metric = MulticlassJaccardIndex(CLASSES, ignore_index=IGNORED)
        for guess, truth in tensors:
            metric.update(guess, truth)
        return [float(metric.compute())]

    return Stages(evaluate)


def semantic_hotcoco(maps: Maps, threads: int) -> Stages:
    from hotcoco.semantic import SemanticEval

    def evaluate(_: None) -> Figures:
        run = SemanticEval(CLASSES, ignore_index=IGNORED)
        for truth, guess in zip(*maps, strict=True):
            run.update(truth, guess)
        return [run.report()["metrics"]["mIoU"]]

    return Stages(evaluate)


def semantic_hotcoco_files(paths: Paths, threads: int) -> Stages:
    from hotcoco.semantic import SemanticEval

    def evaluate(_: None) -> Figures:
        run = SemanticEval(CLASSES, ignore_index=IGNORED)
        run.update_folders(*paths)
        return [run.report()["metrics"]["mIoU"]]

    return Stages(evaluate)


def semantic_vernier(maps: Maps, threads: int) -> Stages:
    from vernier import semantic

    def evaluate(_: None) -> Figures:
        truth, guess = (dict(enumerate(side)) for side in maps)
        return [
            miou_by_vernier(
                semantic.Dataset.from_arrays(truth, CLASSES, IGNORED), semantic.Predictions.from_arrays(guess), threads
            )
        ]

    return Stages(evaluate)


def semantic_vernier_files(paths: Paths, threads: int) -> Stages:
    from vernier import semantic

    def evaluate(_: None) -> Figures:
        truth, guess = ({int(path.stem): path for path in side.glob("*.png")} for side in paths)
        return [
            miou_by_vernier(
                semantic.Dataset.from_files(truth, CLASSES, IGNORED), semantic.Predictions.from_files(guess), threads
            )
        ]

    return Stages(evaluate)


def miou_by_vernier(truth: Any, guess: Any, threads: int) -> float:
    from vernier import semantic

    found: float = semantic.Evaluator(parity_mode="strict").evaluate(truth, guess, num_threads=threads).miou
    return found
