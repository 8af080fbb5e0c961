"""The tasks: one table, data rather than code.

A task is a metric with the rules of one benchmark under a name that stays, ``coco.bbox``, and a version that rises with
every change that changes a score.
"""

from __future__ import annotations

from cvbench.errors import InputError, did_you_mean
from cvbench.tasks import coco, maps, points
from cvbench.tasks.task import Parameter, Task

__all__ = ["TASKS", "Parameter", "Task", "find"]

TASKS: dict[str, Task] = {task.name: task for task in (*coco.TASKS, *maps.TASKS, *points.TASKS)}
"""All tasks by name."""


def find(name: str) -> Task:
    """The task of this name, with or without its version.

    Raises
    ------
    InputError
        If there is none, or it has another version by now.
    """
    base, _, version = name.partition("@")
    if base not in TASKS:
        raise InputError(f"there is no task {base!r}{did_you_mean(base, TASKS)}")
    task = TASKS[base]
    if version and version != str(task.version):
        raise InputError(f"{base} is at version {task.version}, not {version}: its figures are not those of {name}")
    return task
