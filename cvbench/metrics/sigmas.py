"""How far apart annotators' clicks on a joint lie, by data set: the sigmas of object keypoint similarity.

A sigma is the standard deviation of clicks on one joint as a fraction of the object's scale, which is the square root
of its area. Sets are named after the data set and its number of joints, and joints stand in the data set's order.

OCHuman, Human-Art, PoseTrack18 and MacaquePose use COCO's.

A trap: halpecocotools scores COCO-WholeBody's 133 joints with flat values (0.089 for feet, 0.015 for face and hands)
and on coordinates rounded to float32. Its figures do not compare with those under ``wholebody133``, the set of
COCO-WholeBody's own evaluator.

References
----------
pycocotools 2.0.11 (``coco17``), crowdposetools (``crowdpose14``), the demo of xtcocotools 1.14.3 (``wholebody133`` and
its parts), mmpose 759b39c, ``configs/_base_/datasets`` (the others).
"""

from __future__ import annotations

from cvbench.errors import InputError, did_you_mean

Sigmas = tuple[float, ...]


def _thousandths(*values: int) -> Sigmas:
    return tuple(value / 1000 for value in values)


def _tenths(*values: float) -> Sigmas:
    """As pycocotools writes them; 0.26 / 10 is not 0.026 to the last bit, and figures show it."""
    return tuple(value / 10.0 for value in values)


BODY = _thousandths(26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89)
FOOT = _thousandths(68, 66, 66, 92, 94, 94)
FACE = _thousandths(
    42, 43, 44, 43, 40, 35, 31, 25, 20, 23, 29, 32, 37, 38, 43, 41, 45, 13, 12, 11, 11, 12, 12, 11, 11, 13, 15,
    9, 7, 7, 7, 12, 9, 8, 16, 10, 17, 11, 9, 11, 9, 7, 13, 8, 11, 12, 10, 34, 8, 8, 9, 8, 8, 7, 10, 8, 9, 9, 9,
    7, 7, 8, 11, 8, 8, 8, 10, 8,
)  # fmt: skip
HAND = _thousandths(29, 22, 35, 37, 47, 26, 25, 24, 35, 18, 24, 22, 26, 17, 21, 21, 32, 20, 19, 22, 31)

SIGMAS: dict[str, Sigmas] = {
    "coco17": _tenths(
        0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89
    ),
    "crowdpose14": _tenths(0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89, 0.79, 0.79),
    "wholebody133": BODY + FOOT + FACE + HAND + HAND,
    "foot6": FOOT,
    "face68": FACE,
    "hand21": HAND,
    "halpe26": BODY + _thousandths(26, 26, 66, 79, 79, 79, 79, 79, 79),
    "halpe136": BODY + (0.08,) * 3 + (0.089,) * 6 + (0.015,) * 110,
    "mpii16": _thousandths(89, 83, 107, 107, 83, 89, 26, 26, 26, 26, 62, 72, 179, 179, 72, 62),
    "aic14": (
        0.01388152, 0.01515228, 0.01057665, 0.01417709, 0.01497891, 0.01402144, 0.03909642, 0.03686941, 0.01981803,
        0.03843971, 0.03412318, 0.02415081, 0.01291456, 0.01236173,
    ),
    "ap10k17": _thousandths(25, 25, 26, 35, 35, 79, 72, 62, 79, 72, 62, 107, 87, 89, 107, 87, 89),
    "animalpose20": _thousandths(
        25, 25, 26, 35, 35, 100, 100, 100, 107, 107, 107, 107, 87, 87, 87, 87, 89, 89, 89, 89
    ),
    "jhmdb15": _thousandths(25, 107, 25, 79, 79, 107, 107, 72, 72, 87, 87, 62, 62, 89, 89),
}  # fmt: skip
"""All sets by name."""


def sigmas_of(name: str) -> Sigmas:
    """The set of this name.

    Raises
    ------
    InputError
        If there is none.

    Examples
    --------
    >>> sigmas_of("crowdpose14")[:3]
    (0.079, 0.079, 0.072)
    """
    if name not in SIGMAS:
        raise InputError(f"there are no sigmas {name!r}{did_you_mean(name, SIGMAS)}")
    return SIGMAS[name]


def name_of(sigmas: Sigmas) -> str:
    """What a signature calls them: the name of the set, or the numbers."""
    named = (name for name, known in SIGMAS.items() if known == sigmas)
    return next(named, ",".join(map(repr, sigmas)))
