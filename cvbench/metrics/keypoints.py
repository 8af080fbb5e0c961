"""PCK, the share of correct keypoints: those whose distance over the size of the instance is within a threshold.

Each annotated person, face or hand has one prediction; nothing is matched. Papers disagree on every part of the rule,
so each is a choice of `PckParams`: what distances are divided by, ``<`` or ``<=``, which joints count, how joints are
averaged. `PRESETS` has the rules of evaluators by their names. PDJ is PCK over the length of the torso; the AUC of
hands is the area under a PCK curve in pixels.

Conventions
-----------
Keypoints in pixels, (N, J, 2), or with ``dims=3`` in the unit of the data. A keypoint counts where it is visible.
Figures are fractions: ``PCK@0.2`` by threshold, the figures of `parts` at the first threshold, and AUC where there is
a curve. The tables ``per_joint``, ``per_part`` and, for subsets of the data, ``per_group`` have the rest; curves are in
the arrays ``x`` (T,), ``y`` (L, T) and ``lines`` (L,), of all joints and of each part.

Undefined (NaN): figures of a joint, a part or a data set without a keypoint that counts.

Reference: Yang and Ramanan, *Articulated Human Detection with Flexible Mixtures of Parts*, PAMI 2013; Sapp and Taskar,
*MODEC*, CVPR 2013 (PDJ). Evaluators: mmpose 759b39c, ``evaluation/functional/keypoint_eval.py``, equal in every hit for
keypoints of single precision; eval_pose, ``eval_pck.m`` and ``eval_pdj.m``. Named deviations: NaN where mmpose has −1
for a joint and 0 for a mean; an instance of negative size is refused or skipped where mmpose divides by a million; a
part is averaged over those of its joints that any instance has, where others average −1 or give NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, Keypoints
from cvbench.errors import InputError, did_you_mean
from cvbench.metrics import hit_rates
from cvbench.metrics.hit_rates import HitRule, parts_of, spaced
from cvbench.metrics.instances import (
    InstanceMetric,
    InstanceState,
    Normalizer,
    Summary,
    Trouble,
    Weights,
    described,
    distances,
    names_of,
    normalizers,
    problems_of,
    state_of,
)
from cvbench.result import Input, Result

VERSION = 1
"""Raised with every change that can change a score; part of every signature."""

BOX_SIDE = Normalizer("bbox")

LEAST_TORSO = 1.0
"""An annotated torso below this many pixels gives way to the predicted one under ``torso_fallback``."""


_JHMDB_PARTS = parts_of(
    Head=(2,), Shoulder=(3, 4), Elbow=(7, 8), Wrist=(11, 12), Hip=(5, 6), Knee=(9, 10), Ankle=(13, 14)
)
_MMPOSE: dict[str, Any] = {"strict": True, "mean": "joints", "single": True, "zero_size": "skip"}
_LSP: dict[str, Any] = {
    "normalizer": Normalizer("joints", (9,), (2,)),
    "parts": parts_of(
        Ankle=(0, 5), Knee=(1, 4), Hip=(2, 3), Wrist=(6, 11), Elbow=(7, 10), Shoulder=(8, 9), Head=(12, 13)
    ),
}
_FLIC: dict[str, Any] = {
    "normalizer": Normalizer("joints", (6,), (5,)),
    "parts": parts_of(Head=(0, 1), Shoulder=(2, 6), Elbow=(3, 7), Wrist=(4, 8), Hip=(5, 9)),
}
_FLIC_11: dict[str, Any] = {
    "normalizer": Normalizer("joints", (3,), (10,)),
    "parts": parts_of(Eyes=(0, 1), Nose=(2,), Shoulder=(3, 7), Elbow=(4, 8), Wrist=(5, 9), Hip=(6, 10)),
}
_PCK = {"thresholds": (0.2,), "curve": spaced(0.0, 0.2, 21)}
_PDJ: dict[str, Any] = {"thresholds": (0.2, 0.1, 0.3, 0.4), "curve": spaced(0.0, 0.5, 51)}

PRESETS: dict[str, dict[str, Any]] = {
    "mmpose": {**_MMPOSE, "thresholds": (0.05,)},
    "mmpose-auc": {
        **_MMPOSE,
        "normalizer": Normalizer("fixed", value=30.0),
        "thresholds": (),
        "curve": spaced(0.0, 0.95, 20),
        "auc": "mean",
    },
    "jhmdb": {**_MMPOSE, "thresholds": (0.2,), "parts": _JHMDB_PARTS},
    "jhmdb-torso": {
        **_MMPOSE,
        "normalizer": Normalizer("joints", (4,), (5,)),
        "torso_fallback": True,
        "thresholds": (0.2,),
        "parts": _JHMDB_PARTS,
    },
    "lsp": {**_LSP, **_PCK},
    "flic": {**_FLIC, **_PCK},
    "flic-11": {**_FLIC_11, **_PCK},
    "lsp-pdj": {**_LSP, **_PDJ},
    "flic-pdj": {**_FLIC, **_PDJ},
    "flic-11-pdj": {**_FLIC_11, **_PDJ},
}
"""The rules of other evaluators: mmpose's `PCKAccuracy`, `AUC` and `JhmdbPCKAccuracy` by box and by torso, and PCK and
PDJ of eval_pose for the joints of LSP (14, also Parse's) and FLIC (10 or 11).
"""


@dataclass(frozen=True)
class PckParams(HitRule):
    """The rules of PCK; everything here can change a score, and everything here is in the signature.

    Attributes
    ----------
    normalizer
        What distances are divided by; may be given as text, see `cvbench.metrics.instances.Normalizer`.
    shift
        Added to predicted coordinates, for a prediction that counts pixels from 0 where the ground truth starts at 1.
    single
        Compute distances and compare them in single precision, as mmpose does.
    torso_fallback
        With a normalizer of joints: where the annotated distance is below one pixel, take the predicted one. Both are
        then measured whether the joints are visible or not.
    thresholds, strict, mean, counted, parts, curve, auc, missing, zero_size
        See `cvbench.metrics.hit_rates.HitRule`.

    Examples
    --------
    >>> params = PckParams.of("jhmdb-torso", thresholds=0.1)
    >>> params.thresholds, str(params.normalizer)
    ((0.1,), 'joints:4-5')
    """

    MACRO: ClassVar[str] = "joints"
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS

    normalizer: Normalizer = BOX_SIDE
    shift: float = 0.0
    single: bool = False
    torso_fallback: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "normalizer", Normalizer.parse(self.normalizer))
        object.__setattr__(self, "shift", float(self.shift))
        if not np.isfinite(self.shift):
            raise InputError(f"shift {self.shift}: expected a finite number of pixels")
        if self.torso_fallback and self.normalizer.kind != "joints":
            raise InputError(f"torso_fallback is for a normalizer of joints; it is {self.normalizer}")

    def conventions(self) -> list[tuple[str, str]]:
        """The rules as pairs for a signature."""
        return [
            ("normalizer", str(self.normalizer)),
            *super().conventions(),
            ("shift", repr(self.shift)),
            ("precision", "single" if self.single else "double"),
            *([("torso_fallback", "yes")] if self.torso_fallback else []),
        ]

    def cuts(self) -> tuple[float, ...]:
        """The thresholds, in the precision in which distances are compared with them."""
        exact = super().cuts()
        return tuple(np.array(exact, np.float32).tolist()) if self.single else exact


def pdj_params(preset: str | None = "lsp", **changes: Any) -> PckParams:
    """The rules of PDJ: PCK over the length of the torso at .2, .1, .3 and .4, with ``<=``.

    Parameters
    ----------
    preset : {"lsp", "flic", "flic-11"} or None
        Whose joints; None: the torso is said by ``normalizer``.
    **changes
        Any attribute of `PckParams`.

    Examples
    --------
    >>> str(pdj_params().normalizer), pdj_params(None, normalizer="joints:5-12").thresholds
    ('joints:9-2', (0.2, 0.1, 0.3, 0.4))
    """
    skeletons = [name.removesuffix("-pdj") for name in PRESETS if name.endswith("-pdj")]
    if preset is None and "normalizer" not in changes:
        raise InputError("PDJ needs a preset or, for other joints, normalizer=joints:A-B with the ends of the torso")
    if preset is not None and preset not in skeletons:
        raise InputError(f"there is no preset {preset!r} of PDJ{did_you_mean(preset, skeletons)}")
    return PckParams.of(**{**(_PDJ if preset is None else PRESETS[f"{preset}-pdj"]), **changes})


def sizes(columns: Keypoints, params: PckParams) -> tuple[Float, Bool]:
    """What the distances of each instance are divided by, and whether that is the predicted torso.

    Returns
    -------
    (N,) float64
        NaN where the ground truth lacks it.
    (N,) bool
    """
    if not params.torso_fallback:
        return normalizers(columns, params.normalizer), np.zeros(len(columns), np.bool_)
    every = replace(columns, visible=np.ones_like(columns.visible))
    annotated = normalizers(every, params.normalizer)
    small = annotated < LEAST_TORSO
    return np.where(small, normalizers(replace(every, gt=columns.pred), params.normalizer), annotated), small


def problems(columns: Keypoints, params: PckParams) -> list[Trouble]:
    """What keeps instances from being scored by these rules; empty if all can be."""
    if not len(columns):
        return []
    params.check_columns(columns.gt.shape[1])
    size, _ = sizes(columns, params)
    return problems_of(columns, size, missing=params.missing, zero_scale=params.zero_size, rule=params.normalizer)


def count(
    columns: Keypoints, params: PckParams, names: Sequence[str] = (), threads: int | None = None
) -> InstanceState:
    """The normalised distances of all instances, which must have no `problems`.

    Parameters
    ----------
    columns
    params
    names
        Of the J joints; none: their indices.
    threads
        None for all processors.

    Raises
    ------
    InputError
        The rules name joints that are not there, or ask for sizes that the ground truth lacks altogether.
    """
    if len(columns):
        params.check_columns(columns.gt.shape[1])
    size, predicted = sizes(columns, params)
    moved = replace(columns, pred=columns.pred + params.shift) if params.shift else columns
    usable = size > 0
    distance = distances(moved, np.where(usable, size, 1.0), single=params.single, threads=threads)
    distance[~usable] = np.nan
    without = ~usable & columns.visible.any(axis=1)
    numbers = {"instances_without_size": without, "predicted_sizes": predicted}
    joints = names_of(names, columns.gt.shape[1]) if columns.gt.shape[1] else ()
    return state_of(InstanceState, columns, distance, joints, params, numbers)


def summarize(
    state: InstanceState, weights: NDArray[Any] | Mapping[Any, int] | None = None, *, figure: str = "PCK"
) -> Summary:
    """PCK at each threshold, of each part at the first one, and the area under the curve.

    Parameters
    ----------
    state
        From `count`, or a sum of such.
    weights
        Integer weights per image, see `cvbench.metrics.base.image_weights`.
    figure
        What PCK is called: ``PCKh`` and ``PDJ`` are PCK by certain sizes.
    """
    return hit_rates.summarize(state, figure, weights)


def result_of(
    state: InstanceState,
    task: str = f"pose.pck@{VERSION}",
    conventions: Iterable[tuple[str, str]] = (),
    *,
    figure: str = "PCK",
    weights: NDArray[Any] | Mapping[Any, int] | None = None,
    counts: Mapping[str, int] | None = None,
    notes: Iterable[str] = (),
    inputs: dict[str, Input] | None = None,
) -> Result:
    """Score a state and say under which rules.

    Parameters
    ----------
    state, figure, weights
        See `summarize`.
    task
        Name and version.
    conventions
        Further pairs for the signature: what the reader of the input decided.
    counts, notes, inputs
        Further counts, notes, and what the input was.
    """
    summary = summarize(state, weights, figure=figure)
    return described(state, summary, task, conventions, counts=counts, notes=notes, inputs=inputs)


class PCK(InstanceMetric[InstanceState]):
    """Share of correct keypoints.

    Parameters
    ----------
    preset : str or None
        Whose rules to follow, one of `PRESETS`; None: ``<=``, over the longer side of the box, pooled over joints.
    names
        Of the joints; None: their indices.
    dims
        2 or 3 coordinates per keypoint.
    box_format
        Whether ``boxes`` are two corners, or corner and size.
    threads
        None for all processors.
    **rules
        Changes to the rules: any attribute of `PckParams`.

    Examples
    --------
    >>> gt = {"keypoints": [[[10, 10], [20, 20]]], "boxes": [[0, 0, 50, 40]]}
    >>> result = PCK(thresholds=(0.1, 0.2)).update(gt, [[[10, 15], [20, 26]]]).compute()
    >>> result.values["PCK@0.1"], result.values["PCK@0.2"]
    (0.5, 1.0)

    See Also
    --------
    cvbench.metrics.keypoints : conventions, what is undefined, references.
    """

    def __init__(
        self,
        preset: str | None = None,
        *,
        names: Sequence[str] | None = None,
        dims: Literal[2, 3] = 2,
        box_format: Literal["xyxy", "xywh"] = "xyxy",
        threads: int | None = None,
        **rules: Any,
    ) -> None:
        self.params = PckParams.of(preset, **rules)
        self.names = tuple(names or ())
        self.dims, self.box_format, self.threads = dims, box_format, threads
        super().__init__()

    def _result(self, weights: Weights) -> Result:
        return result_of(self.state, weights=weights)

    def _problems(self, columns: Keypoints) -> Iterable[Trouble]:
        return problems(columns, self.params)

    def _counted(self, columns: Keypoints) -> InstanceState:
        return count(columns, self.params, self.names, self.threads)


def pck(gt: Any, pred: Any, preset: str | None = None, **options: Any) -> Result:
    """Share of correct keypoints.

    Parameters
    ----------
    gt, pred
        Keypoints (N, J, 2) of all instances, or dicts, as `PCK.update` takes them.
    preset
    **options
        As `PCK` takes them.

    Returns
    -------
    Result
        What `PCK` computes after seeing these instances.

    Examples
    --------
    >>> pck([[[10, 10], [20, 20]]], [[[10, 15], [20, 26]]], normalizer="fixed:50", thresholds=0.1).values
    {'PCK@0.1': 0.5}
    """
    return PCK(preset, **options).update(gt, pred).compute()
