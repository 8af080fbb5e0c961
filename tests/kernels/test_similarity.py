"""What kernels of similarity leave out must not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.kernels.similarity import exp_bound, oks_exponents_rows, oks_means_rows, sum_room


def oks_of(lowest: float, keypoints, gt_keypoints, boxes, area, variances) -> np.ndarray:
    n, m = len(keypoints), len(gt_keypoints)
    first, pairs = np.zeros(n, np.int64), np.arange(n + 1) * m
    terms, out = np.full((n * m, len(variances)), np.nan), np.empty(n * m)
    meetings, of_gt = (keypoints[::-1].copy(), np.arange(n)[::-1].copy(), first), (gt_keypoints, boxes, area)
    used = oks_exponents_rows(0, n, *meetings, *of_gt, variances, lowest, pairs, terms, out)
    assert used == np.count_nonzero(out == -1)
    oks_means_rows(0, n, first, gt_keypoints, pairs, np.exp(terms[:used]), *sum_room(), out)
    return out


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.floats(0, 1), st.sampled_from((0.1, 1.0, 3.0, 1e200)))
def test_only_similarities_below_the_lowest_threshold_are_left_out(seed, joints, lowest, spread):
    rng = np.random.default_rng(seed)
    gt = np.concatenate([rng.normal(0, 9, (4, joints, 2)), rng.integers(0, 3, (4, joints, 1))], axis=2)
    gt[0, :, 2] = 0
    found = np.concatenate([gt[rng.integers(0, 4, 5)]])
    found[1:, :, :2] += rng.normal(0, spread, (4, joints, 2))
    area = rng.choice([0.0, 1.0, 90.0, 1e300, np.inf], 4)
    arrays = found, gt, rng.random((4, 4)) * 9, area, (rng.random(joints) + 0.01) ** 2
    with np.errstate(over="ignore", invalid="ignore"):
        every, some = oks_of(-np.inf, *arrays), oks_of(lowest, *arrays)
    kept = every >= lowest
    np.testing.assert_array_equal(some[kept], every[kept])
    rest = some[~kept]
    assert ((rest == 0) | (rest == every[~kept]) | np.isnan(rest)).all()


@pytest.mark.parametrize("shift", [0.0, 3.0, 30.0])
def test_pairs_that_cannot_match_get_no_exponents(shift):
    point = np.array([[[5.0, 5.0, 2.0]]])
    moved = point + np.array([shift, 0.0, 0.0])
    arrays = moved, point, np.array([[0.0, 0, 9, 9]]), np.array([9.0]), np.array([1.0])
    assert (oks_of(0.5, *arrays) > 0).tolist() == [shift < 30]


@given(st.floats(0, 50) | st.floats(0, 1e-12))
def test_the_bound_of_the_exponential_is_above_it(e):
    assert np.exp(-e) <= exp_bound(e) * (1 + 1e-13)
    assert exp_bound(e) <= 1
