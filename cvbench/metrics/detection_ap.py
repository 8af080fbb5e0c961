"""Detection AP for training loops: one dict of arrays per image, in the form of torchvision's detection models.

Ground truth: ``boxes`` (N, 4), ``labels`` (N,); ``masks`` (N, H, W) or a list of RLE dicts; ``keypoints`` (N, J, 3);
and, where there are any, ``area`` (N,), ``iscrowd`` (N,), ``ignore`` (N,), ``num_keypoints`` (N,), ``image_id``.
Predictions: the same with ``scores`` (N,). Only what the metric's ``iou_type`` compares is read. Arrays may be NumPy
arrays, torch tensors on any device, or lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Detections, Float, GroundTruth, Int, Masks, offsets_of, sums_by_image, take_rows
from cvbench.errors import InputError
from cvbench.metrics.base import Image, Metric, to_numpy
from cvbench.metrics.detection import DetectionParams, DetectionState, IouType, count, result_of, with_dropped
from cvbench.metrics.masks import masks_from_counts, masks_from_strings, rle_area, rle_encode
from cvbench.result import Result

BoxFormat = Literal["xyxy", "xywh", "cxcywh"]
ImageDict = Mapping[str, Any]

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
        super().__init__()

    def update(self, gt: ImageDict | Sequence[ImageDict], pred: ImageDict | Sequence[ImageDict]) -> DetectionAP:
        """Add an image, or a batch of images.

        Raises
        ------
        InputError
            If something is missing, not finite, of negative size or of another shape than expected; the message names
            it.
        """
        gts, preds = ([value] if isinstance(value, Mapping) else list(value) for value in (gt, pred))
        if len(gts) != len(preds):
            raise InputError(f"there are {len(gts)} images in gt and {len(preds)} in pred; expected as many")
        images = []
        for i, (truth, found) in enumerate(zip(gts, preds, strict=True)):
            index = "" if isinstance(gt, Mapping) else f"[{i}]"
            if "scores" in truth and "scores" not in found:
                raise InputError("gt has scores and pred has none: are they swapped? expected update(gt, pred)")
            arrays = {f"gt_{name}": array for name, array in self._ground_truth(truth, f"gt{index}").items()}
            arrays |= self._detections(found, f"pred{index}")
            if "sizes" in arrays:
                _one_size(arrays["gt_sizes"], arrays["sizes"], f"pred{index}.masks")
            images.append((_image_id(truth, f"gt{index}"), arrays))
        for image_id, arrays in images:  # a batch is taken whole, or refused before any of it is
            self._add(image_id, arrays)
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

    def _ground_truth(self, image: ImageDict, where: str) -> dict[str, NDArray[Any]]:
        labels = checked_array(image, "labels", where, np.int64, (None,))
        n = len(labels)
        if self.categories is not None and not np.isin(labels, list(self.categories)).all():
            strange = labels[~np.isin(labels, list(self.categories))][0]
            raise InputError(
                f"label {strange} is not among the categories {_some(self.categories)}", where=f"{where}.labels"
            )
        objects = {"labels": labels, **self._shapes(image, where, n)}
        if self.params.iou_type == "keypoints":
            objects["boxes"] = self._boxes(image, where, n)
            labelled = (objects["keypoints"][:, :, 2] > 0).sum(axis=1)
            objects["num_keypoints"] = checked_array(image, "num_keypoints", where, np.int64, (n,), labelled)
        if self.params.scale_area == "box053":
            objects["area"] = np.full(n, np.nan)  # never looked at
        elif "area" in image:
            objects["area"] = checked_array(image, "area", where, np.float64, (n,))
        elif self.params.iou_type == "keypoints":
            raise InputError(
                'has no area, by which OKS scales distances; give areas in square pixels, or scale_area="box053"',
                where=where,
            )
        else:
            objects["area"] = own_area(objects)
        for name in ("iscrowd", "ignore"):
            objects[name] = checked_array(image, name, where, np.int64, (n,), np.zeros(n, np.int64)) != 0
        return objects

    def _detections(self, image: ImageDict, where: str) -> dict[str, NDArray[Any]]:
        labels = checked_array(image, "labels", where, np.int64, (None,))
        scores = checked_array(image, "scores", where, np.float64, (len(labels),))
        objects = {"labels": labels, "scores": scores, **self._shapes(image, where, len(labels))}
        if self.detection_area == "box":
            objects["area"] = own_area({"boxes": self._boxes(image, where, len(labels))})
        else:
            objects["area"] = own_area(objects)
        return objects

    def _shapes(self, image: ImageDict, where: str, n: int) -> dict[str, NDArray[Any]]:
        """What is compared: boxes, keypoints, or the three arrays of `Masks`."""
        if self.params.iou_type == "bbox":
            return {"boxes": self._boxes(image, where, n)}
        if self.params.iou_type == "keypoints":
            joints = len(self.params.sigmas)
            return {"keypoints": checked_array(image, "keypoints", where, np.float64, (n, joints, 3))}
        masks = _masks(image, where, n)
        return {"counts": masks.counts, "runs": np.diff(masks.offsets), "sizes": masks.sizes}

    def _boxes(self, image: ImageDict, where: str, n: int) -> Float:
        boxes = TO_XYWH[self.box_format](checked_array(image, "boxes", where, np.float64, (n, 4)))
        if n and boxes[:, 2:].min() < 0:
            worst = int(boxes[:, 2:].min(axis=1).argmin())
            raise InputError(
                f"width {boxes[worst, 2]}, height {boxes[worst, 3]} < 0; expected boxes as {self.box_format} in pixels",
                where=f"{where}.boxes[{worst}]",
            )
        return boxes

    def _count(self, images: list[Image]) -> DetectionState:
        images = sorted(images, key=lambda image: image.id)
        parts = [image.arrays for image in images]
        labels = _joined(parts, "gt_labels", np.int64), _joined(parts, "labels", np.int64)
        ids = (
            np.unique(np.concatenate(labels))
            if self.categories is None
            else np.array(sorted(self.categories), np.int64)
        )
        gt = GroundTruth(
            image_ids=np.array([image.id for image in images]) if images else np.zeros(0, np.int64),
            category_ids=ids,
            category_names=(),
            offsets=_lengths(parts, "gt_labels"),
            category=np.searchsorted(ids, labels[0]),
            area=_joined(parts, "gt_area", np.float64),
            crowd=_joined(parts, "gt_iscrowd", np.bool_),
            ignore=_joined(parts, "gt_ignore", np.bool_),
            id_zero=np.zeros(len(labels[0]), np.bool_),
            **self._geometry(parts, "gt_"),
            num_keypoints=_joined(parts, "gt_num_keypoints", np.int64) if self.params.iou_type == "keypoints" else None,
        )
        dt = Detections(
            offsets=_lengths(parts, "labels"),
            category=np.searchsorted(ids, labels[1]),
            score=_joined(parts, "scores", np.float64),
            area=_joined(parts, "area", np.float64),
            **self._geometry(parts, ""),
        )
        known = np.isin(labels[1], ids)
        unknown = sums_by_image(~known, dt.offsets)
        if not known.all():
            dt = take_rows(dt, np.flatnonzero(known), offsets_of(np.diff(dt.offsets) - unknown))
        state = self._matched(gt, dt)
        tallies = with_dropped(state.tallies, unknown)
        return replace(state, tallies=tallies, digests=np.array([image.digest for image in images], np.int64))

    def _geometry(self, parts: list[dict[str, NDArray[Any]]], side: str) -> dict[str, Any]:
        """The columns of what is compared."""
        if self.params.iou_type in ("segm", "boundary"):
            runs = offsets_of(_joined(parts, f"{side}runs", np.int64))
            counts, sizes = _joined(parts, f"{side}counts", np.uint32), _joined(parts, f"{side}sizes", np.int64, (2,))
            return {"masks": Masks(counts, runs, sizes)}
        columns: dict[str, Any] = {}
        if self.params.iou_type == "keypoints":
            shape = (len(self.params.sigmas), 3)
            columns["keypoints"] = _joined(parts, f"{side}keypoints", np.float64, shape)
        if self.params.iou_type == "bbox" or side:
            columns["boxes"] = _joined(parts, f"{side}boxes", np.float64, (4,))
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


def _from_corners(boxes: Float) -> Float:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _from_centres(boxes: Float) -> Float:
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)


TO_XYWH: dict[str, Callable[[Float], Float]] = {
    "xyxy": _from_corners,
    "xywh": lambda boxes: boxes,
    "cxcywh": _from_centres,
}


def checked_array(
    image: ImageDict, name: str, where: str, dtype: type, shape: tuple[int | None, ...], default: Any = None
) -> NDArray[Any]:
    """``image[name]`` as an array of `shape`, where None stands for any length; `default` where it is absent."""
    value = image.get(name, default)
    if value is None:
        raise InputError(f"has no {name!r}; it has {_some(image)}", where=where)
    array = to_numpy(value)
    if array.size == 0 and len(array) == 0:
        array = array.reshape([0 if n is None else n for n in shape])
    if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        expected = ", ".join("N" if n is None else str(n) for n in shape)
        raise InputError(f"has shape {array.shape}; expected ({expected})", where=f"{where}.{name}")
    if array.size and dtype is np.int64 and array.dtype.kind not in "iub":
        raise InputError(f"holds {array.dtype}; expected integers", where=f"{where}.{name}")
    if array.size and array.dtype.kind not in "iubf":
        raise InputError(f"holds {array.dtype}; expected numbers", where=f"{where}.{name}")
    array = array.astype(dtype, order="C")
    if dtype is np.float64 and not np.isfinite(array).all():
        at = np.argwhere(~np.isfinite(array))[0].tolist()
        raise InputError(f"is {array[tuple(at)]}; expected finite numbers", where=f"{where}.{name}{at}")
    return array


def _image_id(image: ImageDict, where: str) -> int | str | None:
    value = image.get("image_id")
    if value is None or isinstance(value, str):
        return value
    array = to_numpy(value)
    if array.size != 1 or array.dtype.kind not in "iu":
        raise InputError(f"is {value!r}; expected one integer or a string", where=f"{where}.image_id")
    return int(array.reshape(()))


def _masks(image: ImageDict, where: str, n: int) -> Masks:
    """Masks given as an array (N, H, W) or as COCO's RLE dicts."""
    value = image.get("masks")
    if value is None:
        raise InputError(f"has no 'masks'; it has {_some(image)}", where=where)
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


def _one_size(gt: Int, pred: Int, where: str) -> None:
    """Refuse masks of one image that differ in size: they cannot be laid over one another."""
    sizes = np.unique(np.concatenate([gt, pred]), axis=0).tolist()
    if len(sizes) > 1:
        raise InputError(f"masks of one image have sizes {sizes[0]} and {sizes[1]} (height, width)", where=where)


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


def own_area(objects: Mapping[str, NDArray[Any]]) -> Float:
    """Areas by box, pixels of the mask, or the extent of the keypoints, whichever there is."""
    if "boxes" in objects:
        area: Float = objects["boxes"][:, 2] * objects["boxes"][:, 3]
        return area
    if "counts" in objects:
        return rle_area(Masks(objects["counts"], offsets_of(objects["runs"]), objects["sizes"]))
    points = objects["keypoints"][:, :, :2]
    if len(points) == 0:
        return np.zeros(0)
    extent = points.max(axis=1) - points.min(axis=1)
    spanned: Float = extent[:, 0] * extent[:, 1]
    return spanned


def _joined(parts: list[dict[str, NDArray[Any]]], name: str, dtype: type, tail: tuple[int, ...] = ()) -> NDArray[Any]:
    arrays = [part[name] for part in parts if name in part]
    return np.concatenate(arrays) if arrays else np.zeros((0, *tail), dtype)


def _lengths(parts: list[dict[str, NDArray[Any]]], name: str) -> Int:
    return offsets_of(np.array([len(part[name]) for part in parts], np.int64))


def _some(names: Iterable[Any]) -> str:
    """The first few of many names, for a message."""
    listed = [str(name) for name in names]
    return ", ".join(listed[:8]) + (", …" if len(listed) > 8 else "") if listed else "nothing"
