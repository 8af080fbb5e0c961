"""Orders in linear time against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.kernels.ordering import SMALL, group_rows, sort_groups
from mode import JIT

SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1.7e308, 0.1, 0.30000000000000004]


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(SPECIAL) | st.floats(width=32) | st.floats())),
    repeats=st.sampled_from([1, SMALL + 1]),
)
def test_rows_by_group_and_falling_score(rows: list[tuple[int, float]], repeats: int) -> None:
    key = np.array([row[0] for row in rows] * repeats, np.int64)
    score = np.array([row[1] for row in rows] * repeats, np.float64)
    order, offsets = group_rows(key, 5)
    assert offsets.tolist() == [int((key < k).sum()) for k in range(6)]
    assert order.tolist() == np.argsort(key, kind="stable").tolist()
    sort_groups(0, 5, offsets, score.view(np.int64), order)
    # equal scores are equal ranks: take them from NumPy's stable order, group by group
    for k in range(5):
        members = np.flatnonzero(key == k)
        wanted = members[np.argsort(-score[members], kind="stable")]
        assert order[offsets[k] : offsets[k + 1]].tolist() == wanted.tolist()


@pytest.mark.parametrize("scores", ["normal", "float32", "few"])
def test_large_groups(scores: str) -> None:
    n = 20_000 if JIT else 400
    rng = np.random.default_rng(0)
    score = {
        "normal": lambda: rng.normal(size=n),
        "float32": lambda: rng.random(n).astype(np.float32).astype(np.float64),
        "few": lambda: rng.integers(0, 7, n) / 7,
    }[scores]()
    order, offsets = group_rows(np.zeros(n, np.int64), 1)
    sort_groups(0, 1, offsets, score.view(np.int64), order)
    np.testing.assert_array_equal(order, np.argsort(-score, kind="stable"))
