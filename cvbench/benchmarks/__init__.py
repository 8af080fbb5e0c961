"""Benchmarks of models: pictures, what is true of them, and the metric that judges predictions.

A benchmark reads pictures one by one, so that a split of any size takes no memory; training and evaluation read the
same ones. Scoring is that of the public metric classes, so a model's figures are those that anybody gets who hands them
the same arrays.

Conventions
-----------
- Images are (H, W, 3) uint8, red, green, blue. Coordinates are in pixels from the top left corner.
- Targets, which losses are given, have boxes as ``x1, y1, x2, y2`` and classes as indices from 0 in the order of
  `Benchmark.classes`. Predictions have the category ids of the ground truth.
- What a model is to predict is `Benchmark.expects`; ``docs/models.md`` has the whole contract.

Examples
--------
>>> from cvbench.benchmarks import BENCHMARKS
>>> benchmark = BENCHMARKS["scenes.detection"]
>>> picture = benchmark.pictures("val", 1)[0]
>>> picture.images[0].shape, picture.targets[0]["boxes"].shape, benchmark.classes[:2]
((128, 128, 3), (5, 4), ('disc', 'box'))
"""

from __future__ import annotations

from cvbench.benchmarks.benchmark import Benchmark, Digest, Picture, Pictures, Prediction, Scorer
from cvbench.benchmarks.files import TASKS as FILE_TASKS, from_files
from cvbench.benchmarks.procedural import BENCHMARKS
from cvbench.errors import InputError, did_you_mean

__all__ = [
    "BENCHMARKS",
    "FILE_TASKS",
    "Benchmark",
    "Digest",
    "Picture",
    "Pictures",
    "Prediction",
    "Scorer",
    "find",
    "from_files",
]


def find(name: str) -> Benchmark:
    """The benchmark of that name.

    Raises
    ------
    InputError
        There is none; the message names the nearest one.
    """
    if name not in BENCHMARKS:
        raise InputError(f"unknown benchmark {name!r}{did_you_mean(name, BENCHMARKS)}")
    return BENCHMARKS[name]
