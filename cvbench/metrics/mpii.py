"""PCKh of MPII single-person pose: PCK over head size, by each protocol in use.

Head size is 0.6 times the diagonal of the head box. Pelvis and thorax (6, 7) count in no mean. Protocols differ in
``<`` or ``<=``, in whether joints are weighted by how many people have them, in a pixel added to predictions, in what
they call Head: on the same files by 0.7 points of PCKh@0.5, and by 4.7 of PCKh@0.1 (``docs/tasks.md``).

Conventions
-----------
16 joints in the order of `JOINTS`. The ground truth of MPII counts pixels from 1. ``hrnet`` and ``mmpose`` add 1 to
predictions, which are those of models that count from 0; ``matlab`` and ``pytorch-pose`` take them as they are.

Figures are fractions. Head, Shoulder, Elbow, Wrist, Hip, Knee, Ankle (and UpperBody under ``matlab``) are at the first
threshold, as means of left and right; ``PCKh@0.5`` and ``PCKh@0.1`` are over joints; AUC is the area under PCKh at
thresholds 0, .01, … .5, over .5. HRNet prints as Mean@0.1 what is at .11: ``PCKh@0.11`` under ``hrnet``.

Undefined (NaN): figures of a joint that nobody has.

Reference: Andriluka et al., *2D Human Pose Estimation: New Benchmark and State of the Art Analysis*, CVPR 2014.
Protocols: ``matlab``, the benchmark's own ``evaluatePCKh.m`` (a missing prediction is a miss; AUC by linear
interpolation of its curve); ``hrnet``, ``lib/dataset/mpii.py``; ``mmpose``, ``MpiiPCKAccuracy``; ``pytorch-pose``,
``evaluation/eval_PCKh.py``. AUC is defined by ``matlab`` and given under all, by their comparison and mean. Named
deviations: a mean over joints leaves out people without head size (mmpose weights by all who have the joint); a joint
that nobody has is left out of its part, where others give NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from cvbench.columns import Keypoints
from cvbench.errors import InputError, did_you_mean
from cvbench.metrics import keypoints
from cvbench.metrics.hit_rates import Part, parts_of, spaced
from cvbench.metrics.instances import InstanceMetric, InstanceState, Normalizer, Summary, Trouble, Weights
from cvbench.metrics.keypoints import PckParams
from cvbench.result import Input, Result

VERSION = 1
"""Raised with every change that can change a score; part of every signature."""

JOINTS = (
    "right ankle",
    "right knee",
    "right hip",
    "left hip",
    "left knee",
    "left ankle",
    "pelvis",
    "thorax",
    "upper neck",
    "head top",
    "right wrist",
    "right elbow",
    "right shoulder",
    "left shoulder",
    "left elbow",
    "left wrist",
)
"""The joints of MPII in the order of its files."""

COUNTED = (0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15)
"""All but pelvis and thorax, which are too near to the person's given centre."""

_LIMBS = parts_of(Shoulder=(12, 13), Elbow=(11, 14), Wrist=(10, 15), Hip=(2, 3), Knee=(1, 4), Ankle=(0, 5))
_HEAD_TOP = Part("Head", (9,))
_NECK_AND_HEAD_TOP = Part("Head", (8, 9))
_ARMS = Part("UpperBody", (10, 11, 12, 13, 14, 15), pooled=True)

_ALL: dict[str, Any] = {
    "normalizer": Normalizer("head"),
    "thresholds": (0.5, 0.1),
    "counted": COUNTED,
    "parts": (_HEAD_TOP, *_LIMBS),
    "curve": spaced(0.0, 0.5, 51),
}
PROTOCOLS: dict[str, dict[str, Any]] = {
    "matlab": {**_ALL, "parts": (_NECK_AND_HEAD_TOP, *_LIMBS, _ARMS), "missing": "miss"},
    "hrnet": {**_ALL, "thresholds": (0.5, 0.1, 0.11), "shift": 1.0},
    "mmpose": {**_ALL, "strict": True, "shift": 1.0, "single": True, "zero_size": "skip"},
    "pytorch-pose": {**_ALL, "strict": True, "mean": "joints"},
}
"""The rules that figures of MPII follow, by where they come from: ``pooled`` and ``<=`` where nothing else is said."""


def params_of(protocol: str = "matlab", **changes: Any) -> PckParams:
    """The rules of a protocol, with `changes`.

    Parameters
    ----------
    protocol : {"matlab", "hrnet", "mmpose", "pytorch-pose"}
    **changes
        Any attribute of `cvbench.metrics.keypoints.PckParams`.

    Raises
    ------
    InputError
        A protocol or rule is unknown, or a value impossible.

    Examples
    --------
    >>> params_of("hrnet").shift, params_of("pytorch-pose").strict
    (1.0, True)
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"there is no protocol {protocol!r}{did_you_mean(protocol, PROTOCOLS)}")
    return PckParams.of(**{**PROTOCOLS[protocol], **changes})


def problems(columns: Keypoints, params: PckParams) -> list[Trouble]:
    """What keeps people from being scored; empty if all can be.

    Raises
    ------
    InputError
        There are not 16 joints, or no head boxes.
    """
    if len(columns):
        _check_joints(columns)
    return keypoints.problems(columns, params)


def count(
    columns: Keypoints, params: PckParams, names: Sequence[str] = (), threads: int | None = None
) -> InstanceState:
    """The normalised distances of all people, who must have no `problems`; `names` of joints other than `JOINTS`."""
    if len(columns):
        _check_joints(columns)
    return keypoints.count(columns, params, names or JOINTS, threads)


def _check_joints(columns: Keypoints) -> None:
    if columns.gt.shape[1] != len(JOINTS):
        raise InputError(
            f"there are {columns.gt.shape[1]} joints; MPII has {len(JOINTS)}: {', '.join(JOINTS)}; "
            "other joints are scored by pose.pck with normalizer=head"
        )


def summarize(state: InstanceState, weights: NDArray[Any] | Mapping[Any, int] | None = None) -> Summary:
    """PCKh of parts of the body and of all joints, and its area, see `cvbench.metrics.mpii`.

    Parameters
    ----------
    state
        From `count`, or a sum of such.
    weights
        Integer weights per image, see `cvbench.metrics.base.image_weights`.
    """
    return keypoints.summarize(state, weights, figure="PCKh")


def result_of(
    state: InstanceState,
    task: str = f"mpii.pckh@{VERSION}",
    conventions: Iterable[tuple[str, str]] = (),
    *,
    weights: NDArray[Any] | Mapping[Any, int] | None = None,
    counts: Mapping[str, int] | None = None,
    notes: Iterable[str] = (),
    inputs: dict[str, Input] | None = None,
) -> Result:
    """Score a state and say under which rules; arguments as those of `cvbench.metrics.keypoints.result_of`."""
    return keypoints.result_of(
        state, task, conventions, figure="PCKh", weights=weights, counts=counts, notes=notes, inputs=inputs
    )


class PCKh(InstanceMetric[InstanceState]):
    """PCKh of MPII.

    Parameters
    ----------
    protocol : {"matlab", "hrnet", "mmpose", "pytorch-pose"}
        Whose rules to follow.
    threads
        None for all processors.
    **rules
        Changes to the rules: any attribute of `cvbench.metrics.keypoints.PckParams`.

    Examples
    --------
    >>> people = {"keypoints": [[[100, 100]] * 16], "head_boxes": [[0, 0, 30, 40]]}  # a head size of 30 pixels
    >>> result = PCKh("pytorch-pose").update(people, [[[100, 110]] * 8 + [[100, 120]] * 8]).compute()
    >>> result.values["Ankle"], result.values["Wrist"], result.values["PCKh@0.1"]
    (1.0, 0.0, 0.0)

    See Also
    --------
    cvbench.metrics.mpii : the order of joints, protocols, what is undefined, references.
    """

    def __init__(self, protocol: str = "matlab", *, threads: int | None = None, **rules: Any) -> None:
        self.params = params_of(protocol, **rules)
        self.threads = threads
        super().__init__()

    def _result(self, weights: Weights) -> Result:
        return result_of(self.state, weights=weights)

    def _problems(self, columns: Keypoints) -> Iterable[Trouble]:
        return problems(columns, self.params)

    def _counted(self, columns: Keypoints) -> InstanceState:
        return count(columns, self.params, threads=self.threads)


def pckh(gt: Any, pred: Any, protocol: str = "matlab", **options: Any) -> Result:
    """PCKh of MPII.

    Parameters
    ----------
    gt
        A dict of ``keypoints`` (N, 16, 2 or 3) and ``head_boxes`` (N, 4), see `PCKh.update`.
    pred
        Keypoints (N, 16, 2) in the same order.
    protocol
    **options
        As `PCKh` takes them.

    Returns
    -------
    Result
        What `PCKh` computes after seeing these people.

    Examples
    --------
    >>> people = {"keypoints": [[[100, 100]] * 16], "head_boxes": [[0, 0, 30, 40]]}
    >>> pckh(people, [[[100, 115]] * 16]).values["PCKh@0.5"]
    1.0
    """
    return PCKh(protocol, **options).update(gt, pred).compute()
