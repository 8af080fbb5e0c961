"""The functions of pycocotools' compiled module, which take lists; `mask` also takes single masks.

Run-length dicts become the columns of `cvbench.metrics.masks` here, without the checks that the rest of cvbench makes:
pycocotools takes any run lengths, whether or not they fill the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Masks, offsets_of
from cvbench.metrics.masks import (
    invalid_masks,
    mask_iou,
    masks_from_boxes,
    masks_from_polygons,
    masks_from_strings,
    rle_area,
    rle_boxes,
    rle_decode,
    rle_merge,
    rle_to_strings,
)

Rle = dict[str, Any]
"""``{"size": [height, width], "counts": bytes}``"""

NO_POINTS = np.zeros(6)
"""A polygon without an inside, which is what one of less than three points is."""


def encode(mask: NDArray[np.uint8]) -> list[Rle]:
    """Encode masks (H, W, N) of uint8 in Fortran order; a new run starts wherever the value changes.

    Raises
    ------
    ValueError
        The array has another type, layout or number of dimensions.
    """
    if mask.ndim != 3 or mask.dtype not in (np.uint8, np.bool_) or not mask.flags.f_contiguous:
        raise ValueError(
            f"mask is an array of {mask.dtype} with shape {mask.shape}; expected (height, width, masks) of uint8 in "
            "Fortran order: np.asfortranarray(mask.astype(np.uint8))"
        )
    height, width, n = mask.shape
    runs = []
    for pixels in mask.reshape(height * width, n, order="F").T:
        changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
        starts = [0, 0] if len(pixels) and pixels[0] else [0]
        runs.append(np.diff(np.concatenate((starts, changes, [len(pixels)]))))
    return to_dicts(_from_runs(runs, [(height, width)] * n))


def decode(rleObjs: Sequence[Rle]) -> NDArray[np.uint8]:
    """Decode masks of one size to an array (H, W, N) of 0 and 1 in Fortran order.

    Masks are written one behind the other into an array of the first one's size: one that does not fill its image
    shifts those that follow.

    Raises
    ------
    ValueError
        There are no masks, or their runs are longer than the array.
    """
    masks = from_dicts(rleObjs)
    if len(masks) == 0:
        raise ValueError("there are no masks to decode, so their size is unknown")
    height, width = (int(side) for side in masks.sizes[0])
    if (masks.sizes == masks.sizes[0]).all() and len(invalid_masks(masks)) == 0:
        decoded: NDArray[np.uint8] = rle_decode(masks).transpose(1, 2, 0)
        return decoded
    pixels = np.zeros(height * width * len(masks), np.uint8)
    filled = int(masks.counts.sum(dtype=np.int64))
    if filled > len(pixels):
        raise ValueError("Invalid RLE mask representation")
    run = np.arange(len(masks.counts)) - np.repeat(masks.offsets[:-1], np.diff(masks.offsets))
    pixels[:filled] = np.repeat((run % 2).astype(np.uint8), masks.counts)
    return pixels.reshape(height, width, len(masks), order="F")


def merge(rleObjs: Sequence[Rle], intersect: bool = False) -> Rle:
    """Union or intersection of masks; a mask of size (0, 0) if there are none or their sizes differ."""
    masks = from_dicts(rleObjs)
    if len(masks) == 0 or (masks.sizes != masks.sizes[0]).any():
        return {"size": [0, 0], "counts": b""}
    return to_dicts(rle_merge(masks, bool(intersect)))[0]


def area(rleObjs: Sequence[Rle]) -> NDArray[np.uint32]:
    """(N,) pixels of the foreground of masks."""
    return rle_area(from_dicts(rleObjs)).astype(np.int64).astype(np.uint32)


def toBbox(rleObjs: Sequence[Rle]) -> NDArray[np.float64]:
    """(N, 4) smallest boxes ``[x, y, width, height]`` around the foreground of masks."""
    return rle_boxes(from_dicts(rleObjs))


def iou(dt: Any, gt: Any, pyiscrowd: Any) -> NDArray[np.float64] | list[Any]:
    """IoU (D, G) of detections and ground truths, both masks or both boxes; an empty list if one side is empty.

    Parameters
    ----------
    dt, gt
        Lists of masks, lists of boxes ``[x, y, width, height]`` (each a list or an array), or arrays (N, 4).
    pyiscrowd
        A flag for every ground truth: where it is set, the intersection is divided by the area of the detection.

    Raises
    ------
    ValueError
        Masks overlap whose runs add to different numbers of pixels. pycocotools does not return from that.
    """
    crowd = np.array(pyiscrowd, dtype=np.uint8)
    if crowd.ndim != 1:
        raise ValueError(f"iscrowd has {crowd.ndim} dimensions; expected one flag for every ground truth")
    dt, gt = _objects(dt), _objects(gt)
    if len(crowd) != len(gt):
        raise AssertionError("iou(iscrowd=) must have the same length as gt")
    if len(dt) == 0 or len(gt) == 0:
        return []
    if type(dt) is not type(gt):
        raise Exception("The dt and gt should have the same data type, either RLEs, list or np.ndarray")
    if isinstance(dt, Masks):
        _refuse_endless(dt, gt)
        values = mask_iou(dt, gt, crowd != 0)
        return np.asfortranarray(values)
    return _box_iou(dt, gt, crowd != 0)


def _refuse_endless(dt: Masks, gt: Masks) -> None:
    """Refuse pairs of masks that pycocotools would compare for ever."""
    if len(invalid_masks(dt)) == 0 and len(invalid_masks(gt)) == 0:
        return
    covers = [np.diff(np.append(0, masks.counts.cumsum(dtype=np.int64))[masks.offsets]) for masks in (dt, gt)]
    endless = covers[0][:, None] != covers[1]
    endless &= (dt.sizes[:, None] == gt.sizes).all(axis=2)
    endless &= _box_iou(rle_boxes(dt), rle_boxes(gt), np.zeros(len(gt), np.bool_)) > 0
    if endless.any():
        d, g = np.argwhere(endless)[0].tolist()
        height, width = dt.sizes[d].tolist()
        pixels = f"{covers[0][d]} and {covers[1][g]} pixels"
        raise ValueError(f"the runs of dt[{d}] and gt[{g}] add to {pixels}; expected {height} x {width} for both")


def frPyObjects(pyobj: Any, h: int, w: int) -> Any:
    """Encode polygons (each a flat list of x and y), an array (N, 4) of boxes, or uncompressed run lengths.

    Raises
    ------
    TypeError
        A list of lists of four numbers, which could be boxes or polygons.
    """
    if type(pyobj) is np.ndarray:
        return frBbox(pyobj, h, w)
    if type(pyobj) is list:
        if len(pyobj[0]) == 4:
            raise TypeError(f"{pyobj[0]!r} is no polygon: it has two points; boxes are given as an array")
        if len(pyobj[0]) > 4:
            return frPoly(pyobj, h, w)
        if _is_uncompressed(pyobj[0]):
            return frUncompressedRLE(pyobj, h, w)
    elif _is_uncompressed(pyobj):
        return frUncompressedRLE([pyobj], h, w)[0]
    raise Exception("input type is not supported.")


def frPoly(poly: Sequence[Any], h: int, w: int) -> list[Rle]:
    """Encode polygons, each a flat sequence of x and y in pixels; one of less than three points is empty.

    Raises
    ------
    ValueError
        A polygon is not flat, not of numbers, or has NaN, infinite or huge coordinates.
    """
    parts: list[Any] = []
    for part in poly:
        numbers = np.array(part, dtype=np.float64)
        if numbers.ndim != 1:
            raise ValueError(f"a polygon has {numbers.ndim} dimensions; expected a flat list x, y, x, y, ...")
        parts.append([numbers[: len(numbers) // 2 * 2] if len(numbers) >= 6 else NO_POINTS])
    return to_dicts(masks_from_polygons(parts, (_unsigned(h), _unsigned(w))))


def frBbox(bb: NDArray[np.float64], h: int, w: int) -> list[Rle]:
    """Encode boxes (N, 4) of float64."""
    if type(bb) is not np.ndarray:
        raise TypeError(f"boxes are {type(bb)}; expected an array")
    if bb.ndim != 2 or bb.dtype != np.float64:
        raise ValueError(f"boxes are {bb.dtype} with shape {bb.shape}; expected float64 (boxes, 4)")
    return to_dicts(masks_from_boxes(bb, (_unsigned(h), _unsigned(w))))


def frUncompressedRLE(ucRles: Sequence[Rle], h: int, w: int) -> list[Rle]:  # noqa: ARG001  the masks know their size
    """Compress masks whose ``counts`` are lists of run lengths."""
    runs = [np.array(rle["counts"], dtype=np.uint32) for rle in ucRles]
    for counts in runs:
        if counts.ndim != 1:
            raise ValueError(f"counts have {counts.ndim} dimensions; expected a list of run lengths")
    return to_dicts(_from_runs(runs, [_size(rle) for rle in ucRles]))


def _is_uncompressed(value: Any) -> bool:
    return type(value) is dict and "counts" in value and "size" in value


def _unsigned(value: Any) -> int:
    """An image side from any number, as the original's C function takes it."""
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, str | bytes) or not hasattr(value, "__int__"):
        raise TypeError(f"an integer is required, not {value!r}")
    number = int(value)
    if number < 0:
        raise OverflowError(f"can't convert negative value {value!r} to an image side")
    return number


def _size(rle: Rle) -> tuple[int, int]:
    size = rle["size"]
    return _unsigned(size[0]), _unsigned(size[1])


def _from_runs(runs: Sequence[NDArray[Any]], sizes: Sequence[tuple[int, int]]) -> Masks:
    counts = np.concatenate([np.empty(0, np.uint32), *runs]).astype(np.uint32)
    offsets = offsets_of(np.array([len(run) for run in runs], np.int64))
    return Masks(counts, offsets, np.array(sizes, np.int64).reshape(-1, 2))


def from_dicts(rles: Sequence[Rle]) -> Masks:
    """Masks from run-length dicts, whether or not their runs fill their image."""
    strings, sizes = [], []
    for rle in rles:
        counts = rle["counts"]
        if type(counts) is str:
            counts = counts.encode()
        if not isinstance(counts, bytes):
            raise TypeError(f"Expected bytes, got {type(counts).__name__}")
        strings.append(counts)
        sizes.append(_size(rle))
    masks = masks_from_strings(strings, (1, 1), check=False)
    for n in np.flatnonzero(np.diff(masks.offsets) == 0):
        if strings[n]:
            raise ValueError(f"counts {strings[n]!r} are not of COCO's run-length code")
    return Masks(masks.counts, masks.offsets, np.array(sizes, np.int64).reshape(-1, 2))


def to_dicts(masks: Masks) -> list[Rle]:
    """Masks as run-length dicts."""
    strings = rle_to_strings(masks)
    return [{"size": size, "counts": string} for size, string in zip(masks.sizes.tolist(), strings, strict=True)]


def _objects(objects: Any) -> Any:
    """Masks or an array of boxes (N, 4) from what `iou` takes."""
    if len(objects) == 0:
        return objects
    if type(objects) is np.ndarray:
        if objects.ndim == 1:
            objects = objects.reshape(objects[0], 1)  # never a box: this ends in one error or another
        if objects.ndim != 2 or objects.shape[1] != 4:
            raise Exception("numpy ndarray input is only for *bounding boxes* and should have Nx4 dimension")
        return objects.astype(np.float64)
    if type(objects) is not list:
        raise Exception(
            "unrecognized type.  The following type: RLEs (rle), np.ndarray (box), and list (box) are supported."
        )
    if all(len(item) == 4 and type(item) in (list, np.ndarray) for item in objects):
        return np.array(objects, dtype=np.float64)
    if all(type(item) is dict for item in objects):
        return from_dicts(objects)
    raise Exception("list input can be bounding box (Nx4) or RLEs ([RLE])")


def _box_iou(dt: NDArray[np.float64], gt: NDArray[np.float64], crowd: NDArray[np.bool_]) -> NDArray[np.float64]:
    """IoU (D, G) in Fortran order of boxes; NaN edges are passed over as C's fmin and fmax do."""
    x, y, width, height = dt.T
    gt_x, gt_y, gt_width, gt_height = gt.T[:, :, None]
    with np.errstate(all="ignore"):
        overlap_x = np.fmin(width + x, gt_width + gt_x) - np.fmax(x, gt_x)
        overlap_y = np.fmin(height + y, gt_height + gt_y) - np.fmax(y, gt_y)
        both, detected = overlap_x * overlap_y, width * height
        union = np.where(crowd[:, None], detected, detected + gt_width * gt_height - both)
        values: NDArray[np.float64] = np.where((overlap_x <= 0) | (overlap_y <= 0), 0.0, both / union).T
    return values
