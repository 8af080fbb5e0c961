"""Orders in linear time against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from cvbench.kernels.ordering import PATIENCE, SMALL, group_rows, room_for, sort_rows
from mode import JIT

SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1.7e308, 0.1, 0.30000000000000004]


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(SPECIAL) | st.floats(width=32) | st.floats())),
    repeats=st.sampled_from([1, SMALL + 1]),
)
def test_rows_by_group_and_falling_score(rows: list[tuple[int, float]], repeats: int) -> None:
    key = np.array([row[0] for row in rows] * repeats, np.int32)
    score = np.array([row[1] for row in rows] * repeats, np.float64)
    offsets, order = np.zeros(6, np.int64), np.empty(len(key), np.int32)
    group_rows(key, offsets, order)
    assert offsets.tolist() == [int((key < k).sum()) for k in range(6)]
    assert order.tolist() == np.argsort(key, kind="stable").tolist()
    found = sort(score[order], offsets)
    # equal scores are equal ranks: take them from NumPy's stable order, group by group
    for k in range(5):
        members = np.flatnonzero(key == k)
        wanted = members[np.argsort(-score[members], kind="stable")]
        assert order[found[offsets[k] : offsets[k + 1]]].tolist() == wanted.tolist()


def sort(score: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.int32]:
    """The order that `sort_rows` brings rows into; all that belongs to a row must move with it."""
    n = len(score)
    image, bits, moved = np.arange(n, dtype=np.int32), score.view(np.int64).copy(), np.arange(2 * n).reshape(n, 2)
    rank, true, ignored = image + 1, moved.copy(), moved + 7
    sort_rows(0, len(offsets) - 1, offsets, room_for(n), image, rank, bits, true, ignored)
    np.testing.assert_array_equal(rank, image + 1)
    np.testing.assert_array_equal(bits, score.view(np.int64)[image])
    np.testing.assert_array_equal(true, moved[image])
    np.testing.assert_array_equal(ignored, true + 7)
    return image


NEXT = np.nextafter(0.5, 1)


@pytest.mark.parametrize("scores", ["normal", "float32", "few", "sorted", "alike", "signs"])
def test_large_groups(scores: str) -> None:
    n = 20_000 if JIT else 400
    rng = np.random.default_rng(0)
    score = {
        "normal": lambda: rng.normal(size=n),
        "float32": lambda: rng.random(n).astype(np.float32).astype(np.float64),
        "few": lambda: rng.integers(0, 7, n) / 7,
        "sorted": lambda: -np.sort(-rng.random(n)),
        "alike": lambda: np.append(rng.choice([0.5, NEXT, 0.25, 0.125], n), [1e-300, -1e300]),  # late bits decide
        "signs": lambda: rng.choice([-1.0, 1.0, np.inf, -np.inf, 0.0, -0.0, np.nan], n),
    }[scores]()
    assert len(score) > PATIENCE + SMALL
    np.testing.assert_array_equal(sort(score, np.array([0, len(score)])), np.argsort(-score, kind="stable"))
