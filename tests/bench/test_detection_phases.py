"""Phases of detection AP on boxes, in this process, by pytest-benchmark."""

from __future__ import annotations

from typing import Any

import pytest

from cvbench.io import read_detections, read_ground_truth
from cvbench.metrics.detection import DetectionParams, count, summarize
from data import detection_files
from turns import FOLDER
from workload import Size, columns

PARAMS = DetectionParams.of("bbox")


@pytest.mark.parametrize("threads", [1, 2])
def test_count(benchmark: Any, detections: int, threads: int) -> None:
    gt, dt = columns(Size.of(detections))
    state = benchmark(count, gt, dt, PARAMS, threads)
    assert state.counts["detections"] == detections


@pytest.mark.parametrize("threads", [1, 2])
def test_summarize(benchmark: Any, detections: int, threads: int) -> None:
    state = count(*columns(Size.of(detections)), PARAMS)
    summary = benchmark(summarize, state, None, threads)
    assert 0 < summary.values["AP"] < 1


def test_summarize_a_sum_of_shards(benchmark: Any, detections: int) -> None:
    first, second = (count(*columns(Size.of(detections // 2), seed), PARAMS) for seed in (0, 1))
    state = first + type(second)(**{**vars(second), "image_ids": second.image_ids + len(first)})
    assert 0 < benchmark(summarize, state).values["AP"] < 1


def test_read(benchmark: Any, detections: int) -> None:
    gt, dt = detection_files("boxes", detections, FOLDER)
    truth = read_ground_truth(gt, "bbox").columns
    assert len(benchmark(read_detections, dt, truth, "bbox").columns) == detections
