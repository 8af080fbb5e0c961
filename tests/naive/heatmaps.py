"""Heatmaps of keypoints, slowly, one map and one pixel at a time, from the published formulas."""

from __future__ import annotations

from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

Map = NDArray[Any]
OPENCV = {3: "1 2 1", 5: "1 4 6 4 1", 7: "2 7 14 18 14 7 2", 9: "4 13 30 51 60 51 30 13 4"}


def encode(point: Map, size: tuple[int, int], to: tuple[int, int], sigma: float, method: str) -> tuple[Map, bool]:
    """The map of one visible keypoint (2,), and whether its window touches the map: mmpose's gaussian_heatmap.py."""
    less = 1 if method == "udp" else 0
    scale = np.array([(a - less) / (b - less) for a, b in zip(size, to, strict=True)]).astype(np.float32)
    centre = [coordinate / factor for coordinate, factor in zip(point, scale, strict=True)]
    radius = 3 * sigma
    pixels = [int(coordinate + point.dtype.type(0.5)) for coordinate in centre]
    if method == "unbiased":
        first, last = ([c - type(c)(radius) for c in centre], [c + type(c)(radius) + type(c)(1) for c in centre])
    else:
        first, last = ([int(p - radius) for p in pixels], [int(p + radius + 1) for p in pixels])
    answer = np.zeros(to[::-1], np.float32)
    if any(a >= side or b < 0 for a, b, side in zip(first, last, to, strict=True)):
        return answer, False
    for y, x in np.ndindex(*answer.shape):
        if method == "unbiased":
            away = [x - float(centre[0]), y - float(centre[1])]
        elif first[0] <= x < last[0] and first[1] <= y < last[1]:
            shift = [float(c) - p if method == "udp" else 0 for c, p in zip(centre, pixels, strict=True)]
            middle = (2 * radius + 1) // 2
            away = [x - first[0] - (middle + shift[0]), y - first[1] - (middle + shift[1])]
        else:
            continue
        squared = away[0] ** 2 + away[1] ** 2
        if method == "msra":
            answer[y, x] = np.exp(-np.float32(squared) / np.float32(2 * sigma**2))
        else:
            answer[y, x] = exp(-squared / (2 * sigma**2))
    return answer, True


def blur(pixels: Map, width: int) -> Map:
    """OpenCV's GaussianBlur without a sigma, in float64, where all is 0 outside of the map."""
    sigma = 0.3 * ((width - 1) / 2 - 1) + 0.8
    taps = [exp(-((k - width // 2) ** 2) / (2 * sigma**2)) for k in range(width)]
    taps = [float(word) for word in OPENCV[width].split()] if width in OPENCV else taps
    window = np.outer(taps, taps) / sum(taps) ** 2
    padded = np.pad(pixels.astype(np.float64), width // 2)
    answer = np.zeros(pixels.shape)
    for y, x in np.ndindex(*pixels.shape):
        answer[y, x] = (padded[y : y + width, x : x + width] * window).sum()
    return answer


def peak(pixels: Map) -> tuple[int, int]:
    """x and y of the highest pixel, the first of several; -1 where it is not positive."""
    y, x = min(np.ndindex(*pixels.shape), key=lambda place: (-pixels[place], place))
    return (x, y) if pixels[y, x] > 0 else (-1, -1)


def quarter(pixels: Map, method: str) -> tuple[float, float]:
    """The peak, moved by a quarter of a pixel: mmpose's refine_keypoints, HRNet's get_final_preds, its decode_preds."""
    (x, y), (height, width) = peak(pixels), pixels.shape
    inner = {
        "argmax": (False, False),
        "quarter": (1 < x < width - 1 and 0 < y < height, 1 < y < height - 1 and 0 < x < width),
        "quarter-hrnet": (1 < x < width - 1 and 1 < y < height - 1,) * 2,
        "quarter-face": (1 < x + 1 < width and 1 < y + 1 < height,) * 2,
    }[method]
    dx = float(np.sign(pixels[y, x + 1] - pixels[y, x - 1])) / 4 if inner[0] else 0
    dy = float(np.sign(pixels[y + 1, x] - pixels[y - 1, x])) / 4 if inner[1] else 0
    if method == "quarter-hrnet" and (x, y) == (-1, -1):
        return 0.0, 0.0
    more = 0.5 if method == "quarter-face" else 0.0
    return x + dx + more, y + dy + more


def dark(pixels: Map, method: str, width: int) -> tuple[float, float, float]:
    """The peak after Newton's step, and the determinant of the Hessian: mmpose's refine_keypoints_dark and .._udp."""
    (x, y), (height, columns) = peak(pixels), pixels.shape
    udp = method == "dark-udp"
    if (x, y) == (-1, -1) or not (udp or (1 < x < columns - 2 and 1 < y < height - 2)):
        return x, y, 1.0
    smooth = blur(pixels, width)
    smooth *= pixels.max() / smooth.max()

    def f(dx: int, dy: int) -> float:
        value = smooth[min(max(y + dy, 0), height - 1), min(max(x + dx, 0), columns - 1)]
        return log(min(max(value, 1e-3), 50.0) if udp else max(value, 1e-10))

    dx, dy = (f(1, 0) - f(-1, 0)) / 2, (f(0, 1) - f(0, -1)) / 2
    if udp:
        eps = float(np.finfo(np.float32).eps)
        dxx, dyy = f(1, 0) - 2 * f(0, 0) + f(-1, 0) + eps, f(0, 1) - 2 * f(0, 0) + f(0, -1) + eps
        dxy = (f(1, 1) - f(1, 0) - f(0, 1) + 2 * f(0, 0) - f(-1, 0) - f(0, -1) + f(-1, -1)) / 2
    else:
        dxx, dyy = (f(2, 0) - 2 * f(0, 0) + f(-2, 0)) / 4, (f(0, 2) - 2 * f(0, 0) + f(0, -2)) / 4
        dxy = (f(1, 1) - f(1, -1) - f(-1, 1) + f(-1, -1)) / 4
    determinant = dxx * dyy - dxy**2
    if determinant == 0:
        return x, y, 0.0
    return x - (dyy * dx - dxy * dy) / determinant, y - (dxx * dy - dxy * dx) / determinant, determinant


def soft_argmax(pixels: Map, beta: float) -> tuple[float, float]:
    """The mean position under the softmax."""
    weights = {place: exp(beta * (float(pixels[place]) - float(pixels.max()))) for place in np.ndindex(*pixels.shape)}
    total = sum(weights.values())
    return sum(x * w for (_, x), w in weights.items()) / total, sum(y * w for (y, _), w in weights.items()) / total
