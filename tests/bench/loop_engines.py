"""Engines in a training loop: images come in batches of tensors, and figures are asked for at the end.

``engine(batches, threads)`` gives the stages of a round: `load` is all updates, `evaluate` is the computation of the
figures. The metrics are made for each round anew, as for each epoch.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stages import Figures, Stages
from workload import Size, columns

Images = list[dict[str, torch.Tensor]]
Batches = list[tuple[Images, Images]]

FIGURES = (
    *("map", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"),
)
"""What torchmetrics calls the twelve figures of COCO, in their order."""

THRESHOLDS: dict[str, Any] = {
    "iou_thresholds": np.linspace(0.5, 0.95, 10).tolist(),
    "rec_thresholds": np.linspace(0.0, 1.0, 101).tolist(),
}


def batches(kind: str, n: int, folder: Path) -> Batches:
    """Ground truth and predictions of images with n boxes in all, `kind` images to a batch, in single precision.

    Boxes are xywh: from corners, torchmetrics makes them in single precision, and other boxes have other figures.
    """
    gt, dt = columns(Size.of(n))
    names = {"gt": ("boxes", "area"), "dt": ("boxes", "score")}
    floats = {
        side: [torch.from_numpy(getattr(of, name)).float() for name in names[side]]
        for side, of in (("gt", gt), ("dt", dt))
    }
    labels, found, crowd = (torch.from_numpy(array) for array in (gt.category + 1, dt.category + 1, gt.crowd))

    def truth(i: int) -> dict[str, torch.Tensor]:
        rows = slice(int(gt.offsets[i]), int(gt.offsets[i + 1]))
        boxes, area = (column[rows].clone() for column in floats["gt"])
        return {"boxes": boxes, "area": area, "labels": labels[rows].clone(), "iscrowd": crowd[rows].long()}

    def guess(i: int) -> dict[str, torch.Tensor]:
        rows = slice(int(dt.offsets[i]), int(dt.offsets[i + 1]))
        boxes, scores = (column[rows].clone() for column in floats["dt"])
        return {"boxes": boxes, "scores": scores, "labels": found[rows].clone()}

    size, images = int(kind), range(len(gt.image_ids))
    some = [images[start : start + size] for start in images[::size]]
    return [([truth(i) for i in batch], [guess(i) for i in batch]) for batch in some]


def cvbench(data: Batches, threads: int) -> Stages:
    from cvbench.metrics.detection_ap import DetectionAP

    def update() -> DetectionAP:
        metric = DetectionAP(box_format="xywh", threads=threads)
        for gt, pred in data:
            metric.update(gt, pred)
        return metric

    return Stages(lambda metric: list(metric.compute().values.values()), update)


def torchmetrics(backend: Any, data: Batches, threads: int) -> Stages:
    """`backend` is the package that torchmetrics hands the boxes to when figures are asked for.

    Its own thresholds are rounded to single precision, with which AP differs in the fourth digit.
    """
    from torchmetrics.detection import MeanAveragePrecision

    torch.set_num_threads(threads)

    def update() -> MeanAveragePrecision:
        metric = MeanAveragePrecision(box_format="xywh", backend=backend, **THRESHOLDS)
        metric.warn_on_many_detections = False
        for gt, pred in data:
            metric.update(pred, gt)
        return metric

    def figures(found: dict[str, torch.Tensor]) -> Figures:
        return [math.nan if found[name] == -1 else float(found[name]) for name in FIGURES]

    return Stages(lambda metric: metric.compute(), update, figures)


def with_faster_coco_eval(data: Batches, threads: int) -> Stages:
    return torchmetrics("faster_coco_eval", data, threads)


def with_pycocotools(data: Batches, threads: int) -> Stages:
    return torchmetrics("pycocotools", data, threads)
