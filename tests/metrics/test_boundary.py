"""Boundary bands and boundary F of label maps against slow twins, and what they refuse."""

from __future__ import annotations

import copy
import doctest

import numpy as np
import pytest
import torch
from hypothesis import example, given, strategies as st

from cvbench.errors import InputError
from cvbench.metrics import boundary as module
from cvbench.metrics.boundary import boundary_f, boundary_f_counts, boundary_f_scores, region_bands
from cvbench.metrics.masks import mask_boundary, rle_decode, rle_encode
from cvbench.metrics.overlaps import Rgb
from grid_cases import label_maps
from naive import grids as naive

RATIOS = st.sampled_from((0.0, 0.005, 0.02, 0.1, 0.25, 1.0, 1e9))
TOLERANCES = st.sampled_from((0.0, 0.008, 0.1, 0.3, 0.9999, 1, 2, 5, 1e9))


def test_examples():
    assert doctest.testmod(module).failed == 0


@given(label_maps(), RATIOS)
def test_bands_are_what_erosions_take_from_each_region(labels, ratio):
    band = region_bands(labels, ratio)
    assert (band.dtype, band.shape) == (np.bool_, labels.shape)
    assert np.array_equal(band, naive.region_bands(labels, min(ratio, 2)))


@given(label_maps(values=2), RATIOS)
def test_the_band_of_a_region_is_the_boundary_of_its_mask(labels, ratio):
    masks = [labels == value for value in (0, 1)]
    expected = rle_decode(mask_boundary(rle_encode(masks), ratio)).any(axis=0)
    assert np.array_equal(region_bands(labels, ratio), expected)


@pytest.mark.parametrize(("side", "ratio", "width"), [(300, 0.01, 4), (200, 0.0125, 4), (100, 0.0247, 3), (10, 0, 1)])
def test_the_width_is_rounded(side, ratio, width):
    # the diagonals are 424.3, 282.8, 141.4 and 14.1; these shares of them 4.24, 3.54, 3.49 and 0
    inner = ~region_bands(np.zeros((side, side), np.uint8), ratio)
    assert inner.sum() == (side - 2 * width) ** 2


@pytest.mark.parametrize(("pixels", "width"), [(0.5, 1), (1.5, 2), (2.5, 2), (3.5, 4)])
def test_half_a_pixel_goes_to_the_even_width(pixels, width):
    inner = ~region_bands(np.zeros((12, 9), np.uint8), pixels / 15)  # 15 is the diagonal
    assert inner.sum() == (12 - 2 * width) * (9 - 2 * width)


@given(label_maps(), st.data(), TOLERANCES, st.booleans())
@example(np.zeros((1, 1), int), None, 0.008, False)
def test_boundary_counts_are_those_of_all_distances(gt, data, tolerance, with_void):
    pred, valid = gt, None
    if data is not None:
        pred = np.roll(gt, data.draw(st.tuples(st.integers(-3, 3), st.integers(-3, 3))), (0, 1))
        valid = np.roll(gt, 1, 0) != data.draw(st.integers(0, 4)) if with_void else None
    classes = [2, 0, 9, 1]
    counts = boundary_f_counts(gt, pred, classes, tolerance, valid)
    assert counts.dtype == np.int64
    assert counts.tolist() == naive.boundary_f_counts(gt, pred, classes, tolerance, valid)
    assert boundary_f_scores(counts).tolist() == [naive.boundary_f_score(*row) for row in counts.tolist()]
    assert boundary_f(gt == 1, pred == 1, tolerance) == boundary_f_scores(
        np.array(naive.boundary_f_counts(gt, pred, [1], tolerance))
    )


def test_masks_without_a_boundary():
    empty, full, some = np.zeros((4, 6), bool), np.ones((4, 6), bool), np.eye(4, 6, dtype=bool)
    assert boundary_f(empty, empty) == boundary_f(full, full) == boundary_f(full, empty) == 1.0
    assert boundary_f(empty, some) == boundary_f(some, full) == 0.0
    assert boundary_f(some * 7, some) == 1.0, "all that is not 0 is foreground"
    assert boundary_f_counts(empty, full, [], 1.0).shape == (0, 4)


def test_an_image_without_pixels_has_no_boundary():
    none = np.zeros((0, 5), np.uint8)
    assert region_bands(none, 0.02).shape == (0, 5)
    assert boundary_f_counts(none, none, [0], 0.008).tolist() == [[0, 0, 0, 0]]


def layouts(labels):
    wide = np.zeros((2 * labels.shape[0], 3 * labels.shape[1]), labels.dtype)
    wide[::2, ::3] = labels
    return {
        "rows": labels,
        "columns": np.asfortranarray(labels),
        "strides": wide[::2, ::3],
        "backwards": labels[::-1, ::-1].copy()[::-1, ::-1],
        "other byte order": labels.astype(labels.dtype.newbyteorder()),
        "torch": torch.from_numpy(labels.astype(np.int64)),
        "lists": labels.tolist(),
    }


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8", "u4"])
def test_any_layout_and_type_is_a_map(dtype):
    labels = np.random.default_rng(3).integers(0, 3, (4, 5)).repeat(3, 0).repeat(3, 1).astype(dtype)
    other = np.roll(labels, 1, 1)
    band, counts = region_bands(labels, 0.02), boundary_f_counts(labels, other, [0, 1, 2], 1.0)
    for name, gt in layouts(labels).items():
        before = copy.deepcopy(gt)
        assert np.array_equal(region_bands(gt, 0.02), band), name
        assert np.array_equal(boundary_f_counts(gt, layouts(other)[name], [0, 1, 2], 1.0), counts), name
        assert np.array_equal(np.asarray(before), np.asarray(gt)), "what is given stays as it is"


def test_ids_coded_as_colours_are_ids():
    ids = np.random.default_rng(5).choice([0, 1, 256, 65536, 2**24 - 1], (5, 6)).repeat(2, 0).repeat(2, 1)
    colours = Rgb(np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=2).astype(np.uint8))
    assert np.array_equal(region_bands(colours, 0.02), region_bands(ids, 0.02))
    assert boundary_f_counts(colours, ids, [1, 65536], 0.0).tolist() == naive.boundary_f_counts(ids, ids, [1, 65536], 0)


MAP = np.zeros((3, 4), np.uint8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: region_bands(MAP, -0.1), "dilation_ratio is -0.1; expected a share of the image diagonal, 0 or more"),
        (lambda: region_bands(MAP, float("nan")), "dilation_ratio is nan"),
        (lambda: region_bands(MAP[None], 0.02), r"labels: has shape \(1, 3, 4\); expected \(H, W\)"),
        (lambda: region_bands(MAP / 2, 0.02), "labels: holds float64; expected integers or bool"),
        (lambda: boundary_f_counts(MAP, MAP, [0], -1), "tolerance is -1; expected a distance, 0 or more"),
        (lambda: boundary_f_counts(MAP, MAP[:2], [0], 1), r"pred: has shape \(2, 4\), the ground truth \(3, 4\)"),
        (lambda: boundary_f_counts(MAP, MAP, [0], 1, MAP[:2] > 0), r"valid: has shape \(2, 4\)"),
        (lambda: boundary_f_counts(MAP, MAP, [3, 1, 3], 1), "classes: 3 is there twice"),
        (lambda: boundary_f(MAP, MAP * 0.5), "pred: holds float64; expected integers or bool"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
