"""One engine on 3-D poses in memory, in one fresh process.

``pose_worker.py ENGINE POSES ROUNDS`` prints the seconds of each round and the figures as JSON: MPJPE as predicted,
after Procrustes alignment and after scaling.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from cvbench.columns import Keypoints

sys.path.insert(0, str(Path(__file__).parents[1]))

JOINTS = 17
Run = Callable[[], list[float]]


def poses(number: int, seed: int = 0) -> Keypoints:
    """Poses of some 600 mm, and predictions 40 mm away, all joints annotated as in Human3.6M."""
    rng = np.random.default_rng(seed)
    gt = rng.normal(0, 300, (number, JOINTS, 3))
    return Keypoints(
        image_ids=np.arange(number),
        offsets=np.arange(number + 1),
        gt=gt,
        pred=gt + rng.normal(0, 40, gt.shape),
        visible=np.ones((number, JOINTS), np.bool_),
    )


def cvbench(columns: Keypoints, threads: int | None = 1) -> Run:
    """Checks of all coordinates, both alignments, and all figures, 3DPCK and those of joints included."""
    from cvbench.metrics.pose3d import PoseParams, count, problems, summarize

    params = PoseParams()

    def run() -> list[float]:
        if problems(columns, params):
            raise ValueError("the workload has poses that cannot be scored")
        values = summarize(count(columns, params, threads=threads)).values
        return [values[name] for name in ("MPJPE", "PA-MPJPE", "N-MPJPE")]

    return run


def cvbench_all(columns: Keypoints) -> Run:
    return cvbench(columns, threads=None)


def poses_one_by_one(columns: Keypoints) -> Run:
    """How mmpose aligns: a loop over poses with NumPy's singular value decomposition."""
    from naive.pose3d import errors

    return lambda: [float(errors(columns.pred, columns.gt, how).mean()) for how in ("none", "procrustes", "scale")]


ENGINES = {"cvbench": cvbench, "cvbench, all cores": cvbench_all, "poses one by one": poses_one_by_one}


def main(engine: str, number: int, rounds: int) -> None:
    ENGINES[engine](poses(2))()  # compiles, or loads what is compiled
    run, seconds = ENGINES[engine](poses(number)), []
    figures = run()
    for _ in range(rounds):
        start = perf_counter()
        run()
        seconds.append(perf_counter() - start)
    sys.stdout.write(json.dumps({"seconds": seconds, "figures": figures}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
