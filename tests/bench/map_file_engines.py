"""Engines on pairs of maps in PNG files, for `map_worker`; each decodes them anew in every round."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from map_worker import CLASSES, PANOPTIC_FIGURES, Run, panoptic_two_sorts, semantic_bincount
from map_workload import IGNORED, PanopticImage


@dataclass(frozen=True)
class ColourFiles:
    """The images of a panoptic JSON file, decoded whenever somebody goes through them."""

    path: Path

    def __iter__(self) -> Iterator[PanopticImage]:
        for annotation in json.loads(self.path.read_text())["annotations"]:
            colours = pixels_of(self.path.with_suffix("") / annotation["file_name"]).astype(np.uint32)
            ids = colours[..., 0] + 256 * colours[..., 1] + 65536 * colours[..., 2]
            yield {"map": ids, "segments": annotation["segments_info"]}


@dataclass(frozen=True)
class LabelFiles:
    """The label maps of a folder, decoded whenever somebody goes through them."""

    path: Path

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for path in sorted(self.path.glob("*.png")):
            yield pixels_of(path)


def pixels_of(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def decoding(gt: Path, pred: Path) -> Run:
    """Nothing but decoding, on all cores: the least that an evaluation with this decoder takes."""
    from cvbench.kernels import map_ranges

    paths = [path for side in (gt, pred) for path in sorted(side.with_suffix("").glob("*.png"))]

    def run() -> list[float]:
        map_ranges(lambda start, stop: [pixels_of(path) for path in paths[start:stop]], len(paths))
        return []

    return run


def panoptic_cvbench(gt: Path, pred: Path, threads: int | None = None) -> Run:
    from cvbench import score

    def run() -> list[float]:
        values = score("coco.panoptic", gt, pred, threads=threads).values
        return [values[name] for name in PANOPTIC_FIGURES]

    return run


def panoptic_hotcoco(gt: Path, pred: Path) -> Run:
    from hotcoco.panoptic import pq_compute

    def run() -> list[float]:
        with contextlib.redirect_stdout(io.StringIO()):
            result = pq_compute(str(gt), str(pred))
        return [result[part]["pq"] for part in ("All", "Things", "Stuff")]

    return run


def semantic_cvbench(gt: Path, pred: Path, threads: int | None = None) -> Run:
    from cvbench import score

    rules = {"num_classes": CLASSES, "ignore_index": IGNORED}
    return lambda: [score("semantic.miou", gt, pred, threads=threads, **rules).values["mIoU"]]


def semantic_hotcoco(gt: Path, pred: Path) -> Run:
    from hotcoco.semantic import SemanticEval

    def run() -> list[float]:
        evaluation = SemanticEval(CLASSES, ignore_index=IGNORED)
        evaluation.update_folders(gt, pred)
        return [evaluation.report()["metrics"]["mIoU"]]

    return run


def semantic_vernier(gt: Path, pred: Path) -> Run:
    from vernier import semantic

    def run() -> list[float]:
        truths, guesses = ({int(path.stem): path for path in side.glob("*.png")} for side in (gt, pred))
        truth = semantic.Dataset.from_files(truths, CLASSES, IGNORED)
        guess = semantic.Predictions.from_files(guesses)
        return [semantic.Evaluator(parity_mode="strict").evaluate(truth, guess).miou]

    return run


ENGINES: dict[str, dict[str, Callable[[Path, Path], Run]]] = {
    "panoptic": {
        "cvbench": panoptic_cvbench,
        "cvbench, one core": lambda gt, pred: panoptic_cvbench(gt, pred, threads=1),
        "decoding alone": decoding,
        "two np.unique": lambda gt, pred: panoptic_two_sorts(ColourFiles(gt), ColourFiles(pred)),
        "hotcoco": panoptic_hotcoco,
    },
    "semantic": {
        "cvbench": semantic_cvbench,
        "cvbench, one core": lambda gt, pred: semantic_cvbench(gt, pred, threads=1),
        "decoding alone": decoding,
        "np.bincount": lambda gt, pred: semantic_bincount(LabelFiles(gt), LabelFiles(pred)),
        "hotcoco": semantic_hotcoco,
        "vernier": semantic_vernier,
    },
}
