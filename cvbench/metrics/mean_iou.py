"""Semantic figures for training loops: label maps as arrays.

A map is an array of integers: (H, W), or (N,) for the points of a cloud. An array (B, H, W) is a batch of B images, a
list of arrays is a batch of images of any shape. NumPy arrays, torch tensors on any device and nested lists will do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Int, Overlaps
from cvbench.errors import InputError
from cvbench.kernels import map_ranges
from cvbench.metrics import cityscapes, semantic
from cvbench.metrics.base import Image, Metric, State, to_numpy
from cvbench.metrics.overlaps import count_overlaps, join_overlaps
from cvbench.metrics.semantic import SemanticParams, SemanticState
from cvbench.result import Result

Classes = int | Sequence[str] | Mapping[int, str]
Weights = NDArray[Any] | Mapping[Any, int] | None
S = TypeVar("S", bound=State)
L = TypeVar("L", bound="LabelMaps[Any]")


class LabelMaps(Metric[S]):
    """What metrics of label maps share: taking maps one by one or in batches, and keeping only their overlaps."""

    threads: int | None

    def update(self: L, gt: Any, pred: Any, image_id: Any = None) -> L:
        """Add an image, or a batch of images; maps are not kept.

        Parameters
        ----------
        gt, pred
            Label maps of equal shapes, see `cvbench.metrics.mean_iou`.
        image_id
            An integer or string, or one for each image of a batch; None: images are numbered.

        Raises
        ------
        InputError
            Maps do not fit together or hold no integers, or a label is unknown; the message names it. None of the batch
            is counted then.
        """
        (truths, batch), (found, _) = _maps(gt, "gt"), _maps(pred, "pred")
        if len(truths) != len(found):
            raise InputError(f"there are {len(truths)} images in gt and {len(found)} in pred; expected as many")
        ids = _image_ids(image_id, len(truths), batch)
        known = [number for number in ids if number in self._given]
        if known:
            raise InputError(f"image_id {known[0]!r} came before; an image is counted once")
        arrays: list[dict[str, NDArray[Any]]] = [{}] * len(truths)

        def reduce(start: int, stop: int) -> None:
            for i in range(start, stop):
                arrays[i] = self._reduced(truths[i], found[i], f"[{i}]" if batch else "")

        map_ranges(reduce, len(truths), self.threads)
        self._add(ids, arrays)
        return self

    def _reduced(self, gt: NDArray[Any], pred: NDArray[Any], index: str) -> dict[str, NDArray[Any]]:
        """What is kept of an image; `index` is its place in the batch."""
        raise NotImplementedError


class SemanticMaps(LabelMaps[SemanticState]):
    """What `ConfusionMatrix` and `MeanIoU` share: classes, rules and counts."""

    def __init__(
        self,
        classes: Classes | None = None,
        *,
        ignore_index: int | tuple[int, ...] | None = None,
        preset: str | None = None,
        threads: int | None = None,
        **rules: Any,
    ) -> None:
        changes = rules if ignore_index is None else rules | {"ignore_index": ignore_index}
        self.names: dict[int, str] = {}
        if isinstance(classes, str):
            raise InputError(f"classes {classes!r}: expected their number, a list of names, or names by label")
        if isinstance(classes, (Mapping, Sequence)):
            named = classes.items() if isinstance(classes, Mapping) else enumerate(classes)
            self.names = {label: str(name) for label, name in named}
            changes |= {"class_ids": tuple(self.names)}
            classes = None
        elif preset == "cityscapes":
            self.names = {label.id: label.name for label in cityscapes.LABELS if label.evaluated}
        number = {} if classes is None else {"num_classes": classes}
        self.params = SemanticParams.of(preset, **number, **changes)
        self.threads = threads
        super().__init__()

    def _reduced(self, gt: NDArray[Any], pred: NDArray[Any], index: str) -> dict[str, NDArray[Any]]:
        overlaps, boundary_f = semantic.compare(gt, pred, self.params, where=f"pred{index}")
        _refuse(semantic.label_problems(overlaps, self.params), index)
        arrays = _arrays(overlaps)
        return arrays if boundary_f is None else arrays | {"boundary_f": boundary_f}

    def _count(self, images: list[Image]) -> SemanticState:
        boundary_f = None
        if self.params.boundary:
            none = np.zeros((0, len(self.params.class_ids), 4), np.int64)
            boundary_f = np.stack([image.arrays["boundary_f"] for image in images]) if images else none
        overlaps, ids, digests = _joined(images, self.params.boundary)
        return replace(semantic.count(overlaps, ids, self.params, boundary_f), digests=digests)


class ConfusionMatrix(SemanticMaps):
    """Pixels by class of the ground truth and predicted class.

    Parameters
    ----------
    classes : int, sequence of str or mapping
        Their number, for labels 0, 1, …; their names, for the same labels; or names by label.
    ignore_index : int, tuple of int or None
        Labels whose pixels in the ground truth are not looked at.
    threads
        Threads to use for the images of a batch; None for all processors.
    **rules
        Anything else that `cvbench.metrics.semantic.SemanticParams.of` takes.

    Examples
    --------
    >>> ConfusionMatrix(2).update([[0, 0, 1, 1]], [[0, 1, 1, 1]]).compute().tolist()
    [[1, 1], [0, 2]]

    See Also
    --------
    cvbench.metrics.semantic : conventions.
    """

    def compute(self, weights: Weights = None) -> Int:
        """(K, K) int64 pixels, rows by ground truth, columns by prediction.

        Pixels that are predicted as an ignored label which is no class have no column.

        Parameters
        ----------
        weights
            How many times each image counts: integers along ``metric.state.image_ids``, or a mapping from image id;
            None: once.
        """
        return np.ascontiguousarray(semantic.confusion(self.state, weights)[:, :-1])


class MeanIoU(SemanticMaps):
    """Mean IoU, accuracy and Dice of classes, and on demand of their boundaries.

    Parameters
    ----------
    classes : int, sequence of str or mapping
        Their number, for labels 0, 1, …; their names, for the same labels; or names by label. Not needed for the preset
        ``cityscapes``.
    ignore_index : int, tuple of int or None
        Labels whose pixels in the ground truth are not looked at; None: as the preset says, which () overrides.
    preset : {"mmseg", "detectron2", "cityscapes", "torchmetrics"} or None
        Whose rules on absent classes and ignored labels to follow.
    threads
        Threads to use for the images of a batch; None for all processors.
    **rules
        Changes to the rules: anything else that `cvbench.metrics.semantic.SemanticParams.of` takes.

    Examples
    --------
    >>> metric = MeanIoU(["road", "car"], ignore_index=255)
    >>> result = metric.update([[0, 0, 1, 1], [0, 255, 1, 1]], [[0, 0, 1, 1], [0, 0, 1, 0]]).compute()
    >>> result.values["mIoU"], [row["IoU"] for row in result.per_category]
    (0.75, [0.75, 0.75])

    See Also
    --------
    cvbench.metrics.semantic : conventions, what is undefined, references.
    """

    def compute(self, weights: Weights = None) -> Result:
        """Score all images so far; more may follow.

        Parameters
        ----------
        weights
            How many times each image counts: integers along ``metric.state.image_ids``, or a mapping from image id;
            None: once.
        """
        return semantic.result_of(self.state, self.names, weights=weights)


class CityscapesIoU(LabelMaps[cityscapes.CityscapesState]):
    """IoU and instance-weighted IoU of Cityscapes, by class and by category.

    The ground truth is a map of instance ids, the prediction one of label ids.

    Examples
    --------
    >>> result = CityscapesIoU().update([[7, 7, 26001, 26002]], [[7, 7, 26, 7]]).compute()
    >>> [round(result.values[name], 3) for name in ("mIoU", "mIoU_category")]
    [0.583, 0.583]

    See Also
    --------
    cvbench.metrics.cityscapes : conventions, what is undefined, references.
    """

    def __init__(self, *, threads: int | None = None) -> None:
        self.threads = threads
        super().__init__()

    def compute(self, weights: Weights = None) -> Result:
        """Score all images so far; more may follow.

        Parameters
        ----------
        weights
            As `MeanIoU.compute` takes them.
        """
        return cityscapes.result_of(self.state, weights=weights)

    def _reduced(self, gt: NDArray[Any], pred: NDArray[Any], index: str) -> dict[str, NDArray[Any]]:
        overlaps = count_overlaps(gt, pred, where=f"pred{index}")
        _refuse(cityscapes.label_problems(overlaps), index)
        return _arrays(overlaps)

    def _count(self, images: list[Image]) -> cityscapes.CityscapesState:
        overlaps, ids, digests = _joined(images, bands=False)
        return replace(cityscapes.count(overlaps, ids), digests=digests)


def mean_iou(gt: Any, pred: Any, classes: Classes | None = None, **options: Any) -> Result:
    """Mean IoU of label maps.

    Parameters
    ----------
    gt, pred
        An image or a batch, see `cvbench.metrics.mean_iou`.
    classes
    **options
        As `MeanIoU` takes them.

    Returns
    -------
    Result
        What `MeanIoU` computes after seeing these images.

    Examples
    --------
    >>> round(mean_iou([[0, 0, 1, 1]], [[0, 1, 1, 1]], 2).values["mIoU"], 6)
    0.583333
    """
    return MeanIoU(classes, **options).update(gt, pred).compute()


def confusion_matrix(gt: Any, pred: Any, classes: Classes, ignore_index: int | tuple[int, ...] | None = None) -> Int:
    """Pixels by class of the ground truth and predicted class.

    Parameters
    ----------
    gt, pred
        An image or a batch, see `cvbench.metrics.mean_iou`.
    classes, ignore_index
        As `ConfusionMatrix` takes them.

    Returns
    -------
    (K, K) int64
        Rows by ground truth, columns by prediction; see `ConfusionMatrix.compute`.

    Examples
    --------
    >>> confusion_matrix([[0, 0, 1, 255]], [[0, 1, 1, 1]], 2, ignore_index=255).tolist()
    [[1, 1], [0, 1]]
    """
    return ConfusionMatrix(classes, ignore_index=ignore_index).update(gt, pred).compute()


def _maps(value: Any, where: str) -> tuple[list[NDArray[Any]], bool]:
    """The maps of an image or of a batch, and whether it is a batch."""
    if isinstance(value, (list, tuple)) and (not value or hasattr(value[0], "shape")):
        maps = [_integers(part, f"{where}[{i}]") for i, part in enumerate(value)]
        for i, part in enumerate(maps):
            if part.ndim not in (1, 2):
                raise InputError(f"has shape {part.shape}; expected a map (H, W)", where=f"{where}[{i}]")
        return maps, True
    array = _integers(value, where)
    if array.ndim not in (1, 2, 3):
        hint = "; expected (H, W), or (B, H, W) for a batch" + ("; squeeze the second axis" if array.ndim == 4 else "")
        raise InputError(f"has shape {array.shape}{hint}", where=where)
    return (list(array), True) if array.ndim == 3 else ([array], False)


def _integers(value: Any, where: str) -> NDArray[Any]:
    array = to_numpy(value)
    if array.dtype.kind == "f":
        raise InputError(f"holds {array.dtype}; expected labels, so take the argmax of scores", where=where)
    if array.dtype.kind not in "iub":
        raise InputError(f"holds {array.dtype}; expected labels, which are integers", where=where)
    return array


def _image_ids(image_id: Any, n: int, batch: bool) -> list[int | str | None]:
    if image_id is None:
        return [None] * n
    given = list(image_id) if batch and not isinstance(image_id, str) else [image_id]
    if len(given) != n:
        raise InputError(f"holds {len(given)} ids for a batch of {n} images; expected one each", where="image_id")
    ids: list[int | str | None] = []
    for value in given:
        array = to_numpy(value)
        if not isinstance(value, str) and (array.size != 1 or array.dtype.kind not in "iu"):
            raise InputError(f"is {value!r}; expected one integer or a string", where="image_id")
        ids.append(value if isinstance(value, str) else int(array.reshape(())))
    if len(set(map(type, ids))) > 1:
        raise InputError(f"{ids} are of several kinds; expected integers or strings", where="image_id")
    if len(set(ids)) < n:
        raise InputError(f"{ids} names an image twice; an image is counted once", where="image_id")
    return ids


def _refuse(problems: tuple[list[str], list[str]], index: str) -> None:
    for side, found in zip(("gt", "pred"), problems, strict=True):
        if found:
            more = f" (and {len(found) - 1} more labels like it)" if len(found) > 1 else ""
            raise InputError(found[0] + more, where=f"{side}{index}")


def _arrays(overlaps: Overlaps) -> dict[str, NDArray[Any]]:
    arrays = {name: getattr(overlaps, name) for name in ("gt", "pred", "pixels")}
    return arrays if overlaps.bands is None else arrays | {"bands": overlaps.bands}


def _joined(images: list[Image], bands: bool) -> tuple[Overlaps, NDArray[Any], Int]:
    """The overlaps of all images, with their ids and digests."""
    parts = [
        Overlaps(
            np.array([0, len(image.arrays["gt"])], np.int64), **{k: v for k, v in image.arrays.items() if k in KEPT}
        )
        for image in images
    ]
    overlaps = join_overlaps(parts)
    if bands and not parts:
        overlaps = replace(overlaps, bands=np.zeros((0, 3), np.int64))
    ids = np.array([image.id for image in images]) if images else np.zeros(0, np.int64)
    return overlaps, ids, np.array([image.digest for image in images], np.int64)


KEPT = ("gt", "pred", "pixels", "bands")
"""The columns of `Overlaps` that wait with an image."""
