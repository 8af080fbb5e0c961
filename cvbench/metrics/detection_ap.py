"""Detection AP for training loops: one dict of arrays per image, in the form of torchvision's detection models.

Ground truth: ``boxes`` (N, 4), ``labels`` (N,); ``masks`` (N, H, W) or a list of RLE dicts; ``keypoints`` (N, J, 3);
and, where there are any, ``area`` (N,), ``iscrowd`` (N,), ``ignore`` (N,), ``num_keypoints`` (N,), ``image_id``.
Predictions: the same with ``scores`` (N,). Only what the metric's ``iou_type`` compares is read. Arrays may be NumPy
arrays, torch tensors on any device, or lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Detections, Float, GroundTruth, Int, Masks, offsets_of, sums_by_image, take_rows
from cvbench.errors import InputError
from cvbench.metrics.base import Image, Metric, to_numpy
from cvbench.metrics.detection import DetectionParams, DetectionState, IouType, count, result_of, with_dropped
from cvbench.metrics.image_dicts import ImageDict, Layout, Side, fetched, some
from cvbench.metrics.masks import masks_from_counts, masks_from_strings, rle_area, rle_encode
from cvbench.result import Result

BoxFormat = Literal["xyxy", "xywh", "cxcywh"]
FETCHED = ("labels", "boxes", "scores", "area", "iscrowd", "ignore", "keypoints", "num_keypoints", "part_scores")
"""The arrays of an image that are small enough to leave a device together."""

OWN_AREA = {"bbox": "box", "segm": "mask", "boundary": "mask", "keypoints": "keypoints"}
"""Where the area of a detection comes from by default: from what is compared."""


class DetectionAP(Metric[DetectionState]):
    """Average precision of boxes, masks, mask boundaries or keypoints.

    Parameters
    ----------
    iou_type : {"bbox", "segm", "boundary", "keypoints"}
        What is compared.
    box_format : {"xyxy", "xywh", "cxcywh"}
        How boxes are given, in pixels. Files hold xywh; a round trip through other forms can change an IoU's last bit.
    categories
        Category ids and their names. Predictions with other labels are dropped and counted, as from files, and ground
        truths with other labels are refused. None: all labels that occur.
    detection_area : {"auto", "box", "mask", "keypoints"}
        Where the area of a detection comes from, which decides in which area ranges a false one counts. ``auto`` takes
        what is compared, as detectron2 and torchvision's references do.
    threads
        Threads to use; None for all processors.
    **rules
        Changes to the official rules: any other field of `cvbench.metrics.detection.DetectionParams`.

    Examples
    --------
    >>> metric = DetectionAP()
    >>> gt = {"boxes": [[10, 10, 50, 50]], "labels": [1]}
    >>> pred = {"boxes": [[10, 10, 50, 50]], "labels": [1], "scores": [0.9]}
    >>> round(metric.update(gt, pred).compute().values["AP"], 3)
    1.0

    See Also
    --------
    cvbench.metrics.detection : conventions, what is undefined, references.
    """

    def __init__(
        self,
        iou_type: IouType = "bbox",
        *,
        box_format: BoxFormat = "xyxy",
        categories: Mapping[int, str] | None = None,
        detection_area: Literal["auto", "box", "mask", "keypoints"] = "auto",
        threads: int | None = None,
        **rules: Any,
    ) -> None:
        self.params = DetectionParams.of(iou_type, **rules)
        self.box_format = box_format
        self.categories = (
            None if categories is None else {int(number): str(categories[number]) for number in categories}
        )
        self.threads = threads
        own = OWN_AREA[iou_type]
        self.detection_area = own if detection_area == "auto" else detection_area
        if self.detection_area not in ("box", own):
            raise InputError(
                f"detection_area {detection_area!r} does not go with {iou_type}; expected auto, box or {own}"
            )
        if box_format not in TO_XYWH:
            raise InputError(f"box_format {box_format!r} is unknown; expected one of {', '.join(TO_XYWH)}")
        self._layouts = {side: Layout(self._layout(side)) for side in ("gt", "pred")}
        super().__init__()

    def update(self, gt: ImageDict | Sequence[ImageDict], pred: ImageDict | Sequence[ImageDict]) -> DetectionAP:
        """Add an image, or a batch of images.

        Raises
        ------
        InputError
            If something is missing, not finite, of negative size or of another shape than expected; the message names
            it. Nothing of the batch is then added.
        """
        gts, preds = ([value] if isinstance(value, Mapping) else list(value) for value in (gt, pred))
        if len(gts) != len(preds):
            raise InputError(f"there are {len(gts)} images in gt and {len(preds)} in pred; expected as many")
        for truth, guess in zip(gts, preds, strict=True):
            if "scores" in truth and "scores" not in guess:
                raise InputError("gt has scores and pred has none: are they swapped? expected update(gt, pred)")
        images, single = fetched([*gts, *preds], FETCHED), isinstance(gt, Mapping)
        truths, guesses = Side(images[: len(gts)], "gt", single), Side(images[len(gts) :], "pred", single)
        expected, found = self._ground_truth(truths), self._detections(guesses)
        if "masks" in expected:
            _refuse_sizes(truths, expected["masks"], guesses, found["masks"])
        sides = zip(self._packed(truths, expected), self._packed(guesses, found), strict=True)
        self._add(truths.ids(), [truth | guess for truth, guess in sides])
        return self

    def compute(self, weights: NDArray[Any] | Mapping[Any, int] | None = None) -> Result:
        """Score all images so far; more may follow.

        Parameters
        ----------
        weights
            How many times each image counts: integers along ``metric.state.image_ids``, or a mapping from image id;
            None: once.
        """
        conventions = [] if self.params.iou_type == "bbox" else [("detection_area", self.detection_area)]
        dropped, n = (self.state.counts[name] for name in ("dropped_unknown_category", "detections"))
        note = f"{dropped:,} of {n:,} detections have a label that is not among the categories and are dropped"
        notes = [note] if dropped else []
        return self._result_of(self.state, self.categories, self.threads, conventions, weights=weights, notes=notes)

    def _result_of(self, state: Any, *arguments: Any, **options: Any) -> Result:
        """`cvbench.metrics.detection.result_of`, or that of the benchmark."""
        return result_of(state, *arguments, **options)

    def _matched(self, gt: GroundTruth, dt: Detections) -> DetectionState:
        """`cvbench.metrics.detection.count`, or that of the benchmark."""
        return count(gt, dt, self.params, self.threads)

    def _layout(self, side: str) -> dict[str, tuple[type, tuple[int, ...]]]:
        """What is kept of each ground truth (``gt``) or detection (``pred``) until it is counted."""
        columns: dict[str, tuple[type, tuple[int, ...]]] = {"labels": (np.int64, ())}
        if self.params.iou_type == "bbox":
            columns["boxes"] = np.float64, (4,)
        elif self.params.iou_type == "keypoints":
            columns["keypoints"] = np.float64, (len(self.params.sigmas), 3)
        else:
            columns |= {"runs": (np.int64, ()), "sizes": (np.int64, (2,))}
        if side == "pred":
            columns["scores"] = np.float64, ()
        else:
            columns |= {"iscrowd": (np.int64, ()), "ignore": (np.int64, ())}
        if side == "gt" or self.params.iou_type != "bbox":
            columns["area"] = np.float64, ()
        if side == "gt" and self.params.iou_type == "keypoints":
            columns |= {"boxes": (np.float64, (4,)), "num_keypoints": (np.int64, ())}
        return columns

    def _ground_truth(self, side: Side) -> dict[str, Any]:
        """The columns of ground truths by the names of `_layout`, and of images: a list with an array for each."""
        self._refuse_labels(side)
        objects = {"labels": side.labels, **self._shapes(side)}
        if self.params.iou_type == "keypoints":
            objects["boxes"] = self._boxes(side)
            points = objects["keypoints"]
            objects["num_keypoints"] = side.column(
                "num_keypoints", np.int64, default=lambda: (points[:, :, 2] > 0).sum(axis=1)
            )
        if self.params.scale_area == "box053":
            objects["area"] = np.full(len(side), np.nan)  # never looked at
        elif self.params.iou_type == "keypoints":
            for i, image in enumerate(side.images):
                if "area" not in image:
                    raise InputError(
                        "has no area, by which OKS scales distances; give areas in square pixels, or "
                        'scale_area="box053"',
                        where=side.where(i),
                    )
            objects["area"] = side.column("area", np.float64)
        else:
            objects["area"] = side.column("area", np.float64, default=lambda: own_area(objects))
        for name in ("iscrowd", "ignore"):
            objects[name] = side.column(name, np.int64, default=lambda: np.zeros(len(side), np.int64))
        return objects

    def _detections(self, side: Side) -> dict[str, Any]:
        objects = {"labels": side.labels, "scores": side.column("scores", np.float64), **self._shapes(side)}
        if self.params.iou_type != "bbox":
            objects["area"] = own_area({"boxes": self._boxes(side)} if self.detection_area == "box" else objects)
        return objects

    def _shapes(self, side: Side) -> dict[str, Any]:
        """What is compared: boxes, keypoints or `Masks`."""
        if self.params.iou_type == "bbox":
            return {"boxes": self._boxes(side)}
        if self.params.iou_type == "keypoints":
            return {"keypoints": side.column("keypoints", np.float64, (len(self.params.sigmas), 3))}
        return {"masks": _masks(side)}

    def _boxes(self, side: Side) -> Float:
        boxes = TO_XYWH[self.box_format](side.column("boxes", np.float64, (4,)))
        if len(boxes) and boxes[:, 2:].min() < 0:
            worst = int(boxes[:, 2:].min(axis=1).argmin())
            image, row = side.at(worst)
            raise InputError(
                f"width {boxes[worst, 2]}, height {boxes[worst, 3]} < 0; expected boxes as {self.box_format} in pixels",
                where=f"{side.where(image, 'boxes')}[{row}]",
            )
        return boxes

    def _refuse_labels(self, side: Side) -> None:
        """Refuse ground truths of other categories than the given ones."""
        if self.categories is None:
            return
        known = np.isin(side.labels, list(self.categories))
        if not known.all():
            strange = int(known.argmin())
            raise InputError(
                f"label {side.labels[strange]} is not among the categories {some(self.categories)}",
                where=side.where(side.at(strange)[0], "labels"),
            )

    def _packed(self, side: Side, columns: Mapping[str, Any]) -> list[dict[str, NDArray[Any]]]:
        """What waits of each image until it is counted."""
        layout, lists = self._layouts[side.name], {}
        if "masks" in columns:
            masks: Masks = columns["masks"]
            columns = {**columns, "runs": np.diff(masks.offsets), "sizes": masks.sizes}
            ends = masks.offsets[side.offsets].tolist()
            lists[f"{side.name}_counts"] = [masks.counts[start:stop] for start, stop in pairwise(ends)]
        if "crowd_index" in columns:
            lists["crowd_index"] = columns["crowd_index"]
        words = layout.pack(columns, len(side))
        return [
            {side.name: words[start:stop], **{name: arrays[i] for name, arrays in lists.items()}}
            for i, (start, stop) in enumerate(pairwise(side.offsets))
        ]

    def _count(self, images: list[Image]) -> DetectionState:
        images = sorted(images, key=lambda image: image.id)
        truth, found = (self._unpacked(images, side) for side in ("gt", "pred"))
        ids = (
            np.unique(np.concatenate([truth["labels"], found["labels"]]))
            if self.categories is None
            else np.array(sorted(self.categories), np.int64)
        )
        gt = GroundTruth(
            image_ids=np.array([image.id for image in images]) if images else np.zeros(0, np.int64),
            category_ids=ids,
            category_names=(),
            offsets=_offsets(images, "gt"),
            category=np.searchsorted(ids, truth["labels"]),
            area=truth["area"],
            crowd=truth["iscrowd"] != 0,
            ignore=truth["ignore"] != 0,
            id_zero=np.zeros(len(truth["labels"]), np.bool_),
            boxes=truth.get("boxes"),
            masks=truth.get("masks"),
            keypoints=truth.get("keypoints"),
            num_keypoints=truth.get("num_keypoints"),
        )
        dt = Detections(
            offsets=_offsets(images, "pred"),
            category=np.searchsorted(ids, found["labels"]),
            score=found["scores"],
            area=found["area"] if "area" in found else own_area(found),
            boxes=found.get("boxes"),
            masks=found.get("masks"),
            keypoints=found.get("keypoints"),
            part_scores=found.get("part_scores"),
        )
        known = np.isin(found["labels"], ids)
        unknown = sums_by_image(~known, dt.offsets)
        if not known.all():
            dt = take_rows(dt, np.flatnonzero(known), offsets_of(np.diff(dt.offsets) - unknown))
        state = self._matched(gt, dt)
        tallies = with_dropped(state.tallies, unknown)
        return replace(state, tallies=tallies, digests=np.array([image.digest for image in images], np.int64))

    def _unpacked(self, images: list[Image], side: str) -> dict[str, Any]:
        """The columns of images that waited."""
        columns: dict[str, Any] = self._layouts[side].unpack([image.arrays[side] for image in images])
        if "runs" in columns:
            counts = [np.zeros(0, np.uint32), *(image.arrays[f"{side}_counts"] for image in images)]
            columns["masks"] = Masks(np.concatenate(counts), offsets_of(columns["runs"]), columns["sizes"])
        return columns


def detection_ap(
    gt: Iterable[ImageDict],
    pred: Iterable[ImageDict],
    iou_type: IouType = "bbox",
    **options: Any,
) -> Result:
    """Detection AP of images given as dicts of arrays.

    Parameters
    ----------
    gt, pred
        One dict per image, in the same order; see `cvbench.metrics.detection_ap`.
    iou_type : {"bbox", "segm", "boundary", "keypoints"}
    **options
        As `DetectionAP` takes them.

    Returns
    -------
    Result
        What `DetectionAP` computes after seeing these images.

    Examples
    --------
    >>> boxes = {"boxes": [[10, 10, 50, 50]], "labels": [1]}
    >>> round(detection_ap([boxes], [boxes | {"scores": [0.9]}]).values["AP50"], 3)
    1.0
    """
    return DetectionAP(iou_type, **options).update(list(gt), list(pred)).compute()


def _from_corners(boxes: NDArray[Any]) -> Float:
    boxes = boxes.astype(np.float64)
    x, y, width, height = boxes.T  # column by column: NumPy takes 100 boxes in an eighth of the time
    np.subtract(width, x, out=width)
    np.subtract(height, y, out=height)
    return boxes


def _from_centres(boxes: NDArray[Any]) -> Float:
    boxes = boxes.astype(np.float64)
    boxes[:, :2] -= boxes[:, 2:] / 2
    return boxes


TO_XYWH: dict[str, Callable[[NDArray[Any]], Float]] = {
    "xyxy": _from_corners,
    "xywh": lambda boxes: boxes.astype(np.float64),
    "cxcywh": _from_centres,
}


def _masks(side: Side) -> Masks:
    """The masks of all images."""
    rows = zip(side.images, pairwise(side.offsets), strict=True)
    parts = [_masks_of(image, side.where(i), stop - start) for i, (image, (start, stop)) in enumerate(rows)]
    return Masks(
        np.concatenate([np.zeros(0, np.uint32), *(part.counts for part in parts)]),
        offsets_of(np.concatenate([np.zeros(0, np.int64), *(np.diff(part.offsets) for part in parts)])),
        np.concatenate([np.zeros((0, 2), np.int64), *(part.sizes for part in parts)]),
    )


def _masks_of(image: ImageDict, where: str, n: int) -> Masks:
    """Masks given as an array (N, H, W) or as COCO's RLE dicts."""
    value = image.get("masks")
    if value is None:
        raise InputError(f"has no 'masks'; it has {some(image)}", where=where)
    if isinstance(value, Sequence) and value and isinstance(value[0], Mapping):
        masks = _from_rle_dicts(value, f"{where}.masks")
    else:
        array = to_numpy(value)
        if array.ndim == 4 and array.shape[1] == 1 and array.dtype.kind == "f":
            raise InputError(
                f"has shape {array.shape} with soft values; threshold and squeeze them: (masks > 0.5)[:, 0]",
                where=f"{where}.masks",
            )
        if array.size == 0 and len(array) == 0:
            array = array.reshape(0, *(array.shape[1:] if array.ndim == 3 else (1, 1))).astype(np.bool_)
        try:
            masks = rle_encode(array)
        except InputError as error:
            raise InputError(error.message, where=f"{where}.masks") from error
    if len(masks) != n:
        raise InputError(f"holds {len(masks)} masks; expected one for each of {n} labels", where=f"{where}.masks")
    return masks


def _refuse_sizes(truths: Side, expected: Masks, guesses: Side, found: Masks) -> None:
    """Refuse masks of one image that differ in size: they cannot be laid over one another."""
    both = zip(pairwise(truths.offsets), pairwise(guesses.offsets), strict=True)
    for i, ((start, stop), (first, last)) in enumerate(both):
        sizes = np.unique(np.concatenate([expected.sizes[start:stop], found.sizes[first:last]]), axis=0).tolist()
        if len(sizes) > 1:
            raise InputError(
                f"masks of one image have sizes {sizes[0]} and {sizes[1]} (height, width)",
                where=guesses.where(i, "masks"),
            )


def _from_rle_dicts(rles: Sequence[Mapping[str, Any]], where: str) -> Masks:
    for i, rle in enumerate(rles):
        if not {"size", "counts"} <= set(rle):
            raise InputError("is not an RLE; expected a dict with 'size' and 'counts'", where=f"{where}[{i}]")
    sizes = [rle["size"] for rle in rles]
    try:
        if all(isinstance(rle["counts"], (str, bytes)) for rle in rles):
            return masks_from_strings([rle["counts"] for rle in rles], sizes)
        return masks_from_counts([rle["counts"] for rle in rles], sizes)
    except InputError as error:
        raise InputError(error.message, where=where) from error


def own_area(objects: Mapping[str, Any]) -> Float:
    """Areas by box, pixels of the mask, or the extent of the keypoints, whichever there is."""
    if "boxes" in objects:
        area: Float = objects["boxes"][:, 2] * objects["boxes"][:, 3]
        return area
    if "masks" in objects:
        return rle_area(objects["masks"])
    points = objects["keypoints"][:, :, :2]
    if len(points) == 0:
        return np.zeros(0)
    extent = points.max(axis=1) - points.min(axis=1)
    spanned: Float = extent[:, 0] * extent[:, 1]
    return spanned


def _offsets(images: list[Image], side: str) -> Int:
    return offsets_of(np.array([len(image.arrays[side]) for image in images], np.int64))
