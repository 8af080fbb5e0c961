"""Workloads and conditions."""

from __future__ import annotations

from cvbench.cost.workload import Conditions, Workload


def test_stages_stand_in_their_order_and_conditions_in_the_signature() -> None:
    workload = Workload([1], post=str, forward=abs, pre=int)
    assert list(workload.stages) == ["pre", "forward", "post"]
    assert Conditions(batch=8).conventions() == [
        ("batch", "8"),
        ("threads", "1"),
        ("interop_threads", "1"),
        ("dtype", "float32"),
        ("memory_format", "contiguous"),
        ("device", "cpu"),
    ]
