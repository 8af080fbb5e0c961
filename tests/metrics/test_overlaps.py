"""Overlaps of two maps of every type, layout and size against their slow twin."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from cvbench import InputError
from cvbench.metrics.overlaps import SLOTS, Rgb, count_overlaps, join_overlaps
from mode import JIT
from naive import overlaps as naive

TYPES = ("?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8")
BASE = np.random.default_rng(3).integers(0, 4, (2, 6, 8)) * 100 - 100
"""Values from -100 to 200."""


def rows_of(found):
    assert found.offsets.tolist() == [0, len(found)]
    assert all(array.dtype == np.int64 for array in (found.gt, found.pred, found.pixels))
    pairs = list(zip(found.gt.tolist(), found.pred.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    return dict(zip(pairs, found.pixels.tolist(), strict=True))


def banded_rows_of(found):
    assert found.bands.dtype == np.int64
    pixels, bands = found.pixels.tolist(), found.bands.tolist()
    return {pair: [pixels[row], *bands[row]] for row, pair in enumerate(rows_of(found))}


def gapped(array):
    """Every second pixel of every second row of a larger map."""
    larger = np.full([2 * n for n in array.shape], 77, array.dtype)
    larger[tuple(slice(None, None, 2) for _ in array.shape)] = array
    return larger[tuple(slice(None, None, 2) for _ in array.shape)]


def turned(array):
    """Negative steps along all axes."""
    return np.flip(np.flip(array).copy())


def frozen(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def part_of_records(array):
    """Steps that are no multiple of the item size, and items that are not aligned."""
    records = np.zeros(array.shape, [("other", np.uint8), ("value", array.dtype)])
    records["value"] = array
    return records["value"]


LAYOUTS = {
    "c": np.ascontiguousarray,
    "f": np.asfortranarray,
    "gapped": gapped,
    "turned": turned,
    "one axis turned": lambda array: array[..., ::-1].copy()[..., ::-1],
    "rows apart": lambda array: np.concatenate([array, array], axis=-1)[..., : array.shape[-1]],
    "transposed": lambda array: np.moveaxis(np.moveaxis(array, 0, -1).copy(), -1, 0),
    "read-only": frozen,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "records": part_of_records,
    "torch": lambda array: torch.from_numpy(array.copy()),
    "list": np.ndarray.tolist,
}


@pytest.mark.parametrize("second", [1, 4, 0])
@pytest.mark.parametrize("first", range(len(TYPES)))
def test_integers_and_bool_of_any_type(first, second):
    types = [TYPES[first], TYPES[(first + second) % len(TYPES)]]
    small, large = [], []
    for name in types:
        dtype = np.dtype(name)
        low, high = (0, 1) if name == "?" else (np.iinfo(dtype).min, min(np.iinfo(dtype).max, 2**63 - 1))
        small.append(np.array([0, 0, 0, 1, 1, 1, 0, 0, 1]).astype(dtype))
        large.append(np.array([0, 0, low, low, high, high, high - 1, high, 1]).astype(dtype))
    for gt, pred in ((small[0], small[1][::-1]), (large[0], large[1]), (large[0], np.roll(large[1], 1))):
        assert rows_of(count_overlaps(gt, pred)) == naive.overlaps(gt, pred)


@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
@pytest.mark.parametrize("pred_layout", LAYOUTS)
@pytest.mark.parametrize("gt_layout", LAYOUTS)
def test_maps_of_any_layout(gt_layout, pred_layout, ndim):
    shape = {1: (96,), 2: (12, 8), 3: (2, 6, 8), 4: (2, 3, 2, 8)}[ndim]
    for offset in (0, 100):  # one begins with values that are not small, the other ends with them
        base = np.sort(BASE, axis=None) + offset
        gt, pred = base[::-1].reshape(shape), np.roll(base[::-1], 5).reshape(shape)
        expected = naive.overlaps(gt, pred)
        given = LAYOUTS[gt_layout](gt), LAYOUTS[pred_layout](pred)
        assert rows_of(count_overlaps(*given)) == expected


@st.composite
def maps(draw):
    """Two maps of a few values, in runs, of which some are negative or large."""
    height, width = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    values = np.array(draw(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 300), min_size=1, max_size=4)))
    picks = st.lists(st.integers(0, len(values) - 1), min_size=height * width, max_size=height * width)
    sides = [values[np.array(draw(picks))].reshape(height, width) for _ in range(2)]
    return sides if draw(st.booleans()) else [np.repeat(side, 5, axis=1) for side in sides]


@given(maps(), st.sampled_from(list(LAYOUTS)), st.sampled_from(list(LAYOUTS)))
def test_overlaps_equal_their_slow_twin(sides, gt_layout, pred_layout):
    gt, pred = sides
    assert rows_of(count_overlaps(LAYOUTS[gt_layout](gt), LAYOUTS[pred_layout](pred))) == naive.overlaps(gt, pred)


@given(maps(), st.data())
def test_bands_equal_their_slow_twin(sides, data):
    gt, pred = sides
    picks = st.lists(st.integers(0, 2), min_size=gt.size, max_size=gt.size)
    bands = [np.array(data.draw(picks), np.uint8).reshape(gt.shape) for _ in range(2)]
    layouts = [LAYOUTS[data.draw(st.sampled_from(["c", "f", "gapped", "turned", "transposed"]))] for _ in range(4)]
    given = [layout(array) for layout, array in zip(layouts, (gt, pred, *bands), strict=True)]
    found = count_overlaps(given[0], given[1], bands=(given[2], given[3]))
    assert banded_rows_of(found) == naive.banded_overlaps(gt, pred, *bands)
    as_bool = count_overlaps(gt, pred, bands=(bands[0] != 0, bands[1] != 0))
    assert banded_rows_of(as_bool) == banded_rows_of(found)


IDS = np.random.default_rng(5).integers(0, 3, (7, 12)).repeat(3, axis=1)
COLOURS = {
    "c": np.ascontiguousarray,
    "f": np.asfortranarray,
    "planes": lambda pixels: np.moveaxis(np.moveaxis(pixels, -1, 0).copy(), 0, -1),
    "blue first": lambda pixels: pixels[..., ::-1].copy()[..., ::-1],
    "with alpha": lambda pixels: np.concatenate([pixels, pixels[..., :1]], axis=-1)[..., :3],
    "turned": lambda pixels: pixels[::-1, ::-1].copy()[::-1, ::-1],
    "transposed": lambda pixels: np.swapaxes(np.swapaxes(pixels, 0, 1).copy(), 0, 1),
    "read-only": frozen,
}


@pytest.mark.parametrize("layout", COLOURS)
def test_colours_mean_ids(layout):
    gt, pred = (np.array(values)[IDS] for values in ([0, 255, 2**24 - 1], [256, 65536, 70000]))
    pred = np.roll(pred, 1, axis=0)
    colours = [Rgb(COLOURS[layout](naive.colours_of(side))) for side in (gt, pred)]
    assert colours[0].shape == gt.shape
    expected = naive.overlaps(gt, pred)
    assert naive.overlaps(*(naive.ids_of(side.pixels) for side in colours)) == expected
    for first, second in (colours, (gt, colours[1]), (colours[0], np.asfortranarray(pred))):
        assert rows_of(count_overlaps(first, second)) == expected
    bands = IDS == 1, pred == 256
    banded = naive.banded_overlaps(gt, pred, *bands)
    for first, second in (colours, (gt, colours[1]), (colours[0], np.asfortranarray(pred))):
        assert banded_rows_of(count_overlaps(first, second, bands=bands)) == banded


@pytest.mark.parametrize("ids", [5000, 2**40])
def test_more_pairs_than_the_first_table_holds(ids):
    rng = np.random.default_rng(0)
    shape = (100, 300) if JIT else (60, 100)
    gt, pred = (rng.integers(-5, ids, shape) for _ in range(2))
    expected = naive.overlaps(gt, pred)
    assert len(expected) > SLOTS
    assert rows_of(count_overlaps(gt, pred)) == expected
    bands = gt % 2, pred % 3
    found = banded_rows_of(count_overlaps(gt, pred, bands=bands))
    assert {pair: row[0] for pair, row in found.items()} == expected
    assert found == {
        (x, y): [n, n * (x % 2), n * (y % 3 > 0), n * (x % 2 and y % 3 > 0)] for (x, y), n in expected.items()
    }


@pytest.mark.parametrize("large", [256, -1, 10**6, -(2**31)])
@pytest.mark.parametrize("at", [0, 1, 40, 79])
def test_small_values_and_then_large_ones(large, at):
    gt = (np.arange(80, dtype=np.int32) // 7 % 4).reshape(8, 10)
    pred = gt.T.reshape(8, 10).copy()
    pred.flat[at] = large
    for first, second in ((gt, pred), (pred, gt), (np.asfortranarray(pred), gt), (pred.T, gt.T)):
        assert rows_of(count_overlaps(first, second)) == naive.overlaps(first, second)


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (2, 0, 3)])
def test_maps_without_pixels_have_no_overlaps(shape):
    empty = np.zeros(shape, np.int32)
    found = count_overlaps(empty, empty)
    assert found.offsets.tolist() == [0, 0]
    assert found.gt.shape == found.pred.shape == found.pixels.shape == (0,)
    assert found.bands is None
    assert count_overlaps(empty, empty, bands=(empty != 0, empty != 0)).bands.shape == (0, 3)
    if len(shape) == 2:
        assert len(count_overlaps(Rgb(np.zeros((*shape, 3), np.uint8)), empty)) == 0


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize("value", [3, 256, -1])
def test_one_pixel(shape, value):
    gt, pred = np.full(shape, value, np.int16), np.full(shape, 7, np.uint8)
    assert rows_of(count_overlaps(gt, pred)) == {(value, 7): 1}
    assert rows_of(count_overlaps(pred, gt)) == {(7, value): 1}
    yes, no = np.ones(shape, bool), np.zeros(shape, bool)
    assert banded_rows_of(count_overlaps(gt, pred, bands=(yes, no))) == {(value, 7): [1, 1, 0, 0]}
    assert banded_rows_of(count_overlaps(gt, pred, bands=(yes, yes))) == {(value, 7): [1, 1, 1, 1]}


def test_one_coloured_pixel():
    pixel = Rgb(np.array([[[1, 2, 3]]], np.uint8))
    value = 1 + 2 * 256 + 3 * 65536
    assert rows_of(count_overlaps(pixel, pixel)) == {(value, value): 1}
    assert rows_of(count_overlaps(pixel, np.array([[4]]))) == {(value, 4): 1}


def test_a_view_that_repeats_one_pixel():
    assert rows_of(count_overlaps(np.broadcast_to(3, (4, 5)), np.broadcast_to(300, (4, 5)))) == {(3, 300): 20}


def test_inputs_stay_as_they_are():
    gt, pred = BASE.copy(), BASE[::-1, ::-1, ::-1].copy()
    bands = BASE > 0, (BASE > 100).astype(np.uint8) * 2
    kept = [array.copy() for array in (gt, pred, *bands)]
    count_overlaps(gt, pred, bands=bands)
    count_overlaps(gt[:, ::-1], pred)
    assert all(np.array_equal(now, before) for now, before in zip((gt, pred, *bands), kept, strict=True))
    assert all(array.flags.writeable for array in (gt, pred, *bands))


def test_joined_overlaps_are_those_of_the_images():
    parts = [count_overlaps(side, side // 2) for side in (BASE, np.zeros((0, 3), int), BASE[:1])]
    joined = join_overlaps(parts)
    assert joined.offsets.tolist() == np.cumsum([0, *map(len, parts)]).tolist()
    for name in ("gt", "pred", "pixels"):
        assert getattr(joined, name).tolist() == [x for part in parts for x in getattr(part, name).tolist()]
    assert joined.bands is None
    banded = [count_overlaps(part, part, bands=(part > 0, part > 100)) for part in BASE]
    assert join_overlaps(banded).bands.tolist() == [row for part in banded for row in part.bands.tolist()]
    assert join_overlaps([]).offsets.tolist() == [0]
    assert len(join_overlaps([])) == 0


GT = np.zeros((2, 3), np.uint8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: count_overlaps(GT, GT.T), "pred: has shape (3, 2), the ground truth (2, 3); expected equal shapes"),
        (lambda: count_overlaps(GT, GT.ravel(), where="b.png"),
         "b.png: has shape (6,), the ground truth (2, 3); expected equal shapes"),
        (lambda: count_overlaps(Rgb(np.zeros((2, 3, 3), np.uint8)), np.zeros((2, 3, 3), int)),
         "pred: has shape (2, 3, 3), the ground truth (2, 3); expected equal shapes"),
        (lambda: count_overlaps(GT * 1.0, GT),
         "gt: holds float64; expected integers; take the argmax of logits first"),
        (lambda: count_overlaps(GT, GT.astype(np.float32), where="preds[4]"),
         "preds[4]: holds float32; expected integers; take the argmax of logits first"),
        (lambda: count_overlaps(GT, torch.zeros(2, 3, dtype=torch.bfloat16)),
         "pred: holds float32; expected integers; take the argmax of logits first"),
        (lambda: count_overlaps(GT * 1j, GT), "gt: holds complex128; expected integers"),
        (lambda: count_overlaps(GT, [["a", "b"]]), "pred: holds <U1; expected integers"),
        (lambda: count_overlaps(GT, GT.astype(object)), "pred: holds object; expected integers"),
        (lambda: count_overlaps(GT, GT + np.uint64(2**63)),
         "pred: holds 9223372036854775808; expected values below 2**63"),
        (lambda: count_overlaps((GT + np.uint64(2**64 - 1)).astype(">u8"), GT),
         "gt: holds 18446744073709551615; expected values below 2**63"),
        (lambda: Rgb(np.zeros((2, 3, 3), np.int32)),
         "found int32 of shape (2, 3, 3); expected ids as colours, uint8 of shape (H, W, 3)"),
        (lambda: Rgb(np.zeros((2, 3, 4), np.uint8)),
         "found uint8 of shape (2, 3, 4); expected ids as colours, uint8 of shape (H, W, 3)"),
        (lambda: Rgb(GT), "found uint8 of shape (2, 3); expected ids as colours, uint8 of shape (H, W, 3)"),
        (lambda: count_overlaps(GT, GT, bands=(GT, GT.T)),
         "a band has shape (3, 2); expected (2, 3), that of the maps"),
        (lambda: count_overlaps(GT, GT, bands=(GT[:1], GT)),
         "a band has shape (1, 3); expected (2, 3), that of the maps"),
    ],
)  # fmt: skip
def test_refusals(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message
