"""The one path from two inputs to a result, behind the Python API and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cvbench.errors import InputError
from cvbench.families import FAMILIES
from cvbench.io import Problem
from cvbench.metrics.detection import Progress
from cvbench.result import Result
from cvbench.tasks import TASKS, find

Source = Any
"""A path, what decoding its JSON gives, or label maps."""


def score(
    task: str,
    gt: Source,
    pred: Source,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    dask: Any = None,
    **parameters: Any,
) -> Result:
    """Score predictions against ground truth.

    Parameters
    ----------
    task
        Name of a task, ``coco.bbox``; `cvbench.tasks.TASKS` has all.
    gt, pred
        Paths of files or folders, or what they hold: decoded JSON, label maps.
    threads
        Threads to use; None for all processors. The result is the same with any number.
    progress
        Called now and then, from any thread, with a stage, how much of it is done and how much there is.
    dask
        A cluster whose workers read and match: the address of its scheduler (``tcp://10.0.0.1:8786``), a
        `distributed.Client`, or ``local`` for as many processes on this machine as it has processors. For tasks on
        detections; `gt` and `pred` are paths then, which all workers can read, and `threads` those of each task, 1 by
        default. The result is the same.
    **parameters
        Changes to the task's rules; ``cvbench tasks NAME`` lists them.

    Returns
    -------
    Result

    Raises
    ------
    FormatError
        If a file is not what the task reads; the message names the record.
    InputError
        If the task or a parameter is unknown, or a value impossible; if there is no such cluster, or the task cannot
        use one.
    MissingDependency
        If a package is needed that is not installed.

    Examples
    --------
    >>> gt = {
    ...     "images": [{"id": 1, "width": 100, "height": 100}],
    ...     "categories": [{"id": 1, "name": "cat"}],
    ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 40], "area": 1600,
    "iscrowd": 0}], ... }
    >>> pred = [{"image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 40], "score": 0.9}]
    >>> round(score("coco.bbox", gt, pred).values["AP"], 3)
    1.0
    """
    found = find(task)
    found.check_names(parameters)
    if dask is None:
        return FAMILIES[found.family].score(found.settings, gt, pred, threads, progress, parameters)
    if found.family != "coco":
        able = ", ".join(name for name, task in TASKS.items() if task.family == "coco")
        raise InputError(f"{found.name} cannot be scored by Dask; expected one of {able}")
    from cvbench.families import cluster

    return cluster.score(found.settings, gt, pred, threads, progress, parameters, dask)


def check(task: str, files: Sequence[Source], **parameters: Any) -> list[Problem]:
    """Everything that keeps files from being scored.

    Parameters
    ----------
    task
    files
        The ground truth, then the predictions if any.
    **parameters
        As for `score`.

    Returns
    -------
    list of Problem
        Where and what; empty if the files can be scored.
    """
    found = find(task)
    found.check_names(parameters)
    if not 1 <= len(files) <= 2:
        raise InputError(f"there are {len(files)} files; expected a ground truth and, if any, a prediction file")
    return FAMILIES[found.family].check(found.settings, files, parameters)
