"""Benchmarks whose pictures are drawn once, and what a model would predict that is always right."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

from cvbench.benchmarks import Benchmark, Picture, Pictures, find


def cached(benchmark: Benchmark, pictures: int) -> Benchmark:
    """The benchmark with so many pictures in each split, each of which is drawn once."""

    @cache
    def drawn(split: str, index: int) -> Picture:
        return benchmark.pictures(split, pictures)[index]

    def first(split: str, limit: int | None) -> Pictures:
        return Pictures(partial(drawn, split), min(limit or pictures, pictures))

    return replace(benchmark, pictures=first)


@cache
def shared(name: str) -> Benchmark:
    """The benchmark of that name with 6 pictures in each split, drawn once for all tests."""
    return cached(find(name), 6)


def perfect(benchmark: Benchmark, picture: Picture) -> list[dict[str, Any]]:
    """One prediction for each image of the picture; crowds are not predicted."""
    truth = picture.truth
    if benchmark.field == "semantic":
        return [{"labels": truth}]
    if benchmark.field == "panoptic":
        return [dict(truth)]
    if benchmark.field == "pose":
        return [{"keypoints": points, "scores": np.ones(len(points))} for points in truth["keypoints"]]
    single = ~np.asarray(truth["iscrowd"], bool)
    boxes = np.asarray(truth["boxes"], np.float64).reshape(-1, 4)[single]
    found = {
        "boxes": np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
        "scores": np.ones(single.sum()),
        "labels": truth["labels"][single],
    }
    if benchmark.field == "instance":
        found["masks"] = [mask for mask, kept in zip(truth["masks"], single, strict=True) if kept]
    return [found]
