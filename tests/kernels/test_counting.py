"""Kernels of joint histograms: where they stop, and that every way to lay out a map counts the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.kernels.counting import AHEAD, SIDE, count_pairs, count_small
from naive.overlaps import overlaps

NO_BITS = np.zeros(0, np.uint8)
MARKS, BEGINS = np.full(AHEAD + 8, 7, np.uint8), np.full(AHEAD + 8, 7)


def line(n):
    """Two flat maps of so many pixels."""
    return np.array([1, n, 0, n, 1, 1, 0, n, 1, 1])


def pairs_of(table):
    return {divmod(int(key), SIDE): int(table[key]) for key in np.flatnonzero(table)}


def slots_of(keys, counts):
    return {tuple(keys[slot].tolist()): int(counts[slot]) for slot in np.flatnonzero(counts)}


@pytest.mark.parametrize("value", [-1, SIDE, 2**40, -(2**40)])
@pytest.mark.parametrize("at", [0, 1, 4, 5])
@pytest.mark.parametrize("side", [0, 1])
def test_small_values_are_counted_up_to_the_first_that_is_not(value, at, side):
    maps = [np.array([0, 0, 0, 255, 255, 7]), np.array([255, 255, 1, 1, 0, 0])]
    table = np.zeros(SIDE * SIDE, np.int32)
    expected = overlaps(maps[0][:at], maps[1][:at])
    maps[side][at] = value
    assert count_small(*maps, line(6), MARKS, table) == at
    assert pairs_of(table) == expected


@pytest.mark.parametrize("value", [-1, SIDE, 9999])
@pytest.mark.parametrize("at", [0, 7, 8, 30, AHEAD - 1, AHEAD, AHEAD + 30])
@pytest.mark.parametrize("longest", [1, 60])
def test_values_of_narrow_types_are_counted_as_far(value, at, longest):
    rng = np.random.default_rng(at)
    maps = [np.repeat(rng.integers(0, SIDE, AHEAD + 40), longest)[: AHEAD + 40].astype(np.int16) for _ in range(2)]
    table = np.zeros(SIDE * SIDE, np.int32)
    maps[at % 2][at] = value
    assert count_small(*maps, line(AHEAD + 40), MARKS, table) == at
    assert pairs_of(table) == overlaps(maps[0][:at], maps[1][:at])


def test_regions_and_noise_in_one_map():
    rng = np.random.default_rng(0)
    parts = [np.repeat(rng.integers(0, SIDE, AHEAD), times)[:AHEAD] for times in (1, 200, 9, 1, 400, 17, 16, 15)]
    a = np.concatenate(parts).astype(np.uint8)
    table = np.zeros(SIDE * SIDE, np.int32)
    assert count_small(a, a[::-1].copy(), line(len(a)), MARKS, table) == len(a)
    assert pairs_of(table) == overlaps(a, a[::-1])


def test_small_values_are_added_to_what_the_table_has():
    table = np.zeros(SIDE * SIDE, np.int32)
    for _ in range(2):
        assert count_small(np.array([3, 3, 0]), np.array([4, 4, 0]), line(3), MARKS, table) == 3
    assert pairs_of(table) == {(3, 4): 4, (0, 0): 2}


@given(st.lists(st.tuples(st.integers(-2, 3), st.integers(-2, 3)), max_size=60), st.sampled_from((2, 4, 8, 64)))
def test_pairs_are_counted_until_the_table_is_half_full(pairs, slots):
    a, b = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    seen, start, total = {}, 0, len(pairs)
    while start < total:
        keys, counts = np.empty((slots, 3), np.int64), np.zeros(slots, np.int64)
        stop = count_pairs(a, b, NO_BITS, line(total), start, MARKS, BEGINS, keys, counts)
        found = slots_of(keys, counts)
        assert found == {(x, y, 0): n for (x, y), n in overlaps(a[start:stop], b[start:stop]).items()}
        assert stop == total or (len(found) == slots // 2 and (*pairs[stop], 0) not in found)
        for key, n in found.items():
            seen[key[:2]] = seen.get(key[:2], 0) + n
        start = stop
    assert seen == overlaps(a, b)


def test_bits_tell_pairs_apart():
    a, b, bits = np.array([5, 5, 5, 5, 5]), np.array([9, 9, 9, 9, 8]), np.array([0, 3, 3, 0, 3], np.uint8)
    keys, counts = np.empty((16, 3), np.int64), np.zeros(16, np.int64)
    assert count_pairs(a, b, bits, line(5), 1, MARKS, BEGINS, keys, counts) == 5
    assert slots_of(keys, counts) == {(5, 9, 3): 2, (5, 9, 0): 1, (5, 8, 3): 1}


def test_a_layout_says_where_the_pixels_are():
    # 2 rows of 3: in columns and upside down, and from right to left with a gap after each pixel
    upright = np.array([[1, 1, 2], [300, 2, 2]])
    columns = np.asfortranarray(upright[::-1]).ravel("K")
    gapped = np.repeat(upright[:, ::-1].ravel(), 2)
    layout = np.array([2, 3, 1, -1, 2, 1, 4, 6, -2, 1])
    table = np.zeros(SIDE * SIDE, np.int32)
    assert count_small(columns, gapped, layout, MARKS, table) == 3
    assert pairs_of(table) == {(1, 1): 2, (2, 2): 1}
    keys, counts = np.empty((16, 3), np.int64), np.zeros(16, np.int64)
    assert count_pairs(columns, gapped, NO_BITS, layout, 2, MARKS, BEGINS, keys, counts) == 6
    assert slots_of(keys, counts) == {(2, 2, 0): 3, (300, 300, 0): 1}


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_run_of_colours_ends_where_any_channel_changes(channel):
    colours = np.full((4, 3), 200, np.uint8)
    colours[2:, channel] = 201
    ids, keys, counts = np.zeros(4, np.int64), np.empty((16, 3), np.int64), np.zeros(16, np.int64)
    layout = np.array([1, 4, 0, 12, 3, 3, 0, 4, 1, 1])
    assert count_pairs(colours.ravel(), ids, NO_BITS, layout, 0, MARKS, BEGINS, keys, counts) == 4
    value = 200 + 256 * 200 + 65536 * 200
    assert slots_of(keys, counts) == {(value, 0, 0): 2, (value + 256**channel, 0, 0): 2}


@pytest.mark.parametrize("n", [1, 7, 8, 9, AHEAD - 1, AHEAD, AHEAD + 1, 2 * AHEAD + 11])
@pytest.mark.parametrize("longest", [1, 3, 40, 3 * AHEAD])
def test_runs_of_any_length_anywhere(n, longest):
    rng = np.random.default_rng(n + longest)
    a, b = (np.repeat(rng.integers(0, 4, n), rng.integers(1, longest + 1, n))[:n] for _ in range(2))
    colours = np.stack([a, b % 2, b], axis=-1).astype(np.uint8)
    ids = a + 256 * (b % 2) + 65536 * b
    for other in (b, b.astype(np.uint8)):
        table = np.zeros(SIDE * SIDE, np.int32)
        assert count_small(a.astype(np.uint8), other, line(n), MARKS, table) == n
        assert pairs_of(table) == overlaps(a, b)
    for first, steps in ((ids, (1, 1)), (colours.ravel(), (3, 3)), (np.repeat(colours, 2, 0).ravel(), (6, 3))):
        keys, counts = np.empty((64, 3), np.int64), np.zeros(64, np.int64)
        layout = np.array([1, n, 0, 0, *steps, 0, 0, 1, 1])
        assert count_pairs(first, b, (a % 2).astype(np.uint8), layout, 0, MARKS, BEGINS, keys, counts) == n
        expected = {(x, y, x % 2): pixels for (x, y), pixels in overlaps(ids, b).items()}
        assert slots_of(keys, counts) == expected
