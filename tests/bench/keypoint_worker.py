"""One engine on keypoints in memory, in one fresh process.

``keypoint_worker.py WHAT ENGINE PEOPLE ROUNDS`` prints the seconds of each round and the figures as JSON. ``WHAT`` is
``pck``, PCK by joint at one threshold, or ``curve``, at 51 thresholds. All engines compute in single precision by the
rules of mmpose.
"""

from __future__ import annotations

import json
import sys
from bisect import bisect_right
from collections.abc import Callable
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Keypoints

JOINTS = 17
THRESHOLDS = {"pck": (0.2,), "curve": tuple((np.arange(51) / 100).tolist())}

Figures = list[float]
Single = NDArray[np.float32]
Run = Callable[[], Figures]


def people(number: int, seed: int = 0) -> Keypoints:
    """People with four of five joints annotated, in boxes of 50 to 300 pixels, and predictions 20 pixels away."""
    rng = np.random.default_rng(seed)
    gt = rng.uniform(0, 500, (number, JOINTS, 2))
    return Keypoints(
        image_ids=np.arange(number),
        offsets=np.arange(number + 1),
        gt=gt.astype(np.float32).astype(np.float64),
        pred=(gt + rng.normal(0, 20, gt.shape)).astype(np.float32).astype(np.float64),
        visible=rng.random((number, JOINTS)) < 0.8,
        boxes=np.concatenate([np.zeros((number, 2)), rng.integers(50, 300, (number, 2))], axis=1),
    )


def cvbench(columns: Keypoints, thresholds: tuple[float, ...], threads: int | None = 1) -> Run:
    """Checks of all coordinates and sizes, distances, hits, figures."""
    from cvbench.metrics.keypoints import PckParams, count, problems, summarize

    params = PckParams.of("mmpose", thresholds=thresholds)

    def run() -> Figures:
        if problems(columns, params):
            raise ValueError("the workload has people that cannot be scored")
        rows = summarize(count(columns, params, threads=threads)).tables["per_joint"]
        return [float(row[f"PCK@{threshold:.12g}"]) for row in rows for threshold in thresholds]

    return run


def cvbench_all(columns: Keypoints, thresholds: tuple[float, ...]) -> Run:
    return cvbench(columns, thresholds, threads=None)


def single(columns: Keypoints) -> tuple[Single, Single, Single]:
    """Annotated and predicted keypoints and the longer sides of boxes in single precision, as mmpose loads them."""
    assert columns.boxes is not None
    sides: Single = columns.boxes[:, 2:].max(axis=1).astype(np.float32)
    return columns.gt.astype(np.float32), columns.pred.astype(np.float32), sides


def whole_arrays(columns: Keypoints, thresholds: tuple[float, ...]) -> Run:
    """How mmpose counts: whole arrays in NumPy, anew for each threshold, joint by joint."""
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

    return lambda: np.array([rates(threshold) for threshold in thresholds]).T.reshape(-1).tolist()


def loop_over_people(columns: Keypoints, thresholds: tuple[float, ...]) -> Run:
    """A metric as training code often has it: the joints of a person in NumPy, people one by one."""
    gt, pred, sizes = single(columns)
    cuts = np.array(thresholds, np.float32)

    def run() -> Figures:
        hits, number = np.zeros((JOINTS, len(cuts)), np.int64), np.zeros(JOINTS, np.int64)
        for found, truth, seen, size in zip(pred, gt, columns.visible, sizes, strict=True):
            distance = np.linalg.norm((found - truth) / size, axis=1)
            hits[seen] += distance[seen, None] < cuts
            number += seen
        return (hits / number[:, None]).reshape(-1).tolist()

    return run


def loop_over_joints(columns: Keypoints, thresholds: tuple[float, ...]) -> Run:
    """The same without NumPy's arithmetic on arrays: people and joints one by one."""
    gt, pred, sizes = single(columns)
    cuts = np.array(thresholds, np.float32).tolist()

    def run() -> Figures:
        hits, number = np.zeros((JOINTS, len(cuts)), np.int64), [0] * JOINTS
        for found, truth, seen, size in zip(pred, gt, columns.visible.tolist(), sizes, strict=True):
            for j in range(JOINTS):
                if seen[j]:
                    x, y = (found[j, 0] - truth[j, 0]) / size, (found[j, 1] - truth[j, 1]) / size
                    number[j] += 1
                    # below the thresholds from the first larger one on
                    hits[j, bisect_right(cuts, np.sqrt(x * x + y * y)) :] += 1
        return (hits / np.array(number)[:, None]).reshape(-1).tolist()

    return run


ENGINES = {
    "cvbench": cvbench,
    "cvbench, all cores": cvbench_all,
    "whole arrays, as mmpose": whole_arrays,
    "loop over people": loop_over_people,
    "loop over joints": loop_over_joints,
}


def main() -> None:
    what, engine, number, rounds = sys.argv[1:]
    run = ENGINES[engine](people(int(number)), THRESHOLDS[what])
    figures = run()  # compiles where it was never compiled
    seconds = []
    for _ in range(int(rounds)):
        start = perf_counter()
        assert run() == figures
        seconds.append(perf_counter() - start)
    json.dump({"seconds": seconds, "figures": figures}, sys.stdout)


if __name__ == "__main__":
    main()
