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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal


from cvbench.errors import InputError
from cvbench.metrics.hit_rates import HitRule, Part

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


def _parts(**members: tuple[int, ...]) -> tuple[Part, ...]:
    return tuple(Part(name, columns) for name, columns in members.items())


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
        "parts": _parts(LowerLegs=(0, 3), UpperLegs=(1, 2), LowerArms=(4, 7), UpperArms=(5, 6), Head=(8,), Torso=(9,)),
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
        "parts": _parts(Head=(1,), Torso=(0,), UpperArms=(2, 4), LowerArms=(3, 5)),
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
        limbs = tuple(Limb.parse(limb) if isinstance(limb, str) else limb for limb in self.limbs)
        object.__setattr__(self, "limbs", limbs)
        if not limbs or len({limb.name for limb in limbs}) < len(limbs):
            raise InputError(f"limbs {', '.join(map(str, limbs)) or 'none'}: expected one or more, of distinct names")
        if self.rule not in ("strict", "loose"):
            raise InputError(f"rule {self.rule!r} is unknown; expected one of strict, loose")
        self.check_columns(len(limbs))

    def conventions(self) -> list[tuple[str, str]]:
        """The rules as pairs for a signature."""
        return [("rule", self.rule), ("sticks", ",".join(map(str, self.limbs))), *super().conventions()]
