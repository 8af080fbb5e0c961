"""Tasks on COCO files: objects with boxes, masks or keypoints.

Benchmarks that share COCO's files and matching differ in rules, in what else is read, and in who counts and scores:
`Benchmark` says that, and `score` and `check` do the same for all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from hashlib import sha256
from itertools import zip_longest
from typing import Any

import numpy as np

from cvbench.columns import Bool, Detections, GroundTruth, Int, select
from cvbench.errors import FormatError, InputError, did_you_mean
from cvbench.io import Problem, Reading, check_detections, check_ground_truth, read_detections, read_ground_truth
from cvbench.io.pieces import is_folder, pieces_of, read_folder
from cvbench.metrics import crowdpose, detection, wholebody
from cvbench.metrics.detection import DetectionParams, DetectionState, Progress, Summary, with_dropped
from cvbench.result import Input, Result

Source = Any
"""A path, or what decoding its JSON gives."""


@dataclass(frozen=True)
class Benchmark:
    """Where a benchmark departs from COCO.

    Attributes
    ----------
    rules
        Changes to the official `DetectionParams`.
    gt_reading, pred_reading
        Further arguments of the two readers.
    count
        From the reading of the ground truth, the chosen columns of both sides, rules, threads and progress to a state.
    result_of
        From a state to a result; arguments as of `cvbench.metrics.detection.result_of`.
    views, figures
        From a state and weights of its images to the states and weights that are scored, and from what was scored to
        figures; as of `cvbench.metrics.detection.views` and ``figures``.
    """

    rules: Mapping[str, Any] = field(default_factory=dict)
    gt_reading: Mapping[str, Any] = field(default_factory=dict)
    pred_reading: Mapping[str, Any] = field(default_factory=dict)
    count: Callable[..., DetectionState] = lambda _, *arguments: detection.count(*arguments)
    result_of: Callable[..., Result] = detection.result_of
    views: Callable[..., list[tuple[DetectionState, Int]]] = detection.views
    figures: Callable[..., Summary] = detection.figures


def _count_crowds(truth: Reading[GroundTruth], gt: GroundTruth, *others: Any) -> DetectionState:
    assert truth.crowd_index is not None, "the benchmark's reader reads it"
    chosen = np.isin(truth.columns.image_ids, gt.image_ids)
    return crowdpose.count(gt, others[0], truth.crowd_index[chosen], *others[1:])


_PARTS = {part.keypoints: part.joints.stop - part.joints.start for part in wholebody.PARTS}

BENCHMARKS = {
    "coco": Benchmark(),
    "crowdpose": Benchmark(
        rules=crowdpose.RULES,
        gt_reading={"crowd_index": True},
        count=_count_crowds,
        result_of=crowdpose.result_of,
        views=crowdpose.views,
        figures=crowdpose.figures,
    ),
    "wholebody": Benchmark(
        rules=wholebody.RULES,
        gt_reading={"keypoints": _PARTS},
        pred_reading={"keypoints": _PARTS, "part_scores": wholebody.PART_SCORES},
        count=lambda _, *arguments: wholebody.count(*arguments),
        result_of=wholebody.result_of,
        views=wholebody.views,
        figures=wholebody.figures,
    ),
}
"""All benchmarks by the name that tasks call them in their settings."""


def score(
    settings: Mapping[str, Any],
    gt: Source,
    pred: Source,
    threads: int | None,
    progress: Progress | None,
    parameters: Mapping[str, Any],
) -> Result:
    """Score detections; arguments as in `cvbench.families`."""
    params = rules(settings, parameters)
    read = read_folder if is_folder(pred) else read_detections
    # what is hashed of large files is hashed beside the rest, of which not all keeps every processor busy
    with ThreadPoolExecutor(1, "cvbench-hash") as pool:
        truth = read_truth(settings, gt, parameters)
        pool.submit(getattr, truth.source, "sha256")
        found = read(pred, truth.columns, settings["iou_type"], **pred_reading(settings, truth, parameters))
        pool.submit(getattr, found.source, "sha256")
        choice = choose(truth.columns, parameters)
        columns = choice.of(truth.columns, found.columns)
        state = BENCHMARKS[settings["benchmark"]].count(truth, *columns, params, threads, progress)
    return described(settings, parameters, state, truth, found, choice, threads)


def described(
    settings: Mapping[str, Any],
    parameters: Mapping[str, Any],
    state: DetectionState,
    truth: Reading[GroundTruth],
    found: Reading[Detections],
    choice: Choice,
    threads: int | None = None,
    **others: Any,
) -> Result:
    """The result of a state, and of what was read; `others` go to the benchmark's ``result_of``."""
    counts = with_dropped(state.counts, found.counts["dropped_unknown_category"]) | _remarkable(
        truth, found, state.counts
    )
    if choice.conventions:
        counts["detections_elsewhere"] = found.counts["detections"] - counts["detections"]
    conventions = list(choice.conventions)
    if settings["iou_type"] != "bbox" or found.detection_area != "box":
        conventions = [("detection_area", str(found.detection_area)), *conventions]
    conventions += [(name, said) for name, (value, said) in DEPARTURES.items() if parameters.get(name) == value]
    return BENCHMARKS[settings["benchmark"]].result_of(
        state,
        dict(zip(truth.columns.category_ids.tolist(), truth.columns.category_names, strict=True)),
        threads,
        conventions,
        counts=counts,
        notes=[*truth.notes, *found.notes],
        inputs={"gt": _input(truth), "pred": _input(found)},
        **others,
    )


DEPARTURES = {"missing_area": ("box", "box"), "box_masks": (True, "yes")}
"""What readers do only when told to, and how a signature says that they did."""


def check(settings: Mapping[str, Any], files: Sequence[Source], parameters: Mapping[str, Any]) -> list[Problem]:
    """Everything that keeps the files from being scored."""
    iou_type = settings["iou_type"]
    problems = check_ground_truth(files[0], iou_type, **_gt_reading(settings, parameters))
    if len(files) < 2:
        return problems
    truth = None if problems else read_truth(settings, files[0], parameters)
    columns, reading = None if truth is None else truth.columns, pred_reading(settings, truth, parameters)
    del reading["task"]
    try:
        found = [piece.name for piece in pieces_of(os.fspath(files[1]))] if is_folder(files[1]) else files[1:]
    except FormatError as error:
        return [*problems, Problem(error.where, error.message)]
    return problems + [problem for file in found for problem in check_detections(file, columns, iou_type, **reading)]


def read_truth(settings: Mapping[str, Any], gt: Source, parameters: Mapping[str, Any]) -> Reading[GroundTruth]:
    """Read the ground truth."""
    return read_ground_truth(gt, settings["iou_type"], task=settings["task"], **_gt_reading(settings, parameters))


def rules(settings: Mapping[str, Any], parameters: Mapping[str, Any]) -> DetectionParams:
    """The rules of the benchmark with the user's changes."""
    known = {field.name for field in fields(DetectionParams)}
    chosen = {name: parameters[name] for name in parameters if name in known}
    return DetectionParams.of(settings["iou_type"], **{**BENCHMARKS[settings["benchmark"]].rules, **chosen})


def _gt_reading(settings: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of the ground truth's reader."""
    params = rules(settings, parameters)
    reading = _reading(params, parameters, "missing_area")
    if params.scale_area == "box053":
        if "missing_area" in reading:
            raise InputError("missing_area has no effect: scale_area=box053 takes all areas from boxes")
        reading["missing_area"] = "unused"
    return reading | dict(BENCHMARKS[settings["benchmark"]].gt_reading)


def pred_reading(
    settings: Mapping[str, Any], truth: Reading[GroundTruth] | None, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """The keyword arguments of the detections' reader; `truth` is None where it could not be read."""
    reading = _reading(rules(settings, parameters), parameters, "box_masks", "detection_area")
    sizes = None if truth is None else truth.image_sizes
    return reading | dict(BENCHMARKS[settings["benchmark"]].pred_reading) | {"sizes": sizes, "task": settings["task"]}


def _reading(params: DetectionParams, parameters: Mapping[str, Any], *names: str) -> dict[str, Any]:
    chosen = {name: parameters[name] for name in names if name in parameters}
    return chosen | ({"keypoints": len(params.sigmas)} if params.iou_type == "keypoints" else {})


@dataclass(frozen=True)
class Choice:
    """The images and categories that are scored.

    Attributes
    ----------
    images, categories : (I,) and (K,) bool
    conventions
        What the signature says of them; nothing where all are scored.
    """

    images: Bool
    categories: Bool
    conventions: tuple[tuple[str, str], ...]

    def of(self, gt: GroundTruth, dt: Detections) -> tuple[GroundTruth, Detections]:
        """The columns of what is scored."""
        return select(gt, dt, self.images, self.categories) if self.conventions else (gt, dt)


def choose(gt: GroundTruth, parameters: Mapping[str, Any]) -> Choice:
    """The choice that the user made among the images and categories of the ground truth."""
    conventions: list[tuple[str, str]] = []
    images, categories = np.ones(len(gt.image_ids), np.bool_), np.ones(len(gt.category_ids), np.bool_)
    if not _is_all(parameters.get("images", "all")):
        images = _chosen(parameters["images"], gt.image_ids.tolist(), (), "image")
        conventions.append(("images", _briefly(gt.image_ids[images].tolist())))
    if not _is_all(parameters.get("categories", "all")):
        categories = _chosen(parameters["categories"], gt.category_ids.tolist(), gt.category_names, "category")
        conventions.append(("categories", _briefly(gt.category_ids[categories].tolist())))
    return Choice(images, categories, tuple(conventions))


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
    return {name: n for name, n in both.items() if n and _is_remarkable(name) and name not in counted}


def _is_remarkable(name: str) -> bool:
    return name in REMARKABLE or name.startswith("missing_")


REMARKABLE = (
    "num_keypoints_differ",
    "duplicate_category_names",
    "box_masks",
    "zero_size_annotations",
    "zero_size_detections",
)
"""Counts of the readers that a result shows where they are not 0, beside those of what is missing."""


def _input(reading: Reading[Any]) -> Input:
    return {"path": reading.source.path, "sha256": reading.source.sha256, "bytes": reading.source.bytes}
