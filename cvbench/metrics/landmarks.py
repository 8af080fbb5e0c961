"""NME of landmarks: how far predicted landmarks are from annotated ones, over the size of the face.

Each annotated face has one prediction; nothing is matched. Data sets disagree on what distances are divided by, and so
do evaluators on means and areas: each is a choice of `NmeParams`, and `PRESETS` has those of data sets by their names.

Conventions
-----------
Landmarks (N, J, 2) in pixels. The error of a face is the mean of the distances of its landmarks that count, over the
size of the face. NME is the mean over faces, of which each counts alike; with ``mean="points"``, as in mmpose, the mean
over all landmarks of all faces. Figures are fractions, where papers print percent.

``FR@t``, the failure rate, is the share of faces with an error above *t*. ``AUC@t`` is the area under the curve of
cumulative errors (CED), the share of faces with an error of at most x for x from 0 to *t*, over *t*. With
``curve="exact"`` that is the mean of max(0, 1 - error / t), without steps. With ``curve="pipnet"`` the curve is sampled
every 0.0001 and integrated by Simpson's rule, as PIPNet and those after it do. Where rounding adds a sample beyond *t*,
which it does for 0.05 and 0.07, FR is that of this sample, and the AUC of perfect predictions is 1.002 or 1.0014.

Landmarks that are annotated as occluded count like others unless they are marked as not visible. With
``missing="miss"``, a face with a landmark that was not predicted has an infinite error: it fails, has no area, and
leaves NME undefined.

The curve of all faces and of each group is in the arrays ``x`` (T,), ``y`` (L, T) and ``lines`` (L,).

Undefined (NaN): figures of a landmark, a group or a data set without a landmark that counts; NME of what is infinite.

Reference: Sagonas et al., *300 Faces In-The-Wild Challenge*, IMAVIS 2016. Evaluators:
HRNet-Facial-Landmark-Detection, ``lib/core/evaluation.py``; PIPNet, ``lib/functions.py``; mmpose 759b39c,
``keypoint_nme``; MenpoBenchmark, ``compute_diag_error.m`` and ``compute_eye_corner_error.m``. Named deviations:
``curve="pipnet"`` has the Simpson rule of SciPy before 1.11, from PIPNet's time; later ones integrate an even number of
samples (0.05 and 0.07) otherwise, and AUC differs by some 1e-5. mmpose computes in float32, gives 0 where nothing
counts, and divides by a million where a size is negative.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from cvbench.errors import InputError, did_you_mean
from cvbench.metrics.instances import (
    Normalizer,
)

VERSION = 1
"""Raised with every change that can change a score; part of every signature."""


def _of(landmarks: int, normalizer: str, threshold: float = 0.1, **more: Any) -> dict[str, Any]:
    thresholds = {"failure_thresholds": (threshold,), "auc_thresholds": (threshold,)}
    return {"landmarks": landmarks, "normalizer": Normalizer.parse(normalizer), **thresholds, **more}


PRESETS: dict[str, dict[str, Any]] = {
    "300w": _of(68, "joints:36-45", 0.08, failure_thresholds=(0.08, 0.1)),
    "300w-pupil": _of(68, "joints:36+37+38+39+40+41-42+43+44+45+46+47", 0.08, failure_thresholds=(0.08, 0.1)),
    "wflw": _of(98, "joints:60-72"),
    "wflw-pupil": _of(98, "joints:96-97"),
    "cofw": _of(29, "joints:8-9"),
    "cofw-pupil": _of(29, "joints:16-17"),
    "aflw": _of(19, "size", 0.07),
    "aflw-bbox": _of(19, "bbox", 0.07),
    "lapa": _of(106, "joints:66-79"),
    "menpo": _of(68, "extent_diagonal", 0.03),
    "menpo-profile": _of(39, "extent_diagonal", 0.03),
    "horse10": _of(22, "joints:0-1"),
}
"""How many landmarks data sets have, what their distances are divided by, and the usual thresholds.

By the outer corners of the eyes, or by the pupils: the annotated ones of COFW and WFLW, and in 300W the means of the
points around each eye. ``aflw`` divides by the annotated ``size`` as HRNet does, ``aflw-bbox`` by the longer side of
the box as mmpose does.
"""


@dataclass(frozen=True)
class NmeParams:
    """The rules of NME; everything here can change a score, and everything here is in the signature.

    Attributes
    ----------
    normalizer
        What distances are divided by; may be given as text, see `cvbench.metrics.instances.Normalizer`.
    landmarks
        How many landmarks there have to be; None for any number.
    counted
        The landmarks that are looked at; None for all. Those of the normalizer need not be among them.
    mean
        NME is the mean over ``faces``, or over all their ``points``.
    failure_thresholds, auc_thresholds
        The errors *t* of ``FR@t`` and ``AUC@t``.
    curve
        ``exact``, or sampled as ``pipnet`` does, which changes FR and AUC.
    missing
        Whether a landmark that is not predicted makes the error of its face infinite (``miss``), or is an error raised
        (``refuse``).
    zero_size
        What to do with a face whose size is not above 0: raise an error (``refuse``), or leave it out (``skip``).

    Examples
    --------
    >>> params = NmeParams.of("wflw", auc_thresholds=0.08)
    >>> str(params.normalizer), params.auc_thresholds
    ('joints:60-72', (0.08,))
    """

    normalizer: Normalizer
    landmarks: int | None = None
    counted: tuple[int, ...] | None = None
    mean: Literal["faces", "points"] = "faces"
    failure_thresholds: tuple[float, ...] = (0.1,)
    auc_thresholds: tuple[float, ...] = (0.1,)
    curve: Literal["exact", "pipnet"] = "exact"
    missing: Literal["refuse", "miss"] = "refuse"
    zero_size: Literal["refuse", "skip"] = "refuse"

    @classmethod
    def of(cls, preset: str | None = None, **changes: Any) -> NmeParams:
        """The rules of a data set, or of none, with `changes`.

        Parameters
        ----------
        preset
            One of `PRESETS`.
        **changes
            Any attribute; without a preset, `normalizer` at least. A single threshold may be a number.

        Raises
        ------
        InputError
            A preset or rule is unknown, or a value impossible.
        """
        known = [field.name for field in fields(cls)]
        for name in changes:
            if name not in known:
                raise InputError(f"there is no rule {name!r}{did_you_mean(name, known)}")
        if preset is not None and preset not in PRESETS:
            raise InputError(f"there is no preset {preset!r}{did_you_mean(preset, PRESETS)}")
        if preset is None and "normalizer" not in changes:
            raise InputError(f"expected a normalizer, or a preset, which has one: {', '.join(PRESETS)}")
        return cls(**{**(PRESETS[preset] if preset is not None else {}), **changes})

    def __post_init__(self) -> None:
        given: Any = self.normalizer
        object.__setattr__(self, "normalizer", Normalizer.parse(given) if isinstance(given, str) else given)
        for name in ("failure_thresholds", "auc_thresholds"):
            object.__setattr__(self, name, _thresholds(getattr(self, name), name))
        if self.counted is not None:
            counted = np.asarray(self.counted).reshape(-1)
            if (
                not counted.size
                or counted.dtype.kind not in "iu"
                or min(counted) < 0
                or len(set(counted)) < len(counted)
            ):
                raise InputError(f"counted {self.counted!r}: expected distinct indices of landmarks, or None for all")
            object.__setattr__(self, "counted", tuple(counted.tolist()))
        for name, choices in (
            ("mean", ("faces", "points")),
            ("curve", ("exact", "pipnet")),
            ("missing", ("refuse", "miss")),
            ("zero_size", ("refuse", "skip")),
        ):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} {getattr(self, name)!r} is unknown; expected one of {', '.join(choices)}")

    def check_landmarks(self, number: int) -> None:
        """Refuse another number of landmarks than the data set has, and indices that are not there."""
        if self.landmarks not in (None, number):
            others = [name for name, rules in PRESETS.items() if rules["landmarks"] == number]
            hint = f"; presets for {number}: {', '.join(others)}" if others else ""
            raise InputError(f"there are {number} landmarks, and the rules are for {self.landmarks}{hint}")
        if max(self.counted or (-1,)) >= number:
            raise InputError(f"counted names landmark {max(self.counted or ())}; there are {number}, counted from 0")

    def conventions(self) -> list[tuple[str, str]]:
        """The rules as pairs for a signature."""
        return [
            ("normalizer", str(self.normalizer)),
            ("landmarks", "all" if self.counted is None else ",".join(map(str, self.counted))),
            ("mean", self.mean),
            ("failure", ",".join(map(repr, self.failure_thresholds)) or "none"),
            ("auc", ",".join(map(repr, self.auc_thresholds)) or "none"),
            ("curve", self.curve),
            ("missing", self.missing),
            ("zero_size", self.zero_size),
        ]


def _thresholds(value: Any, name: str) -> tuple[float, ...]:
    numbers = np.asarray(value, np.float64).reshape(-1)
    if not (np.isfinite(numbers) & (numbers > 0)).all() or len(np.unique(numbers)) < len(numbers):
        raise InputError(f"{name} {value!r}: expected distinct finite numbers above 0")
    return tuple(numbers.tolist())
