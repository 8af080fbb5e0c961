from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cvbench
from cvbench import profiling
from cvbench.cost import operators
from cvbench.cost.counter import CONVENTION, VERSION, count
from cvbench.cost.latency import Latency
from cvbench.cost.machine import Machine
from cvbench.cost.spec import CountSpec
from cvbench.cost.tables import for_people, meaning
from cvbench.cost.turns import ColdStart, Plan
from cvbench.cost.workload import Conditions, Workload
from cvbench.errors import InputError, MissingDependency
from cvbench.profiling import Timed, profile
from cvbench.report import quantity
from cvbench.result import Result

IMAGE = (2, 3, 8, 8)
MACHINE = Machine("a processor", 2, "float32", "2", "2026-01-01", 1e11, 2e11, ((10**6, 2e10),), 1e-6)


def network() -> nn.Module:
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    return nn.Sequential(body, nn.Flatten(), nn.Linear(144, 5, bias=False))


class Inverse(nn.Module):
    """Runs an operator that has no formula."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.svdvals(x)


class TwoStages(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.head = nn.Conv2d(3, 4, 1), nn.Linear(7, 2)

    def count_parts(self, spec: CountSpec, image: Tensor) -> Any:
        yield "backbone"
        self.backbone(image)
        yield "head"
        self.head(image.new_empty(spec.proposals, 7))


def test_a_result_has_what_was_counted() -> None:
    model = network()
    result, counted = profile(model, IMAGE), count(model, IMAGE)
    assert list(result.values)[:5] == ["params", "params_trainable", "macs", "flops", "activations"]
    assert list(result.values)[5:] == ["bytes_unfused", "bytes_fused", "peak_activation_bytes", "ai"]
    assert result.values == {name: float(getattr(counted, name)) for name in result.values}
    assert list(result.tables) == ["per_module", "per_operator", "per_depth", "unknown"]
    assert result.tables["unknown"] == []
    assert result.inputs["model"] == {"path": None, "type": "Sequential", "torch": torch.__version__}
    assert all(meaning(name) for name in result.values)


def test_the_signature_says_what_is_counted_by_whom_and_on_what() -> None:
    result = profile(network(), "2x3x8x8")
    conventions = dict(result.signature.conventions)
    assert result.task == "model.cost@1"
    assert conventions == {
        "counter": f"cvbench@{VERSION}",
        "input": "2x3x8x8",
        "counts": f"{CONVENTION}; forward in evaluation mode",
    }
    assert Result.from_json(result.to_json()).same_scores(result)
    both = dict(profile(network(), IMAGE, backward=True).signature.conventions)
    assert both["counts"].endswith("forward and backward in training mode")


def test_tables_add_up() -> None:
    result = profile(network(), IMAGE)
    modules = result.tables["per_module"]
    assert [row["module"] for row in modules] == ["(model)", "0", "0.0", "0.1", "1", "2"]
    for name in ("macs", "flops"):
        assert modules[0][name] == sum(int(row[f"own_{name}"]) for row in modules) == result.values[name]
        for table in ("per_operator", "per_depth"):
            assert sum(int(row[name]) for row in result.tables[table]) == result.values[name]
    flops = [row["flops"] for row in result.tables["per_operator"]]
    assert flops == sorted(flops, key=int, reverse=True)
    assert [row["depth"] for row in result.tables["per_depth"]] == [1, 2]


def test_inputs_are_described_by_their_shapes() -> None:
    class Adds(nn.Module):
        def forward(self, a: Tensor, index: Tensor) -> Tensor:
            return a + index

    result = profile(Adds(), inputs={"a": torch.ones(2, 3), "index": torch.tensor(1)})
    assert dict(result.signature.conventions)["input"] == "2x3,():int64"
    assert result.values["flops"] == 6


def test_parts_are_counted_at_the_pinned_sizes() -> None:
    result = profile(TwoStages(), CountSpec(IMAGE, proposals=30))
    assert [(row["part"], row["macs"]) for row in result.tables["per_part"]] == [
        ("backbone", 2 * 64 * 12),
        ("head", 30 * 14),
    ]
    conventions = dict(result.signature.conventions)
    assert (conventions["proposals"], conventions["masks"]) == ("30", "100")


def test_unknown_operators_are_listed_noted_and_refused_when_strict() -> None:
    result = profile(Inverse(), IMAGE)
    assert result.tables["unknown"] == [{"operator": "aten._linalg_svd", "calls": 1}]
    assert result.counts["unknown_operators"] == 1
    assert result.notes == ["aten._linalg_svd has no formula: macs and flops lack 1 call"]
    with pytest.raises(InputError, match=r"^Inverse: aten._linalg_svd on \(2, 3, 8, 8\) has no formula"):
        profile(Inverse(), IMAGE, strict=True)


# Several models, other counters --------------------------------------------------------------------------------------


def test_several_models_are_one_table() -> None:
    models = {"small": network(), "odd": Inverse()}
    result = profile(models, IMAGE)
    assert result.values == {}
    assert [row["model"] for row in result.tables["models"]] == ["small", "odd"]
    for row, model in zip(result.tables["models"], models.values(), strict=True):
        assert {name: row[name] for name in row if name != "model"} == profile(model, IMAGE).values
    assert [(row["model"], row["depth"]) for row in result.tables["per_depth"]] == [
        ("small", "1"),
        ("small", "2"),
        ("odd", "0"),
    ]
    assert result.notes == ["odd: aten._linalg_svd has no formula: macs and flops lack 1 call"]
    assert result.counts["models"] == 2
    assert list(result.inputs) == ["small", "odd"]
    assert Result.from_json(result.to_json()).same_scores(result)


@pytest.mark.parametrize("backend", ["fvcore", "torch"])
def test_other_counters_count_in_our_place(backend: str) -> None:
    model = network()
    result = profile(model, IMAGE, backend=backend)
    assert list(result.values) == ["params", "params_trainable", "macs", "reported"]
    ours = profile(model, IMAGE).values
    assert {name: result.values[name] for name in ("params", "macs")} == {
        "params": ours["params"],
        "macs": ours["macs"],
    }
    conventions = dict(result.signature.conventions)
    assert conventions["counter"].startswith(f"{backend}@")
    assert conventions["device"] == ("cpu" if backend == "fvcore" else "meta")


def test_strict_holds_for_other_counters() -> None:
    model = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(3, 4, 3, padding="same"))
    result = profile(model, IMAGE, backend="fvcore")
    assert result.notes == [
        "fvcore has no rule for aten::max_pool2d: 1 call",
        "fvcore has no rule for aten::_convolution_mode: 1 call",
    ]
    with pytest.raises(InputError, match=r"fvcore has no rule for aten::max_pool2d \(1 call\), aten::_convolution"):
        profile(model, IMAGE, backend="fvcore", strict=True)


def test_counters_side_by_side() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding="same"), nn.Conv2d(4, 4, 1))
    result = profile(model, IMAGE, compare=True)
    padded, plain = 2 * 64 * 4 * 27, 2 * 64 * 16
    assert [(row["counter"], row["macs"]) for row in result.tables["counters"]] == [
        ("cvbench", padded + plain),
        ("fvcore", plain),
        ("torch", padded + plain),
    ]
    assert result.tables["counters"][1]["of_ours"] == plain / (padded + plain)
    (row,) = result.tables["differences"]
    assert (row["operators"], row["first"], row["cvbench"], row["fvcore"]) == ("aten.convolution", "0", padded, 0)
    assert {"operator": "aten::_convolution_mode", "counter": "fvcore", "calls": 1} in result.tables["uncounted"]


def test_a_counter_that_fails_has_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fvcore.nn", None)
    result = profile(nn.Conv2d(3, 4, 1), IMAGE, compare=True)
    assert np.isnan([row["macs"] for row in result.tables["counters"]]).tolist() == [False, True, False]
    assert result.notes[0] == "fvcore has no figures: fvcore is not installed; pip install 'cvbench[models]'"
    with pytest.raises(MissingDependency, match="fvcore"):
        profile(nn.Conv2d(3, 4, 1), IMAGE, backend="fvcore")


# Time ----------------------------------------------------------------------------------------------------------------


def times(name: str, conditions: Conditions, milliseconds: float, noise: tuple[str, ...] = ()) -> Latency:
    samples = np.full(5, int(milliseconds * 1e6))
    places = np.zeros(5, np.int64)
    cold = ColdStart(1.0, 0.5, 1e8, 3e8, {"torch": conditions.threads})
    calibration = np.full((1, 1, 2), 1000)
    return Latency(
        name, conditions, Plan(1, 1, 5), {"forward": samples}, places, places, np.full((1, 1), 5), calibration, cold,
        0.0, noise,
    )  # fmt: skip


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was asked of the stopwatch, which says 2 ms for the first model, 4 ms for the second, …"""
    asked: dict[str, Any] = {}

    def measure(builds: Mapping[str, Any], **options: Any) -> dict[str, Latency]:
        asked.update(options, builds=builds)
        return {name: times(name, options["conditions"], 2.0 * (i + 1)) for i, name in enumerate(builds)}

    monkeypatch.setattr(profiling, "measure_latencies", measure)
    return asked


def test_predicted_time_is_that_of_the_rates() -> None:
    result = profile(network(), IMAGE, roofline=MACHINE)
    rows = result.tables["roofline"]
    assert sum(float(row["ms"]) for row in rows) == pytest.approx(result.values["roofline_ms"], rel=1e-12)  # their sum
    assert result.notes == ["rates of a processor, 2 threads, float32, of 2026-01-01"]
    assert dict(result.signature.conventions)["threads"] == "2"
    assert "roofline_ms" not in profile(network(), IMAGE).values


def test_measured_time_stands_beside_the_predicted(measured: dict[str, Any]) -> None:
    result = profile(network(), IMAGE, roofline=MACHINE, latency=Plan(1, 1, 5))
    assert measured["conditions"] == Conditions(batch=2, threads=2)
    assert measured["plan"] == Plan(1, 1, 5)
    assert result.values["forward_p50_ms"] == 2.0
    assert result.values["efficiency"] == result.values["roofline_ms"] / 2.0
    assert result.arrays["latency_forward_ns"].tolist() == [2_000_000] * 5
    assert dict(result.signature.conventions)["memory_format"] == "contiguous"
    assert result.tables["latency"][0]["stage"] == "forward"
    assert all(meaning(name) for name in result.values)


def test_models_are_timed_side_by_side(measured: dict[str, Any]) -> None:
    result = profile({"a": network(), "b": network()}, IMAGE, roofline=False, latency=True, threads=3)
    assert list(measured["builds"]) == ["a", "b"]
    assert measured["conditions"].threads == 3
    assert [row["forward_p50_ms"] for row in result.tables["models"]] == [2.0, 4.0]
    assert "roofline_ms" not in result.tables["models"][0]
    assert set(result.arrays) >= {"a/latency_forward_ns", "b/latency_forward_ns"}


def test_the_machine_is_measured_where_time_is_asked_for(
    measured: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "load", lambda threads, dtype: MACHINE)
    assert "efficiency" in profile(network(), IMAGE, latency=True).values
    assert "roofline_ms" in profile(network(), IMAGE, roofline=True).values


class WithStages(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1

    def workload(self, conditions: Conditions) -> Workload:
        return Workload([torch.zeros(conditions.batch)], self, post=lambda x: x.sum())


def test_a_model_may_bring_its_stages() -> None:
    workload = Timed(WithStages(), (3, 8, 8))(Conditions(batch=4))
    assert list(workload.stages) == ["forward", "post"]
    assert workload.post is not None
    assert workload.post(workload.forward(workload.inputs[0])) == 4


def test_a_named_model_is_built_where_it_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "timed_models.py").write_text("from torch import nn\ndef build(): return nn.Conv2d(3, 4, 3)\n")
    monkeypatch.chdir(tmp_path)
    workload = Timed("timed_models:build", (3, 8, 8))(Conditions(batch=2))
    assert workload.forward(workload.inputs[0]).shape == (2, 4, 6, 6)
    result = profile("timed_models:build", "1x3x8x8")
    assert result.inputs["model"]["path"] == "timed_models:build"


# Refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "expected either input_size or inputs"),
        ({"input_size": IMAGE, "inputs": 1}, "expected either input_size or inputs"),
        ({"input_size": IMAGE, "backend": "torhc"}, "backend 'torhc' is unknown; did you mean 'torch'?"),
        ({"input_size": IMAGE, "backend": "torch", "backward": True}, "forward pass only; leave out backward"),
        ({"input_size": IMAGE, "compare": True, "backward": True}, "forward pass only; leave out backward"),
        ({"input_size": IMAGE, "backend": "torch", "compare": True}, "compare needs the counts of cvbench"),
        ({"input_size": IMAGE, "backend": "torch", "roofline": MACHINE}, "roofline needs the counts of cvbench"),
        ({"input_size": IMAGE, "backend": "fvcore", "latency": True}, "latency needs the counts of cvbench; leave out"),
        ({"inputs": torch.ones(IMAGE), "latency": True}, "expected input_size in place of inputs"),
        ({"input_size": ((1, 3), (1, 3)), "latency": True}, r"not on 1x3,1x3; .* by a method workload\(conditions\)"),
        ({"input_size": "1x3:int64", "latency": True}, "floating-point numbers, not on 1x3:int64"),
        ({"input_size": IMAGE, "latency": True, "threads": 1, "roofline": MACHINE}, "2 threads; asked for are 1"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        profile(network(), **options)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(InputError, match="there are no models"):
        profile({}, IMAGE)
    with pytest.raises(InputError, match="a int is no model"):
        profile(3, IMAGE)
    with pytest.raises(InputError, match="Conv2d: the weights are on meta and have no values"):
        profile(nn.Conv2d(3, 4, 1, device="meta"), IMAGE, latency=True)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependency, match=r"pip install 'cvbench\[models\]'"):
        cvbench.profile("a:b", IMAGE)


# For people ----------------------------------------------------------------------------------------------------------


def test_tables_for_people_are_narrow_and_shallow() -> None:
    result = profile(network(), IMAGE)
    shown = for_people(result, 1)
    assert [row["module"] for row in shown.tables["per_module"]] == ["(model)", "0", "1", "2"]
    assert "bytes_fused" not in shown.tables["per_module"][0]
    kinds = [{row["kind"] for row in each.tables["per_operator"]} for each in (result, shown)]
    assert kinds == [{"conv", "pointwise", "matmul", "free"}, {"conv", "pointwise", "matmul"}]
    assert (shown.values, shown.tables["per_depth"]) == (result.values, result.tables["per_depth"])


# The page on cost ----------------------------------------------------------------------------------------------------

PAGE = (Path(__file__).parents[2] / "docs" / "cost.md").read_text(encoding="utf-8")


def test_the_page_explains_every_figure_and_table() -> None:
    result = profile(network(), IMAGE, compare=True, roofline=MACHINE)
    for name in (*result.values, *result.tables, "per_part", "latency", "models", "reported", "efficiency"):
        assert f"`{name}`" in PAGE, name


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_the_page_compares_counters_as_they_are() -> None:
    model, sizes = nn.Transformer(), "196x1x512,100x1x512"
    for device in ("meta", "cpu"):
        result = profile(model, sizes, compare=True, device=device)
        for row in result.tables["counters"]:
            where = {"cvbench": "meta or cpu", "fvcore": "cpu", "torch": device}[str(row["counter"])]
            assert f"| {row['counter']} | {quantity(row['macs'])} | {where} |" in PAGE
    (row,) = result.tables["differences"]
    assert f"difference of {quantity(row['cvbench'])} are {row['modules']} calls of `scaled_dot_product" in PAGE
    assert row["operators"] == "aten.scaled_dot_product_attention"


def test_the_page_teaches_a_formula_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "OPERATORS", dict(operators.OPERATORS))
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec("import cvbench\n" + block, {})
    operator = operators.find_operator("mylib.deform_attn")
    assert operator is not None
    assert operator.formula((2, 100, 256), (2, 900, 256), (2, 100, 4, 2), (2, 100, 4)).macs == 2 * 100 * 256 * 4


def test_fvcore_leaves_out_what_is_not_used() -> None:
    class Drops(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            self.conv(x)
            return x * 1

    found = {row["counter"]: row["macs"] for row in profile(Drops(), IMAGE, compare=True).tables["counters"]}
    assert found == {"cvbench": 2 * 64 * 12, "fvcore": 0, "torch": 2 * 64 * 12}
