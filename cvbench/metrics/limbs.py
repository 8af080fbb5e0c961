"""PCP, the share of correct parts: limbs of which both ends are near enough, measured by the length of the limb.

``strict``: each of the two ends is within the threshold times the annotated length. ``loose``, as first used for upper
bodies: the mean distance of the two ends is. An end is a joint, or the mean of joints, such as the middle of the hips.
In the terms of `cvbench.metrics.hit_rates`, the distance of a limb is the larger one, or the mean, of the distances of
its ends over its annotated length; PCP is the rate of distances of at most 0.5.

Conventions
-----------
A limb counts where all joints of its two ends are visible. Under ``strict``, a person who was not found misses all
limbs (``missing="miss"``); under ``loose`` such a person, with no predicted joint at all, is left out. Values are the
figures of `parts` at the first threshold, ``PCP@0.5`` over all limbs, and AUC where there is a curve; tables are
``per_limb``, ``per_part`` and ``per_group``. Figures are fractions.

Undefined (NaN): figures of a limb, a part or a data set without a limb that counts.

Reference: Ferrari et al., *Progressive Search Space Reduction for Human Pose Estimation*, CVPR 2008; Pishchulin et al.,
*Articulated People Detection and Pose Estimation*, CVPR 2012 (strict). Evaluators: eval_pose, ``eval_pcp.m`` with
``keypoints2sticks.m`` (strict, a limb of length 0 is a miss), and the BUFFY evaluation (loose).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, Keypoints
from cvbench.errors import InputError
from cvbench.metrics import hit_rates
from cvbench.metrics.hit_rates import HitRule, parts_of
from cvbench.metrics.instances import (
    InstanceMetric,
    InstanceState,
    Summary,
    Trouble,
    Weights,
    described,
    distances,
    problems_of,
    state_of,
)
from cvbench.result import Input, Result

VERSION = 1
"""Raised with every change that can change a score; part of every signature."""


@dataclass(frozen=True)
class Limb:
    """A stick between two ends, each a joint or the mean of joints.

    Attributes
    ----------
    name
    a, b
        Indices of joints.

    Examples
    --------
    >>> Limb.parse("torso=2+3-8+9")
    Limb(name='torso', a=(2, 3), b=(8, 9))
    """

    name: str
    a: tuple[int, ...]
    b: tuple[int, ...]

    def __post_init__(self) -> None:
        if not (self.name and self.a and self.b) or min(*self.a, *self.b) < 0:
            raise InputError(f"limb {self.name!r} of {self.a} and {self.b}: expected a name and indices on both sides")

    def __str__(self) -> str:
        return f"{self.name}={'+'.join(map(str, self.a))}-{'+'.join(map(str, self.b))}"

    @classmethod
    def parse(cls, text: str) -> Limb:
        """The limb that prints as `text`."""
        name, _, joints = text.partition("=")
        try:
            a, b = (tuple(int(joint) for joint in side.split("+")) for side in joints.split("-"))
        except ValueError:
            raise InputError(f"limb {text!r}: expected shin=0-1 or torso=2+3-8+9") from None
        return cls(name.strip(), a, b)


def _limbs(*texts: str) -> tuple[Limb, ...]:
    return tuple(Limb.parse(text) for text in texts)


PRESETS: dict[str, dict[str, Any]] = {
    "lsp": {
        "limbs": _limbs(
            "right lower leg=0-1",
            "right upper leg=1-2",
            "left upper leg=3-4",
            "left lower leg=4-5",
            "right lower arm=6-7",
            "right upper arm=7-8",
            "left upper arm=9-10",
            "left lower arm=10-11",
            "head=12-13",
            "torso=2+3-8+9",
        ),
        "parts": parts_of(
            LowerLegs=(0, 3), UpperLegs=(1, 2), LowerArms=(4, 7), UpperArms=(5, 6), Head=(8,), Torso=(9,)
        ),
        "zero_size": "miss",
    },
    "flic": {
        "limbs": _limbs(
            "torso=1-5+9",
            "head=0-1",
            "left upper arm=2-3",
            "left lower arm=3-4",
            "right upper arm=6-7",
            "right lower arm=7-8",
        ),
        "parts": parts_of(Head=(1,), Torso=(0,), UpperArms=(2, 4), LowerArms=(3, 5)),
        "zero_size": "miss",
    },
}
"""Limbs and rules of eval_pose, for the joints of LSP (14, also Parse's) and FLIC (10; left and right as the observer
sees them).
"""


@dataclass(frozen=True)
class PcpParams(HitRule):
    """The rules of PCP; everything here can change a score, and everything here is in the signature.

    Attributes
    ----------
    limbs
        May be given as texts, such as ``torso=2+3-8+9``.
    rule
        ``strict`` or ``loose``: see `cvbench.metrics.limbs`.
    thresholds, strict, mean, counted, parts, curve, auc, missing
        See `cvbench.metrics.hit_rates.HitRule`; columns are limbs, and `strict` is about ``<``.
    zero_size
        What to do with a limb of length 0: raise an error (``refuse``), leave it out (``skip``), or take it for a
        ``miss``.

    Examples
    --------
    >>> len(PcpParams.of("lsp").limbs), PcpParams.of(limbs=["shin=0-1"]).rule
    (10, 'strict')
    """

    MACRO: ClassVar[str] = "limbs"
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS
    ZERO_SIZE: ClassVar[tuple[str, ...]] = ("refuse", "skip", "miss")

    thresholds: tuple[float, ...] = (0.5,)
    limbs: tuple[Limb, ...] = ()
    rule: Literal["strict", "loose"] = "strict"

    def __post_init__(self) -> None:
        super().__post_init__()
        given: Any = self.limbs
        given = (given,) if isinstance(given, str) else given
        limbs = tuple(Limb.parse(limb) if isinstance(limb, str) else limb for limb in given)
        object.__setattr__(self, "limbs", limbs)
        if not limbs:
            raise InputError(f"PCP needs limbs, such as shin=0-1, or a preset, which has some: {', '.join(PRESETS)}")
        if len({limb.name for limb in limbs}) < len(limbs):
            raise InputError(f"limbs {', '.join(map(str, limbs))}: expected limbs of distinct names")
        if self.rule not in ("strict", "loose"):
            raise InputError(f"rule {self.rule!r} is unknown; expected one of strict, loose")
        self.check_columns(len(limbs))

    def conventions(self) -> list[tuple[str, str]]:
        """The rules as pairs for a signature."""
        return [("rule", self.rule), ("sticks", ",".join(map(str, self.limbs))), *super().conventions()]


@dataclass(frozen=True)
class Sticks:
    """Limbs of N instances.

    Attributes
    ----------
    error : (N, L) float64
        The larger one, or the mean, of the distances of both ends in pixels: NaN where the limb does not count,
        infinite where an end was not predicted.
    length : (N, L) float64
        Of the annotated limb.
    detected : (N,) bool
        Whether any keypoint was predicted.
    """

    error: Float
    length: Float
    detected: Bool


def sticks(columns: Keypoints, params: PcpParams, threads: int | None = None) -> Sticks:
    """Measure limbs.

    Raises
    ------
    InputError
        A limb names a joint that is not there.
    """
    _check_ends(columns, params)
    if not len(columns):
        none = np.zeros((0, len(params.limbs)))
        return Sticks(none, none, np.zeros(0, np.bool_))
    ends = [limb.a for limb in params.limbs] + [limb.b for limb in params.limbs]
    at_ends = replace(
        columns,
        gt=np.stack([columns.gt[:, joints].mean(axis=1) for joints in map(list, ends)], axis=1),
        pred=np.stack([columns.pred[:, joints].mean(axis=1) for joints in map(list, ends)], axis=1),
        visible=np.stack([reduce(np.logical_and, columns.visible.T[list(joints)]) for joints in ends], axis=1),
    )
    number = len(params.limbs)
    first, second = np.split(distances(at_ends, threads=threads), [number], axis=1)
    error = np.maximum(first, second) if params.rule == "strict" else (first + second) / 2
    length = np.linalg.norm(at_ends.gt[:, :number] - at_ends.gt[:, number:], axis=2)
    missing = np.isnan(reduce(np.add, columns.pred.transpose(2, 0, 1)))
    return Sticks(error, length, np.count_nonzero(missing, axis=1) < missing.shape[1])


def _check_ends(columns: Keypoints, params: PcpParams) -> None:
    highest = max(max(*limb.a, *limb.b) for limb in params.limbs)
    if highest >= columns.gt.shape[1] and len(columns):
        raise InputError(f"limbs name joint {highest}; there are {columns.gt.shape[1]}, counted from 0")


def problems(columns: Keypoints, params: PcpParams) -> list[Trouble]:
    """What keeps instances from being scored by these rules; empty if all can be.

    Raises
    ------
    InputError
        A limb names a joint that is not there.
    """
    _check_ends(columns, params)
    found = problems_of(columns, missing=params.missing)
    if params.zero_size == "refuse" and not found:
        measured = sticks(columns, params)
        for row, limb in np.argwhere((measured.length == 0) & ~np.isnan(measured.error)).tolist():
            name = params.limbs[limb].name
            message = f"{name}: both ends are at one point; expected a length above 0 (zero_size=skip, or miss)"
            found.append(Trouble("gt", row, message))
    return found


def count(
    columns: Keypoints,
    params: PcpParams,
    names: Sequence[str] = (),  # noqa: ARG001  # all metrics of instances are counted by the same call
    threads: int | None = None,
) -> InstanceState:
    """The distances of all limbs over their lengths; instances must have no `problems`.

    Parameters
    ----------
    columns
    params
    names
        Of joints; not used, as limbs have names of their own.
    threads
        None for all processors.
    """
    measured = sticks(columns, params, threads)
    flat = measured.length == 0
    distance = measured.error / np.where(flat, 1.0, measured.length)
    distance[flat & ~np.isnan(distance)] = np.nan if params.zero_size == "skip" else np.inf
    seen = columns.visible.any(axis=1)
    lost = seen & ~measured.detected & (params.rule == "loose")
    distance[lost] = np.nan
    numbers = {
        "limbs_without_length": np.count_nonzero(flat & ~np.isnan(measured.error), axis=1),
        "instances_not_detected": lost,
    }
    return state_of(InstanceState, columns, distance, [limb.name for limb in params.limbs], params, numbers)


def summarize(state: InstanceState, weights: NDArray[Any] | Mapping[Any, int] | None = None) -> Summary:
    """PCP at each threshold and of each part at the first one.

    Parameters
    ----------
    state
        From `count`, or a sum of such.
    weights
        Integer weights per image, see `cvbench.metrics.base.image_weights`.
    """
    return hit_rates.summarize(state, "PCP", weights)


def result_of(
    state: InstanceState,
    task: str = f"pose.pcp@{VERSION}",
    conventions: Iterable[tuple[str, str]] = (),
    *,
    weights: NDArray[Any] | Mapping[Any, int] | None = None,
    counts: Mapping[str, int] | None = None,
    notes: Iterable[str] = (),
    inputs: dict[str, Input] | None = None,
) -> Result:
    """Score a state and say under which rules; arguments as those of `cvbench.metrics.keypoints.result_of`."""
    summary = summarize(state, weights)
    flat = state.counts["limbs_without_length"]
    effect = {"skip": "left out", "miss": "counted as misses"}.get(state.params.zero_size, "")
    said = [*notes, *([f"{flat:,} annotated limbs have length 0, {effect}"] if flat else [])]
    return described(state, summary, task, conventions, counts=counts, notes=said, inputs=inputs)


class PCP(InstanceMetric[InstanceState]):
    """Share of correct parts: limbs of which both ends are near enough.

    Parameters
    ----------
    preset : {"lsp", "flic"} or None
        Whose limbs and rules to take; None: `limbs` says them.
    threads
        None for all processors.
    **rules
        Changes to the rules: any attribute of `PcpParams`.

    Examples
    --------
    >>> metric = PCP(limbs=["upper arm=0-1", "lower arm=1-2"])
    >>> result = metric.update([[[0, 0], [20, 0], [40, 0]]], [[[0, 0], [20, 10], [40, 12]]]).compute()
    >>> result.values["PCP@0.5"], [row["PCP@0.5"] for row in result.tables["per_limb"]]
    (0.5, [1.0, 0.0])

    See Also
    --------
    cvbench.metrics.limbs : conventions, what is undefined, references.
    """

    def __init__(self, preset: str | None = None, *, threads: int | None = None, **rules: Any) -> None:
        self.params = PcpParams.of(preset, **rules)
        self.threads = threads
        super().__init__()

    def _result(self, weights: Weights) -> Result:
        return result_of(self.state, weights=weights)

    def _problems(self, columns: Keypoints) -> Iterable[Trouble]:
        return problems(columns, self.params)

    def _counted(self, columns: Keypoints) -> InstanceState:
        return count(columns, self.params, threads=self.threads)


def pcp(gt: Any, pred: Any, preset: str | None = None, **options: Any) -> Result:
    """Share of correct parts.

    Parameters
    ----------
    gt, pred
        Keypoints (N, J, 2) of all instances, or dicts, as `PCP.update` takes them.
    preset
    **options
        As `PCP` takes them.

    Returns
    -------
    Result
        What `PCP` computes after seeing these instances.

    Examples
    --------
    >>> pcp([[[0, 0], [20, 0]]], [[[0, 8], [20, 14]]], limbs=["arm=0-1"], rule="loose").values
    {'PCP@0.5': 0.0}
    """
    return PCP(preset, **options).update(gt, pred).compute()
