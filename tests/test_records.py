"""Records of runs: to JSON and back, and what is refused."""

from __future__ import annotations

import numpy as np

from cvbench.cost.latency import Latency
from cvbench.cost.turns import ColdStart, Plan
from cvbench.cost.workload import Conditions
from cvbench.records import Timing


def test_times_are_those_of_the_measurement() -> None:
    forward, post = np.arange(10, 16) * 10**6, np.full(6, 10**6)
    latency = Latency(
        name="model",
        conditions=Conditions(threads=2),
        plan=Plan(2, 1, 5),
        samples={"forward": forward, "post": post, "e2e": forward + post},
        process=np.repeat([0, 1], 3),
        round=np.zeros(6, int),
        warm_up=np.full((2, 1), 5),
        calibration=np.full((2, 1, 2), 1000),
        cold=ColdStart(1.0, 0.5, 100e6, 300e6, {"torch": 2}),
        load_average=0.0,
        noise=("the cat sat on it",),
    )
    found = Timing.of(latency)
    assert (found.headline, found.conditions["threads"], found.noise) == ("e2e", "2", ["the cat sat on it"])
    assert found.round_medians_ns == [[12e6], [15e6]]
    assert found.values["e2e_p50_ms"] == latency.milliseconds(50)
    assert [row["stage"] for row in found.stages] == ["forward", "post", "e2e"]
