"""Alignment kernels against singular value decompositions, and where these have more than one answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.kernels import procrustes

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.sampled_from((0, 1e-12, 1, 1e12)))
def test_the_best_rotation_is_proper_and_as_good_as_singular_values_allow(seed, noise):
    rng = np.random.default_rng(seed)
    moments = rng.integers(-3, 4, (3, 3)) + noise * rng.normal(size=(3, 3))
    rotation = np.empty((3, 3))
    trace = procrustes.best_rotation(moments, np.empty((4, 4)), np.empty((4, 4)), rotation)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-14)  # some last bits of 1
    assert np.linalg.det(rotation) > 0
    u, d, vt = np.linalg.svd(moments)
    size = d[0] * 1e-14  # likewise
    assert trace == pytest.approx(np.trace(rotation @ moments), abs=size)
    assert trace == pytest.approx(d[0] + d[1] + d[2] * np.sign(np.linalg.det(u @ vt)), abs=size)
