"""Heatmaps of keypoints: Gaussians painted into them, and what a decoder reads around their peaks.

M maps of (H, W) are contiguous, one behind the other; a thread gets a slice of them. Which keypoints are painted and
what becomes of the values read is for the caller to say: the rules of the field are arithmetic on few numbers, pixels
are many.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from cvbench.kernels import Bool, Int, kernel

Maps = NDArray[Any]


@kernel
def stamp(template: Maps, corners: Int, drawn: Bool, maps: Maps) -> None:
    """Copy a template into each map, cut off at the border of the map.

    Parameters
    ----------
    template : (S, S) float32
        Its first pixel goes to the left top corner.
    corners : (M, 4) int64
        Left, top, right and bottom of the part that is copied. Right and bottom are exclusive and at least 0, left and
        top are below W and H; else any of them may lie outside of the map.
    drawn : (M,) bool
        False leaves a map alone.
    maps : (M, H, W) float32
        Out.
    """
    height, width = maps.shape[1:]
    for m in range(len(maps)):
        if drawn[m]:
            left, top, right, bottom = corners[m]
            first, last = max(left, 0), min(right, width)
            for y in range(max(top, 0), min(bottom, height)):
                maps[m, y, first:last] = template[y - top, first - left : last - left]
