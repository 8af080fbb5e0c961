"""How sure a score is: bootstrap intervals over images, and whether two models differ.

Images are drawn with replacement, as many as there are, and the figures are computed from the counts again: a replicate
is a weight for each image (`cvbench.metrics.base.State`), so nothing is matched twice. What is drawn depends on the
seed and the images alone. Two models that are scored on the same images therefore meet the same replicates, and the
interval of their difference is that of pairs, which is much narrower than two intervals side by side.

An interval speaks of other images of the same kind. It says nothing of training again with another seed.

References
----------
B. Efron and R. J. Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13 (percentile intervals); A. C.
Davison and D. V. Hinkley, *Bootstrap Methods and their Application*, 1997, section 5.3 (which order statistic an end
is).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Float, Int
from cvbench.errors import InputError, MismatchError, did_you_mean
from cvbench.metrics.base import State
from cvbench.result import Result

Progress = Callable[[str, int, int], object]

REPLICATES = 999
"""With so many, the ends of an interval of 95 % are the 25th value from either side, and of 99 % the 5th."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure would lie on other images of the same kind.

    Attributes
    ----------
    low, high
        Its ends, in the unit of the figure. NaN where the figure is undefined or replicates are too few.
    confidence
        Between 0 and 1.
    replicates
        How many times images were drawn.
    seed
        Of the draws.
    undefined
        Replicates in which the figure was undefined, as where a category was not drawn; the ends rest on the others.

    Examples
    --------
    >>> 0.41 in Interval(0.40, 0.43, confidence=0.95, replicates=999, seed=0)
    True
    """

    low: float
    high: float
    confidence: float
    replicates: int
    seed: int
    undefined: int = 0

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much one model's figure is above another's, on the same images.

    Attributes
    ----------
    value
        The first less the second.
    interval
        Of that difference.
    """

    value: float
    interval: Interval

    @property
    def tie(self) -> bool:
        """Whether neither can be called better: the interval holds 0, or is undefined."""
        return not (self.interval.low > 0 or self.interval.high < 0)


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """The figures of one model on many draws of its images.

    Attributes
    ----------
    values
        The figures on the images themselves.
    replicates : dict of (B,) float64
        Each figure on each draw, NaN where it is undefined.
    seed
        Of the draws.
    images
        Digest of the ids of the images, in order: equal for models whose draws are the same.
    """

    values: dict[str, float]
    replicates: dict[str, Float]
    seed: int
    images: str

    def interval(self, figure: str, confidence: float = 0.95) -> Interval:
        """The percentile interval of a figure.

        Raises
        ------
        InputError
            There is no such figure, or the confidence is not between 0 and 1.
        """
        return _interval(self._of(figure), self.values[figure], confidence, self.seed)

    def intervals(self, confidence: float = 0.95) -> dict[str, Interval]:
        """The intervals of all figures, by name."""
        return {figure: self.interval(figure, confidence) for figure in self.replicates}

    def difference(self, other: Bootstrap, figure: str, confidence: float = 0.95) -> Difference:
        """By how much a figure is above that of `other`, with the interval of the difference on the same draws.

        Raises
        ------
        InputError
            There is no such figure, or the confidence is not between 0 and 1.
        MismatchError
            The two did not see the same draws: other images, another seed or number of replicates.

        Examples
        --------
        >>> ours, theirs = bootstrap(metric_a), bootstrap(metric_b)  # doctest: +SKIP
        >>> ours.difference(theirs, "AP").tie  # doctest: +SKIP
        False
        """
        a, b = self._of(figure), other._of(figure)
        if not self.paired(other):
            raise MismatchError(
                "the two saw different draws; bootstrap both on the same images, given by image_id, with the same "
                "seed and number of replicates"
            )
        value = self.values[figure] - other.values[figure]
        return Difference(value, _interval(a - b, value, confidence, self.seed))

    def paired(self, other: Bootstrap) -> bool:
        """Whether both saw the same draws of the same images."""
        numbers = [{len(row) for row in each.replicates.values()} for each in (self, other)]
        return (self.images, self.seed, numbers[0]) == (other.images, other.seed, numbers[1])

    def only(self, figure: str) -> Bootstrap:
        """The same with one figure, to be kept in a file.

        Raises
        ------
        InputError
            There is no such figure.
        """
        return replace(self, replicates={figure: self._of(figure)}, values={figure: self.values[figure]})

    def _of(self, figure: str) -> Float:
        if figure not in self.replicates:
            raise InputError(f"there is no figure {figure!r}{did_you_mean(figure, self.replicates)}")
        return self.replicates[figure]


class Scored(Protocol):
    """What `bootstrap` asks of a metric: its counts, and its figures under weights. Every metric class has both."""

    @property
    def state(self) -> State:
        """The counts of all images."""

    def compute(self, weights: NDArray[Any] | None = None) -> Result:
        """The figures where each image counts so many times."""


def bootstrap(
    metric: Scored, *, replicates: int = REPLICATES, seed: int = 0, progress: Progress | None = None
) -> Bootstrap:
    """Score a metric on many draws of its images.

    Parameters
    ----------
    metric
        A `DetectionAP`, `PanopticQuality`, `MeanIoU`, `PCK` or any other, with its images; it stays as it is.
    replicates
        Number of draws; 999 make intervals of 95 % and 99 % exact order statistics.
    seed
        Of the draws, from 0. Give models that are to be compared the same.
    progress
        Called with ``"bootstrap"``, how many draws are scored, and how many there are.

    Returns
    -------
    Bootstrap
        The same to the last bit on every machine and in whatever order images were counted and merged.

    Raises
    ------
    InputError
        There are no images, or `replicates` or `seed` is out of range.

    Examples
    --------
    >>> from cvbench import MeanIoU
    >>> metric = MeanIoU(2)
    >>> for right in (4, 3, 3, 2):
    ...     metric = metric.update([[0, 0, 1, 1]], [[0] * 2 + [1] * (right - 2) + [0] * (4 - right)])
    >>> interval = bootstrap(metric).interval("aAcc")
    >>> interval.low, interval.high
    (0.5625, 0.9375)
    """
    return bootstrap_state(
        metric.state,
        lambda weights: metric.compute(weights=weights).values,
        replicates=replicates,
        seed=seed,
        progress=progress,
    )


def bootstrap_state(
    state: State,
    figures: Callable[[Int | None], Mapping[str, float]],
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Bootstrap:
    """Score counts on many draws of their images; see `bootstrap`.

    Parameters
    ----------
    state
        Of any metric.
    figures
        From (I,) int64 weights along ``state.image_ids`` to the figures, always the same names; None weighs all 1.
    replicates, seed, progress
        As of `bootstrap`.
    """
    values = dict(figures(None))
    rows = {name: np.empty(replicates) for name in values} if replicates > 0 else {}
    place = state.image_order()
    for r, times in enumerate(draws(len(state), replicates, seed)):
        for name, value in figures(times[place]).items():
            rows[name][r] = value
        if progress is not None:
            progress("bootstrap", r + 1, replicates)
    ids = state.image_ids[np.argsort(place)]
    return Bootstrap(values, rows, seed, hashlib.sha256(repr(ids.tolist()).encode()).hexdigest())


def draws(images: int, replicates: int, seed: int) -> Iterator[Int]:
    """How many times each image is drawn: multinomial numbers from a generator of our own.

    Draw *i* of replicate *r* is output ``r * images + i`` of SplitMix64, of which the upper 32 bits choose the image:
    the same on every platform and with every version of NumPy. An image is likelier than another by a share of at
    most ``images / 2**32``.

    Parameters
    ----------
    images
        Number of images, from 1.
    replicates
        Number of draws of all images, from 1.
    seed
        From 0 to 2**64 - 1.

    Yields
    ------
    (images,) int64
        Adds up to `images`.

    Raises
    ------
    InputError
        A number is out of range.

    **Reference**: G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    Examples
    --------
    >>> [times.tolist() for times in draws(5, 2, seed=0)]
    [[2, 0, 1, 0, 2], [1, 2, 0, 1, 1]]
    """
    if not 1 <= images < 2**32 or replicates < 1 or not 0 <= seed < 2**64:
        raise InputError(
            f"{images} images, {replicates} replicates, seed {seed}: expected images from 1 to 2**32 - 1, replicates "
            "from 1, a seed from 0 to 2**64 - 1"
        )
    steps = np.arange(1, images + 1, dtype=np.uint64) * np.uint64(_STEP)
    for r in range(replicates):
        start = np.uint64((seed + r * images * _STEP) % 2**64)
        chosen = (_mixed(steps + start) >> np.uint64(32)) * np.uint64(images) >> np.uint64(32)
        yield np.bincount(chosen.astype(np.int64), minlength=images)


_STEP = 0x9E3779B97F4A7C15
"""SplitMix64 adds it to its state before each output: 2**64 divided by the golden ratio, odd."""


def _mixed(states: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The outputs of SplitMix64 at these states; products wrap around."""
    z: NDArray[np.uint64] = (states ^ (states >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def _interval(replicates: Float, value: float, confidence: float, seed: int) -> Interval:
    """From the k-th smallest to the k-th largest of B values, k = (B + 1) (1 - confidence) / 2."""
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence}: expected a share between 0 and 1, such as 0.95")
    defined = np.sort(replicates[~np.isnan(replicates)])
    undefined = len(replicates) - len(defined)
    # 1000 * (1 - 0.95) / 2 is above 25 in floating point; a rank that is whole but for rounding is whole.
    k = math.floor(round((len(defined) + 1) * (1 - confidence) / 2, 9))
    ends = (math.nan, math.nan) if k < 1 or math.isnan(value) else (float(defined[k - 1]), float(defined[-k]))
    return Interval(*ends, confidence, len(replicates), seed, undefined)
