"""Detection AP, slowly, from its definition: one loop per category, area range, threshold and cap.

The rules are those of COCOeval (``evaluateImg`` and ``accumulate`` in pycocotools' cocoeval.py), said again in plain
Python.
"""

from __future__ import annotations

import numpy as np

from cvbench.columns import Detections, Float, GroundTruth
from cvbench.metrics.detection import DetectionParams


def curves(
    gt: GroundTruth,
    dt: Detections,
    similarity: dict[tuple[int, int], Float],
    params: DetectionParams,
    weights: list[int],
) -> tuple[Float, Float, Float]:
    """Precision (T, R, K, A, M), recall (T, K, A, M) and scores (T, R, K, A, M); NaN where undefined.

    similarity : for each (image, category) of columns, (detections, ground truths) in file order.
    weights : copies of each image; they stand behind one another, as images of neighbouring ids would.
    """
    shape = (len(gt.category_ids), len(params.areas), len(params.max_dets))
    thresholds, points = params.iou_thresholds, params.recall_thresholds
    precision = np.full((len(thresholds), len(points), *shape), np.nan)
    scores, recall = precision.copy(), np.full((len(thresholds), *shape), np.nan)
    for k in range(shape[0]):
        for a, (_, low, high) in enumerate(params.areas):
            for m, cap in enumerate(params.max_dets):
                for t, threshold in enumerate(thresholds):
                    found, positives = [], 0
                    for i in range(len(gt.image_ids)):
                        here, counted = match_image(gt, dt, similarity, params, i, k, low, high, cap, threshold)
                        found += here * weights[i]
                        positives += counted * weights[i]
                    if positives == 0:
                        continue
                    found.sort(key=lambda row: -row[0])  # stable: equal scores stay in image and file order
                    recall[t, k, a, m] = sum(outcome == "true" for _, outcome in found) / positives
                    precision[t, :, k, a, m], scores[t, :, k, a, m] = read_off(found, positives, points)
    return precision, recall, scores


def match_image(
    gt: GroundTruth,
    dt: Detections,
    similarity: dict[tuple[int, int], Float],
    params: DetectionParams,
    i: int,
    k: int,
    low: float,
    high: float,
    cap: int,
    threshold: float,
) -> tuple[list[tuple[float, str]], int]:
    """Scores and outcomes of an image's detections by falling score, and how many ground truths count."""
    truths = [g for g in range(gt.offsets[i], gt.offsets[i + 1]) if gt.category[g] == k]
    detections = [d for d in range(dt.offsets[i], dt.offsets[i + 1]) if dt.category[d] == k]
    area = [area_of(gt, params, g) for g in range(len(gt))]
    table = {(d, g): similarity[i, k][y, x] for y, d in enumerate(detections) for x, g in enumerate(truths)}
    ignored = {g: bool(is_ignored(gt, params, g) or area[g] < low or area[g] > high) for g in truths}
    taken: set[int] = set()
    rows = []
    # cut at the largest cap before matching: a detection beyond a smaller cap still takes its ground truth
    known = [d for d in detections if not is_dropped(dt, params, d)]
    for d in sorted(known, key=lambda d: -dt.score[d])[: max(params.max_dets)]:
        limit = min(threshold, 1 - 1e-10)
        choice = None
        for kind in (False, True):  # ground truths that count are preferred to ignored ones
            for g in truths:
                if ignored[g] == kind and (gt.crowd[g] or g not in taken) and table[d, g] >= limit:
                    limit, choice = table[d, g], g
            if choice is not None:
                break
        if choice is not None:
            taken.add(choice)
        void = choice is not None and gt.id_zero[choice] and params.id_zero == "unmatched"
        outside = dt.area[d] < low or dt.area[d] > high
        if choice is not None and ignored[choice]:
            outcome = "ignored"
        elif choice is not None and not void:
            outcome = "true"
        else:
            outcome = "ignored" if outside else "false"
        rows.append((float(dt.score[d]), outcome))
    return rows[:cap], sum(not flag for flag in ignored.values())


def area_of(gt: GroundTruth, params: DetectionParams, g: int) -> float:
    """The ground truth's area in OKS and for area ranges."""
    return float(gt.boxes[g, 2] * gt.boxes[g, 3] * 0.53 if params.scale_area == "box053" else gt.area[g])


def is_dropped(dt: Detections, params: DetectionParams, d: int) -> bool:
    return params.zero_keypoints == "drop" and not any(v > 0 for v in dt.keypoints[d, :, 2])


def is_ignored(gt: GroundTruth, params: DetectionParams, g: int) -> bool:
    no_keypoints = params.iou_type == "keypoints" and gt.num_keypoints is not None and gt.num_keypoints[g] == 0
    if params.ignore_rule == "labelled":
        no_keypoints = not any(v > 0 for v in gt.keypoints[g, :, 2])
    return bool(gt.crowd[g] or no_keypoints or (params.explicit_ignore and gt.ignore[g]))


def read_off(
    found: list[tuple[float, str]], positives: int, points: tuple[float, ...]
) -> tuple[list[float], list[float]]:
    """Interpolated precision and the score at each recall point."""
    true = np.cumsum([outcome == "true" for _, outcome in found])
    false = np.cumsum([outcome == "false" for _, outcome in found])
    precision = true / (false + true + np.spacing(1))
    values, scores = [], []
    for point in points:
        reached = [n for n in range(len(found)) if true[n] / positives >= point]
        values.append(max(precision[reached[0] :]) if reached else 0.0)
        scores.append(found[reached[0]][0] if reached else 0.0)
    return values, scores
