"""Records of runs that never were, for tests of what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvbench.intervals import Bootstrap, Interval
from cvbench.records import Model, Published, RunRecord, Timing
from cvbench.result import Provenance, Result, Signature

MADE = Provenance(
    cvbench="0.1.0",
    commit="c0ffee",
    dirty=False,
    python="3.11.7",
    numpy="2.4.6",
    numba="0.68.1",
    platform="Linux 6 x86_64",
    cpu="A CPU",
    command=("cvbench", "run"),
    time="2026-11-21T08:00:00+00:00",
)
TRUTH = {"gt": {"path": "gt.json", "sha256": "9" * 64, "bytes": 1}}


def score(ap: float, *, rules: tuple[tuple[str, str], ...] = (("iou", "0.50:0.95:0.05"),), **change: Any) -> Result:
    values = {"AP": ap, "AP50": min(1.0, 1.5 * ap)}
    settings = {"inputs": TRUTH, "made_by": MADE} | change
    return Result("coco.bbox@1", values, Signature("coco.bbox@1", rules), **settings)


def cost(macs: int, params: int) -> Result:
    values = {"params": params, "macs": macs, "flops": 2 * macs, "bytes_unfused": 8 * params, "ai": 0.25}
    return Result("model.cost@1", values, Signature("model.cost@1", (("input", "1x3x128x128"),)), made_by=MADE)


def timing(milliseconds: float, **change: Any) -> Timing:
    """Of 5 processes with 3 rounds that differ by a few per cent."""
    medians = milliseconds * 1e6 * (1 + 0.02 * np.sin(np.arange(15.0))).reshape(5, 3)
    row = {"p50_ms": milliseconds, "p90_ms": 1.2 * milliseconds, "p50_bound_ms": 1.01 * milliseconds}
    row |= {"p90_bound_ms": float("nan"), "images_per_s": 1e3 / milliseconds}
    settings = {
        "headline": "e2e",
        "conditions": {"batch": "1", "threads": "1", "dtype": "float32"},
        "values": {f"e2e_{name}": value for name, value in row.items()} | {"peak_rss_bytes": 3e8},
        "stages": [{"stage": "forward", "p50_ms": 0.9 * milliseconds}, {"stage": "e2e", **row}],
        "round_medians_ns": medians.tolist(),
    }
    return Timing(**(settings | change))


def draws(value: float, figure: str = "AP", *, spread: float = 0.01, noise: int = 0) -> Bootstrap:
    """999 draws around a value: common ups and downs, and some of the model's own where there is `noise`."""
    common = np.random.default_rng(0).normal(size=999)
    own = np.random.default_rng(noise).normal(size=999) if noise else 0.0
    return Bootstrap({figure: value}, {figure: value + spread * (common + own)}, seed=0, images="of val")


def record(
    name: str = "centernet", ap: float = 0.4, macs: int = 10**9, params: int = 250_000, **change: Any
) -> RunRecord:
    """A run in which all went well, but for what `change` says."""
    settings: dict[str, Any] = {
        "model": Model(name, "nano", "a" * 64, params, {"title": "Objects as Points", "year": 2019}),
        "benchmark": "scenes.detection",
        "accuracy": score(ap),
        "intervals": {"AP": Interval(ap - 0.02, ap + 0.02, 0.95, 999, 0)},
        "cost": cost(macs, params),
        "latency": timing(macs / 1e8),
        "published": [
            Published("params", 14437349.0, "count", source="the authors' code", verified="yes"),
            Published("accuracy", 28.1, "%", "box AP", "COCO val2017", source="the authors' page", verified="source"),
            Published("accuracy", 30.0, "%", "box AP", "COCO val2017", conditions="flip test", source="the same"),
        ],
        "made_by": MADE,
    }
    return RunRecord(**(settings | change))
