"""Heatmaps from keypoints and keypoints from heatmaps, against slow twins, and what both refuse."""

from __future__ import annotations

import doctest
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from cvbench.errors import InputError
from cvbench.metrics import heatmaps as module
from cvbench.metrics.heatmaps import BORDERS, NEWTON, Decoding, Encoding, decode_heatmaps, encode_heatmaps
from naive import heatmaps as naive

ENCODINGS, DECODINGS = get_args(Encoding), get_args(Decoding)
NEIGHBOURS = ("argmax", *BORDERS)

# 1.1, 1.5, 2.5: windows of 3 sigma that are no whole number of pixels
SIGMAS = st.sampled_from((1, 2.0, 3, 0.3, 1.1, 1.5, 2.5))
SIZES = st.tuples(st.integers(2, 14), st.integers(2, 14))
COORDINATES = st.one_of(
    st.integers(-60, 60).map(lambda n: n / 4), st.floats(-40, 80), st.sampled_from((-0.7, -0.5, 1e300, -1e300, 3e9))
)


def test_examples():
    assert doctest.testmod(module).failed == 0


@given(
    st.lists(st.tuples(COORDINATES, COORDINATES), min_size=1, max_size=4),
    st.sampled_from((np.float32, np.float64)),
    SIZES,
    st.sampled_from((1, 2, 4, 3.7)),
    SIGMAS,
)
def test_a_map_is_its_formula_pixel_by_pixel(points, dtype, size, stride, sigma):
    keypoints = np.clip(np.array([points]), *((-1e30, 1e30) if dtype is np.float32 else (-1e300, 1e300))).astype(dtype)
    source = tuple(max(int(side * stride), 2) for side in size)
    for method in ENCODINGS:
        maps, weights = encode_heatmaps(keypoints, input_size=source, heatmap_size=size, sigma=sigma, method=method)
        assert (maps.dtype, weights.dtype) == (np.float32, np.float32)
        assert (maps.shape, weights.shape) == ((1, len(points), *size[::-1]), (1, len(points)))
        for j, point in enumerate(keypoints[0]):
            expected, inside = naive.encode(point, source, size, sigma, method)
            assert weights[0, j] == inside
            if method == "msra":
                assert np.array_equal(maps[0, j], expected)
            else:  # a product of two exponentials, and the exponential of a sum: they may fall to two sides of a half
                np.testing.assert_array_max_ulp(maps[0, j], expected, 1)


@pytest.mark.parametrize("method", ["msra", "udp"])
@pytest.mark.parametrize(
    ("x", "centre", "weight"),
    [
        (2.49, 2, 1),
        (2.5, 3, 1),
        (-0.7, 0, 1),  # cut off towards 0
        (-1.5, -1, 1),
        (-3.5, -3, 1),  # its window has pixel 0
        (-4.5, -4, 1),  # its window ends before pixel 0, which counts as inside
        (-5.5, -5, 0),
        (9.4, 9, 1),
        (9.5, 10, 1),
        (12.4, 12, 1),
        (12.5, 13, 0),
    ],
)
def test_where_a_window_is(method, x, centre, weight):
    maps, weights = encode_heatmaps([[[x, 5]]], input_size=(10, 10), heatmap_size=(10, 10), sigma=1, method=method)
    assert weights.tolist() == [[weight]]
    columns = np.flatnonzero(maps[0, 0].any(axis=0)).tolist()
    assert columns == ([k for k in range(centre - 3, centre + 4) if 0 <= k < 10] if weight else [])


def test_what_is_not_visible_keeps_its_weight():
    keypoints = [[[3.0, 3], [3, 3], [np.nan, np.inf], [99, 3], [99, 3]]]
    maps, weights = encode_heatmaps(keypoints, [[0.5, 0.49, 0.0, 0.25, 2.0]], input_size=(8, 8), heatmap_size=(8, 8))
    assert weights[0].tolist() == [0.5, np.float32(0.49), 0.0, 0.25, 0.0]
    assert maps.any(axis=(2, 3)).tolist() == [[True, False, False, False, False]]
    flags = np.array([[True, False, False, True, False]])
    assert encode_heatmaps(keypoints, flags, input_size=(8, 8), heatmap_size=(8, 8))[1].tolist() == [[1, 0, 0, 0, 0]]


def test_coordinates_keep_their_type():
    # 2.5 - 2**-30 is 2.5 in float32, and goes to the next pixel there
    below = np.array([[[2.5 - 2**-30, 5]]])
    for keypoints, column in ((below, 2), (below.astype(np.float32), 3), (below.astype(np.float16), 3)):
        maps, _ = encode_heatmaps(keypoints, input_size=(10, 10), heatmap_size=(10, 10))
        assert maps[0, 0].argmax() % 10 == column
    lists, tensor = [[[2, 5]]], torch.tensor([[[2, 5]]])
    a, b = (encode_heatmaps(keypoints, input_size=(10, 10), heatmap_size=(10, 10))[0] for keypoints in (lists, tensor))
    assert np.array_equal(a, b)
    assert a[0, 0, 5, 2] == 1


def ties(seed: int, shape: tuple[int, ...]):
    """Maps of few values, so that many are equal; some have no positive one."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-1, rng.integers(1, 4, (*shape[:2], 1, 1)), shape) / 4
    return values.astype(np.float32)


@given(st.integers(0, 10**6), st.tuples(st.integers(1, 7), st.integers(1, 7)), st.sampled_from(NEIGHBOURS))
def test_the_highest_pixel_and_its_neighbours(seed, size, method):
    maps = ties(seed, (2, 3, *size))
    keypoints, scores = decode_heatmaps(maps, method=method)
    assert (keypoints.dtype, scores.dtype) == (np.float64, np.float32)
    for n, j in np.ndindex(2, 3):
        assert tuple(keypoints[n, j]) == naive.quarter(maps[n, j], method)
        assert scores[n, j] == maps[n, j].max()


@pytest.mark.parametrize(
    ("method", "moved_x", "moved_y"),
    [
        ("argmax", [], []),
        ("quarter", [(x, y) for x in (2, 3, 4) for y in range(1, 6)], [(x, y) for x in range(1, 6) for y in (2, 3, 4)]),
        ("quarter-hrnet", *2 * ([(x, y) for x in (2, 3, 4) for y in (2, 3, 4)],)),
        ("quarter-face", *2 * ([(x, y) for x in range(1, 5) for y in range(1, 5)],)),
    ],
)
def test_which_peaks_move(method, moved_x, moved_y):
    places = list(product(range(6), range(6)))
    maps = np.zeros((36, 1, 6, 6), np.float32) + np.arange(6) * 0.02 + np.arange(6)[:, None] * 0.01
    for n, (x, y) in enumerate(places):
        maps[n, 0, y, x] = 1
    keypoints = decode_heatmaps(maps, method=method)[0][:, 0] - (0.5 if method == "quarter-face" else 0)
    assert [place for place, x in zip(places, keypoints[:, 0], strict=True) if x == place[0] + 0.25] == moved_x
    assert [place for place, y in zip(places, keypoints[:, 1], strict=True) if y == place[1] + 0.25] == moved_y
    assert np.isin(keypoints - places, (0, 0.25)).all()


def gaussians(seed: int, size: tuple[int, int], n: int = 6):
    """Maps (n, 1, H, W) of Gaussians, some of them in noise, of any height."""
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(-1, np.array(size) + 1, (n, 1, 2))
    maps, _ = encode_heatmaps(keypoints, input_size=size, heatmap_size=size, sigma=1.5, method="unbiased")
    heights = rng.choice([1e-9, 1e-3, 0.02, 1, 1, 60], (n, 1, 1, 1))
    noise = rng.choice([0, 0, 0.03, 0.3], (n, 1, 1, 1)) * rng.normal(size=maps.shape)
    return ((maps + noise) * heights).astype(np.float32)


@given(
    st.integers(0, 10**6),
    st.tuples(st.integers(3, 12), st.integers(3, 12)),
    st.sampled_from(sorted(NEWTON)),
    st.sampled_from((3, 5, 7, 9, 11)),
)
def test_newtons_step_is_that_of_the_whole_blurred_map(seed, size, method, width):
    maps = gaussians(seed, size)
    keypoints, scores = decode_heatmaps(maps, method=method, blur_kernel=width)
    assert np.array_equal(scores, maps.max(axis=(2, 3)))
    for found, pixels in zip(keypoints[:, 0], maps[:, 0], strict=True):
        x, y, determinant = naive.dark(pixels, method, width)
        if abs(determinant) > 1e-6:  # a flatter map turns the last bits of the blur into pixels
            # rounded to float32 both; logarithms differ by 1e-14, and the Hessian enlarges that
            assert found.tolist() == pytest.approx([x, y], rel=2**-23, abs=1e-7)


def test_newtons_step_finds_the_centre_of_a_gaussian():
    keypoints = np.random.default_rng(4).uniform(40, 150, (2, 9, 2))
    sizes = {"input_size": (192, 192), "heatmap_size": (48, 48)}
    maps, _ = encode_heatmaps(keypoints, method="unbiased", **sizes)
    # a Gaussian blurred by a Gaussian has a parabola for a logarithm; this blur ends at 2.5 sigma, so a little is left
    assert np.abs(decode_heatmaps(maps, method="dark", input_size=(192, 192))[0] - keypoints).max() < 0.01
    assert np.abs(decode_heatmaps(maps, method="quarter", input_size=(192, 192))[0] - keypoints).max() <= 1
    assert 1 < np.abs(decode_heatmaps(maps, method="argmax", input_size=(192, 192))[0] - keypoints).max() <= 2


def test_udp_comes_back_by_another_factor_than_it_goes():
    keypoints = np.random.default_rng(5).uniform(60, 120, (1, 9, 2))
    maps, _ = encode_heatmaps(keypoints, input_size=(193, 257), heatmap_size=(49, 65), method="udp")
    found, _ = decode_heatmaps(maps, input_size=(193, 257), method="dark-udp")
    # the window cuts the Gaussian off at 3 sigma, and the blur sees that
    assert np.abs(found - keypoints * [193 / 192, 257 / 256]).max() < 0.02


@pytest.mark.parametrize("method", sorted(NEWTON))
def test_no_step_without_a_slope(method):
    def decoded(pixels):
        return decode_heatmaps(np.array([[pixels]], np.float32), method=method)[0][0, 0].tolist()

    assert decoded(np.zeros((9, 9))) == [-1, -1]
    assert decoded(np.full((9, 9), -2.0)) == [-1, -1]
    spike = np.zeros((40, 40))
    spike[20, 20] = 1e-30
    assert decoded(spike) == [20, 20], "the blurred spike is symmetrical"
    if method == "dark-udp":
        assert decoded(np.full((9, 9), 1e9))[0] == 0, "all is cut to 50"
    outweighed = np.full((9, 9), -1.0)
    outweighed[4, 4] = 1e-3
    assert np.isfinite(decoded(outweighed)).all(), "no value is positive after the blur"


@given(st.integers(0, 10**6), st.tuples(st.integers(1, 8), st.integers(1, 8)), st.sampled_from((0.01, 1.0, 30.0, 1e6)))
def test_soft_argmax_is_a_mean_of_all_pixels(seed, size, beta):
    maps = ties(seed, (2, 2, *size))
    keypoints, scores = decode_heatmaps(maps, method="soft-argmax", beta=beta)
    for n, j in np.ndindex(2, 2):
        # the twin adds in another order
        assert tuple(keypoints[n, j]) == pytest.approx(naive.soft_argmax(maps[n, j], beta), rel=1e-12)
    assert np.array_equal(scores, maps.max(axis=(2, 3)))


def test_scales_of_the_input():
    maps = np.zeros((1, 1, 5, 7), np.float32)
    maps[0, 0, 3, 4] = 1
    factors = np.array([30, 33]) / [7, 5]
    for method in ("argmax", "quarter", "quarter-hrnet", "quarter-face", "dark"):
        heatmap, _ = decode_heatmaps(maps, method=method)
        found, _ = decode_heatmaps(maps, method=method, input_size=(30, 33))
        assert np.array_equal(found, heatmap.astype(np.float32) * factors.astype(np.float32))
    soft = [decode_heatmaps(maps, method="soft-argmax", input_size=size)[0] for size in (None, (30, 33))]
    assert np.array_equal(soft[0] * factors, soft[1])
    udp = [decode_heatmaps(maps, method="dark-udp", input_size=size)[0] for size in (None, (30, 33))]
    assert np.array_equal(udp[0] / [6, 4] * [30, 33], udp[1])


@pytest.mark.parametrize("method", DECODINGS)
def test_neither_threads_nor_neighbours_change_a_bit(method):
    maps = gaussians(8, (9, 8), 600).reshape(200, 3, 8, 9)
    before = maps.copy()
    keypoints, scores = decode_heatmaps(maps, method=method, threads=1)
    for some in ([3], [150, 2], [5, 5, 5]):
        found = decode_heatmaps(maps[some], method=method, threads=1)
        assert np.array_equal(found[0], keypoints[some])
    for threads in (3, None):
        found = decode_heatmaps(maps, method=method, threads=threads)
        assert np.array_equal(found[0], keypoints)
        assert np.array_equal(found[1], scores)
    assert np.array_equal(maps, before), "what is given stays as it is"


@pytest.mark.parametrize("method", ENCODINGS)
def test_threads_do_not_change_targets(method):
    keypoints = np.random.default_rng(9).uniform(-5, 40, (300, 2, 2))
    before = keypoints.copy()
    targets = [
        encode_heatmaps(keypoints, input_size=(32, 24), heatmap_size=(8, 6), method=method, threads=threads)
        for threads in (1, 3, None)
    ]
    for maps, weights in targets[1:]:
        assert np.array_equal(maps, targets[0][0])
        assert np.array_equal(weights, targets[0][1])
    assert np.array_equal(keypoints, before), "what is given stays as it is"


@pytest.mark.parametrize("method", DECODINGS)
def test_any_layout_and_type_is_a_map(method):
    maps = ties(3, (2, 3, 8, 9))
    expected, scores = decode_heatmaps(maps, method=method)
    wide = np.zeros((2, 3, 16, 27), np.float32)
    wide[..., ::2, ::3] = maps
    forms = {
        "columns": np.asfortranarray(maps),
        "strides": wide[..., ::2, ::3],
        "other byte order": maps.astype(maps.dtype.newbyteorder()),
        "half": maps.astype(np.float16),
        "torch": torch.from_numpy(maps),
        "lists": maps.tolist(),
        "float64": maps.astype(np.float64),
    }
    for name, form in forms.items():
        found = decode_heatmaps(form, method=method)
        assert np.array_equal(found[0], expected), name
        assert np.array_equal(found[1], scores), name
        assert found[1].dtype == (np.float64 if name in ("lists", "float64") else np.float32)


def test_nothing_gives_nothing():
    maps, weights = encode_heatmaps(np.empty((0, 3, 2)), input_size=(8, 8), heatmap_size=(4, 6))
    assert (maps.shape, weights.shape) == ((0, 3, 6, 4), (0, 3))
    for method in DECODINGS:
        keypoints, scores = decode_heatmaps(maps, method=method, input_size=(8, 8))
        assert (keypoints.shape, scores.shape) == ((0, 3, 2), (0, 3))


SIDES = {"input_size": (8, 8), "heatmap_size": (4, 4)}
POINT, MAPS = np.ones((1, 1, 2)), np.ones((1, 2, 3, 4), np.float32)


def spoilt(value):
    maps = MAPS.copy()
    maps[0, 1, 2, 0] = value
    return maps


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: encode_heatmaps(POINT[0], **SIDES),
            r"keypoints: has shape \(1, 2\); expected \(instances, joints, 2\)",
        ),
        (lambda: encode_heatmaps(np.ones((1, 1, 3)), **SIDES), r"keypoints: has shape \(1, 1, 3\)"),
        (lambda: encode_heatmaps(POINT.astype(str), **SIDES), "keypoints: holds <U32; expected numbers"),
        (lambda: encode_heatmaps(POINT * np.nan, **SIDES), r"keypoints\[0, 0\]: is \[nan, nan\] and visible"),
        (lambda: encode_heatmaps(POINT, [1], **SIDES), r"visible: has shape \(1,\); expected \(1, 1\)"),
        (lambda: encode_heatmaps(POINT, [["a"]], **SIDES), "visible: holds <U1; expected bool or numbers"),
        (lambda: encode_heatmaps(POINT, [[np.inf]], **SIDES), r"visible\[0, 0\]: is inf; expected a number"),
        (lambda: encode_heatmaps(POINT, input_size=(0, 8), heatmap_size=(4, 4)), r"input_size: is \(0, 8\); expected"),
        (lambda: encode_heatmaps(POINT, input_size=(8, 8), heatmap_size=(4.5, 4)), r"heatmap_size: is \(4.5, 4\)"),
        (lambda: encode_heatmaps(POINT, input_size=8, heatmap_size=(4, 4)), "input_size: is 8; expected"),
        (
            lambda: encode_heatmaps(POINT, input_size=(8, 8), heatmap_size=(1, 4), method="udp"),
            "heatmap_size: is 1 x 4",
        ),
        (lambda: encode_heatmaps(POINT, sigma=0, **SIDES), "sigma: is 0; expected a positive number of pixels"),
        (lambda: encode_heatmaps(POINT, sigma=np.nan, **SIDES), "sigma: is nan"),
        (lambda: encode_heatmaps(POINT, method="mrsa", **SIDES), "method: unknown method 'mrsa'; did you mean 'msra'?"),
        (lambda: decode_heatmaps(MAPS[0]), r"heatmaps: has shape \(2, 3, 4\); expected \(instances, joints, height"),
        (lambda: decode_heatmaps(MAPS[..., :0]), r"heatmaps: has shape \(1, 2, 3, 0\)"),
        (lambda: decode_heatmaps(MAPS * 1j), "heatmaps: holds complex64; expected numbers"),
        *(
            (
                lambda method=method, value=value: decode_heatmaps(spoilt(value), method=method),
                r"heatmaps\[0, 1\]: holds a",
            )
            for method in DECODINGS
            for value in (np.nan, np.inf, -np.inf)
        ),
        (lambda: decode_heatmaps(MAPS, method="drak"), "method: unknown method 'drak'; did you mean 'dark'?"),
        (lambda: decode_heatmaps(MAPS, input_size=(8, -1)), r"input_size: is \(8, -1\)"),
        (
            lambda: decode_heatmaps(MAPS[:, :, :1], method="dark-udp", input_size=(8, 8)),
            "heatmaps: is 4 x 1; udp counts",
        ),
        (lambda: decode_heatmaps(MAPS, method="dark", blur_kernel=4), "blur_kernel: is 4; expected an odd number"),
        (lambda: decode_heatmaps(MAPS, method="dark", blur_kernel=1), "blur_kernel: is 1; expected"),
        (
            lambda: decode_heatmaps(MAPS, blur_kernel=11),
            "blur_kernel: has no effect on 'quarter'; only dark and dark-udp",
        ),
        (lambda: decode_heatmaps(MAPS, method="dark", beta=2.0), "beta: has no effect on 'dark'; only soft-argmax"),
        (lambda: decode_heatmaps(MAPS, method="soft-argmax", beta=-1.0), "beta: is -1.0; expected a positive number"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


GOLDEN = Path(__file__).parents[1] / "golden" / "heatmaps.npz"
"""What mmpose and HRNet compute; `tests/golden/record_heatmaps.py` records it."""


@pytest.mark.parametrize(
    ("method", "ulps"),
    [
        ("msra", 4),  # NumPy's float32 exponential is right to 2 units, by other instructions on other machines
        ("unbiased", 1),
        ("udp", 1),
    ],
)
def test_recorded_targets(method, ulps):
    known = np.load(GOLDEN)
    sizes = {name: tuple(known[name].tolist()) for name in ("input_size", "heatmap_size")}
    maps, weights = encode_heatmaps(known["keypoints"], known["visible"], method=method, **sizes)
    assert np.array_equal(weights, known[f"{method}_weights"])
    np.testing.assert_array_max_ulp(maps, known[f"{method}_maps"], ulps)


@pytest.mark.parametrize(
    ("maps", "method", "tolerance"),
    [
        *((maps, method, 0) for maps in ("clear", "level") for method in ("argmax", "quarter", "quarter-hrnet")),
        # OpenCV blurs in float32: 5e-6 of a heatmap's pixel, of which the input has 4
        *(("clear", method, 2e-5) for method in NEWTON),
    ],
)
def test_recorded_coordinates(maps, method, tolerance):
    known = np.load(GOLDEN)
    size = None if method == "quarter-hrnet" else tuple(known["input_size"].tolist())
    keypoints, scores = decode_heatmaps(known[maps], method=method, input_size=size)
    assert np.array_equal(scores, known[f"{maps}_scores"])
    np.testing.assert_allclose(keypoints, known[f"{maps}_{method}"], rtol=0, atol=tolerance)
