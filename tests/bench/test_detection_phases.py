"""Phases of detection AP on 500,000 boxes, in this process, by pytest-benchmark."""

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
def test_count(benchmark: Any, threads: int) -> None:
    gt, dt = columns(Size())
    state = benchmark(count, gt, dt, PARAMS, threads)
    assert state.counts["detections"] == 500_000


@pytest.mark.parametrize("threads", [1, 2])
def test_summarize(benchmark: Any, threads: int) -> None:
    state = count(*columns(Size()), PARAMS)
    summary = benchmark(summarize, state, None, threads)
    assert 0 < summary.values["AP"] < 1


def test_summarize_a_sum_of_shards(benchmark: Any) -> None:
    first, second = (count(*columns(Size(2_500, 18_000, 250_000), seed), PARAMS) for seed in (0, 1))
    state = first + type(second)(**{**vars(second), "image_ids": second.image_ids + len(first)})
    assert 0 < benchmark(summarize, state).values["AP"] < 1


def test_read(benchmark: Any) -> None:
    gt, dt = detection_files("boxes", 500_000, FOLDER)
    truth = read_ground_truth(gt, "bbox").columns
    assert len(benchmark(read_detections, dt, truth, "bbox").columns) == 500_000
