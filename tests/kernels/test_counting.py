"""Kernels of joint histograms: where they stop, and that every way to lay out a map counts the same."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.kernels.counting import AHEAD, BEGINS, MARKS, SIDE, count_pairs, count_small
from naive.overlaps import overlaps

NO_BITS = np.zeros(0, np.uint8)
SCRATCH = np.full(MARKS, 7, np.uint8), np.full(BEGINS, 7)


def line(n):
    """Two flat maps of so many pixels."""
    return np.array([1, n, 0, n, 1, 1, 0, n, 1, 1])


def pairs_of(table):
    return {divmod(int(key), SIDE): int(table[key]) for key in np.flatnonzero(table)}


def counted(a, b, bits, layout, start, most):
    """Where `count_pairs` stops, and what it has put into up to so many rows."""
    rows = np.full((most, 4), 7)
    stop, n = count_pairs(a, b, bits, layout, start, *SCRATCH, np.zeros(2 * most, np.int64), rows)
    found = {(x, y, bit): pixels for x, y, bit, pixels in rows[:n].tolist()}
    assert len(found) == n
    return stop, found


@pytest.mark.parametrize("value", [-1, SIDE, 2**40, -(2**40)])
@pytest.mark.parametrize("at", [0, 1, 4, 5])
@pytest.mark.parametrize("side", [0, 1])
def test_small_values_are_counted_up_to_the_first_that_is_not(value, at, side):
    maps = [np.array([0, 0, 0, 255, 255, 7]), np.array([255, 255, 1, 1, 0, 0])]
    table = np.zeros(SIDE * SIDE, np.int32)
    expected = overlaps(maps[0][:at], maps[1][:at])
    maps[side][at] = value
    assert count_small(*maps, line(6), SCRATCH[0], table) == at
    assert pairs_of(table) == expected


@pytest.mark.parametrize("value", [-1, SIDE, 9999])
@pytest.mark.parametrize("at", [0, 7, 8, 30, AHEAD - 1, AHEAD, AHEAD + 30])
@pytest.mark.parametrize("longest", [1, 60])
def test_values_of_narrow_types_are_counted_as_far(value, at, longest):
    rng = np.random.default_rng(at)
    maps = [np.repeat(rng.integers(0, SIDE, AHEAD + 40), longest)[: AHEAD + 40].astype(np.int16) for _ in range(2)]
    table = np.zeros(SIDE * SIDE, np.int32)
    maps[at % 2][at] = value
    assert count_small(*maps, line(AHEAD + 40), SCRATCH[0], table) == at
    assert pairs_of(table) == overlaps(maps[0][:at], maps[1][:at])


def test_regions_and_noise_in_one_map():
    rng = np.random.default_rng(0)
    parts = [np.repeat(rng.integers(0, SIDE, AHEAD), times)[:AHEAD] for times in (1, 200, 9, 1, 400, 17, 16, 15)]
    a = np.concatenate(parts).astype(np.uint8)
    table = np.zeros(SIDE * SIDE, np.int32)
    assert count_small(a, a[::-1].copy(), line(len(a)), SCRATCH[0], table) == len(a)
    assert pairs_of(table) == overlaps(a, a[::-1])


def test_small_values_are_added_to_what_the_table_has():
    table = np.zeros(SIDE * SIDE, np.int32)
    for _ in range(2):
        assert count_small(np.array([3, 3, 0]), np.array([4, 4, 0]), line(3), SCRATCH[0], table) == 3
    assert pairs_of(table) == {(3, 4): 4, (0, 0): 2}


@given(st.lists(st.tuples(st.integers(-2, 3), st.integers(-2, 3)), max_size=60), st.sampled_from((1, 2, 4, 32)))
def test_pairs_are_counted_until_no_row_is_left(pairs, most):
    a, b = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    seen, start, total = {}, 0, len(pairs)
    while start < total:
        stop, found = counted(a, b, NO_BITS, line(total), start, most)
        assert found == {(x, y, 0): n for (x, y), n in overlaps(a[start:stop], b[start:stop]).items()}
        assert stop == total or (len(found) == most and (*pairs[stop], 0) not in found)
        for key, n in found.items():
            seen[key[:2]] = seen.get(key[:2], 0) + n
        start = stop
    assert seen == overlaps(a, b)


def test_bits_tell_pairs_apart():
    a, b, bits = np.array([5, 5, 5, 5, 5]), np.array([9, 9, 9, 9, 8]), np.array([0, 3, 3, 0, 3], np.uint8)
    assert counted(a, b, bits, line(5), 1, 8) == (5, {(5, 9, 3): 2, (5, 9, 0): 1, (5, 8, 3): 1})


def test_a_layout_says_where_the_pixels_are():
    # 2 rows of 3: in columns and upside down, and from right to left with a gap after each pixel
    upright = np.array([[1, 1, 2], [300, 2, 2]])
    columns = np.asfortranarray(upright[::-1]).ravel("K")
    gapped = np.repeat(upright[:, ::-1].ravel(), 2)
    layout = np.array([2, 3, 1, -1, 2, 1, 4, 6, -2, 1])
    table = np.zeros(SIDE * SIDE, np.int32)
    assert count_small(columns, gapped, layout, SCRATCH[0], table) == 3
    assert pairs_of(table) == {(1, 1): 2, (2, 2): 1}
    assert counted(columns, gapped, NO_BITS, layout, 2, 8) == (6, {(2, 2, 0): 3, (300, 300, 0): 1})


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("step", [3, 4], ids=["beside each other", "with a gap"])
def test_a_run_of_colours_ends_where_any_channel_changes(channel, step):
    colours = np.full((2, 5, step), 200, np.uint8)
    colours[0, 2:, channel] = colours[1, 4:, channel] = 201
    ids, low, high = np.zeros(5, np.int64), 0xC8C8C8, 0xC8C8C8 + 256**channel
    one, two = np.array([1, 5, 0, 0, step, 3, 0, 0, 1, 1]), np.array([1, 5, 0, 0, step, 3, 0, 0, step, 3])
    first, second = colours.reshape(2, -1)
    assert counted(first, ids, NO_BITS, one, 0, 8) == (5, {(low, 0, 0): 2, (high, 0, 0): 3})
    expected = {(low, low, 0): 2, (high, low, 0): 2, (high, high, 0): 1}
    assert counted(first, second, NO_BITS, two, 0, 8) == (5, expected)


@pytest.mark.parametrize("n", [1, 7, 8, 9, AHEAD - 1, AHEAD, AHEAD + 1, 2 * AHEAD + 11])
@pytest.mark.parametrize("longest", [1, 3, 40, 3 * AHEAD])
def test_runs_of_any_length_anywhere(n, longest):
    rng = np.random.default_rng(n + longest)
    a, b = (np.repeat(rng.integers(0, 4, n), rng.integers(1, longest + 1, n))[:n] for _ in range(2))
    colours, other_colours = (np.stack([side, b % 2, a], axis=-1).astype(np.uint8) for side in (a, b))
    ids, other_ids = (side + 256 * (b % 2) + 65536 * a for side in (a, b))
    for other in (b, b.astype(np.uint8)):
        table = np.zeros(SIDE * SIDE, np.int32)
        assert count_small(a.astype(np.uint8), other, line(n), SCRATCH[0], table) == n
        assert pairs_of(table) == overlaps(a, b)
    forms = (ids, (1, 1)), (colours.ravel(), (3, 3)), (np.repeat(colours, 2, 0).ravel(), (6, 3))
    others = (other_ids, (1, 1)), (other_colours.ravel(), (3, 3)), (np.repeat(other_colours, 2, 0).ravel(), (6, 3))
    for (first, steps), (second, other_steps) in product(forms, others):
        layout = np.array([1, n, 0, 0, *steps, 0, 0, *other_steps])
        for bits in ((a % 2).astype(np.uint8), NO_BITS):
            expected = {(x, y, x % 2 * len(bits[:1])): number for (x, y), number in overlaps(ids, other_ids).items()}
            assert counted(first, second, bits, layout, 0, 64) == (n, expected)
