"""Alignment kernels against singular value decompositions, and where these have more than one answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.kernels import procrustes
from mode import JIT
from naive import pose3d as naive

SEEDS = st.integers(0, 2**32 - 1)


def aligned(pred, gt, used=None):
    used = np.ones(pred.shape[:2], bool) if used is None else used
    out = np.empty_like(pred)
    procrustes.align_rows(0, len(pred), pred, gt, used, np.empty((5, 4, 4)), out)
    return out


def scaled(pred, gt, used):
    out = np.empty_like(pred)
    procrustes.scale_rows(0, len(pred), pred, gt, used, out)
    return out


def loss(a, b):
    """Least squares, of which there is one value even where several alignments have it."""
    return ((a - b) ** 2).sum(axis=(1, 2))


def turned(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


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


@given(SEEDS, st.integers(4, 20), st.sampled_from((0.01, 0.3, 3.0, 100.0)))
def test_alignment_is_that_of_the_singular_value_decomposition(seed, joints, noise):
    rng = np.random.default_rng(seed)
    gt = rng.normal(0, 300, (20 if JIT else 3, joints, 3)) + 1000
    pred = gt @ turned(rng.uniform(0, 7)) * rng.uniform(0.1, 10) + rng.normal(0, 300 * noise, gt.shape)
    used = rng.random(pred.shape[:2]) < 0.8
    used[:, :4] = True
    expected = np.array([naive.align(*rows) for rows in zip(pred, gt, used, strict=True)])
    # near a tie of singular values, rounding turns both by some 1e-16 over their relative distance
    np.testing.assert_allclose(aligned(pred, gt, used), expected, rtol=1e-9, atol=1e-6)
    fitted = used[:, :, None]
    found, least = (loss(points * fitted, gt * fitted) for points in (aligned(pred, gt, used), expected))
    np.testing.assert_allclose(found, least, rtol=1e-12, atol=1e-10)  # coordinates of 1000 are rounded at 1e-13


@given(SEEDS)
def test_what_differs_by_a_similarity_alone_is_aligned_without_rest(seed):
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    gt = rng.normal(0, 300, (1, 17, 3))
    pred = 0.37 * gt @ (q * np.sign(np.linalg.det(q))) + [5, -3, 1e3]
    np.testing.assert_allclose(aligned(pred, gt), gt, atol=1e-10)  # about 1e-13 of the coordinates


@given(SEEDS, st.integers(1, 2), st.sampled_from(("gt", "pred", "both")))
def test_points_on_a_plane_or_a_line_are_aligned_as_well_as_can_be(seed, rank, side):
    rng = np.random.default_rng(seed)
    gt, pred = rng.integers(-9, 10, (2, 10, 6, 3)).astype(float)
    for flat in {"gt": [gt], "pred": [pred], "both": [gt, pred]}[side]:
        flat[:, :, rank:] = 0
    best = loss(np.array([naive.align(p, g) for p, g in zip(pred, gt, strict=True)]), gt)
    np.testing.assert_allclose(loss(aligned(pred, gt), gt), best, rtol=1e-12, atol=1e-20)


@given(SEEDS)
def test_a_mirror_image_is_not_mirrored_back(seed):
    gt = np.random.default_rng(seed).normal(size=(4, 8, 3))
    pred = gt * [1, 1, -1]
    result = aligned(pred, gt)
    np.testing.assert_allclose(result, [naive.align(*rows) for rows in zip(pred, gt, strict=True)], atol=1e-9)
    assert (loss(result, gt) > 1e-3).all()
    moved = result - result.mean(axis=1, keepdims=True)
    assert (np.linalg.det(np.swapaxes(pred - pred.mean(axis=1, keepdims=True), 1, 2) @ moved) > 0).all()


def test_no_spread_goes_to_the_mean_of_the_ground_truth():
    gt = np.arange(12.0).reshape(1, 4, 3) ** 2
    middle = np.tile(gt.mean(axis=1, keepdims=True), (1, 4, 1))
    assert np.array_equal(aligned(np.full((1, 4, 3), 0.5), gt), middle)
    np.testing.assert_allclose(aligned(np.full((1, 4, 3), 0.1), gt), middle, rtol=1e-15)  # the mean of 0.1 is rounded
    np.testing.assert_allclose(aligned(gt, middle), middle, rtol=1e-15)
    assert np.array_equal(aligned(gt[:, :1], gt[:, 1:2]), gt[:, 1:2])


@pytest.mark.parametrize("angle", [np.pi, np.pi / 2, 1e-9, 0])
def test_half_turns_and_none(angle):
    gt = np.array([[[1.0, 0, 0], [0, 2, 0], [0, 0, 3], [1, 1, 1]]])
    np.testing.assert_allclose(aligned(gt @ turned(angle), gt), gt, atol=1e-14)


@pytest.mark.parametrize("size", [1e-150, 1e-75, 1e75, 1e99])
def test_coordinates_of_any_size(size):
    pred, gt = np.random.default_rng(2).normal(size=(2, 3, 6, 3))
    expected = aligned(pred, gt) * size
    np.testing.assert_allclose(aligned(pred * size, gt * size), expected, rtol=1e-12, atol=1e-12 * size)
    np.testing.assert_allclose(aligned(pred / size, gt * size), expected, rtol=1e-12, atol=1e-12 * size)


def test_joints_that_are_not_used_are_moved_along():
    gt = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 9, 9]]])
    pred = 2 * gt + 5
    pred[0, 3] = [5, 5, 7]
    used = np.array([[True, True, True, False]])
    np.testing.assert_allclose(aligned(pred, gt, used)[0], [*gt[0, :3], [0, 0, 1]], atol=1e-14)
    assert np.array_equal(aligned(pred, gt, np.zeros((1, 4), bool)), pred)


@given(SEEDS)
def test_scale_is_the_quotient_of_two_products(seed):
    rng = np.random.default_rng(seed)
    pred, gt = rng.normal(size=(2, 5, 7, 3))
    used = rng.random((5, 7)) < 0.7
    pred[0][used[0]] = 0
    expected = [naive.scale(*rows) for rows in zip(pred, gt, used, strict=True)]
    np.testing.assert_allclose(scaled(pred, gt, used), expected, rtol=1e-11)  # the product may cancel
    assert not scaled(pred, gt, used)[0][used[0]].any()


def test_a_range_touches_its_own_rows_only():
    pred, gt = np.random.default_rng(0).normal(size=(2, 6, 5, 3))
    out = np.full_like(pred, 7)
    procrustes.align_rows(2, 4, pred, gt, np.ones((6, 5), bool), np.empty((5, 4, 4)), out)
    assert np.array_equal(out[2:4], aligned(pred, gt)[2:4])
    assert (out[[0, 1, 4, 5]] == 7).all()
