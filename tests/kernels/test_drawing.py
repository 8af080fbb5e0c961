"""Kernels that draw against slow twins, on small pictures, and at the largest values that they are given."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, strategies as st

from cvbench.kernels import drawing
from naive import drawing as naive

PLACES = st.integers(-600, 600)
LENGTHS = st.integers(2, 500)
HOLES = st.just(0) | st.integers(128, 256)


@given(st.lists(st.tuples(PLACES, PLACES), min_size=3, max_size=9), PLACES, PLACES)
def test_a_polygon_is_entered_by_every_other_edge(corners, u, v):
    array = np.array(corners, np.int64)
    assert drawing.inside_polygon(array, 0, len(array), np.int64(u), np.int64(v)) == naive.in_polygon(corners, u, v)


@given(st.sampled_from([drawing.ELLIPSE, drawing.BAR]), LENGTHS, LENGTHS, HOLES, PLACES, PLACES)
def test_ellipses_and_bars_cover_what_is_near_enough(kind, a, b, hole, u, v):
    found = drawing.covers(kind, a, b, hole, np.empty((0, 2), np.int64), 0, 0, u, v)
    assert found == naive.covers(kind, a, b, hole, [], u, v)


@given(st.data())
def test_the_last_part_that_covers_a_pixel_owns_it(data):
    parts, corners, reaches = [], [], []
    for _ in range(data.draw(st.integers(1, 5))):
        kind = data.draw(st.sampled_from([drawing.ELLIPSE, drawing.BAR, drawing.POLYGON]))
        place = [data.draw(st.integers(-100, 700)) for _ in range(2)]
        turn = data.draw(st.sampled_from([(drawing.ONE, 0), (0, drawing.ONE), (11585, 11585), (-14189, 8192)]))
        a, b = data.draw(st.integers(1, 400)), data.draw(st.integers(1, 400))
        first = len(corners)
        if kind == drawing.POLYGON:
            corners += [(-a, -b), (a, -b), (0, b)]
        parts.append((kind, *place, *turn, a, b, 0, first, len(corners)))
        reaches.append([a + b + drawing.UNIT] * 2)
    owner = np.full((9, 11), -1, np.int64)
    array = np.array(corners, np.int64).reshape(-1, 2)
    drawing.cover(np.array(parts, np.int64), np.array(reaches, np.int64), array, owner)
    for y, x in np.ndindex(*owner.shape):
        last = -1
        for k, (kind, x0, y0, cos, sin, a, b, _, first, stop) in enumerate(parts):
            dx, dy = 64 * x + 32 - x0, 64 * y + 32 - y0
            u, v = (dx * cos + dy * sin) // drawing.ONE, (dy * cos - dx * sin) // drawing.ONE
            if naive.covers(kind, a, b, 0, corners[first:stop], u, v):
                last = k
        assert owner[y, x] == last


@given(st.integers(-5000, 5000), st.integers(-5000, 5000), st.integers(0, 2**31 - 1))
def test_noise_is_blended_from_the_lattice(p, q, seed):
    exact = naive.value_noise(p, q, lambda i, j: int(drawing.hashed(i, j, seed)) & 255)
    # a weight is cut off below by less than 1 / 256, twice, and the sum once more by less than 1
    assert abs(int(drawing.value_noise(p, q, seed)) - exact) < 3


@given(st.integers(0, 6), PLACES, PLACES, st.integers(64, 4000), st.integers(0, 2**31 - 1))
def test_patterns_are_shares(texture, u, v, period, seed):
    assert 0 <= drawing.pattern(texture, u, v, period, seed) <= 256


def test_patterns_repeat_where_they_should():
    places = range(-256, 256, 8)

    def row(texture, v):
        return [drawing.pattern(texture, u, v, 64, 1) for u in places]

    assert row(drawing.STRIPES, 0) == [256 if u % 64 >= 32 else 0 for u in places]
    assert row(drawing.CHECKS, 40) == [0 if u % 64 >= 32 else 256 for u in places]
    assert row(drawing.DOTS, 32) == [256 if (u % 64 - 32) ** 2 * 9 < 64**2 else 0 for u in places]
    assert set(row(drawing.PLAIN, 3)) == {0}


@given(st.integers(1, 6), st.integers(1, 6), st.booleans(), st.integers(0, 10**6))
def test_blur_is_a_rounded_mean_of_neighbours(height, width, along_rows, seed):
    light = np.random.default_rng(seed).integers(0, 5000, (height, width, 3))
    blurred = light.copy()
    drawing.blur(blurred, along_rows)
    lines = light if along_rows else light.transpose(1, 0, 2)
    found = blurred if along_rows else blurred.transpose(1, 0, 2)
    for line, result in zip(lines, found, strict=True):
        for c in range(3):
            means = naive.blurred(line[:, c].tolist())
            assert result[:, c].tolist() == [int(mean + Fraction(1, 2)) for mean in means]


def test_hashes_are_even_and_without_pattern():
    """Bytes of neighbouring places: none more frequent than chance has it, and neighbours do not go together."""
    bits = np.array([[drawing.hashed(x, y, 7) for x in range(64)] for y in range(64)]) & 255
    counts = np.bincount((bits >> 4).ravel(), minlength=16)
    # 4096 draws into 16 bins: 256 each with a standard deviation of 15.5; five of these
    assert abs(counts - 256).max() < 78
    # a correlation of 4032 independent pairs has a standard deviation of 0.016; five of these
    assert abs(np.corrcoef(bits[:, 1:].ravel(), bits[:, :-1].ravel())[0, 1]) < 0.08
    assert abs(np.corrcoef(bits[1:].ravel(), bits[:-1].ravel())[0, 1]) < 0.08


def test_noise_is_centred_and_its_channels_are_independent():
    light = np.full((64, 64, 3), 100 * drawing.DEPTH)
    image = np.empty(light.shape, np.uint8)
    drawing.expose(light, 40, 5, image)
    off = image.astype(float).reshape(-1, 3) - 100
    assert abs(off).max() <= 40
    # 4096 draws with a standard deviation of 16.3: means within five times 0.25, correlations within five times 0.016
    assert abs(off.mean(axis=0)).max() < 1.3
    assert abs(np.corrcoef(off.T) - np.eye(3)).max() < 0.08
    drawing.expose(light, 0, 5, image)
    assert (image == 100).all()


def test_the_largest_values_stay_within_64_bits():
    far, edge = (1 << 14) * 2, 1 << 14
    none = np.empty((0, 2), np.int64)
    wide = np.int64(edge)
    assert drawing.covers(drawing.ELLIPSE, wide, wide, np.int64(0), none, 0, 0, wide - 1, np.int64(0))
    assert not drawing.covers(drawing.ELLIPSE, wide, wide, np.int64(0), none, 0, 0, np.int64(far), np.int64(far))
    assert 0 <= drawing.hashed(np.int64(1 << 20), np.int64(-1 << 20), np.int64((1 << 31) - 1)) < 1 << 32
