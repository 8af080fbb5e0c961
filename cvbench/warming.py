"""Compile kernels ahead of time: into an image of a container, or before tests run side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import get_args

import numpy as np

from cvbench.errors import InputError, did_you_mean
from cvbench.io import IouType, read_detections, read_ground_truth
from cvbench.kernels import KERNELS
from cvbench.kernels.caching import can_keep, folder_of_kernels
from cvbench.metrics.boundary import boundary_f, region_bands
from cvbench.metrics.detection import DetectionParams, Progress, match
from cvbench.metrics.detection_ap import DetectionAP
from cvbench.metrics.heatmaps import Decoding, Encoding, decode_heatmaps, encode_heatmaps
from cvbench.metrics.masks import (
    boundary_iou,
    mask_boundary,
    mask_iou,
    masks_from_boxes,
    masks_from_polygons,
    masks_from_strings,
    rle_area,
    rle_boxes,
    rle_decode,
    rle_encode,
    rle_merge,
    rle_to_strings,
)
from cvbench.metrics.mean_iou import CityscapesIoU, mean_iou
from cvbench.metrics.panoptic_quality import PanopticQuality
from cvbench.metrics.pose3d import procrustes_align
from cvbench.metrics.precision_recall import greedy_match
from cvbench.metrics.similarity import box_iou, oks
from cvbench.samples import samples
from cvbench.scenes import generate
from cvbench.scoring import score
from cvbench.tasks import TASKS


@dataclass(frozen=True, slots=True)
class Warmup:
    """What warming up did.

    Attributes
    ----------
    folder
        Where kernels are kept.
    loaded, compiled
        How many kernels were there already, and how many were made. A kernel counts once for each kind of input.
    seconds
    kept
        Whether what was compiled could be kept.
    """

    folder: str
    loaded: int
    compiled: int
    seconds: float
    kept: bool


def warmup(names: Sequence[str] = (), *, progress: Progress | None = None) -> Warmup:
    """Compile the kernels of tasks and keep them for all processes to come.

    Afterwards, no process that finds the folder compiles anything for these tasks. Where kernels are there already it
    takes a second or two.

    Parameters
    ----------
    names
        Tasks, or the groups of `OTHERS`; everything if there are none.
    progress
        Called with the name of what comes next, how many are done and how many there are.

    Returns
    -------
    Warmup

    Raises
    ------
    InputError
        If there is no such task.

    Warns
    -----
    CacheWarning
        If kernels cannot be kept.

    Examples
    --------
    >>> warmup(["pose.epe"]).kept
    True
    """
    works = _works()
    for name in names:
        if name not in works:
            raise InputError(f"there is no task {name!r}{did_you_mean(name, works)}")
    chosen = dict.fromkeys(names or works)
    start, before = perf_counter(), _counted()
    for n, name in enumerate(chosen):
        if progress is not None:
            progress(name, n, len(chosen))
        works[name]()
    if progress is not None:
        progress("done", len(chosen), len(chosen))
    loaded, compiled = (after - earlier for after, earlier in zip(_counted(), before, strict=True))
    return Warmup(str(folder_of_kernels()), loaded, compiled, perf_counter() - start, can_keep())


def _works() -> dict[str, Callable[[], None]]:
    """By name, what sets kernels to work."""
    return {name: partial(_score_samples, name) for name in TASKS} | OTHERS


def _counted() -> tuple[int, int]:
    """How many kernels this process has loaded and compiled so far."""
    return sum(kernel.loaded for kernel in KERNELS), sum(kernel.compiled for kernel in KERNELS)


def _score_samples(task: str) -> None:
    with _folder() as folder:
        for gt, pred, rules in samples(task, folder):
            score(task, gt, pred, threads=1, **rules)


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="cvbench-") as name:
        yield Path(name)


def _functions() -> None:
    """Call what is compiled for the Python interface alone, on the types that training loops have."""
    boxes = [[1.0, 1.0, 20.0, 20.0], [5.0, 5.0, 30.0, 30.0]]
    box_iou(boxes, boxes)
    box_iou(boxes, boxes, kind="giou")
    oks([[[0, 0]], [[3, 4]]], [[[0, 0, 2]]], area=[100], boxes=boxes[:1], sigmas=[0.25])
    greedy_match([[0.9, 0.6], [0.8, 0.0]], [0.5, 0.7])
    _masks()
    _matches()
    _heatmaps()
    procrustes_align(np.ones((1, 4, 3)), np.eye(4, 3)[None])
    for dtype in (np.uint8, np.int32, np.int64):
        labels = np.tile(np.arange(16, dtype=dtype) // 8, (16, 1))
        mean_iou([labels], [labels], 2)
        mean_iou([labels], [labels], 2, boundary=True)
        boundary_f(labels, labels)
        region_bands(labels, 0.02)
    segments = [{"id": 7, "category_id": 1}]
    ids = np.full((16, 16), 7)
    PanopticQuality({1: "one"}, things=[1]).update(
        {"map": ids, "segments": segments}, {"map": ids, "segments": segments}
    )
    CityscapesIoU().update(ids, ids).compute()


def _masks() -> None:
    masks = masks_from_polygons([[[2, 2, 2, 20, 20, 20]], [[4, 4, 4, 30, 30, 30]]], (40, 40))
    bitmaps = rle_decode(masks)
    masks_from_strings(rle_to_strings(rle_encode(bitmaps)), (40, 40))
    masks_from_boxes([[1, 1, 20, 20]], (40, 40))
    for work in (rle_area, rle_boxes, rle_merge, mask_boundary):
        work(masks)
    rle_merge(masks, intersect=True)
    mask_iou(masks, masks)
    boundary_iou(masks, masks)
    boxes = np.array([[2.0, 2, 20, 20], [4, 4, 30, 30]])
    points = np.full((2, 17, 3), 2.0)
    gt = {"boxes": boxes, "labels": [1, 1], "masks": bitmaps, "keypoints": points}
    for iou_type in get_args(IouType):
        pred = gt | {"scores": [0.9, 0.8]}
        first, second = (DetectionAP(iou_type, threads=1).update(gt | {"area": [100.0] * 2}, pred) for _ in range(2))
        first.merge(second).compute()  # scores of the one after those of the other are in no order


def _matches() -> None:
    """Ask which boxes were matched, as `cvbench.compat` does."""
    with _folder() as folder:
        gt_file, pred_file, _ = next(samples("coco.bbox", folder))
        gt = read_ground_truth(gt_file, "bbox").columns
        match(gt, read_detections(pred_file, gt, "bbox").columns, DetectionParams(), threads=1, partners=True)


def _heatmaps() -> None:
    for drawn in get_args(Encoding):
        maps, _ = encode_heatmaps([[[30.6, 40.0]]], input_size=(64, 96), heatmap_size=(16, 24), method=drawn, threads=1)
        for method in get_args(Decoding):
            for dtype in (np.float32, np.float64):
                decode_heatmaps(maps.astype(dtype), method=method, threads=1)


def _scenes() -> None:
    """Draw scenes."""
    for index in range(3):
        generate("val", index)


OTHERS: dict[str, Callable[[], None]] = {"functions": _functions, "scenes": _scenes}
"""What has kernels beside tasks: functions of the Python interface, and the scenes that `cvbench scenes` draws."""
