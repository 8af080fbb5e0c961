"""One engine on pairs of maps, in one fresh process.

``map_worker.py FIELD ENGINE KIND IMAGES ROUNDS`` prints the seconds of each round and the figures as JSON. Everything
is in memory, and each engine gets maps in the form that it takes without a copy.

``map_worker.py FIELD ENGINE KIND IMAGES ROUNDS GT PRED`` does so from the files of `map_workload`, see
`map_file_engines`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from map_workload import IGNORED, STUFF, Kind, PanopticImage, label_maps, panoptic_categories, panoptic_images

CLASSES = 19
PANOPTIC_SIZE, SEMANTIC_SIZE = (480, 640), (1024, 2048)
PANOPTIC_FIGURES = ("PQ", "PQ_things", "PQ_stuff")
THINGS = [row["id"] for row in panoptic_categories() if row["isthing"]]

Figures = list[float]
Run = Callable[[], Figures]


def panoptic_cvbench(gt: list[PanopticImage], pred: list[PanopticImage], threads: int | None = 1) -> Run:
    from cvbench.metrics.panoptic_quality import PanopticQuality

    def run() -> Figures:
        values = PanopticQuality(panoptic_categories(), threads=threads).update(gt, pred).compute().values
        return [values[name] for name in PANOPTIC_FIGURES]

    return run


def panoptic_cvbench_all(gt: list[PanopticImage], pred: list[PanopticImage]) -> Run:
    return panoptic_cvbench(gt, pred, threads=None)


def panoptic_two_sorts(gt: Iterable[PanopticImage], pred: Iterable[PanopticImage]) -> Run:
    """How panopticapi counts: the values of the prediction sorted, then the pairs of values sorted.

    Void and crowds, which the workload does not have, are left out.
    """

    def run() -> Figures:
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

    return run


def panoptic_torchmetrics(gt: list[PanopticImage], pred: list[PanopticImage]) -> Run:
    import torch
    from torchmetrics.detection import PanopticQuality

    torch.set_num_threads(1)

    def pairs(image: PanopticImage) -> torch.Tensor:
        """(1, H, W, 2) category and instance of each pixel."""
        ids, at = np.unique(image["map"], return_inverse=True)
        category = {row["id"]: row["category_id"] for row in image["segments"]}
        classes = np.array([category[number] for number in ids.tolist()])
        return torch.from_numpy(np.stack([classes[at], at], axis=-1).reshape(1, *image["map"].shape, 2))

    maps = [(pairs(guess), pairs(truth)) for truth, guess in zip(gt, pred, strict=True)]
    stuff = set(range(80, 80 + STUFF))

    def run() -> Figures:
        metric = PanopticQuality(set(THINGS), stuff, return_per_class=True)
        for guess, truth in maps:
            metric.update(guess, truth)
        quality, seen = metric.compute()[0].numpy(), (metric.true_positives + metric.false_positives).numpy()
        seen = seen + metric.false_negatives.numpy() > 0  # things and stuff, each ascending
        parts = (slice(None), slice(0, 80), slice(80, None))
        return [float(quality[part][seen[part]].mean()) for part in parts]

    return run


def panoptic_vernier(gt: list[PanopticImage], pred: list[PanopticImage]) -> Run:
    from vernier import panoptic

    def maps(side: list[PanopticImage]) -> dict[int, Any]:
        return {k: image["map"] for k, image in enumerate(side)}

    def segments(side: list[PanopticImage]) -> bytes:
        return json.dumps({str(k): image["segments"] for k, image in enumerate(side)}).encode()

    texts = segments(gt), segments(pred), json.dumps(panoptic_categories()).encode()
    evaluator = panoptic.Evaluator(parity_mode="strict")

    def run() -> Figures:
        truth = panoptic.Dataset.from_arrays(maps(gt), texts[0], texts[2])
        guess = panoptic.Predictions.from_arrays(maps(pred), texts[1])
        summary = evaluator.evaluate(truth, guess, num_threads=1)
        return [summary.pq, summary.pq_things or 0.0, summary.pq_stuff or 0.0]  # None: there are none

    return run


def semantic_cvbench(gt: list[Any], pred: list[Any], threads: int | None = 1) -> Run:
    from cvbench.metrics.mean_iou import MeanIoU

    def run() -> Figures:
        return [MeanIoU(CLASSES, ignore_index=IGNORED, threads=threads).update(gt, pred).compute().values["mIoU"]]

    return run


def semantic_cvbench_all(gt: list[Any], pred: list[Any]) -> Run:
    return semantic_cvbench(gt, pred, threads=None)


def semantic_bincount(gt: Iterable[Any], pred: Iterable[Any]) -> Run:
    """The few lines of NumPy that most training scripts have."""

    def run() -> Figures:
        confusion = np.zeros(CLASSES * CLASSES, np.int64)
        for truth, guess in zip(gt, pred, strict=True):
            valid = truth != IGNORED
            keys = CLASSES * truth[valid].astype(np.int64) + guess[valid]
            confusion += np.bincount(keys, minlength=CLASSES * CLASSES)
        square = confusion.reshape(CLASSES, CLASSES)
        shared = np.diag(square)
        return [float(np.mean(shared / (square.sum(0) + square.sum(1) - shared)))]

    return run


def semantic_torchmetrics(gt: list[Any], pred: list[Any]) -> Run:
    import torch
    from torchmetrics.classification import MulticlassJaccardIndex

    torch.set_num_threads(1)
    maps = [
        (torch.from_numpy(guess)[None], torch.from_numpy(truth)[None]) for truth, guess in zip(gt, pred, strict=True)
    ]

    def run() -> Figures:
        metric = MulticlassJaccardIndex(CLASSES, ignore_index=IGNORED)
        for guess, truth in maps:
            metric.update(guess, truth)
        return [float(metric.compute())]

    return run


def semantic_hotcoco(gt: list[Any], pred: list[Any]) -> Run:
    from hotcoco import semantic

    def run() -> Figures:
        evaluation = semantic.SemanticEval(CLASSES, ignore_index=IGNORED)
        for truth, guess in zip(gt, pred, strict=True):
            evaluation.update(truth, guess)
        return [evaluation.report()["metrics"]["mIoU"]]

    return run


def semantic_vernier(gt: list[Any], pred: list[Any]) -> Run:
    from vernier import semantic

    def run() -> Figures:
        truth = semantic.Dataset.from_arrays(dict(enumerate(gt)), CLASSES, IGNORED)
        guess = semantic.Predictions.from_arrays(dict(enumerate(pred)))
        return [semantic.Evaluator(parity_mode="strict").evaluate(truth, guess, num_threads=1).miou]

    return run


ENGINES: dict[str, dict[str, Callable[[Any, Any], Run]]] = {
    "panoptic": {
        "cvbench": panoptic_cvbench,
        "cvbench, all cores": panoptic_cvbench_all,
        "two np.unique": panoptic_two_sorts,
        "vernier": panoptic_vernier,
        "torchmetrics": panoptic_torchmetrics,
    },
    "semantic": {
        "cvbench": semantic_cvbench,
        "cvbench, all cores": semantic_cvbench_all,
        "np.bincount": semantic_bincount,
        "hotcoco": semantic_hotcoco,
        "vernier": semantic_vernier,
        "torchmetrics": semantic_torchmetrics,
    },
}


def maps_of(field: str, kind: Kind, images: int) -> tuple[Any, Any]:
    """Ground truth and prediction."""
    if field == "panoptic":
        return panoptic_images(kind, images, *PANOPTIC_SIZE)
    return label_maps(kind, images, *SEMANTIC_SIZE, CLASSES)


def main() -> None:
    field, engine, kind, images, rounds, *paths = sys.argv[1:]
    if paths:
        from map_file_engines import ENGINES as FILE_ENGINES

        gt, pred = map(Path, paths)
        run = FILE_ENGINES[field][engine](gt, pred)
    else:
        run = ENGINES[field][engine](*maps_of(field, "noise" if kind == "noise" else "scene", int(images)))
    figures, seconds = run(), []  # the first round, which may compile, is not timed
    for _ in range(int(rounds)):
        start = perf_counter()
        assert run() == figures
        seconds.append(perf_counter() - start)
    json.dump({"seconds": seconds, "figures": figures}, sys.stdout)


if __name__ == "__main__":
    main()
