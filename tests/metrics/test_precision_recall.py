"""Matching, curves and AP of plain arrays against their slow twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from cvbench import InputError, average_precision, greedy_match, precision_recall_curve
from naive import similarity as naive

levels = st.sampled_from([0.0, 0.3, 0.5, 0.75, 0.9, 1.0]) | st.floats(0, 1)


@given(shape=st.tuples(st.integers(0, 6), st.integers(0, 6)), data=st.data())
def test_greedy_match_equals_the_slow_twin(shape: tuple[int, int], data: st.DataObject) -> None:
    similarity = data.draw(arrays(np.float64, shape, elements=levels))
    ignored, crowd = data.draw(arrays(np.bool_, shape[1])), data.draw(arrays(np.bool_, shape[1]))
    thresholds = data.draw(st.lists(levels, min_size=1, max_size=70))
    found = greedy_match(similarity, thresholds, ignored=ignored, crowd=crowd)
    for row, threshold in zip(found, thresholds, strict=True):
        assert row.tolist() == naive.greedy_match(similarity, threshold, ignored, crowd)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5], [0.5]), r"similarity has shape \(1,\)"),
        (([[0.5]], []), r"thresholds \(0,\)"),
        (([[float("nan")]], [0.5]), "hold NaN"),
    ],
)
def test_what_cannot_be_matched(arguments: tuple[object, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        greedy_match(*arguments)


def test_flags_must_fit() -> None:
    with pytest.raises(InputError, match=r"expected \(2,\)"):
        greedy_match([[0.5, 0.6]], [0.5], crowd=[True])


@given(rows=st.lists(st.tuples(levels, st.booleans(), st.booleans())), missed=st.integers(0, 3))
def test_curves_and_ap_equal_the_slow_twin(rows: list[tuple[float, bool, bool]], missed: int) -> None:
    score, true, ignored = ([row[i] for row in rows] for i in range(3))
    kept = sorted(((s, t) for s, t, i in rows if not i), key=lambda row: -row[0])
    positives = sum(t for _, t in kept) + missed
    precision, recall, scores = precision_recall_curve(score, true, positives, ignored=ignored)
    assert scores.tolist() == [s for s, _ in kept]
    for n in range(len(kept)):
        hits = sum(t for _, t in kept[: n + 1])
        assert precision[n] == hits / (n + 1)
        np.testing.assert_equal(recall[n], hits / positives if positives else np.nan)
    if positives:
        for points in (11, 101, "all"):
            at = {11: np.arange(0, 1.1, 0.1), 101: np.linspace(0, 1, 101), "all": "all"}[points]
            # the same numbers added in another order
            assert average_precision(precision, recall, points=points) == pytest.approx(
                naive.average_precision(precision, recall, at if isinstance(at, str) else at.tolist()), rel=1e-12
            )


def test_known_answers() -> None:
    # 7 of 10 found, nothing false: 101 points of which the first 71 are reached, and a step that is one bit too far
    precision, recall, _ = precision_recall_curve(np.arange(7, 0, -1), np.ones(7), 10)
    assert average_precision(precision, recall) == pytest.approx(70 / 101)
    assert average_precision(precision, recall, points="all") == pytest.approx(0.7)
    assert average_precision(precision, recall, points=11) == pytest.approx(7 / 11)
    assert average_precision([], []) == 0
    assert np.isnan(average_precision([0.0], [np.nan]))


@pytest.mark.parametrize(
    ("precision", "recall", "points", "message"),
    [
        ([1.0], [0.5, 0.6], 101, "have shapes"),
        ([1.0, 1.0], [0.6, 0.5], 101, "recall falls"),
        ([1.0], [0.5], 12, "12 points are unusual"),
        ([1.0], [0.5], "some", "'some' is unknown"),
    ],
)
def test_what_is_no_curve(precision: list[float], recall: list[float], points: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        average_precision(precision, recall, points=points)


def test_more_true_positives_than_positives() -> None:
    with pytest.raises(InputError, match="2 detections are true positives and there are 1"):
        precision_recall_curve([0.5, 0.4], [True, True], 1)
    with pytest.raises(InputError, match="have shapes"):
        precision_recall_curve([0.5, 0.4], [True], 1)
