"""The roofline on machines and calls with round numbers, and on models that torch counts."""

from __future__ import annotations

import doctest
import math
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
import torch
from torch import nn

from cvbench.cost import roofline
from cvbench.cost.counter import Count, count
from cvbench.cost.machine import Machine
from cvbench.cost.operators import OpCall
from cvbench.cost.roofline import CallTime, Prediction, predict
from cvbench.errors import InputError, MismatchError

MACHINE = Machine("a processor", 1, "float32", "2", "2026-01-01", 1e11, 2e11, ((1000, 8e10), (10**6, 2e10)), 1e-6)


def call(kind: str, flops: int = 0, read: int = 0, written: int = 0, **more: Any) -> OpCall:
    facts = {"op": f"aten.{kind}", "module": "", "depth": 0, "dtype": "float32", "macs": 0, "bytes_fused": 0} | more
    shapes = {"input_shapes": (), "output_shapes": ()}
    return OpCall(kind=kind, flops=flops, bytes_read=read, bytes_written=written, **facts, **shapes)


def counted(*calls: OpCall) -> Count:
    return Count(0, 0, 0, 0, 0, 0, 0, 0, list(calls), [], {}, {}, "")


def time_of(one: OpCall, machine: Machine = MACHINE) -> CallTime:
    (time,) = predict(counted(one), machine).calls
    return time


@pytest.mark.parametrize(
    ("kind", "rate"), [("conv", 2e11), ("matmul", 1e11), ("attention", 1e11), ("pointwise", 2e11), ("pool", 2e11)]
)
def test_arithmetic_runs_at_the_rate_of_its_kind(kind: str, rate: float) -> None:
    time = time_of(call(kind, flops=10**9))
    assert time.compute_seconds == 1e9 / rate
    assert time.seconds == 1e9 / rate + 1e-6
    assert time.bound == "compute"
    # the higher of both, whichever that is
    slow = time_of(call(kind, flops=10**9), replace(MACHINE, convolution_rate=5e10)).compute_seconds
    assert slow == (1e9 / 5e10 if kind == "conv" else 1e9 / 1e11)


@pytest.mark.parametrize(
    ("read", "written", "bandwidth"), [(600, 400, 8e10), (600, 401, 2e10), (10**6, 0, 2e10), (0, 10**9, 2e10)]
)
def test_bytes_come_at_the_bandwidth_of_all_that_the_call_touches(read: int, written: int, bandwidth: float) -> None:
    assert time_of(call("other", read=read, written=written)).memory_seconds == (read + written) / bandwidth


def test_a_call_takes_the_longer_of_the_two_and_its_dispatch() -> None:
    times = CallTime(call("conv"), 3.0, 2.0, 1.0), CallTime(call("conv"), 2.0, 3.0, 1.0)
    assert [time.seconds for time in times] == [4.0, 4.0]
    assert [time.bound for time in times] == ["compute", "memory"]
    assert CallTime(call("conv"), 1.0, 2.0, 3.0).bound == "dispatch"
    assert CallTime(call("conv"), 2.0, 2.0, 2.0).bound == "compute", "where all are equal, the first"


def test_views_cost_their_dispatch() -> None:
    assert time_of(call("free")).seconds == 1e-6


def test_operators_without_a_formula_cost_their_bytes() -> None:
    assert time_of(call("unknown", read=2 * 10**6)).seconds == 1e-4 + 1e-6


def test_times_are_those_of_operators_that_run_alone() -> None:
    """Torch without a compiler fuses nothing, so a fused count would promise what it cannot keep."""
    relu = call("pointwise", flops=10**6, read=4 * 10**6, written=4 * 10**6, bytes_fused=0)
    assert time_of(relu).memory_seconds == 8e6 / 2e10


CALLS = (
    call("conv", 2 * 10**9, module="stem"),
    call("norm", read=2 * 10**6, written=2 * 10**6, module="stem"),
    call("conv", 10**8, module="head"),
    call("free", module="head"),
)


def test_the_total_is_the_sum_of_the_calls_in_any_order() -> None:
    totals = {predict(counted(*calls), MACHINE).seconds for calls in permutations(CALLS)}
    assert totals == {math.fsum([1e-2, 2e-4, 5e-4, 4e-6])}
    predicted = predict(counted(*CALLS), MACHINE)
    assert predicted.milliseconds == predicted.seconds * 1e3
    assert [time.call for time in predicted.calls] == list(CALLS)


def test_shares_say_where_the_time_goes() -> None:
    predicted = predict(counted(*CALLS), MACHINE)
    total = 1.0704e-2
    expected = {"compute": 1.05e-2 / total, "memory": 2e-4 / total, "dispatch": 4e-6 / total}
    assert predicted.shares() == pytest.approx(expected, rel=1e-12), "sums of floats"
    assert sum(predicted.shares().values()) == pytest.approx(1, rel=1e-12)


def test_tables_sum_calls_by_what_is_asked_for() -> None:
    predicted = predict(counted(*CALLS), MACHINE)
    rows = predicted.rows()
    assert [(row["kind"], row["calls"]) for row in rows] == [("conv", 2), ("norm", 1), ("free", 1)]
    expected = {"ms": 10.502, "share": 10.502 / 10.704, "compute_ms": 10.5, "memory_ms": 0.0, "dispatch_ms": 0.002}
    assert {name: rows[0][name] for name in expected} == pytest.approx(expected, rel=1e-12), "sums of floats"
    assert list(rows[0]) == ["kind", "calls", *expected]
    assert [(row["module"], row["calls"]) for row in predicted.rows("module")] == [("stem", 2), ("head", 2)]
    assert [row["op"] for row in predicted.rows("op")] == ["aten.conv", "aten.norm", "aten.free"]


def test_a_model_without_operators_takes_no_time() -> None:
    predicted = predict(count(nn.Identity(), (1, 3)), MACHINE)
    assert predicted.seconds == 0
    assert all(math.isnan(share) for share in predicted.shares().values())
    assert predicted.rows() == []


def test_efficiency_is_predicted_over_measured() -> None:
    predicted = predict(counted(*CALLS), MACHINE)
    assert predicted.efficiency(2 * predicted.seconds) == 0.5
    assert math.isnan(predicted.efficiency(math.nan))
    for impossible in (0.0, -1.0):
        with pytest.raises(InputError, match=f"{impossible} s is no time that a model takes"):
            predicted.efficiency(impossible)


def test_a_model_in_another_element_type_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3)).half()
    half = count(model, inputs=torch.ones(1, 3, 8, 8, dtype=torch.float16))
    message = r"^0: aten.convolution computes in float16, and the machine was measured in float32; .*dtype='float16'"
    with pytest.raises(MismatchError, match=message):
        predict(half, MACHINE)
    assert predict(half, replace(MACHINE, dtype="float16")).seconds > 0
    with pytest.raises(MismatchError, match="^model: "):
        predict(counted(call("attention", dtype="bfloat16")), MACHINE)


def test_what_is_no_product_may_be_of_any_type() -> None:
    table = count(nn.Embedding(1000, 64), inputs=torch.zeros(1, 10, dtype=torch.int64))
    masks = call("pointwise", flops=1000, dtype="bool")
    assert predict(counted(*table.calls, masks), MACHINE).seconds > 2e-6


def test_a_slower_machine_takes_longer() -> None:
    """In no way can a lower rate or a higher price shorten the prediction of a real network's parts."""
    layers = [nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3600, 10)]
    costs = count(nn.Sequential(*layers), (1, 3, 32, 32))
    best: Prediction = predict(costs, MACHINE)
    slower = [
        replace(MACHINE, matmul_rate=1e8),
        replace(MACHINE, convolution_rate=1e8),
        replace(MACHINE, bandwidths=((1000, 8e8), (10**6, 2e8))),
        replace(MACHINE, dispatch_seconds=1e-4),
    ]
    assert all(predict(costs, machine).seconds > best.seconds for machine in slower)


def test_the_example_holds() -> None:
    assert doctest.testmod(roofline) == (0, 7)
