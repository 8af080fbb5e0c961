"""Tasks on panoptic files: segments listed in JSON, and maps of their ids; or Cityscapes' maps of instance ids."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cvbench.columns import Int, Overlaps, Segments
from cvbench.errors import FormatError, InputError
from cvbench.families.maps import Pair, Side, compare_maps, opening_problems
from cvbench.io.label_maps import MapSet, open_maps, pair_maps
from cvbench.io.panoptic import check_panoptic, read_panoptic
from cvbench.io.problems import Problem, refuse
from cvbench.metrics.boundary import region_bands
from cvbench.metrics.cityscapes_panoptic import instance_problems, segments_of, without_void
from cvbench.metrics.detection import Progress
from cvbench.metrics.overlaps import count_overlaps, join_overlaps
from cvbench.metrics.panoptic import PanopticParams, count, listed_problems, result_of
from cvbench.result import Result

Source = Any
"""A path, or what decoding its JSON gives."""


@dataclass(frozen=True)
class Inputs:
    """Two sides whose maps are still to be compared.

    Attributes
    ----------
    segments
        Of ground truth and prediction; None where the maps themselves tell, as those of Cityscapes do.
    sides
    sizes : (I, 2) int64 or None
    listings
        Path, hash and size of the JSON files, if there are any.
    counts, notes
        Of the readers.
    """

    segments: tuple[Segments, Segments] | None
    sides: tuple[Side, Side]
    sizes: Int | None
    listings: tuple[tuple[Any, str, int] | None, tuple[Any, str, int] | None]
    counts: dict[str, int]
    notes: list[str]


def score(
    settings: Mapping[str, Any],
    gt: Source,
    pred: Source,
    threads: int | None,
    progress: Progress | None,
    parameters: Mapping[str, Any],
) -> Result:
    """Score segmentations; arguments as in `cvbench.families`."""
    params = _rules(settings, parameters)
    _refuse_unused(_is_folder(settings, gt), parameters)
    inputs = _open(settings, gt, pred, parameters)
    pairs = _compare(inputs, params, threads, progress)
    problems = [problem for pair in pairs for problem in pair.problems]
    if problems:
        raise refuse(problems, f"cvbench check {settings['task']} GT PRED")
    overlaps = join_overlaps([pair.part for pair in pairs if pair.part is not None])
    if not pairs and params.boundary:
        overlaps = replace(overlaps, bands=np.zeros((0, 3), np.int64))
    segments = inputs.segments
    if segments is None:
        names = np.array([inputs.sides[0].maps.names[row] for row in inputs.sides[0].rows.tolist()], np.str_)
        segments = segments_of(overlaps, names)
    gt_segments, pred_segments = segments
    state = count(gt_segments, pred_segments, overlaps, params)
    categories = dict(zip(gt_segments.category_ids.tolist(), gt_segments.category_names, strict=True))
    described = [
        side.input([pair.hashes[number] for pair in pairs], inputs.listings[number])
        for number, side in enumerate(inputs.sides)
    ]
    return result_of(
        state,
        f"{settings['task']}@{settings['version']}",
        categories,
        counts={name: n for name, n in inputs.counts.items() if n and name in REMARKABLE},
        notes=inputs.notes,
        inputs=dict(zip(("gt", "pred"), described, strict=True)),
    )


REMARKABLE = (
    "missing_iscrowd",
    "missing_area",
    "extra_predictions",
    "images_without_annotation",
    "annotations_without_image",
    "images_without_size",
    "duplicate_category_names",
)
"""Counts of the reader that a result shows where they are not 0."""


def check(settings: Mapping[str, Any], files: Sequence[Source], parameters: Mapping[str, Any]) -> list[Problem]:
    """Everything that keeps the files from being scored; a ground truth alone is compared with itself."""
    params = _rules(settings, parameters)
    gt, pred = files[0], files[-1]
    _refuse_unused(_is_folder(settings, gt), parameters)
    alone = len(files) == 1
    if alone:
        parameters = {**parameters, "pred_folder": parameters.get("gt_folder"), "pred_suffix": _suffix(parameters)}
    if _is_folder(settings, gt):
        if not alone and not _is_folder(settings, pred):
            error = _no_folder(pred)
            return [Problem(error.where, error.message)]
        problems = opening_problems(*_map_openers(gt, pred, parameters))
    else:
        folders = parameters.get("gt_folder"), parameters.get("pred_folder")
        problems = check_panoptic(gt, pred, *folders)
    if not problems:
        pairs = _compare(_open(settings, gt, pred, parameters), params, None, None, alone=alone)
        problems = [problem for pair in pairs for problem in pair.problems]
    if alone and not isinstance(gt, (str, os.PathLike)):  # what is in memory is named by its side, and there is one
        problems = [problem for problem in problems if not problem.where.startswith("pred")]
    return list(dict.fromkeys(problems))


def _rules(settings: Mapping[str, Any], parameters: Mapping[str, Any]) -> PanopticParams:
    known = {field.name for field in fields(PanopticParams)}
    chosen = {name: value for name, value in {**settings, **parameters}.items() if name in known}
    return PanopticParams(**chosen)


def _is_folder(settings: Mapping[str, Any], source: Source) -> bool:
    return bool(settings["folders"]) and isinstance(source, (str, os.PathLike)) and Path(source).is_dir()


def _refuse_unused(folder: bool, parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that the kind of the ground truth, a folder of instance ids or JSON, leaves without effect."""
    kind, unused = ("a folder", "folder") if folder else ("JSON", "suffix")
    for name in (f"gt_{unused}", f"pred_{unused}"):
        if parameters.get(name):
            raise InputError(f"{name} has no effect where the ground truth is {kind}; leave it out")


def _suffix(parameters: Mapping[str, Any]) -> str:
    return str(parameters.get("gt_suffix", GT_SUFFIX))


GT_SUFFIX = "_gtFine_instanceIds"
"""How the names of Cityscapes' maps of instance ids end."""


def _no_folder(pred: Source) -> FormatError:
    """The error for a prediction that is no folder where the ground truth is one."""
    is_path = isinstance(pred, (str, os.PathLike))
    if is_path and not Path(pred).exists():
        return FormatError("there is no such file or folder", where=os.fspath(pred))
    message = "the ground truth is a folder of instance ids; expected such a folder here"
    return FormatError(message, where=os.fspath(pred) if is_path else "pred")


def _map_openers(gt: Source, pred: Source, parameters: Mapping[str, Any]) -> tuple[Callable[[], MapSet], ...]:
    return (
        partial(open_maps, gt, "gt", suffix=_suffix(parameters)),
        partial(open_maps, pred, "pred", suffix=parameters.get("pred_suffix", "")),
    )


def _open(settings: Mapping[str, Any], gt: Source, pred: Source, parameters: Mapping[str, Any]) -> Inputs:
    if _is_folder(settings, gt):
        if not _is_folder(settings, pred):
            raise _no_folder(pred)
        gt_maps, pred_maps = (opener() for opener in _map_openers(gt, pred, parameters))
        found = pair_maps(gt_maps, pred_maps)
        counts = {"extra_predictions": found.extra}
        notes = [f"{found.extra:,} predicted maps have no ground truth and are not scored"] if found.extra else []
        sides = Side(gt_maps, found.gt), Side(pred_maps, found.pred)
        return Inputs(None, sides, None, (None, None), counts, notes)
    folders = parameters.get("gt_folder"), parameters.get("pred_folder")
    reading = read_panoptic(gt, pred, *folders)
    rows = np.arange(len(reading.gt.image_ids), dtype=np.int64)
    listings = [(source.path, source.sha256, source.bytes) for source in (reading.gt_source, reading.pred_source)]
    sides = Side(reading.gt_maps, rows), Side(reading.pred_maps, rows)
    return Inputs(
        (reading.gt, reading.pred), sides, reading.sizes, (listings[0], listings[1]), reading.counts, reading.notes
    )


def _compare(
    inputs: Inputs, params: PanopticParams, threads: int | None, progress: Progress | None, alone: bool = False
) -> list[Pair[Overlaps]]:
    listed = None if inputs.segments is None else inputs.segments[1]

    def compare(number: int, gt: Any, pred: Any) -> tuple[Overlaps, list[str], list[str]]:
        bands = None
        if params.boundary:
            bands = region_bands(gt, params.dilation_ratio), region_bands(pred, params.dilation_ratio)
        overlaps = count_overlaps(gt, pred, bands=bands)
        if listed is None:
            problems = instance_problems(overlaps)
            return (overlaps if any(problems) else without_void(overlaps)), *problems
        if alone:  # a ground truth may have ids that no segment lists, a prediction may not
            return overlaps, [], []
        ids = listed.id[listed.offsets[number] : listed.offsets[number + 1]]
        return overlaps, [], listed_problems(overlaps.pred, overlaps.pixels, ids)

    return compare_maps(*inputs.sides, compare, inputs.sizes, threads, progress)
