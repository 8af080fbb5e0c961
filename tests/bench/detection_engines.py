"""Engines on COCO files, load to figures: ``engine(iou_type, (gt, dt), threads)`` gives the stages of a round."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages import Figures, Stages

Paths = Sequence[Path]


def cvbench(iou_type: Any, paths: Paths, threads: int) -> Stages:
    """What `cvbench.score` does, less the hashes of the files and the tables beside the figures."""
    from cvbench.io import read_detections, read_ground_truth
    from cvbench.metrics.detection import DetectionParams, count, summarize

    params = DetectionParams.of(iou_type)

    def load() -> Any:
        truth = read_ground_truth(paths[0], iou_type)
        found = read_detections(paths[1], truth.columns, iou_type, sizes=truth.image_sizes)
        return truth.columns, found.columns

    def evaluate(columns: Any) -> Figures:
        return list(summarize(count(*columns, params, threads), None, threads).values.values())

    return Stages(evaluate, load)


def _of_pycocotools_kind(home: str, evaluation: str, iou_type: str, paths: Paths) -> Stages:
    """The stages of a package with pycocotools' classes."""
    coco = importlib.import_module(home).COCO
    evaluation_type = getattr(importlib.import_module(evaluation.partition(":")[0]), evaluation.partition(":")[2])

    def load() -> Any:
        truth = coco(str(paths[0]))
        return truth, truth.loadRes(str(paths[1]))

    def evaluate(both: Any) -> Figures:
        run = evaluation_type(*both, iou_type)
        run.evaluate()
        run.accumulate()
        run.summarize()
        # -1 is how these packages write "undefined"; some go on after the official figures
        official = run.stats[: 10 if iou_type == "keypoints" else 12]
        return [math.nan if value == -1 else float(value) for value in official]

    return Stages(evaluate, load)


def hotcoco(iou_type: str, paths: Paths, threads: int) -> Stages:
    return _of_pycocotools_kind("hotcoco", "hotcoco:COCOeval", iou_type, paths)


def ultrafast(iou_type: str, paths: Paths, threads: int) -> Stages:
    return _of_pycocotools_kind("ultrafast_pycocotools", "ultrafast_pycocotools:COCOeval", iou_type, paths)


def faster(iou_type: str, paths: Paths, threads: int) -> Stages:
    return _of_pycocotools_kind("faster_coco_eval", "faster_coco_eval:COCOeval_faster", iou_type, paths)


def pycocotools(iou_type: str, paths: Paths, threads: int) -> Stages:
    return _of_pycocotools_kind("pycocotools.coco", "pycocotools.cocoeval:COCOeval", iou_type, paths)


def vernier(iou_type: str, paths: Paths, threads: int) -> Stages:
    """Parses the predictions when it evaluates."""
    from vernier import instance

    similarity = {"bbox": instance.Bbox, "segm": instance.Segm, "keypoints": instance.Keypoints}[iou_type]()
    evaluator = instance.Evaluator(iou=similarity, parity_mode="strict")

    def load() -> Any:
        return instance.CocoDataset.from_json(paths[0].read_bytes()), paths[1].read_bytes()

    def evaluate(both: Any) -> Figures:
        summary: Any = evaluator.evaluate(*both, num_threads=threads)
        return [math.nan if value == -1 else float(value) for value in summary.stats]

    return Stages(evaluate, load)
