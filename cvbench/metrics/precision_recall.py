"""From similarities to matches, from matches to a precision–recall curve, from a curve to average precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from cvbench.columns import Bool, Float, Int
from cvbench.errors import InputError
from cvbench.kernels.matching import CROWD, WORD, match_rows


def greedy_match(
    similarity: ArrayLike, thresholds: ArrayLike, *, ignored: ArrayLike | None = None, crowd: ArrayLike | None = None
) -> Int:
    """Match detections with ground truths of one image and category, greedily, at several thresholds.

    Detections choose in turn. Each takes the most similar ground truth that reaches the threshold and is free; ground
    truths that count go before ignored ones; of equally similar ones the last is taken; a crowd can be taken again and
    again.

    Parameters
    ----------
    similarity : (D, G) float
        Detections by falling score.
    thresholds : (T,) float
        Smallest similarities that match.
    ignored, crowd : (G,) bool, optional

    Returns
    -------
    (T, D) int64
        The index of the ground truth, or -1.

    Raises
    ------
    InputError
        If shapes do not fit together, or a similarity or threshold is NaN.

    References
    ----------
    ``COCOeval.evaluateImg`` of pycocotools 2.0.11, from which a threshold of 1 is also taken for ``1 - 1e-10``.

    Examples
    --------
    >>> greedy_match([[0.9, 0.6], [0.8, 0.0]], [0.5, 0.7]).tolist()
    [[0, -1], [0, -1]]
    """
    table, limits = np.asarray(similarity, np.float64), np.atleast_1d(np.asarray(thresholds, np.float64))
    if table.ndim != 2 or limits.ndim != 1 or len(limits) == 0:
        raise InputError(
            f"similarity has shape {table.shape}, thresholds {limits.shape}; expected (D, G) and (T,), T > 0"
        )
    if np.isnan(table).any() or np.isnan(limits).any():
        raise InputError("similarity or thresholds hold NaN")
    n, m = table.shape
    flags = [
        np.zeros(m, np.bool_) if value is None else np.asarray(value).astype(np.bool_) for value in (ignored, crowd)
    ]
    if any(flag.shape != (m,) for flag in flags):
        raise InputError(f"ignored and crowd have shapes {[flag.shape for flag in flags]}; expected ({m},)")
    rising, reach = reach_of(limits.tolist())
    words, none = reach.shape[1], np.zeros(0)
    partner = np.full((n, len(limits)), -1, np.int64)
    match_rows(
        0,
        1,
        offsets=np.array([0, n]),
        row=np.arange(n, dtype=np.int64),
        first_gt=np.zeros(n, np.int64),
        n_gt=np.full(n, m, np.int64),
        category=np.zeros(n, np.int64),
        bits=np.zeros(n, np.int64),
        area=np.zeros(n),
        boxes=none.reshape(0, 4),
        gt_boxes=none.reshape(0, 4),
        pairs=np.arange(n + 1, dtype=np.int64) * m,
        similarity=table.reshape(-1),
        lows=none,
        highs=none,
        area_words=np.zeros((0, words), np.int64),
        limits=rising,
        reach=reach,
        mark=flags[1] * np.int64(CROWD),
        gt_ignored=np.repeat(np.where(flags[0], np.int64(-1), np.int64(0))[:, None], words, axis=1),
        own=np.empty((n, 5)),
        near=np.empty(m, np.int64),
        by=np.empty(m),
        taken=np.zeros((m, words), np.int64),
        place=np.zeros(1, np.int64),
        image_of=np.empty(n, np.int32),
        rank_of=np.empty(n, np.int32),
        bits_of=np.empty(n, np.int64),
        true=np.empty((n, words), np.int64),
        ignored=np.empty((n, words), np.int64),
        n_ignored=np.empty(1, np.int64),
        partner=partner,
    )
    return np.ascontiguousarray(partner.T)


def reach_of(thresholds: Sequence[float], n_areas: int = 1) -> tuple[Float, Int]:
    """The similarities that match at some thresholds, in the form that matching asks for.

    Returns
    -------
    limits : (T,) float64
        Rising. A threshold of 1 is taken for ``1 - 1e-10``, as pycocotools does.
    reach : (T + 1, W) int64
        The bits over (area range, threshold) of the first 0, 1, … of these limits, see `cvbench.kernels.matching`.
    """
    limits = np.minimum(thresholds, 1 - 1e-10)
    order = np.argsort(limits, kind="stable")
    cells = n_areas * len(limits)
    reach = np.zeros((len(limits) + 1, -(-cells // WORD)), np.int64)
    for i, t in enumerate(order.tolist()):
        reach[i + 1] = reach[i]
        for cell in range(t, cells, len(limits)):
            reach[i + 1, cell // WORD] |= 1 << (cell % WORD)
    return limits[order], reach


def precision_recall_curve(
    score: ArrayLike, true: ArrayLike, positives: int, *, ignored: ArrayLike | None = None
) -> tuple[Float, Float, Float]:
    """Precision and recall after each detection, by falling score.

    Parameters
    ----------
    score : (D,) float
        Equal scores keep their order.
    true : (D,) bool
        Whether a detection is a true positive.
    positives
        The number of ground truths.
    ignored : (D,) bool, optional
        Detections that are neither right nor wrong; they are left out.

    Returns
    -------
    precision, recall, score : (N,) float64
        For the N detections that are not ignored. Recall is NaN where there are no positives.

    Raises
    ------
    InputError
        If shapes differ, or there are more true positives than positives.

    Examples
    --------
    >>> precision, recall, score = precision_recall_curve([0.9, 0.8, 0.7], [True, False, True], 4)
    >>> precision.round(2).tolist(), recall.tolist()
    ([1.0, 0.5, 0.67], [0.25, 0.25, 0.5])
    """
    scores, hits = np.asarray(score, np.float64), np.asarray(true).astype(np.bool_)
    left_out: Bool = np.zeros(len(scores), np.bool_) if ignored is None else np.asarray(ignored).astype(np.bool_)
    if scores.ndim != 1 or hits.shape != scores.shape or left_out.shape != scores.shape:
        raise InputError(
            f"score, true and ignored have shapes {scores.shape}, {hits.shape}, {left_out.shape}; expected (D,)"
        )
    order = np.argsort(-scores, kind="stable")
    order = order[~left_out[order]]
    n_true = np.cumsum(hits[order])
    if len(order) and n_true[-1] > positives:
        raise InputError(f"{n_true[-1]} detections are true positives and there are {positives} positives")
    recall = n_true / positives if positives else np.full(len(order), np.nan)
    return n_true / np.arange(1, len(order) + 1), recall, scores[order]


def average_precision(
    precision: ArrayLike, recall: ArrayLike, *, points: Literal[11, 101, "all"] | ArrayLike = 101
) -> float:
    """Area under a precision–recall curve, interpolated: precision at a recall is the highest at it or beyond.

    Parameters
    ----------
    precision, recall : (N,) float
        Along falling score, as `precision_recall_curve` gives them.
    points : {11, 101, "all"} or (R,) float
        The mean over 11 recalls (PASCAL VOC 2007, at ``numpy.arange(0, 1.1, 0.1)``, whose steps are a little off at
        0.3, 0.6 and 0.7), 101 (COCO), or given ones; or the whole area (VOC 2010 and later).

    Returns
    -------
    float
        In [0, 1]. NaN where recall is NaN, as there is nothing to find; 0 where there is no detection.

    Raises
    ------
    InputError
        If the curve is not one: shapes differ, or recall falls.

    References
    ----------
    Everingham et al., *The PASCAL Visual Object Classes Challenge*, IJCV 2010; Lin et al., ECCV 2014.

    Examples
    --------
    >>> precision, recall, _ = precision_recall_curve([0.9, 0.8, 0.7], [True, False, True], 2)
    >>> [round(average_precision(precision, recall, points=n), 4) for n in (11, 101, "all")]
    [0.8485, 0.835, 0.8333]
    """
    p, r = np.asarray(precision, np.float64), np.asarray(recall, np.float64)
    if p.ndim != 1 or p.shape != r.shape:
        raise InputError(f"precision and recall have shapes {p.shape} and {r.shape}; expected (N,) twice")
    if len(p) == 0:
        return 0.0
    if np.isnan(r).any():
        return float("nan")
    if (np.diff(r) < 0).any():
        raise InputError("recall falls along the curve; expected detections by falling score")
    envelope = np.maximum.accumulate(p[::-1])[::-1]
    if isinstance(points, str):
        if points != "all":
            raise InputError(f"points {points!r} is unknown; expected 11, 101, 'all' or recalls")
        return float(np.sum(np.diff(r, prepend=0.0) * envelope))
    if isinstance(points, int):
        if points not in (11, 101):
            raise InputError(f"{points} points are unusual; expected 11, 101, 'all' or the recalls themselves")
        points = np.arange(0, 1.1, 0.1) if points == 11 else np.linspace(0.0, 1.0, 101)
    at = np.searchsorted(r, np.asarray(points, np.float64), side="left")
    return float(np.mean(np.append(envelope, 0.0)[at]))
