"""How much objects overlap, pair by pair: boxes and keypoints; masks are in `cvbench.metrics.masks`.

Conventions
-----------
``f(a, b)`` has shape ``(len(a), len(b))``. Coordinates are in pixels, areas in square pixels, a box reaches from its
left to its right edge (no "+ 1"). `a` are the detections where that makes a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from cvbench.columns import Float
from cvbench.errors import InputError
from cvbench.kernels.similarity import box_iou_pairs, corner_iou_pairs, oks_exponents_rows, oks_means_rows, sum_room

PENALTIES = {"iou": 0, "giou": 1, "diou": 2, "ciou": 3}


def box_iou(
    a: ArrayLike,
    b: ArrayLike,
    *,
    kind: Literal["iou", "giou", "diou", "ciou"] = "iou",
    box_format: Literal["xywh", "xyxy"] = "xywh",
    crowd: ArrayLike | None = None,
) -> Float:
    """Intersection over union of every box of `a` with every box of `b`.

    Parameters
    ----------
    a : (N, 4) float
    b : (M, 4) float
    kind : {"iou", "giou", "diou", "ciou"}
        The plain ratio; or less the empty part of the common hull (GIoU), the squared distance of the centres over the
        squared diagonal of the hull (DIoU), or that and a term for unlike aspect ratios (CIoU).
    box_format : {"xywh", "xyxy"}
        Corner and size, or two corners.
    crowd : (M,) bool, optional
        Where set, the intersection is divided by the area of the box of `a` alone.

    Returns
    -------
    (N, M) float64
        In [0, 1]; GIoU and DIoU in [-1, 1], CIoU from a little below -1 on.

    Raises
    ------
    InputError
        If a shape, `kind` or `box_format` is not one of these.

    Notes
    -----
    Undefined: a box of area 0 has IoU 0 with everything, itself included.

    References
    ----------
    IoU with `crowd`: pycocotools 2.0.11 (``mask.iou``), equal to the last bit for xywh. Rezatofighi et al.,
    *Generalized Intersection over Union*, CVPR 2019; Zheng et al., *Distance-IoU Loss*, AAAI 2020 (DIoU and CIoU).

    Examples
    --------
    >>> box_iou([[0, 0, 10, 10]], [[5, 0, 10, 10], [20, 20, 1, 1]]).round(3).tolist()
    [[0.333, 0.0]]
    """
    boxes = [_boxes(value, name) for value, name in ((a, "a"), (b, "b"))]
    if kind not in PENALTIES:
        raise InputError(f"kind {kind!r} is unknown; expected one of {', '.join(PENALTIES)}")
    if box_format not in ("xywh", "xyxy"):
        raise InputError(f"box_format {box_format!r} is unknown; expected xywh or xyxy")
    flags = np.zeros(len(boxes[1]), np.bool_) if crowd is None else np.asarray(crowd).astype(np.bool_)
    if flags.shape != (len(boxes[1]),):
        raise InputError(f"crowd has shape {flags.shape}; expected ({len(boxes[1])},), one flag for each box of b")
    out = np.empty((len(boxes[0]), len(boxes[1])))
    if kind == "iou" and box_format == "xywh":
        box_iou_pairs(boxes[0], boxes[1], flags, out)
        return out
    if box_format == "xywh":
        boxes = [np.concatenate([value[:, :2], value[:, :2] + value[:, 2:]], axis=1) for value in boxes]
    corner_iou_pairs(boxes[0], boxes[1], flags, PENALTIES[kind], out)
    return out


def oks(a: ArrayLike, b: ArrayLike, *, area: ArrayLike, boxes: ArrayLike, sigmas: Sequence[float] | Float) -> Float:
    """Object keypoint similarity of every detection `a` with every ground truth `b`.

    Parameters
    ----------
    a : (N, J, 2 or 3) float
        Detected keypoints ``x, y`` in pixels; a third column is not read.
    b : (M, J, 3) float
        Annotated keypoints and their visibility; those of visibility 0 do not count.
    area : (M,) float
        Areas of the annotated objects in square pixels: their scale.
    boxes : (M, 4) float
        xywh of the annotated objects.
    sigmas : (J,) float
        Spread of each keypoint as a fraction of the scale, `cvbench.metrics.detection.COCO_SIGMAS` for COCO's 17.

    Returns
    -------
    (N, M) float64
        Mean over keypoints of ``exp(-d² / (2 area (2 sigma)²))``, in [0, 1].

    Raises
    ------
    InputError
        If shapes do not fit together.

    Notes
    -----
    A ground truth without labelled keypoints is compared through all J: their distance *d* is that to its box, three
    times as wide and high around the same centre.

    References
    ----------
    COCO keypoint evaluation, as pycocotools 2.0.11 computes it, equal to the last bit with the same NumPy.

    Examples
    --------
    >>> oks([[[0, 0]], [[3, 4]]], [[[0, 0, 2]]], area=[100], boxes=[[0, 0, 10, 10]], sigmas=[0.25]).round(3).tolist()
    [[1.0], [0.607]]
    """
    detected, annotated = np.asarray(a, np.float64), np.asarray(b, np.float64)
    sizes, scales = np.asarray(sigmas, np.float64), np.ascontiguousarray(area, np.float64)
    extents = _boxes(boxes, "boxes")
    if detected.ndim != 3 or detected.shape[1:] not in ((len(sizes), 2), (len(sizes), 3)):
        raise InputError(f"a has shape {detected.shape}; expected (N, {len(sizes)}, 2 or 3) for {len(sizes)} sigmas")
    if annotated.ndim != 3 or annotated.shape[1:] != (len(sizes), 3):
        raise InputError(f"b has shape {annotated.shape}; expected (M, {len(sizes)}, 3) for {len(sizes)} sigmas")
    n, m = len(detected), len(annotated)
    if scales.shape != (m,) or len(extents) != m:
        raise InputError(f"area has shape {scales.shape} and boxes {extents.shape}; expected ({m},) and ({m}, 4)")
    first, pairs = np.zeros(n, np.int64), np.arange(n + 1, dtype=np.int64) * m
    terms, out = np.empty((n * m, len(sizes))), np.empty(n * m)
    detected, annotated = np.ascontiguousarray(detected), np.ascontiguousarray(annotated)
    variances = (sizes * 2) ** 2
    meetings, of_gt = (detected, np.arange(n), first), (annotated, extents, scales)
    oks_exponents_rows(0, n, *meetings, *of_gt, variances, -np.inf, pairs, terms, out)
    oks_means_rows(0, n, first, annotated, pairs, np.exp(terms), *sum_room(), out)
    return out.reshape(n, m)


def _boxes(value: ArrayLike, name: str) -> Float:
    boxes = np.ascontiguousarray(value, np.float64)
    boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"{name} has shape {boxes.shape}; expected (N, 4)")
    return boxes
