"""Rates of the machine on a fake clock."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cost.fake_clock import FakeClock, Takes
from cvbench.cost.machine import TRIADS, Probe, calibrate, probes, torch_threads
from cvbench.errors import InputError


def test_a_rate_is_that_of_the_fastest_call_once_warm() -> None:
    clock = FakeClock()
    call = Takes(clock, 1, 1, 1, 400, 200, 500, 400, 400, 400, 400)  # the first three are warm-up
    assert Probe(call, 1000).rate(clock, seconds=0) == pytest.approx(1000 / 200e-9)
    assert call.calls == 10
    call = Takes(clock, 200_000_000)
    assert Probe(call, 1000).rate(clock, seconds=2) == pytest.approx(1000 / 0.2)
    assert call.calls == 3 + 10


def test_a_clock_that_stands_still_measures_nothing() -> None:
    with pytest.raises(InputError, match="the clock went from 0 to 0 ns"):
        Probe(lambda: None, 1).rate(FakeClock())


def test_probes_do_the_work_that_they_state() -> None:
    known = dict(probes("float32"))
    assert set(known) == {"matmul", "convolution", "dispatch", *(f"triad {size}" for size in TRIADS)}
    for name in ("matmul", "convolution"):
        with FlopCounterMode(display=False) as counted:
            known[name].run()
        assert counted.get_total_flops() == known[name].work
    out = known[f"triad {TRIADS[0]}"].run()
    assert isinstance(out, torch.Tensor)
    assert (out == 4).all()
    assert 3 * out.nbytes == TRIADS[0]


def test_threads_are_restored_after_a_failure() -> None:
    before = torch.get_num_threads()

    def fail() -> None:
        with torch_threads(before + 1):
            assert torch.get_num_threads() == before + 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_num_threads() == before


def test_calibration_is_a_median_of_warm_runs() -> None:
    readings = iter([t for i in range(18) for t in (0, 9000 if i < 3 else 1000 + i)])
    assert calibrate(lambda: next(readings)) == 1000 + 10  # the middle of 3..17
