"""Tasks on maps of class labels, and Cityscapes' instance ids beside them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Int, Overlaps
from cvbench.errors import InputError
from cvbench.families.maps import Pair, Side, compare_maps, opening_problems
from cvbench.io.label_maps import MapSet, open_maps, pair_maps
from cvbench.io.problems import Problem, refuse
from cvbench.metrics import cityscapes
from cvbench.metrics.detection import Progress
from cvbench.metrics.overlaps import Rgb, count_overlaps, join_overlaps
from cvbench.metrics.semantic import SemanticParams, compare, count, label_problems, result_of
from cvbench.result import Input, Result

Source = Any
"""A folder, a stack in a file, or maps in memory."""
Counted = tuple[Overlaps, "Int | None"]
Counter = Callable[[Any, Any], tuple[Counted, list[str], list[str]]]


def score(
    settings: Mapping[str, Any],
    gt: Source,
    pred: Source,
    threads: int | None,
    progress: Progress | None,
    parameters: Mapping[str, Any],
) -> Result:
    """Score label maps; arguments as in `cvbench.families`."""
    params, names = _rules(parameters)
    whole = _Scored(settings, gt, pred, parameters, _counter(params), threads, progress)
    f = np.stack([counts for _, counts in whole.parts if counts is not None]) if params.boundary else None
    state = count(whole.overlaps, whole.image_ids, params, f)
    return result_of(state, names, counts=whole.counts, notes=whole.notes, inputs=whole.inputs)


def check(settings: Mapping[str, Any], files: Sequence[Source], parameters: Mapping[str, Any]) -> list[Problem]:
    """Everything that keeps the maps from being scored; a ground truth alone is compared with itself."""
    params, _ = _rules(parameters)
    return _check(settings, files, parameters, _counter(params))


def score_cityscapes(
    settings: Mapping[str, Any],
    gt: Source,
    pred: Source,
    threads: int | None,
    progress: Progress | None,
    parameters: Mapping[str, Any],
) -> Result:
    """Score maps of label ids against maps of instance ids; arguments as in `cvbench.families`."""
    whole = _Scored(settings, gt, pred, parameters, _count_labels, threads, progress)
    state = cityscapes.count(whole.overlaps, whole.image_ids)
    return cityscapes.result_of(state, counts=whole.counts, notes=whole.notes, inputs=whole.inputs)


def check_cityscapes(
    settings: Mapping[str, Any], files: Sequence[Source], parameters: Mapping[str, Any]
) -> list[Problem]:
    """Everything that keeps the maps from being scored; a ground truth alone is looked at by itself."""
    return _check(settings, files, parameters, _count_labels)


class _Scored:
    """Two sources, compared: what was counted, of which images, and what a result says of the sources."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        gt: Source,
        pred: Source,
        parameters: Mapping[str, Any],
        counter: Counter,
        threads: int | None,
        progress: Progress | None,
    ) -> None:
        gt_maps, pred_maps = _maps(settings, gt, "gt", parameters), _maps(settings, pred, "pred", parameters)
        found = pair_maps(gt_maps, pred_maps)
        sides = Side(gt_maps, found.gt), Side(pred_maps, found.pred)
        pairs = _compared(sides, counter, threads, progress)
        problems = [problem for pair in pairs for problem in pair.problems]
        if problems:
            raise refuse(problems, f"cvbench check {settings['task']} GT PRED")
        self.parts: list[Counted] = [pair.part for pair in pairs if pair.part is not None]
        self.overlaps = join_overlaps([overlaps for overlaps, _ in self.parts])
        self.image_ids: NDArray[Any] = np.array(found.names, np.str_)
        self.counts = {"extra_predictions": found.extra} if found.extra else {}
        self.notes = [f"{found.extra:,} predicted maps have no ground truth and are not scored"] if found.extra else []
        hashes = [[pair.hashes[side] for pair in pairs] for side in (0, 1)]
        self.inputs: dict[str, Input] = {"gt": sides[0].input(hashes[0]), "pred": sides[1].input(hashes[1])}


def _check(
    settings: Mapping[str, Any], files: Sequence[Source], parameters: Mapping[str, Any], counter: Counter
) -> list[Problem]:
    alone = len(files) == 1
    openers = [
        partial(_maps, settings, source, side, parameters) for source, side in zip(files, ("gt", "pred"), strict=False)
    ]
    problems = opening_problems(*openers)
    if problems:
        return problems
    gt_maps, pred_maps = openers[0](), openers[-1]()
    found = pair_maps(gt_maps, pred_maps)

    def of_gt_alone(gt: Any, pred: Any) -> tuple[Counted, list[str], list[str]]:
        counted, messages, _ = counter(gt, pred)
        return counted, messages, []

    pairs = _compared(
        (Side(gt_maps, found.gt), Side(pred_maps, found.pred)), of_gt_alone if alone else counter, None, None
    )
    return list(dict.fromkeys(problem for pair in pairs for problem in pair.problems))


def _maps(settings: Mapping[str, Any], source: Source, side: str, parameters: Mapping[str, Any]) -> MapSet:
    # only files of a folder have names from which an end could be taken
    is_folder = isinstance(source, (str, os.PathLike)) and Path(source).is_dir()
    usual = settings["gt_suffix"] if side == "gt" and is_folder else ""
    suffix = parameters.get(f"{side}_suffix", usual)
    return open_maps(source, side, suffix=suffix, by=parameters.get("match", "stem"))


def _compared(
    sides: tuple[Side, Side], counter: Counter, threads: int | None, progress: Progress | None
) -> list[Pair[Counted]]:
    empty = Overlaps(np.zeros(2, np.int64), *(np.zeros(0, np.int64) for _ in range(3)))

    def compare_labels(_: int, gt: Any, pred: Any) -> tuple[Counted, list[str], list[str]]:
        gt_problems, pred_problems = ([COLOURED] if isinstance(value, Rgb) else [] for value in (gt, pred))
        if gt_problems or pred_problems:
            return (empty, None), gt_problems, pred_problems
        return counter(gt, pred)

    return compare_maps(*sides, compare_labels, None, threads, progress)


COLOURED = (
    "this is an image of colours; expected one number per pixel, its class: "
    "save label maps as grey or palette PNG (mode L, P or I;16)"
)


def _counter(params: SemanticParams) -> Counter:
    def counter(gt: Any, pred: Any) -> tuple[Counted, list[str], list[str]]:
        overlaps, f = compare(gt, pred, params)
        return ((overlaps, f), *label_problems(overlaps, params))

    return counter


def _count_labels(gt: Any, pred: Any) -> tuple[Counted, list[str], list[str]]:
    overlaps = count_overlaps(gt, pred)
    return ((overlaps, None), *cityscapes.label_problems(overlaps))


def _rules(parameters: Mapping[str, Any]) -> tuple[SemanticParams, dict[int, str]]:
    """The rules, and the names of classes by label."""
    known = {field.name for field in fields(SemanticParams)}
    chosen = {name: value for name, value in parameters.items() if name in known}
    given = parameters.get("names", ())
    if isinstance(given, str):
        raise InputError(f"found {given!r}, expected a list of names", where="names")
    names = list(given)
    number = parameters.get("num_classes")
    if names and number is None and "class_ids" not in chosen and parameters.get("preset") != "cityscapes":
        number = len(names)
    params = SemanticParams.of(parameters.get("preset"), number, **chosen)
    if names and len(names) != len(params.class_ids):
        raise InputError(f"there are {len(names)} names for {len(params.class_ids)} classes", where="names")
    if not names and parameters.get("preset") == "cityscapes":
        return params, {label.id: label.name for label in cityscapes.LABELS}
    return params, dict(zip(params.class_ids, names, strict=False))
