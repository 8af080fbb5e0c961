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

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Int
from cvbench.errors import InputError

"""With so many, the ends of an interval of 95 % are the 25th value from either side, and of 99 % the 5th."""


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
