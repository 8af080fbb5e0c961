"""The page of predicted and measured times, made from runs that were never timed."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from scipy.stats import spearmanr

from cvbench.cost.counter import count
from cvbench.cost.machine import Machine
from cvbench.cost.roofline import predict
from cvbench.cost.workload import Conditions

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


def test_the_page_says_what_came_out(script: Any) -> None:
    """Measured times in another order: ranks 1 3 2 4 against 1 2 3 4, so 1 - 6 * 2 / (4 * 15) = 0.8."""
    text = script.page(runs(script, 2.0, 20.0, 5.0, 40.0))
    assert "on\na processor with torch 2." in text
    assert "## On 1 thread\n" in text
    assert "- Networks: 4, each called at least 90 times; marked noisy: 1 (net1: busy).\n" in text
    assert "predicted and measured times: 0.800.\n" in text
    assert "- Efficiency: median 0.35, from 0.10 to 0.80.\n" in text
    assert "- Worst ratio: net1, 10.00 times as long as predicted.\n" in text
    rows = [line for line in text.splitlines() if line.startswith("| net") and "ms" not in line]
    assert rows[1] == "| net2 | 0.250 | 4.00 | 5.00 | 0.80 | 50% | 30% | 20% |  |", "the second fastest"
    assert rows[2] == "| net1 | 0.250 | 2.00 | 20.00 | 0.10 | 50% | 30% | 20% | yes |"
    assert "| before | 2026-01-01 | 100.0 | 100.0 | 80.0 | 30.0 | 1.00 |" in text
    assert "| after | 2026-01-02 | 90.0 | 200.0 | 80.0 | 30.0 | 2.00 |" in text


def test_a_prediction_above_the_measurement_is_named_as_such(script: Any) -> None:
    text = script.page(runs(script, 1.0, 2.5, 1.0, 8.0))
    assert "- Worst ratio: net2, 4.00 times as fast as predicted.\n" in text


def test_the_page_can_be_made_again_from_the_data(script: Any) -> None:
    made = runs(script, 2.0, 20.0, 5.0, 40.0)
    read = msgspec.json.decode(msgspec.json.encode(made), type=list[script.Run])
    assert read == made
    assert script.page(read) == script.page(made)


@pytest.mark.parametrize("data", sorted((ROOT / "docs").glob("roofline.json")), ids=lambda path: path.name)
def test_the_page_of_the_documentation_is_that_of_its_data(script: Any, data: Path) -> None:
    read = msgspec.json.decode(data.read_bytes(), type=list[script.Run])
    assert data.with_suffix(".md").read_text(encoding="utf-8") == script.page(read)
    assert {len(run.points) for run in read} == {len(script.networks())}


def test_data_page_and_figure_lie_where_the_page_looks_for_them(script: Any, tmp_path: Path) -> None:
    made = runs(script, 2.0, 20.0, 5.0, 40.0) * 2
    script.write(tmp_path / "docs", made)
    text = (tmp_path / "docs" / "roofline.md").read_text(encoding="utf-8")
    assert text == script.page(made)
    assert "(figures/roofline.png)" in text
    assert (tmp_path / "docs" / "figures" / "roofline.png").read_bytes().startswith(b"\x89PNG")
    data = (tmp_path / "docs" / "roofline.json").read_bytes()
    assert msgspec.json.decode(data, type=list[script.Run]) == made


def test_a_disturbed_measurement_of_the_machine_gives_way(script: Any) -> None:
    best = script.best_of(BEFORE, AFTER)
    assert best == script.best_of(replace(AFTER, date=BEFORE.date), BEFORE)
    assert (best.matmul_rate, best.convolution_rate, best.dispatch_seconds) == (1e11, 2e11, 1e-6)
    slower = replace(BEFORE, bandwidths=((3 << 18, 9e10), (3 << 26, 1e10)))
    assert script.best_of(BEFORE, slower).bandwidths == ((3 << 18, 9e10), (3 << 26, 3e10))


def test_networks_are_predicted_from_their_count_and_the_machine(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measured(builds: dict[str, Any], *, conditions: Conditions, **_: Any) -> dict[str, Any]:
        asked.append((list(builds), conditions))
        timed = SimpleNamespace(milliseconds=lambda *_: 50.0, noise=("busy",), process=range(7))
        return dict.fromkeys(builds, timed)

    machines = iter([BEFORE, AFTER])
    monkeypatch.setattr(script, "measure_latencies", measured)
    monkeypatch.setattr(script, "Machine", SimpleNamespace(measure=lambda threads: next(machines)))
    run = script.run(["squeezenet1_1"], 3, script.QUICK)
    counted = count(script.networks()["squeezenet1_1"].build(), (1, 3, 224, 224))
    expected = predict(counted, script.best_of(BEFORE, AFTER))
    assert asked == [(["squeezenet1_1"], Conditions(threads=3))]
    assert (run.before, run.after, run.calls) == (BEFORE, AFTER, 7)
    assert run.points == (
        script.Point("squeezenet1_1", counted.macs / 1e9, expected.milliseconds, 50.0, expected.shares(), ("busy",)),
    )


def test_workloads_can_be_sent_and_built(script: Any) -> None:
    workload = pickle.loads(pickle.dumps(script.Published("squeezenet1_1")))(Conditions())
    assert [tuple(item.shape) for item in workload.inputs] == [(1, 3, 224, 224)] * 32
    with workload.context():
        assert tuple(workload.forward(workload.inputs[0]).shape) == (1, 1000)


def test_there_are_ten_networks(script: Any) -> None:
    assert len(script.networks()) >= 10
