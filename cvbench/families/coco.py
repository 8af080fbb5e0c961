"""Tasks on COCO files: objects with boxes, masks or keypoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from hashlib import sha256
from itertools import zip_longest
from typing import Any

import numpy as np

from cvbench.columns import Bool, Detections, GroundTruth, select
from cvbench.errors import InputError, did_you_mean
from cvbench.io import Problem, Reading, check_detections, check_ground_truth, read_detections, read_ground_truth
from cvbench.metrics.detection import DetectionParams, Progress, count, result_of, with_dropped
from cvbench.result import Input, Result

Source = Any
"""A path, or what decoding its JSON gives."""


def score(
    settings: Mapping[str, Any],
    gt: Source,
    pred: Source,
    threads: int | None,
    progress: Progress | None,
    parameters: Mapping[str, Any],
) -> Result:
    """Score detections; arguments as in `cvbench.families`."""
    iou_type = settings["iou_type"]
    params = _rules(settings, parameters)
    truth = read_ground_truth(gt, iou_type, **_reading(params, parameters, "missing_area"))
    found = read_detections(
        pred,
        truth.columns,
        iou_type,
        sizes=truth.image_sizes,
        **_reading(params, parameters, "box_masks", "detection_area"),
    )
    columns, chosen, conventions = _choice(truth.columns, found.columns, parameters)
    state = count(*columns, params, threads, progress)
    counts = with_dropped(state.counts, found.counts["dropped_unknown_category"]) | _remarkable(
        truth, found, state.counts
    )
    if chosen:
        counts["detections_elsewhere"] = found.counts["detections"] - counts["detections"]
    names = dict(zip(columns[0].category_ids.tolist(), columns[0].category_names, strict=True))
    if iou_type != "bbox" or found.detection_area != "box":
        conventions = [("detection_area", str(found.detection_area)), *conventions]
    conventions += [(name, said) for name, (value, said) in DEPARTURES.items() if parameters.get(name) == value]
    return result_of(
        state,
        names,
        threads,
        conventions,
        counts=counts,
        notes=[*truth.notes, *found.notes],
        inputs={"gt": _input(truth), "pred": _input(found)},
    )


DEPARTURES = {"missing_area": ("box", "box"), "box_masks": (True, "yes")}
"""What readers do only when told to, and how a signature says that they did."""


def check(settings: Mapping[str, Any], files: Sequence[Source], parameters: Mapping[str, Any]) -> list[Problem]:
    """Everything that keeps the files from being scored."""
    iou_type = settings["iou_type"]
    params = _rules(settings, parameters)
    problems = check_ground_truth(files[0], iou_type, **_reading(params, parameters, "missing_area"))
    if len(files) < 2:
        return problems
    truth = None if problems else read_ground_truth(files[0], iou_type, **_reading(params, parameters, "missing_area"))
    return problems + check_detections(
        files[1],
        None if truth is None else truth.columns,
        iou_type,
        sizes=None if truth is None else truth.image_sizes,
        **_reading(params, parameters, "box_masks", "detection_area"),
    )


def _rules(settings: Mapping[str, Any], parameters: Mapping[str, Any]) -> DetectionParams:
    known = {field.name for field in fields(DetectionParams)}
    return DetectionParams.of(settings["iou_type"], **{name: parameters[name] for name in parameters if name in known})


def _reading(params: DetectionParams, parameters: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The keyword arguments of a reader."""
    chosen = {name: parameters[name] for name in names if name in parameters}
    return chosen | ({"keypoints": len(params.sigmas)} if params.iou_type == "keypoints" else {})


def _choice(
    gt: GroundTruth, dt: Detections, parameters: Mapping[str, Any]
) -> tuple[tuple[GroundTruth, Detections], bool, list[tuple[str, str]]]:
    """The columns of the chosen images and categories, whether any were chosen, and what the signature says of it."""
    conventions: list[tuple[str, str]] = []
    images, categories = np.ones(len(gt.image_ids), np.bool_), np.ones(len(gt.category_ids), np.bool_)
    if not _is_all(parameters.get("images", "all")):
        images = _chosen(parameters["images"], gt.image_ids.tolist(), (), "image")
        conventions.append(("images", _briefly(gt.image_ids[images].tolist())))
    if not _is_all(parameters.get("categories", "all")):
        categories = _chosen(parameters["categories"], gt.category_ids.tolist(), gt.category_names, "category")
        conventions.append(("categories", _briefly(gt.category_ids[categories].tolist())))
    if not conventions:
        return (gt, dt), False, conventions
    return select(gt, dt, images, categories), True, conventions


def _is_all(value: Any) -> bool:
    return isinstance(value, (str, tuple)) and value in ("all", ("all",))


def _chosen(wanted: Any, ids: list[Any], names: Sequence[str], kind: str) -> Bool:
    """Which of `ids` are wanted, by id, by id as text, or by name."""
    meant: dict[Any, set[Any]] = {}
    for number, name in zip_longest(ids, names):
        for key in dict.fromkeys((number, str(number), name)):
            meant.setdefault(key, set()).add(number)
    listed = list(wanted) if isinstance(wanted, Iterable) and not isinstance(wanted, str) else [wanted]
    for value in listed:
        if value not in meant:
            known = [str(number) for number in ids[:20]] + list(names)
            raise InputError(f"there is no {kind} {value!r}{did_you_mean(str(value), known)}")
    chosen = set().union(*(meant[value] for value in listed))
    return np.array([number in chosen for number in ids], np.bool_)


def _briefly(ids: list[Any]) -> str:
    """Ids for a signature: one by one where they are few and plain, else their number and a hash."""
    text = ",".join(map(str, ids))
    if len(ids) <= 20 and all(isinstance(number, int) or number.isalnum() for number in ids):
        return text
    return f"{len(ids)} with sha256 {sha256(text.encode()).hexdigest()[:16]}"


def _remarkable(truth: Reading[GroundTruth], found: Reading[Detections], counted: Mapping[str, int]) -> dict[str, int]:
    """What the readers completed or dropped, where there is any of it, and the state does not count it."""
    both = {**truth.counts, **found.counts}
    return {name: n for name, n in both.items() if n and name in REMARKABLE and name not in counted}


REMARKABLE = (
    "missing_iscrowd",
    "missing_area",
    "missing_num_keypoints",
    "num_keypoints_differ",
    "duplicate_category_names",
    "box_masks",
    "zero_size_annotations",
    "zero_size_detections",
)
"""Counts of the readers that a result shows where they are not 0."""


def _input(reading: Reading[Any]) -> Input:
    return {"path": reading.source.path, "sha256": reading.source.sha256, "bytes": reading.source.bytes}
