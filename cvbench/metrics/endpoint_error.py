"""EPE, the mean distance of predicted from annotated keypoints, in pixels.

The mean is over all keypoints that count, of all instances together; ``per_joint`` has it joint by joint, ``per_group``
by subset of the data. A keypoint that was not predicted has no distance, so it is refused.

Undefined (NaN): figures of a joint, a subset or a data set without a keypoint that counts.

Reference: mmpose 759b39c, ``keypoint_epe`` in ``evaluation/functional/keypoint_eval.py``. Named deviations: mmpose adds
up in single precision and gives 0 where there is no keypoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Int, Keypoints
from cvbench.errors import InputError
from cvbench.metrics.instances import (
    InstanceMetric,
    InstanceState,
    Summary,
    Trouble,
    Weights,
    described,
    distances,
    indices_of,
    names_of,
    problems_of,
    row_weights,
    state_of,
)
from cvbench.metrics.sums import exact_means
from cvbench.result import Input, Result

VERSION = 2
"""Raised with every change that can change a score; part of every signature."""


@dataclass(frozen=True)
class EpeParams:
    """The rules of EPE.

    Attributes
    ----------
    counted
        Indices of the joints that the means are over; None for all.
    """

    counted: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.counted is not None:
            counted = indices_of(tuple(self.counted), "counted", "joints, or None for all")
            object.__setattr__(self, "counted", counted)

    def conventions(self) -> list[tuple[str, str]]:
        """The rules as pairs for a signature."""
        return [("joints", "all" if self.counted is None else ",".join(map(str, self.counted))), ("mean", "pooled")]


def problems(columns: Keypoints, params: EpeParams) -> list[Trouble]:
    """What keeps instances from being scored; empty if all can be.

    Raises
    ------
    InputError
        The rules name joints that are not there.
    """
    joints = columns.gt.shape[1]
    if len(columns) and params.counted is not None and max(params.counted) >= joints:
        raise InputError(f"counted names joint {max(params.counted)}; there are {joints}, counted from 0")
    return problems_of(columns)


def count(
    columns: Keypoints, params: EpeParams, names: Sequence[str] = (), threads: int | None = None
) -> InstanceState:
    """The distances of all keypoints in pixels; instances must have no `problems`.

    Parameters
    ----------
    columns
    params
    names
        Of the J joints; none: their indices.
    threads
        None for all processors.
    """
    joints = names_of(names, columns.gt.shape[1]) if columns.gt.shape[1] else ()
    return state_of(InstanceState, columns, distances(columns, threads=threads), joints, params)


def summarize(state: InstanceState, weights: NDArray[Any] | Mapping[Any, int] | None = None) -> Summary:
    """Mean distances: of all keypoints, by joint, by group.

    Parameters
    ----------
    state
        From `count`, or a sum of such.
    weights
        Integer weights per image, see `cvbench.metrics.base.image_weights`.
    """
    times = row_weights(state, weights)
    means, _ = exact_means(state.distance, times)
    numbers = times @ ~np.isnan(state.distance)
    tables: dict[str, list[dict[str, Any]]] = {
        "per_joint": [
            {"id": j, "name": name, "instances": int(number), "EPE": float(mean)}
            for j, (name, number, mean) in enumerate(zip(state.columns, numbers, means, strict=True))
        ]
    }
    if state.group_names:
        tables["per_group"] = []
        for name, member in zip(state.group_names, state.member.T, strict=True):
            own = times * member
            tables["per_group"].append({"name": name, "instances": int(own.sum()), "EPE": _pooled(state, own)})
    return Summary({"EPE": _pooled(state, times)}, tables, {})


def _pooled(state: InstanceState, times: Int) -> float:
    """The mean over all joints that are looked at, of rows that count so many times."""
    counted = state.params.counted
    chosen = slice(None) if counted is None else [joint for joint in counted if joint < len(state.columns)]
    return exact_means(np.ascontiguousarray(state.distance[:, chosen]), times)[1]


def result_of(
    state: InstanceState,
    task: str = f"pose.epe@{VERSION}",
    conventions: Iterable[tuple[str, str]] = (),
    *,
    weights: NDArray[Any] | Mapping[Any, int] | None = None,
    counts: Mapping[str, int] | None = None,
    notes: Iterable[str] = (),
    inputs: dict[str, Input] | None = None,
) -> Result:
    """Score a state and say under which rules; arguments as those of `cvbench.metrics.keypoints.result_of`."""
    summary = summarize(state, weights)
    return described(state, summary, task, conventions, counts=counts, notes=notes, inputs=inputs)


class EPE(InstanceMetric[InstanceState]):
    """Mean distance of predicted from annotated keypoints, in pixels.

    Parameters
    ----------
    counted
        Indices of the joints that the mean is over; None for all.
    names
        Of the joints; None: their indices.
    dims
        2 or 3 coordinates per keypoint.
    threads
        None for all processors.

    Examples
    --------
    >>> EPE().update([[[10, 10], [20, 20]]], [[[10, 15], [23, 24]]]).compute().values["EPE"]
    5.0

    See Also
    --------
    cvbench.metrics.endpoint_error : what is undefined, references.
    """

    def __init__(
        self,
        counted: Sequence[int] | None = None,
        *,
        names: Sequence[str] | None = None,
        dims: Literal[2, 3] = 2,
        threads: int | None = None,
    ) -> None:
        self.params = EpeParams(None if counted is None else tuple(counted))
        self.names = tuple(names or ())
        self.dims, self.threads = dims, threads
        super().__init__()

    def _result(self, weights: Weights) -> Result:
        return result_of(self.state, weights=weights)

    def _problems(self, columns: Keypoints) -> Iterable[Trouble]:
        return problems(columns, self.params)

    def _counted(self, columns: Keypoints) -> InstanceState:
        return count(columns, self.params, self.names, self.threads)


def epe(gt: Any, pred: Any, **options: Any) -> Result:
    """Mean distance of predicted from annotated keypoints, in pixels.

    Parameters
    ----------
    gt, pred
        Keypoints (N, J, 2) of all instances, or dicts, as `EPE.update` takes them.
    **options
        As `EPE` takes them.

    Returns
    -------
    Result
        What `EPE` computes after seeing these instances.

    Examples
    --------
    >>> epe([[[10, 10], [20, 20]]], [[[10, 15], [23, 24]]]).values
    {'EPE': 5.0}
    """
    return EPE(**options).update(gt, pred).compute()
