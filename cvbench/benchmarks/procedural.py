"""The benchmarks on `cvbench.scenes`, one for each field.

Crowds are not among the targets: they are no single object. Metrics get them, and count what is predicted there
neither right nor wrong.

Pose is judged as on benchmarks of single people: the model is shown a square crop around each annotated person, which
is resized to 64 × 64 pixels, and a joint is right that is near enough, measured by the longer side of the person's box.
Joints that something covers count, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvbench.benchmarks.benchmark import Benchmark, Picture, Pictures, Prediction, Target
from cvbench.columns import Float
from cvbench.errors import InputError
from cvbench.metrics.base import to_numpy
from cvbench.metrics.detection_ap import TO_XYWH, DetectionAP
from cvbench.metrics.keypoints import PCK
from cvbench.metrics.masks import rle_to_strings
from cvbench.metrics.mean_iou import MeanIoU
from cvbench.metrics.panoptic_quality import PanopticQuality
from cvbench.result import Result
from cvbench.scenes import CATEGORIES, IDS, JOINTS, SIZE, STUFF, THINGS, VOID_LABEL, Sample, dataset
from cvbench.scenes.truth import records_of

CROP = 64
"""Height and width in pixels of what a pose model is shown."""

MARGIN = 5, 4
"""A crop is so many times as large as the longer side of the box: a fourth more."""

THRESHOLDS = (0.1, 0.2, 0.05)
"""Of PCK, in longer sides of the box. The first stands for a score: the mean place of each joint is right within 0.2 in
every second case, within 0.1 in every fifth."""

THING_NAMES = {IDS[name]: name for name in THINGS}


def _pictures(picture: Callable[[int, Sample], Picture], split: str, limit: int | None) -> Sequence[Picture]:
    """The pictures of a split of the scenes."""
    samples = dataset(split, limit)
    return Pictures(lambda index: picture(index, samples[index]), len(samples))


# Detection and instances ---------------------------------------------------------------------------------------------


def _things(sample: Sample) -> tuple[Target, NDArray[np.bool_]]:
    """Boxes as corners with their classes, crowds left out; and which things these are."""
    single = ~sample.crowd
    x, y, width, height = sample.boxes[single].T
    boxes = np.stack([x, y, x + width, y + height], axis=1).astype(np.float32)
    return {"boxes": boxes, "labels": sample.categories[single] - 1}, single


def _with_masks(sample: Sample) -> Target:
    target, single = _things(sample)
    rows = np.flatnonzero(single) + 1
    return target | {"masks": sample.instances == rows[:, None, None]}


def _truth(index: int, sample: Sample) -> dict[str, Any]:
    return {
        "image_id": index,
        "boxes": sample.boxes,
        "labels": sample.categories,
        "area": sample.area,
        "iscrowd": sample.crowd,
    }


def _detection(index: int, sample: Sample) -> Picture:
    return Picture(index, (sample.image,), (_things(sample)[0],), _truth(index, sample))


def _instance(index: int, sample: Sample) -> Picture:
    masks = [{"size": [SIZE, SIZE], "counts": counts} for counts in rle_to_strings(sample.masks)]
    return Picture(index, (sample.image,), (_with_masks(sample),), _truth(index, sample) | {"masks": masks})


def add_detections(metric: Any, picture: Picture, predictions: Sequence[Prediction]) -> None:
    """Give a metric of detections, which takes boxes as xywh, those of the one image of a picture."""
    (prediction,) = predictions
    boxes = to_numpy(prediction["boxes"]).astype(np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        if boxes.size:
            raise InputError(f"have shape {boxes.shape}; expected (N, 4): x1, y1, x2, y2 in pixels", where="boxes")
        boxes = boxes.reshape(0, 4)
    metric.update(picture.truth, {**prediction, "boxes": TO_XYWH["xyxy"](boxes)})


def average_precision(categories: Mapping[int, str], threads: int | None) -> DetectionAP:
    """COCO's AP of boxes."""
    return DetectionAP("bbox", box_format="xywh", categories=categories, threads=threads)


class MaskAndBoxAP:
    """COCO's AP of masks, with the figures of boxes beside them as ``box_AP`` and so on.

    Parameters
    ----------
    categories
    threads
        None for all processors.
    """

    def __init__(self, categories: Mapping[int, str], threads: int | None = None) -> None:
        self.masks = DetectionAP("segm", box_format="xywh", categories=categories, threads=threads)
        self.boxes = average_precision(categories, threads)

    @property
    def state(self) -> Any:
        """The counts of masks; those of boxes are of the same images in the same order."""
        return self.masks.state

    def update(self, gt: Mapping[str, Any], pred: Mapping[str, Any]) -> MaskAndBoxAP:
        """Add an image as `DetectionAP` takes it."""
        self.masks.update(gt, pred)
        self.boxes.update(gt, pred)
        return self

    def compute(self, weights: NDArray[Any] | Mapping[Any, int] | None = None) -> Result:
        """The figures of masks, then those of boxes; `weights` as of `DetectionAP.compute`."""
        masks, boxes = self.masks.compute(weights), self.boxes.compute(weights)
        values = masks.values | {f"box_{name}": value for name, value in boxes.values.items()}
        tables = masks.tables | {f"box_{name}": rows for name, rows in boxes.tables.items()}
        return replace(masks, values=values, tables=tables)


# Maps ----------------------------------------------------------------------------------------------------------------


def _semantic(index: int, sample: Sample) -> Picture:
    return Picture(index, (sample.image,), ({"labels": sample.labels.astype(np.int64)},), sample.labels)


def _panoptic(index: int, sample: Sample) -> Picture:
    (record,) = records_of("panoptic", index, sample)
    kept = ("id", "category_id", "iscrowd")
    segments = [{key: segment[key] for key in kept} for segment in record["segments_info"]]
    target = {"semantic": sample.labels.astype(np.int64), **_with_masks(sample)}
    return Picture(index, (sample.image,), (target,), {"map": sample.segments, "segments": segments})


def _add_labels(metric: MeanIoU, picture: Picture, predictions: Sequence[Prediction]) -> None:
    metric.update(picture.truth, predictions[0]["labels"], image_id=picture.id)


def _add_segments(metric: PanopticQuality, picture: Picture, predictions: Sequence[Prediction]) -> None:
    metric.update(picture.truth, predictions[0], image_id=picture.id)


# Pose ----------------------------------------------------------------------------------------------------------------


def _pose(index: int, sample: Sample) -> Picture:
    """A crop for each person of whom a joint is within the image."""
    people = np.flatnonzero((sample.keypoints[:, :, 2] > 0).any(axis=1)).tolist()
    crops, targets, boxes = [], [], []
    for person in people:
        left, top, side = _square(sample.boxes[person])
        scale = CROP / side
        points = (sample.keypoints[person, :, :2] - (left, top)) * scale
        targets.append({"keypoints": points.astype(np.float32), "visible": sample.keypoints[person, :, 2] > 0})
        crops.append(_crop(sample.image, left, top, side))
        boxes.append((sample.boxes[person] - (left, top, 0, 0)) * scale)
    joints = len(JOINTS)
    truth = {
        "keypoints": np.array([target["keypoints"] for target in targets], np.float64).reshape(-1, joints, 2),
        "visible": np.array([target["visible"] for target in targets], np.bool_).reshape(-1, joints),
        "boxes": np.array(boxes, np.float64).reshape(-1, 4),
    }
    return Picture(index, tuple(crops), tuple(targets), truth)


def _square(box: Float) -> tuple[int, int, int]:
    """Left, top and side of the square around a box with its margin, in whole pixels."""
    x, y, width, height = box.astype(int).tolist()
    side = max(width, height) * MARGIN[0] // MARGIN[1]
    return x + (width - side) // 2, y + (height - side) // 2, side


def _crop(image: NDArray[np.uint8], left: int, top: int, side: int) -> NDArray[np.uint8]:
    """The square, resized by linear interpolation; black beyond the image. Pillow does it in integers."""
    square = Image.fromarray(image).crop((left, top, left + side, top + side))
    return np.asarray(square.resize((CROP, CROP), Image.Resampling.BILINEAR))


def _add_keypoints(metric: PCK, picture: Picture, predictions: Sequence[Prediction]) -> None:
    expected, found = (len(JOINTS), 2), [to_numpy(prediction["keypoints"]) for prediction in predictions]
    for points in found:
        if points.shape != expected:
            raise InputError(f"have shape {points.shape}; expected {expected}: x, y in pixels", where="keypoints")
    metric.update(picture.truth, np.array(found, np.float64).reshape(-1, *expected), picture.id)


# The table -----------------------------------------------------------------------------------------------------------

OBJECTS = {
    "boxes": "(N, 4) x1, y1, x2, y2 in pixels",
    "scores": "(N,) numbers",
    "labels": "(N,) category ids",
}
MASKS = OBJECTS | {"masks": "(N, H, W) bool"}


def _panoptic_quality(threads: int | None) -> PanopticQuality:
    return PanopticQuality(CATEGORIES, things=THING_NAMES, threads=threads)


def _mean_iou(threads: int | None) -> MeanIoU:
    return MeanIoU(tuple(CATEGORIES.values()), ignore_index=VOID_LABEL, threads=threads)


def _pck(threads: int | None) -> PCK:
    return PCK(names=JOINTS, thresholds=THRESHOLDS, box_format="xywh", threads=threads)


_ALL = (
    Benchmark(
        name="scenes.detection",
        field="detection",
        summary="boxes of 8 kinds of things",
        figure="AP",
        classes=THINGS,
        expects=OBJECTS,
        pictures=partial(_pictures, _detection),
        metric=partial(average_precision, THING_NAMES),
        add=add_detections,
        size=(SIZE, SIZE),
    ),
    Benchmark(
        name="scenes.instance",
        field="instance",
        summary="masks and boxes of 8 kinds of things",
        figure="AP",
        classes=THINGS,
        expects=MASKS,
        pictures=partial(_pictures, _instance),
        metric=partial(MaskAndBoxAP, THING_NAMES),
        add=add_detections,
        size=(SIZE, SIZE),
    ),
    Benchmark(
        name="scenes.semantic",
        field="semantic",
        summary="the class of every pixel, 8 of things and 6 of stuff",
        figure="mIoU",
        classes=(*THINGS, *STUFF),
        expects={"labels": "(H, W) class indices from 0"},
        pictures=partial(_pictures, _semantic),
        metric=_mean_iou,
        add=_add_labels,
        size=(SIZE, SIZE),
    ),
    Benchmark(
        name="scenes.panoptic",
        field="panoptic",
        summary="the segment of every pixel: things one by one, and stuff",
        figure="PQ",
        classes=(*THINGS, *STUFF),
        expects={"map": "(H, W) ids of segments, 0 for void", "segments": "a list of dicts with id and category_id"},
        pictures=partial(_pictures, _panoptic),
        metric=_panoptic_quality,
        add=_add_segments,
        size=(SIZE, SIZE),
    ),
    Benchmark(
        name="scenes.pose",
        field="pose",
        summary=f"14 joints of one person in a crop of {CROP} × {CROP} pixels",
        figure=f"PCK@{THRESHOLDS[0]}",
        classes=JOINTS,
        expects={"keypoints": f"({len(JOINTS)}, 2) x, y in pixels of the crop"},
        pictures=partial(_pictures, _pose),
        metric=_pck,
        add=_add_keypoints,
        size=(CROP, CROP),
    ),
)

BENCHMARKS = {benchmark.name: benchmark for benchmark in _ALL}
"""All benchmarks by name."""
