"""The page of predicted and measured times, made from runs that were never timed."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import spearmanr

from cvbench.cost.machine import Machine

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "validate_roofline.py"
BANDWIDTHS = ((3 << 18, 8e10), (3 << 26, 3e10))
BEFORE = Machine("a processor", 1, "float32", "2", "2026-01-01", 1e11, 1e11, BANDWIDTHS, 1e-6)
AFTER = replace(BEFORE, matmul_rate=9e10, convolution_rate=2e11, dispatch_seconds=2e-6, date="2026-01-02")


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("validate_roofline", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["validate_roofline"] = module  # where dataclasses and pickle look
    spec.loader.exec_module(module)
    return module


def runs(script: Any, *measured_ms: float) -> list[Any]:
    shares = {"compute": 0.5, "memory": 0.3, "dispatch": 0.2}
    predicted_ms = (1.0, 2.0, 4.0, 8.0)
    points = [
        script.Point(f"net{index}", 0.25, predicted, measured, shares, ("busy",) if index == 1 else ())
        for index, (predicted, measured) in enumerate(zip(predicted_ms, measured_ms, strict=True))
    ]
    return [script.Run(BEFORE, AFTER, 90, tuple(points))]


@pytest.mark.parametrize(
    "values", [[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], [2.0, 1.0, 9.0, 3.0], [5.0, 5.0, 1.0, 7.0]]
)
def test_rank_correlation_is_that_of_spearman(script: Any, values: list[float]) -> None:
    others = [10.0, 30.0, 30.0, 20.0]
    expected = pytest.approx(spearmanr(values, others).statistic, abs=1e-12)
    assert script.rank_correlation(values, others) == expected, "both from sums of floats"
