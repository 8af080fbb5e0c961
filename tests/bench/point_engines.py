"""Engines on people in memory: paired keypoints, 3-D poses and heatmaps.

``engine(argument, data, threads)`` gives the stages of a round. There is no package to compare with: the others are
how mmpose counts, and loops as training and evaluation code has them.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Keypoints
from point_workload import HEATMAP, INPUT, JOINTS
from stages import Figures, Stages

THRESHOLDS = {"one": (0.2,), "51": tuple((np.arange(51) / 100).tolist())}
"""Of PCK."""

ENCODINGS = ("msra", "udp", "unbiased")
Single = NDArray[np.float32]


def pck_cvbench(which: str, columns: Keypoints, threads: int) -> Stages:
    """Checks of all coordinates and sizes, distances, hits, figures; in single precision by the rules of mmpose."""
    from cvbench.metrics.keypoints import PckParams, count, problems, summarize

    thresholds = THRESHOLDS[which]
    params = PckParams.of("mmpose", thresholds=thresholds)

    def evaluate(_: None) -> Figures:
        if problems(columns, params):
            raise ValueError("the workload has people that cannot be scored")
        rows = summarize(count(columns, params, threads=threads)).tables["per_joint"]
        return [float(row[f"PCK@{threshold:.12g}"]) for row in rows for threshold in thresholds]

    return Stages(evaluate)


def single(columns: Keypoints) -> tuple[Single, Single, Single]:
    """Annotated and predicted keypoints and the longer sides of boxes in single precision, as mmpose loads them."""
    assert columns.boxes is not None
    sides: Single = columns.boxes[:, 2:].max(axis=1).astype(np.float32)
    return columns.gt.astype(np.float32), columns.pred.astype(np.float32), sides


def pck_whole_arrays(which: str, columns: Keypoints, threads: int) -> Stages:
    """How mmpose counts: whole arrays in NumPy, anew for each threshold, joint by joint."""
    thresholds = THRESHOLDS[which]
    gt, pred, sizes = single(columns)

    def rates(threshold: float) -> Figures:
        distances = np.full(columns.visible.shape, -1, np.float32)
        seen = columns.visible.copy()
        seen[sizes == 0] = False
        distances[seen] = np.linalg.norm(((pred - gt) / sizes[:, None, None])[seen], axis=-1)
        by_joint = []
        for row in distances.T:
            valid = row != -1
            by_joint.append(float((row[valid] < np.float32(threshold)).sum() / valid.sum()))
        return by_joint

    return Stages(lambda _: np.array([rates(threshold) for threshold in thresholds]).T.reshape(-1).tolist())


def pck_loop_over_people(which: str, columns: Keypoints, threads: int) -> Stages:
    """A metric as training code often has it: the joints of a person in NumPy, people one by one."""
    thresholds = THRESHOLDS[which]
    gt, pred, sizes = single(columns)
    cuts = np.array(thresholds, np.float32)

    def evaluate(_: None) -> Figures:
        hits, number = np.zeros((JOINTS, len(cuts)), np.int64), np.zeros(JOINTS, np.int64)
        for found, truth, seen, size in zip(pred, gt, columns.visible, sizes, strict=True):
            distance = np.linalg.norm((found - truth) / size, axis=1)
            hits[seen] += distance[seen, None] < cuts
            number += seen
        return (hits / number[:, None]).reshape(-1).tolist()

    return Stages(evaluate)


def pck_loop_over_joints(which: str, columns: Keypoints, threads: int) -> Stages:
    """The same without NumPy's arithmetic on arrays: people and joints one by one."""
    thresholds = THRESHOLDS[which]
    gt, pred, sizes = single(columns)
    cuts = np.array(thresholds, np.float32).tolist()

    def evaluate(_: None) -> Figures:
        hits, number = np.zeros((JOINTS, len(cuts)), np.int64), [0] * JOINTS
        for found, truth, seen, size in zip(pred, gt, columns.visible.tolist(), sizes, strict=True):
            for j in range(JOINTS):
                if seen[j]:
                    x, y = (found[j, 0] - truth[j, 0]) / size, (found[j, 1] - truth[j, 1]) / size
                    number[j] += 1
                    # below the thresholds from the first larger one on
                    hits[j, bisect_right(cuts, np.sqrt(x * x + y * y)) :] += 1
        return (hits / np.array(number)[:, None]).reshape(-1).tolist()

    return Stages(evaluate)


def mpjpe_cvbench(columns: Keypoints, threads: int) -> Stages:
    """Checks of all coordinates, both alignments, and all figures, 3DPCK and those of joints included."""
    from cvbench.metrics.pose3d import PoseParams, count, problems, summarize

    params = PoseParams()

    def evaluate(_: None) -> Figures:
        if problems(columns, params):
            raise ValueError("the workload has poses that cannot be scored")
        values = summarize(count(columns, params, threads=threads)).values
        return [values[name] for name in ("MPJPE", "PA-MPJPE", "N-MPJPE")]

    return Stages(evaluate)


def mpjpe_one_by_one(columns: Keypoints, threads: int) -> Stages:
    """How mmpose aligns: a loop over poses with NumPy's singular value decomposition."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from naive.pose3d import errors

    hows = ("none", "procrustes", "scale")
    return Stages(lambda _: [float(errors(columns.pred, columns.gt, how).mean()) for how in hows])


def heatmaps_cvbench(method: str, data: tuple[Any, Any], threads: int) -> Stages:
    from cvbench.metrics.heatmaps import decode_heatmaps, encode_heatmaps

    keypoints, maps = data
    sizes: dict[str, Any] = {"input_size": INPUT, "heatmap_size": HEATMAP}

    if method in ENCODINGS:
        return Stages(lambda _: encode_heatmaps(keypoints, method=method, threads=threads, **sizes)[0], figures=sum_of)
    return Stages(lambda _: decode_heatmaps(maps, method=method, threads=threads)[0], figures=sum_of)


def heatmaps_in_a_loop(method: str, data: tuple[Any, Any], threads: int) -> Stages:
    keypoints, maps = data
    if method in ENCODINGS:
        return Stages(lambda _: encoded_in_a_loop(keypoints, method), figures=sum_of)
    return Stages(lambda _: decoded_in_a_loop(maps, method), figures=sum_of)


def sum_of(values: NDArray[Any]) -> Figures:
    """What all engines have to agree on: the sum of all pixels, or of all coordinates."""
    return [float(values.sum(dtype=np.float64))]


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
