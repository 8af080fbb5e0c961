"""Run-length encoded masks under pycocotools' names: encode, decode, merge, measure and compare them.

A mask is a dict ``{"size": [height, width], "counts": bytes}``, the counts being COCO's compressed string. Values,
types and memory layouts of results are the original's, and so are the types of exceptions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.compat.pycocotools import _mask
from cvbench.compat.pycocotools._mask import Rle, frPyObjects, iou, merge

__all__ = ["area", "decode", "encode", "frPyObjects", "iou", "merge", "toBbox"]


def encode(bimask: NDArray[np.uint8]) -> list[Rle] | Rle | None:
    """Encode masks (H, W, N), giving a list, or one mask (H, W): arrays of uint8 in Fortran order.

    A new run starts wherever the value changes. An array of another number of dimensions gives None.
    """
    if bimask.ndim == 3:
        return _mask.encode(bimask)
    if bimask.ndim == 2:
        return _mask.encode(bimask[:, :, None])[0]
    return None


def decode(rleObjs: Any) -> NDArray[np.uint8]:
    """Decode a list of masks of one size to an array (H, W, N) of 0 and 1 in Fortran order, or one mask to (H, W)."""
    return _mask.decode(rleObjs) if type(rleObjs) is list else _mask.decode([rleObjs])[:, :, 0]


def area(rleObjs: Any) -> Any:
    """Pixels of the foreground: (N,) uint32 of a list of masks, or that of one mask."""
    return _mask.area(rleObjs) if type(rleObjs) is list else _mask.area([rleObjs])[0]


def toBbox(rleObjs: Any) -> NDArray[np.float64]:
    """Smallest box ``[x, y, width, height]`` around the foreground: (N, 4) of a list of masks, or (4,) of one."""
    return _mask.toBbox(rleObjs) if type(rleObjs) is list else _mask.toBbox([rleObjs])[0]
