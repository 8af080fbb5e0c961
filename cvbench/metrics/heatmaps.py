"""Heatmaps of keypoints: made from coordinates as training targets.

Conventions
-----------
A heatmap is (H, W), one for each joint of each instance; sizes are ``(width, height)`` in
pixels as pose networks state them. The pixel in column x and row y of a heatmap has the coordinates (x, y): its centre
and its corner are not told apart, as in the code that all of this follows. A keypoint of the network's input goes to
the heatmap by a division by input size / heatmap size, without a shift of half a pixel. What that costs is part of the
published figures.

Methods
-------
To encode: ``msra`` (Simple Baselines, HRNet: the centre is rounded to a pixel), ``unbiased`` (DARK: it is not, and the
Gaussian covers the map), ``udp`` (it is not, and sizes are counted between the centres of pixels).

Reference
---------
mmpose 1.3 (``mmpose/codecs``: ``msra_heatmap.py``, ``udp_heatmap.py`` and what they call), HRNet
(``lib/core/inference.py``, ``lib/dataset/JointsDataset.py``), HRNet-Facial-Landmark-Detection
(``lib/core/evaluation.py``). Papers: Xiao et al., *Simple Baselines for Human Pose Estimation and Tracking*, ECCV
2018; Zhang et al., *Distribution-Aware Coordinate Representation for Human Pose Estimation* (DARK), CVPR 2020; Huang
et al., *The Devil is in the Details* (UDP), CVPR 2020; Sun et al., *Integral Human Pose Regression*, ECCV 2018.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, Int
from cvbench.errors import InputError, did_you_mean
from cvbench.kernels import heatmaps as kernels, map_ranges
from cvbench.metrics.base import to_numpy

Encoding = Literal["msra", "unbiased", "udp"]
CHUNK = 256
"""Maps that one call of a kernel works on. With 64 of them, two threads take longer than one."""

RADIUS = 3
"""Standard deviations from the centre of a Gaussian to the end of its window."""


def encode_heatmaps(
    keypoints: Any,
    visible: Any = None,
    *,
    input_size: tuple[int, int],
    heatmap_size: tuple[int, int],
    sigma: float = 2.0,
    method: Encoding = "msra",
    threads: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Heatmaps of keypoints, with a Gaussian of height 1 at each.

    Parameters
    ----------
    keypoints : (N, J, 2) numbers
        x and y of the joints of N instances, in pixels of the network's input. Coordinates in float32 are divided and
        rounded in float32, as in mmpose's pipelines; all others in float64.
    visible : (N, J) bool or numbers, optional
        A keypoint below 0.5 is not drawn. All are visible by default.
    input_size, heatmap_size
        Width and height of the network's input and of the heatmaps, in pixels.
    sigma
        Standard deviation in pixels of the heatmap.
    method : {"msra", "unbiased", "udp"}
        ``msra`` puts the centre at the coordinate plus 0.5, cut off towards 0 (so -0.7 goes to 0, not to -1), in a
        window of 3 sigma. ``unbiased`` leaves the centre where it is and fills the whole map. ``udp`` leaves it, too,
        in the window of ``msra``, and divides by (input size - 1) / (heatmap size - 1).
    threads
        None for all processors. The figures do not depend on it.

    Returns
    -------
    heatmaps : (N, J, H, W) float32
        In [0, 1]. All 0 where nothing is drawn.
    weights : (N, J) float32
        `visible`, and 0 where the window of a visible keypoint lies outside of the map. A window that ends just before
        the first column or row still counts as inside, as in the references.

    Raises
    ------
    InputError
        Arrays of other shapes, a visible keypoint or a visibility that is not finite, sizes that are not positive (for
        ``udp``: not above 1), a sigma that is not positive, an unknown method.

    Notes
    -----
    ``msra`` is what mmpose and HRNet compute, to the last bit of NumPy's float32 exponential. ``udp`` is what mmpose
    computes with NumPy 2, and ``unbiased`` is for keypoints in float64: the exponent is float64 and rounded once. For
    keypoints in float32, mmpose has an ``unbiased`` exponent in float32, and its values differ from these in their
    last digits.

    mmpose merges the instances of one image by the maximum: that is ``heatmaps.max(axis=0)``. Its targets for offsets
    (``combined``) and Megvii's are not here.

    References
    ----------
    mmpose ``codecs/utils/gaussian_heatmap.py``; HRNet ``JointsDataset.generate_target``. Papers: see the module.

    Examples
    --------
    >>> keypoints = [[[9.0, 6.0], [99.0, 6.0]]]
    >>> heatmaps, weights = encode_heatmaps(keypoints, input_size=(20, 16), heatmap_size=(5, 4), sigma=1)
    >>> (heatmaps[0, 0, 2] * 100).round().tolist()
    [14.0, 61.0, 100.0, 61.0, 14.0]
    >>> weights.tolist()
    [[1.0, 0.0]]
    """
    if method not in get_args(Encoding):
        raise InputError(f"unknown method {method!r}{did_you_mean(method, get_args(Encoding))}", where="method")
    if not 0 < sigma < np.inf:
        raise InputError(f"is {sigma}; expected a positive number of pixels", where="sigma")
    points, shares = _checked_points(keypoints, visible)
    source, target = _checked_size(input_size, "input_size"), _checked_size(heatmap_size, "heatmap_size")
    scale = _steps(source, "input_size") / _steps(target, "heatmap_size") if method == "udp" else source / target
    with np.errstate(over="ignore"):  # infinity is outside of any map, as what overflows is
        placed = _placed((points / scale.astype(np.float32)).reshape(-1, 2), target, float(sigma), method)
    drawn = placed.inside & (shares.reshape(-1) >= 0.5)
    template = _template(float(sigma)) if method == "msra" else None
    maps = np.zeros((len(drawn), target[1], target[0]), np.float32)

    def draw(start: int, stop: int) -> None:
        part = slice(start, stop)
        if template is not None:
            kernels.stamp(template, placed.corners[part], drawn[part], maps[part])
        else:
            falloff = np.empty(target[0])
            kernels.paint(placed.centres[part], 2 * sigma**2, placed.corners[part], drawn[part], falloff, maps[part])

    map_ranges(draw, len(maps), threads, CHUNK)
    inside = placed.inside.reshape(shares.shape)
    weights = np.where(inside | (shares < 0.5), shares, 0).astype(np.float32)
    return maps.reshape(*shares.shape, *maps.shape[1:]), weights


class _Placed(NamedTuple):
    """Windows of Gaussians (see `cvbench.kernels.heatmaps.stamp`), the centres in them, and which touch the map."""

    corners: Int
    centres: Float
    inside: Bool


def _placed(centres: NDArray[Any], size: Int, sigma: float, method: Encoding) -> _Placed:
    """The windows of Gaussians at `centres` (M, 2), in heatmap pixels of the type in which the reference computes."""
    radius = sigma * RADIUS
    if method == "unbiased":
        inside = _touching(centres - radius, centres + radius + 1, size)
        corners = np.tile(np.concatenate([[0, 0], size]), (len(centres), 1))
        return _Placed(corners, centres.astype(np.float64), inside)
    # 2**31 is outside of any map, too, and an integer holds it.
    pixels = np.clip(centres + 0.5, -(2**31), 2**31).astype(np.int64)
    # Where 3 sigma is no whole number, cutting off moves a window that begins before the map by one: so it is
    # published.
    first, last = (pixels - radius).astype(np.int64), (pixels + radius + 1).astype(np.int64)
    inside = _touching(first, last, size)
    within = _middle(sigma) + (np.clip(centres, -(2**31), 2**31).astype(np.float64) - pixels)
    return _Placed(np.concatenate([first, last], axis=1), within, inside)


def _touching(first: NDArray[Any], last: NDArray[Any], size: Int) -> Bool:
    """Which windows the references take to be in the map: those that end just before its first pixel, too."""
    return np.asarray(((first < size) & (last >= 0)).all(axis=1))


def _middle(sigma: float) -> float:
    """The pixel of a window in which its Gaussian is highest."""
    return (2 * sigma * RADIUS + 1) // 2


def _template(sigma: float) -> NDArray[np.float32]:
    """A Gaussian around a pixel, computed in float32 from the first operation to the last, as the references do."""
    steps = np.arange(0, 2 * sigma * RADIUS + 1, dtype=np.float32) - np.float32(_middle(sigma))
    template: NDArray[np.float32] = np.exp(-(steps**2 + steps[:, None] ** 2) / np.float32(2 * sigma**2))
    return template


def _checked_points(keypoints: Any, visible: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """The keypoints, 0 where nothing is to be drawn, and their visibilities."""
    points = to_numpy(keypoints)
    if points.ndim != 3 or points.shape[2] != 2:
        raise InputError(f"has shape {points.shape}; expected (instances, joints, 2)", where="keypoints")
    if points.dtype.kind not in "fiu":
        raise InputError(f"holds {points.dtype}; expected numbers", where="keypoints")
    points = points.astype(np.float32 if points.dtype == np.float32 else np.float64)
    shares = np.ones(points.shape[:2], np.float32) if visible is None else to_numpy(visible)
    if shares.shape != points.shape[:2]:
        message = f"has shape {shares.shape}; expected {points.shape[:2]}, one for each keypoint"
        raise InputError(message, where="visible")
    if shares.dtype.kind not in "fiub":
        raise InputError(f"holds {shares.dtype}; expected bool or numbers", where="visible")
    if shares.dtype.kind != "f":
        shares = shares.astype(np.float64)
    for n, j in np.argwhere(~np.isfinite(shares)):
        raise InputError(f"is {shares[n, j]}; expected a number", where=f"visible[{n}, {j}]")
    points[shares < 0.5] = 0
    for n, j, _ in np.argwhere(~np.isfinite(points)):
        raise InputError(f"is {points[n, j].tolist()} and visible; expected numbers", where=f"keypoints[{n}, {j}]")
    return points, shares


def _checked_size(size: Any, where: str) -> Int:
    sides = np.asarray(size)
    if sides.shape != (2,) or sides.dtype.kind not in "iu" or (sides < 1).any():
        raise InputError(f"is {size}; expected (width, height) in whole pixels, 1 or more", where=where)
    return sides.astype(np.int64)


def _steps(sides: Int, where: str) -> Int:
    """How far the last pixels are from the first."""
    if (sides < 2).any():
        raise InputError(f"is {sides[0]} x {sides[1]}; udp counts from centre to centre, which needs 2", where=where)
    return sides - 1
