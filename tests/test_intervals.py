"""Draws of images against the published generator."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from cvbench.errors import InputError
from cvbench.intervals import draws


def splitmix64(seed: int, number: int) -> list[int]:
    """The generator as its paper writes it, on whole numbers without end."""
    outputs, mask = [], 2**64 - 1
    for _ in range(number):
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        outputs.append(z ^ (z >> 31))
    return outputs


@pytest.mark.parametrize(("images", "seed"), [(1, 0), (5, 7), (1000, 2**64 - 1)])
def test_draws_follow_the_generator(images: int, seed: int) -> None:
    chosen = [(output >> 32) * images >> 32 for output in splitmix64(seed, 3 * images)]
    for r, times in enumerate(draws(images, 3, seed)):
        expected = [chosen[r * images : (r + 1) * images].count(image) for image in range(images)]
        assert (times.dtype, times.tolist()) == (np.int64, expected)


def test_draws_are_the_same_everywhere() -> None:
    assert splitmix64(0, 2) == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]  # as the author's C program prints them
    bits = b"".join(times.astype("<i8").tobytes() for times in draws(100, 50, seed=1))
    assert hashlib.sha256(bits).hexdigest()[:16] == "fc2d1539245464aa"


def test_draws_are_multinomial() -> None:
    times = np.array(list(draws(20, 4000, seed=5)))
    assert (times.sum(axis=1) == 20).all()
    # Five standard errors of the mean, and of the variance (about the square root of 3 / 4000, times 1).
    np.testing.assert_allclose(times.mean(axis=0), 1, atol=5 * math.sqrt(0.95 / 4000))
    np.testing.assert_allclose(times.var(axis=0), 0.95, atol=5 * math.sqrt(3 / 4000))
    covariance = np.cov(times.T)[np.triu_indices(20, 1)]
    np.testing.assert_allclose(covariance, -1 / 20, atol=5 * math.sqrt(1 / 4000))


@pytest.mark.parametrize(
    ("images", "replicates", "seed"), [(0, 1, 0), (2**32, 1, 0), (1, 0, 0), (1, 1, -1), (1, 1, 2**64)]
)
def test_impossible_draws_are_refused(images: int, replicates: int, seed: int) -> None:
    with pytest.raises(InputError, match=f"{images} images, {replicates} replicates, seed {seed}: expected"):
        next(draws(images, replicates, seed))
