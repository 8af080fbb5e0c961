"""Times one engine on heatmaps in a process of its own: ``heatmap_worker.py METHOD ENGINE INSTANCES ROUNDS``."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from cvbench.metrics.heatmaps import decode_heatmaps, encode_heatmaps

JOINTS, INPUT, HEATMAP = 17, (192, 256), (48, 64)
ENCODINGS = ("msra", "udp", "unbiased")


def workload(instances: int) -> tuple[Any, Any]:
    """Keypoints in the input, and what a network might say of them."""
    rng = np.random.default_rng(1)
    keypoints = rng.uniform(0, 1, (instances, JOINTS, 2)) * INPUT
    maps, _ = encode_heatmaps(keypoints, input_size=INPUT, heatmap_size=HEATMAP, method="unbiased")
    return keypoints, maps + rng.normal(0, 0.02, maps.shape).astype(np.float32)


def encoded_in_a_loop(keypoints: Any, method: str) -> Any:
    """One keypoint after the other, each by NumPy's operations on arrays, as training code has it."""
    less, sigma, radius = int(method == "udp"), 2, 6
    scale = ((np.array(INPUT) - less) / (np.array(HEATMAP) - less)).astype(np.float32)
    (width, height), side = HEATMAP, np.arange(2 * radius + 1, dtype=np.float32)
    maps = np.zeros((*keypoints.shape[:2], height, width), np.float32)
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    for n, j in np.ndindex(*keypoints.shape[:2]):
        centre = keypoints[n, j] / scale
        if method == "unbiased":
            maps[n, j] = np.exp(-((columns - centre[0]) ** 2 + (rows - centre[1]) ** 2) / (2 * sigma**2))
            continue
        pixel = (centre + 0.5).astype(np.int64)
        x, y = radius + (centre - pixel if less else np.zeros(2, np.float32))
        window = np.exp(-((side - x) ** 2 + (side[:, None] - y) ** 2) / (2 * sigma**2))
        left, top = pixel - radius
        u, v = max(left, 0), max(top, 0)
        right, bottom = min(left + len(side), width), min(top + len(side), height)
        maps[n, j, v:bottom, u:right] = window[v - top : bottom - top, u - left : right - left]
    return maps


def blur_matrix(size: int) -> Any:
    """What blurs one axis by 11 pixels: two products with such matrices take no longer than OpenCV's blur."""
    taps = np.exp(-((np.arange(11) - 5) ** 2) / 8)
    return sum(tap / taps.sum() * np.eye(size, k=k) for k, tap in enumerate(taps, -5))


def decoded_in_a_loop(maps: Any, method: str) -> Any:
    """One map after the other, the blur of the whole map included, as evaluation code has it."""
    height, width = maps.shape[2:]
    found, down, across = np.empty((*maps.shape[:2], 2)), blur_matrix(height), blur_matrix(width)
    for n, j in np.ndindex(*maps.shape[:2]):
        pixels = maps[n, j]
        y, x = np.unravel_index(pixels.argmax(), pixels.shape)
        step = np.zeros(2)
        if method == "quarter":
            if 1 < x < width - 1 and 0 < y < height:
                step[0] = np.sign(pixels[y, x + 1] - pixels[y, x - 1]) / 4
            if 1 < y < height - 1 and 0 < x < width:
                step[1] = np.sign(pixels[y + 1, x] - pixels[y - 1, x]) / 4
        elif 1 < x < width - 2 and 1 < y < height - 2:
            smooth = down @ pixels @ across
            f = np.log(np.maximum(smooth * (pixels.max() / smooth.max()), 1e-10))
            slope = np.array([f[y, x + 1] - f[y, x - 1], f[y + 1, x] - f[y - 1, x]]) / 2
            mixed = f[y + 1, x + 1] - f[y - 1, x + 1] - f[y + 1, x - 1] + f[y - 1, x - 1]
            along = [f[y, x + 2] - 2 * f[y, x] + f[y, x - 2], f[y + 2, x] - 2 * f[y, x] + f[y - 2, x]]
            step = -np.linalg.inv(np.array([[along[0], mixed], [mixed, along[1]]]) / 4) @ slope
        found[n, j] = (np.array([x, y]) + step).astype(np.float32)
    return found


def main() -> None:
    """Print seconds of each round, and figures that all engines have to agree on."""
    method, engine = sys.argv[1:3]
    instances, rounds = map(int, sys.argv[3:5])
    keypoints, maps = workload(instances)
    threads = None if engine == "cvbench, all cores" else 1

    def once() -> Any:
        if method in ENCODINGS:
            if engine == "loops":
                return encoded_in_a_loop(keypoints, method)
            sizes: dict[str, Any] = {"input_size": INPUT, "heatmap_size": HEATMAP}
            return encode_heatmaps(keypoints, method=method, threads=threads, **sizes)[0]
        if engine == "loops":
            return decoded_in_a_loop(maps, method)
        return decode_heatmaps(maps, method=method, threads=threads)[0]

    figures = [float(once().sum(dtype=np.float64))]
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - start)
    json.dump({"seconds": seconds, "figures": figures}, sys.stdout)


if __name__ == "__main__":
    main()
