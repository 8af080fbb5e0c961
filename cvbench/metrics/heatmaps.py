"""Heatmaps of keypoints: made from coordinates as training targets, and read back as evaluators of pose networks do.

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

To decode: the highest pixel (``argmax``), with a quarter of a pixel towards the higher neighbour (``quarter`` as
mmpose has it, ``quarter-hrnet``, ``quarter-face``), with a step of Newton's method on the logarithm of the blurred map
(``dark``, ``dark-udp``); or the mean under the softmax of the map (``soft-argmax``).

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
Decoding = Literal["argmax", "quarter", "quarter-hrnet", "quarter-face", "dark", "dark-udp", "soft-argmax"]

CHUNK = 256
"""Maps that one call of a kernel works on. With 64 of them, two threads take longer than one."""

RADIUS = 3
"""Standard deviations from the centre of a Gaussian to the end of its window."""

BORDERS = {"quarter": (2, 1, 0), "quarter-hrnet": (2, 2, 1), "quarter-face": (1, 1, 1)}
"""Peaks that move by a quarter of a pixel, see `cvbench.kernels.heatmaps.side_signs`."""


class _Newton(NamedTuple):
    """How a method steps: how far it reads around a peak, how far that is from a border, where values are cut."""

    reach: int
    margin: int
    lowest: float
    highest: float


NEWTON = {"dark": _Newton(2, 2, 1e-10, np.inf), "dark-udp": _Newton(1, 0, 1e-3, 50.0)}

SMALL_BLURS = {
    3: (1, 2, 1),
    5: (1, 4, 6, 4, 1),
    7: (2, 7, 14, 18, 14, 7, 2),
    9: (4, 13, 30, 51, 60, 51, 30, 13, 4),
}
"""Filters, up to a factor, that OpenCV takes for a Gaussian of these sizes if no sigma is given."""


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


def decode_heatmaps(
    heatmaps: Any,
    *,
    method: Decoding = "quarter",
    input_size: tuple[int, int] | None = None,
    blur_kernel: int | None = None,
    beta: float | None = None,
    threads: int | None = None,
) -> tuple[Float, NDArray[Any]]:
    """Coordinates and scores of the keypoints in heatmaps.

    Parameters
    ----------
    heatmaps : (N, J, H, W) numbers
        For each instance and joint, the higher the likelier. float64 stays, all else is read as float32.
    method
        How coordinates come from a map. All but ``soft-argmax`` start from its highest pixel, the first one of several.

        - ``argmax``: that pixel.
        - ``quarter``: a quarter of a pixel towards the higher neighbour, by itself along x where 1 < x < W - 1 and 0 <
          y, and along y where 1 < y < H - 1 and 0 < x. So x = 1 stays, and y = 1 moves along x (mmpose,
          ``MSRAHeatmap``).
        - ``quarter-hrnet``: along both, where 1 < x < W - 1 and 1 < y < H - 1 (HRNet).
        - ``quarter-face``: along both, where 0 < x < W - 1 and 0 < y < H - 1, and half a pixel to the right and down
          (HRNet-Facial-Landmark-Detection; it counts pixels from 1, here they start at 0).
        - ``dark``: one step of Newton's method on the logarithm of the map, blurred and cut at 1e-10, where 1 < x < W
          - 2 and 1 < y < H - 2, with second differences over two pixels (DARK; mmpose,
          ``MSRAHeatmap(unbiased=True)``).
        - ``dark-udp``: the same step with differences over one pixel, the map cut to 1e-3 ... 50 and continued beyond
          its border by its last pixels, anywhere in it (mmpose, ``UDPHeatmap``).
        - ``soft-argmax``: the mean position under the softmax of `beta` times the map.
    input_size
        Width and height of the network's input: coordinates are in its pixels then, and in those of the heatmap if
        None. They are multiplied by input size / heatmap size, and for ``dark-udp`` by input size / (heatmap size -
        1), as mmpose does. That is not what ``encode_heatmaps(method="udp")`` undoes: input size - 1 would be.
    blur_kernel
        For ``dark`` and ``dark-udp``: width of the blur in pixels, odd and from 3 on; 11 if None. Its sigma is
        0.3 ((width - 1) / 2 - 1) + 0.8; up to 9 pixels, OpenCV's own filters stand in for the Gaussian.
    beta
        For ``soft-argmax``: positive, 1 if None.
    threads
        None for all processors. The figures do not depend on it.

    Returns
    -------
    keypoints : (N, J, 2) float64
        x and y. Coordinates are rounded to float32 where the references do so: in the heatmap, and after the
        multiplication by any method but ``dark-udp`` and ``soft-argmax``.
    scores : (N, J) float32 or float64
        The highest value of each map, in its type.

    Raises
    ------
    InputError
        Not four axes, maps without pixels, a value that is not finite, an unknown method, a parameter that is not the
        method's or not in its range, a size that is not positive, a map one pixel wide or high for ``dark-udp`` with an
        `input_size`.

    Notes
    -----
    Where no value of a map is positive, there is no peak: the heatmap coordinates are (-1, -1), for ``quarter-hrnet``
    (0, 0) and for ``quarter-face`` (-0.5, -0.5), as in the references. (``dark-udp`` in mmpose then goes on from
    values of other joints' maps; here it stays.) ``soft-argmax`` is always defined.

    ``argmax`` and the quarters are equal to the references to the last bit. ``dark`` and ``dark-udp`` blur in float64,
    mmpose in float32 by OpenCV: on maps of Gaussians they agree to 5e-6 and 2e-4 of a pixel. On a flat map the rounding
    decides where Newton's step goes; neither bounds it. No step is taken where the Hessian is singular or the step is
    not finite.

    References
    ----------
    See the module.

    Examples
    --------
    >>> heatmaps, _ = encode_heatmaps([[[30.6, 40.0]]], input_size=(64, 96), heatmap_size=(16, 24), method="unbiased")
    >>> for method in ("argmax", "quarter", "dark"):
    ...     keypoints, scores = decode_heatmaps(heatmaps, method=method, input_size=(64, 96), threads=1)
    ...     print(method, keypoints.round(1).tolist())
    argmax [[[32.0, 40.0]]]
    quarter [[[31.0, 40.0]]]
    dark [[[30.6, 40.0]]]
    """
    taps, factor = _checked_options(method, blur_kernel, beta)
    maps = _checked_maps(heatmaps)
    joints, (height, width) = maps.shape[:2], maps.shape[2:]
    maps = maps.reshape(-1, height, width)
    keypoints, scores = np.empty((len(maps), 2)), np.empty(len(maps), maps.dtype)

    def read(start: int, stop: int) -> None:
        part = slice(start, stop)
        scores[part], peaks = _peaks(maps[part])
        if not np.isfinite(scores[part]).all():
            return
        if method in NEWTON:
            found = peaks + _newton_steps(maps[part], peaks, scores[part], taps, NEWTON[method])
        elif method == "soft-argmax":
            found = np.empty((stop - start, 2))
            kernels.soft_centres(maps[part], scores[part].astype(np.float64), factor, found)
        else:
            found = _quarters(maps[part], peaks, method)
        keypoints[part] = found if method == "soft-argmax" else found.astype(np.float32)

    map_ranges(read, len(maps), threads, CHUNK)
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        n, j = divmod(int(wrong[0]), joints[1])
        raise InputError("holds a value that is not finite", where=f"heatmaps[{n}, {j}]")
    if input_size is not None:
        keypoints = _to_input(keypoints, _checked_size(input_size, "input_size"), np.array([width, height]), method)
    return keypoints.reshape(*joints, 2), scores.reshape(joints)


def _peaks(maps: NDArray[Any]) -> tuple[NDArray[Any], Int]:
    """The highest value of each map (not finite if any is not), and where it is first: x and y, -1 if not positive."""
    pixels = maps.reshape(len(maps), -1)
    index = pixels.argmax(axis=1)
    tops = np.take_along_axis(pixels, index[:, None], axis=1)[:, 0]
    lows = pixels.min(axis=1)
    peaks = np.stack(np.divmod(index, maps.shape[2])[::-1], axis=1)
    peaks[tops <= 0] = -1
    return np.where(np.isfinite(lows), tops, lows), peaks


def _quarters(maps: NDArray[Any], peaks: Int, method: Decoding) -> Float:
    """Positions by the highest pixel and its neighbours."""
    signs = np.zeros(peaks.shape)
    if method in BORDERS:
        kernels.side_signs(maps, peaks, np.array(BORDERS[method]), signs)
    found = peaks + 0.25 * signs
    if method == "quarter-hrnet":
        return np.maximum(found, 0)
    return found + 0.5 if method == "quarter-face" else found


def _newton_steps(maps: NDArray[Any], peaks: Int, tops: NDArray[Any], taps: Float, rule: _Newton) -> Float:
    """Steps (M, 2) from the peaks to where the logarithm of the blurred map would be highest if it were a parabola."""
    size, reach = np.array(maps.shape[:0:-1]), rule.reach
    wanted = np.asarray(((peaks >= rule.margin) & (peaks < size - rule.margin)).all(axis=1))
    around = np.ones((len(maps), 2 * reach + 1, 2 * reach + 1))
    kernels.blur_around(maps, peaks, wanted, taps, np.empty((2 * reach + len(taps), 2 * reach + 1)), around)
    # The references scale a blurred map so that its highest value is what it was before. A factor leaves differences of
    # logarithms alone, and this one is at least 1; so the whole map is blurred only where it could matter to the cut.
    cut = np.flatnonzero(wanted & ((around.min(axis=(1, 2)) < rule.lowest) | (tops > rule.highest)))
    maxima = np.empty(len(cut))
    kernels.blurred_maxima(maps, cut, taps, np.empty((size[1] + 1, size[0])), maxima)
    with np.errstate(all="ignore"):  # what is not finite is no step
        around[cut] *= (tops[cut] / maxima)[:, None, None]
        logs = np.log(np.clip(around, rule.lowest, rule.highest))
        dx, dy = ((logs[:, reach + y, reach + x] - logs[:, reach - y, reach - x]) / 2 for x, y in ((1, 0), (0, 1)))
        dxx, dyy, dxy = _second_differences(logs, reach)
        determinant = dxx * dyy - dxy**2
        steps = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], axis=1) / determinant[:, None]
    steps[~(wanted & (determinant != 0) & np.isfinite(steps).all(axis=1))] = 0
    return steps


def _second_differences(logs: Float, reach: int) -> tuple[Float, Float, Float]:
    """Along x, along y and mixed, at the middle of (M, 5, 5) values over two pixels, of (M, 3, 3) over one."""
    middle = logs[:, reach, reach]
    far = [logs[:, reach + y * reach, reach + x * reach] for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    dxx, dyy = far[0] - 2 * middle + far[1], far[2] - 2 * middle + far[3]
    if reach == 2:
        corners = logs[:, 3, 3] - logs[:, 1, 3] - logs[:, 3, 1] + logs[:, 1, 1]
        return dxx / 4, dyy / 4, corners / 4
    dxy = (logs[:, 2, 2] + logs[:, 0, 0] + 2 * middle - sum(far)) / 2
    ridge = float(np.finfo(np.float32).eps)  # keeps the Hessian of a flat map from being singular
    return dxx + ridge, dyy + ridge, dxy


def _to_input(keypoints: Float, source: Int, size: Int, method: Decoding) -> Float:
    """Coordinates in pixels of the input, from those in a heatmap of `size` (width, height)."""
    if method == "dark-udp":
        return keypoints / _steps(size, "heatmaps") * source
    if method == "soft-argmax":
        return keypoints * (source / size)
    return (keypoints.astype(np.float32) * (source / size).astype(np.float32)).astype(np.float64)


def _checked_options(method: str, blur_kernel: int | None, beta: float | None) -> tuple[Float, float]:
    """The filter and the factor of a method; those that it does not use are refused."""
    if method not in get_args(Decoding):
        raise InputError(f"unknown method {method!r}{did_you_mean(method, get_args(Decoding))}", where="method")
    if blur_kernel is not None and method not in NEWTON:
        raise InputError(f"has no effect on {method!r}; only {' and '.join(NEWTON)} blur", where="blur_kernel")
    if beta is not None and method != "soft-argmax":
        raise InputError(f"has no effect on {method!r}; only soft-argmax has a softmax", where="beta")
    width, factor = 11 if blur_kernel is None else blur_kernel, 1.0 if beta is None else float(beta)
    if width != int(width) or width % 2 == 0 or width < 3:
        raise InputError(f"is {width}; expected an odd number of pixels, 3 or more", where="blur_kernel")
    if not 0 < factor < np.inf:
        raise InputError(f"is {factor}; expected a positive number", where="beta")
    return _blur_taps(int(width)), factor


def _blur_taps(width: int) -> Float:
    """The filter of so many pixels, which sums to 1."""
    spread = 2 * (0.3 * ((width - 1) * 0.5 - 1) + 0.8) ** 2
    gaussian = np.exp(-((np.arange(width) - width // 2) ** 2) / spread)
    taps = np.array(SMALL_BLURS.get(width, gaussian), np.float64)
    return np.asarray(taps / taps.sum())


def _checked_maps(heatmaps: Any) -> NDArray[Any]:
    maps = to_numpy(heatmaps)
    if maps.ndim != 4 or 0 in maps.shape[2:]:
        message = f"has shape {maps.shape}; expected (instances, joints, height, width), with at least one pixel"
        raise InputError(message, where="heatmaps")
    if maps.dtype.kind not in "fiub":
        raise InputError(f"holds {maps.dtype}; expected numbers", where="heatmaps")
    return np.ascontiguousarray(maps, np.float64 if maps.dtype == np.float64 else np.float32)


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
