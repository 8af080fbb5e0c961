"""Boundaries of label maps: the bands of boundary IoU, and the boundary F measure.

Conventions
-----------
A label map is (H, W), of any integer type or bool; a region is all of its pixels of one value. Widths of bands and
tolerances are shares of the image diagonal, the square root of H² + W².

The band of a region is what boundary IoU compares: its pixels near its edge or near the border of the image. The
boundary of a class, which the F measure compares, is one pixel wide and does not follow the border of the image.
"""

from __future__ import annotations

from math import ceil, isqrt, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvbench.columns import Bool, Float, Int
from cvbench.errors import InputError
from cvbench.kernels import Index
from cvbench.kernels.grids import boundary_points, near_points, region_band
from cvbench.metrics.base import to_numpy
from cvbench.metrics.overlaps import Rgb


def region_bands(labels: Any, dilation_ratio: float) -> Bool:
    """Which pixels lie in the boundary band of their own region.

    Parameters
    ----------
    labels : (H, W) integers or bool, or Rgb
    dilation_ratio
        Width of the band as a share of the image diagonal, 0 or more; it is rounded to whole pixels (half to even) and
        is at least one. COCO and LVIS use 0.02, Cityscapes 0.005.

    Returns
    -------
    (H, W) bool
        Whether the Chebyshev distance to the nearest pixel of another value, or outside of the image, is at most the
        width of the band. (That is each region less its erosion by as many steps of a 3 x 3 square.)

    Raises
    ------
    InputError
        A negative ratio, or a map that is not (H, W) or not of integers.

    References
    ----------
    Cheng et al., *Boundary IoU*, CVPR 2021; boundary-iou-api, ``mask_to_boundary``, for the mask of each region.

    Examples
    --------
    >>> region_bands([[1, 1, 1, 2], [1, 1, 1, 2], [1, 1, 1, 2]], 0.02).astype(int).tolist()
    [[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 1]]
    """
    if not dilation_ratio >= 0:
        raise InputError(f"dilation_ratio is {dilation_ratio}; expected a share of the image diagonal, 0 or more")
    pixels = _checked(labels, "labels")
    # A band that is wider than the image is the whole image.
    reach = int(np.clip(np.rint(dilation_ratio * _diagonal(pixels)), 1, max(pixels.shape) + 1))
    band = np.empty(pixels.shape, np.bool_)
    region_band(pixels, reach, np.zeros(pixels.shape[1], np.int32), band)
    return band


def boundary_f_counts(gt: Any, pred: Any, classes: ArrayLike, tolerance: float, valid: ArrayLike | None = None) -> Int:
    """Boundary pixels of each class, and how many of them lie close to the boundary in the other map.

    Parameters
    ----------
    gt, pred : (H, W) integers or bool
        Labels. Those that are not among `classes` take no part.
    classes : (K,) int
        Labels to count, each once.
    tolerance
        How far apart boundaries may be. Below 1 it is a share of the image diagonal, rounded up to whole pixels; from 1
        on it is in pixels.
    valid : (H, W) bool, optional
        False where the ground truth says nothing: there both maps are of no class. That makes boundaries where these
        pixels begin.

    Returns
    -------
    (K, 4) int64
        Pixels of the predicted boundary near the true one, of the predicted boundary, of the true boundary near the
        predicted one, of the true boundary. The first over the second is the precision, the third over the fourth the
        recall; `boundary_f_scores` makes figures of them.

    Raises
    ------
    InputError
        A negative tolerance, arrays that are not (H, W), of different shapes, or not of integers, or a class twice.

    References
    ----------
    Perazzi et al., *A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation*, CVPR 2016;
    davis2017-evaluation, ``f_measure`` in ``metrics.py``, for the mask of each class. Near is a Euclidean distance
    between the centres of pixels of at most the tolerance; a tolerance from 1 on that is no whole number gives the
    reference a disk between the pixels, and is exact here.

    Examples
    --------
    >>> gt, pred = [[0, 0, 1, 1], [0, 0, 1, 1]], [[0, 0, 0, 1], [0, 0, 0, 1]]
    >>> boundary_f_counts(gt, pred, [0, 1], tolerance=1.0).tolist()
    [[2, 2, 2, 2], [2, 2, 2, 2]]
    >>> boundary_f_counts(gt, pred, [0, 1], tolerance=0.0).tolist()
    [[0, 2, 0, 2], [0, 2, 0, 2]]
    """
    if not tolerance >= 0:
        raise InputError(f"tolerance is {tolerance}; expected a distance, 0 or more")
    maps = [_checked(gt, "gt"), _checked(pred, "pred")]
    masks = [] if valid is None else [np.asarray(valid)]
    for name, array in zip(("pred", "valid"), maps[1:] + masks, strict=False):
        if array.shape != maps[0].shape:
            message = f"has shape {array.shape}, the ground truth {maps[0].shape}; expected equal shapes"
            raise InputError(message, where=name)
    labels = np.asarray(classes, np.int64)
    order = np.argsort(labels)
    labels = labels[order]
    if (labels[1:] == labels[:-1]).any():
        raise InputError(f"{labels[1:][labels[1:] == labels[:-1]][0]} is there twice", where="classes")
    if valid is not None:
        nothing = next(value for value in range(len(labels) + 1) if value not in labels)
        maps = [np.where(masks[0], pixels, nothing) for pixels in maps]
    widths = _disk(tolerance, maps[0])
    true, found = (_points(pixels, labels) for pixels in maps)
    counts = np.empty((len(labels), 4), np.int64)
    for column, points, others in ((0, found, true), (2, true, found)):
        near = np.empty(len(points.columns), np.bool_)
        near_points(*points, *others, widths, np.empty(2 * len(widths) - 1, np.int64), near)
        counts[order, column] = np.bincount(points.values[near], minlength=len(labels))
        counts[order, column + 1] = np.bincount(points.values, minlength=len(labels))
    return counts


def boundary_f_scores(counts: Int) -> Float:
    """F measures of `boundary_f_counts`.

    Parameters
    ----------
    counts : (..., 4) int64

    Returns
    -------
    (...) float64
        In [0, 1]: twice the product of precision and recall over their sum.

    Notes
    -----
    Undefined: 1 where neither map has a boundary, as the reference has it, and 0 where one of them has none. That
    does not say whether the class is there: one that covers the whole image has no boundary.

    Examples
    --------
    >>> boundary_f_scores(np.array([[8, 10, 6, 10], [0, 0, 0, 7], [0, 0, 0, 0]])).round(4).tolist()
    [0.6857, 0.0, 1.0]
    """
    near_found, found, near_true, true = np.moveaxis(np.asarray(counts, np.int64), -1, 0)
    precision = np.divide(near_found, found, out=(found == true).astype(np.float64), where=found > 0)
    recall = np.divide(near_true, true, out=(found == true).astype(np.float64), where=true > 0)
    total = precision + recall
    scores: Float = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return scores


def boundary_f(gt: Any, pred: Any, tolerance: float = 0.008) -> float:
    """Boundary F measure of two masks.

    Parameters
    ----------
    gt, pred : (H, W) bool or integers
        Masks; all that is not 0 is foreground.
    tolerance
        How far apart boundaries may be. Below 1 it is a share of the image diagonal, rounded up to whole pixels; from 1
        on it is in pixels.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    InputError
        As `boundary_f_counts`.

    Notes
    -----
    Undefined: 1 where neither mask has a boundary, 0 where one of them has. A mask that covers the whole image has no
    boundary, nor has an empty one.

    References
    ----------
    As `boundary_f_counts`: davis2017-evaluation, ``f_measure``.

    Examples
    --------
    >>> gt, pred = np.zeros((2, 40, 40), bool)
    >>> gt[10:20, 10:20] = pred[10:20, 10:22] = True
    >>> round(boundary_f(gt, pred), 4), boundary_f(gt, pred, tolerance=2)
    (0.7857, 1.0)
    """
    true, found = (_checked(value, name) != 0 for value, name in ((gt, "gt"), (pred, "pred")))
    return float(boundary_f_scores(boundary_f_counts(true, found, [1], tolerance))[0])


class _Points(NamedTuple):
    """Boundary pixels of classes in the order of the pixels, see `cvbench.kernels.grids.boundary_points`."""

    rows: Int
    columns: Index
    values: Int


def _points(pixels: NDArray[Any], labels: Int) -> _Points:
    """The boundary pixels of the ascending `labels`; values are indices into these."""
    rows = np.empty(len(pixels) + 1, np.int64)
    boundary_points(pixels, rows, np.empty(0, np.int32), np.empty(0, pixels.dtype))
    columns, found = np.empty(rows[-1], np.int32), np.empty(rows[-1], pixels.dtype)
    boundary_points(pixels, rows, columns, found)
    values = found.astype(np.int64)
    index = np.searchsorted(labels, values)
    known = np.flatnonzero((index < len(labels)) & (np.append(labels, 0)[index] == values))
    return _Points(np.searchsorted(known, rows), columns[known], index[known])


def _disk(tolerance: float, pixels: NDArray[Any]) -> Index:
    """How many columns the disk of a tolerance reaches to either side, 0, 1, 2, ... rows away from its centre."""
    diagonal = _diagonal(pixels)
    radius = min(tolerance if tolerance >= 1 else ceil(tolerance * diagonal), diagonal)
    squared = int(radius * radius)
    return np.array([isqrt(squared - away**2) for away in range(isqrt(squared) + 1)], np.int32)


def _diagonal(pixels: NDArray[Any]) -> float:
    height, width = pixels.shape
    return sqrt(height**2 + width**2)


def _checked(labels: Any, where: str) -> NDArray[Any]:
    """The map as a contiguous array of native integers, copied only where it is not one."""
    if isinstance(labels, Rgb):
        wide = np.zeros((*labels.shape, 4), np.uint8)
        wide[..., :3] = labels.pixels
        pixels = wide.view("<u4")[..., 0]
    else:
        pixels = to_numpy(labels)
    if pixels.ndim != 2:
        raise InputError(f"has shape {pixels.shape}; expected (H, W)", where=where)
    if pixels.dtype == np.bool_:
        pixels = pixels.view(np.uint8)
    if pixels.dtype.kind not in "iu":
        raise InputError(f"holds {pixels.dtype}; expected integers or bool", where=where)
    return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
