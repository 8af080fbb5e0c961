"""Undoing the filters of PNG: what comes out is what the definition of the filters gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given, strategies as st

from cvbench.kernels.png import unfilter


def filtered(lines: np.ndarray, kinds: np.ndarray, step: int) -> np.ndarray:
    """Rows as PNG's definition filters them."""
    rows = []
    for i, kind in enumerate(kinds):
        line, above = lines[i].astype(int), (lines[i - 1] if i else np.zeros_like(lines[0])).astype(int)
        left, corner = (np.concatenate([np.zeros(step, int), side])[: len(side)] for side in (line, above))
        paeth = []
        for a, b, c in zip(left, above, corner, strict=True):
            paeth.append(min((abs(a + b - c - one), place, one) for place, one in enumerate((a, b, c)))[2])
        guess = (np.zeros_like(line), left, above, (left + above) // 2, np.array(paeth))[kind]
        rows.append(np.append(kind, (line - guess) % 256))
    return np.concatenate(rows).astype(np.uint8)


@given(st.data())
def test_filters_are_undone(data: st.DataObject) -> None:
    step, pixels = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 60))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    height, width = data.draw(st.integers(1, 6)), pixels * step
    runs = rng.integers(0, data.draw(st.sampled_from([2, 256])), (height, pixels, step))
    lines = np.repeat(runs, data.draw(st.sampled_from([1, 9, 50])), axis=1)[:, :pixels].reshape(height, width)
    lines = lines[np.sort(rng.integers(0, height, height))].astype(np.uint8)
    raw = filtered(lines, np.array(data.draw(st.lists(st.integers(0, 4), min_size=height, max_size=height))), step)
    rows, out = raw.reshape(height, width + 1), np.full((height + 1, width), 9, np.uint8)
    rows.flags.writeable = False  # as are the bytes of a stream
    largest = unfilter(rows, step, np.full(width // 8 * 8 + 8, 7, np.uint8), out)
    np.testing.assert_array_equal(out[1:], lines)
    assert largest == rows[:, 0].max()


def test_a_filter_that_there_is_not_is_told() -> None:
    rows, out = np.array([[4, 1, 2], [200, 3, 4], [5, 0, 0]], np.uint8), np.empty((4, 2), np.uint8)
    assert unfilter(rows, 1, np.empty(8, np.uint8), out) == 200
    assert out[1:].tolist() == [[1, 3], [3, 4], [0, 0]]
