"""Tasks on paired keypoints: every annotated person, face or hand has one prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cvbench.errors import InputError
from cvbench.io import Problem
from cvbench.io.points import KeypointReading, check_keypoints, read_keypoints
from cvbench.io.problems import refuse
from cvbench.io.source import Source as Origin
from cvbench.metrics.detection import Progress
from cvbench.metrics.paired import METRICS, PairedMetric
from cvbench.result import Input, Result

Source = Any
"""A path, or what the readers of keypoints take."""


def score(
    settings: Mapping[str, Any],
    gt: Source,
    pred: Source,
    threads: int | None,
    progress: Progress | None,  # noqa: ARG001  # all is one step: 100,000 people take a tenth of a second
    parameters: Mapping[str, Any],
) -> Result:
    """Score predicted keypoints; arguments as in `cvbench.families`."""
    metric = METRICS[settings["metric"]]
    params = metric.rules(**parameters)
    reading = read_keypoints(gt, pred, dims=metric.dims, unpaired=_unpaired(params), task=settings["task"])
    problems = _judged(reading, metric, params)
    if problems:
        in_memory = reading.gt_source.path is None or reading.pred_source.path is None
        refused = refuse(
            problems, "cvbench.scoring.check" if in_memory else f"cvbench check {settings['task']} GT PRED"
        )
        raise InputError(refused.message, where=refused.where) if in_memory else refused
    state = metric.count(reading.columns, params, reading.joint_names or (), threads)
    return metric.result(
        state,
        f"{settings['task']}@{settings['version']}",
        (),
        counts={name: reading.counts[name] for name in REMARKABLE if reading.counts.get(name)},
        notes=reading.notes,
        inputs={"gt": _input(reading.gt_source), "pred": _input(reading.pred_source)},
    )


REMARKABLE = ("unpredicted", "edge_keypoints")
"""Counts of the reader that a state does not have; shown where they are not 0."""


def check(settings: Mapping[str, Any], files: Sequence[Source], parameters: Mapping[str, Any]) -> list[Problem]:
    """Everything that keeps one or two inputs from being scored."""
    metric = METRICS[settings["metric"]]
    params = metric.rules(**parameters)
    gt, pred = files[0], files[1] if len(files) > 1 else None
    problems = check_keypoints(gt, pred, dims=metric.dims, unpaired=_unpaired(params))
    if problems:
        return problems
    reading = read_keypoints(gt, pred, dims=metric.dims, unpaired=_unpaired(params))
    try:
        return _judged(reading, metric, params, alone=pred is None)
    except InputError as error:
        return [Problem(error.where, error.message)]


def _unpaired(params: Any) -> Literal["refuse", "miss"]:
    """An instance without a prediction is one whose keypoints are all missing."""
    return "miss" if getattr(params, "missing", "refuse") == "miss" else "refuse"


def _judged(reading: KeypointReading, metric: PairedMetric, params: Any, alone: bool = False) -> list[Problem]:
    """What keeps instances from being scored; of ground truth that is read `alone`, as its own prediction, but once.

    Raises
    ------
    InputError
        The ground truth as a whole lacks what the rules ask for.
    """
    try:
        troubles = list(metric.problems(reading.columns, params))
    except InputError as error:
        raise InputError(error.message, where=reading.gt_source.path or "gt") from error
    where = {"gt": reading.gt_where, "pred": reading.pred_where}
    return [
        Problem(where[trouble.side](trouble.row), trouble.message)
        for trouble in troubles
        if trouble.side == "gt" or not alone
    ]


def _input(source: Origin) -> Input:
    return {"path": source.path, "sha256": source.sha256, "bytes": source.bytes}
