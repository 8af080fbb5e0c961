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
    from cvbench.columns import Overlaps
    from cvbench.io.panoptic import read_panoptic
    from cvbench.kernels import map_ranges
    from cvbench.metrics.overlaps import Rgb, count_overlaps, join_overlaps
    from cvbench.metrics.panoptic import PanopticParams, count, summarize

    def run() -> list[float]:
        reading = read_panoptic(gt, pred)
        parts: dict[int, Overlaps] = {}

        def reduce(start: int, stop: int) -> None:
            for i in range(start, stop):
                truth, guess = (Rgb(maps.read(i).pixels) for maps in (reading.gt_maps, reading.pred_maps))
                parts[i] = count_overlaps(truth, guess)

        map_ranges(reduce, len(reading.gt_maps), threads)
        overlaps = join_overlaps([parts[i] for i in range(len(parts))])
        values = summarize(count(reading.gt, reading.pred, overlaps, PanopticParams("json"))).values
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
    from cvbench.columns import Overlaps
    from cvbench.io.label_maps import open_maps, pair_maps
    from cvbench.kernels import map_ranges
    from cvbench.metrics.overlaps import count_overlaps, join_overlaps
    from cvbench.metrics.semantic import SemanticParams, count, summarize

    params = SemanticParams.of(None, CLASSES, ignore_index=IGNORED)

    def run() -> list[float]:
        truths, guesses = open_maps(gt, "gt"), open_maps(pred, "pred")
        pairs, parts = pair_maps(truths, guesses), dict[int, Overlaps]()

        def reduce(start: int, stop: int) -> None:
            for i in range(start, stop):
                parts[i] = count_overlaps(truths.read(pairs.gt[i]).pixels, guesses.read(pairs.pred[i]).pixels)

        map_ranges(reduce, len(pairs), threads)
        overlaps = join_overlaps([parts[i] for i in range(len(parts))])
        return [summarize(count(overlaps, np.array(pairs.names), params)).values["mIoU"]]

    return run


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
