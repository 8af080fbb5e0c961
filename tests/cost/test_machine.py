"""Rates of the machine on a fake clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cost.fake_clock import FakeClock, Takes
from cvbench.cost import machine as module
from cvbench.cost.machine import TRIADS, Machine, Probe, calibrate, probes, torch_threads
from cvbench.errors import InputError, MissingDependency

RATES = Machine("a processor", 2, "float32", "2", "2026-01-01", 1e11, 2e11, ((100, 9e10), (1000, 3e10)), 1e-6)


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


def fake_probes(clock: FakeClock) -> Callable[[str], Iterator[tuple[str, Probe]]]:
    work = {"matmul": 5e9, "convolution": 7e9, "dispatch": 1e6} | {f"triad {size}": size for size in TRIADS}
    return lambda dtype: iter([(name, Probe(Takes(clock, 10**9), amount)) for name, amount in work.items()])


def test_a_machine_is_measured_by_its_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, before = FakeClock(), torch.get_num_threads()
    monkeypatch.setattr(module, "probes", fake_probes(clock))
    measured = Machine.measure(threads=before + 1, clock=clock)
    assert (measured.matmul_rate, measured.convolution_rate, measured.dispatch_seconds) == (5e9, 7e9, 1e-6)
    assert measured.bandwidths == tuple((size, size) for size in TRIADS)
    assert (measured.threads, measured.dtype) == (before + 1, "float32")
    assert torch.get_num_threads() == before


def test_threads_are_restored_after_a_failure() -> None:
    before = torch.get_num_threads()

    def fail() -> None:
        with torch_threads(before + 1):
            assert torch.get_num_threads() == before + 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("size", "rate"), [(0, 9e10), (100, 9e10), (101, 3e10), (5000, 3e10)])
def test_bandwidth_is_that_of_the_next_larger_triad(size: int, rate: float) -> None:
    assert RATES.bandwidth_at(size) == rate
    assert RATES.bandwidth == 3e10


@pytest.mark.parametrize(
    ("threads", "dtype", "message"), [(0, "float32", "threads 0: expected"), (1, "int8", "dtype 'int8' is unknown")]
)
def test_impossible_machines_are_refused(threads: int, dtype: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Machine.measure(threads, dtype)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.sys.modules, "torch", None)
    with pytest.raises(MissingDependency, match=re.escape("pip install 'cvbench[models]'")):
        Machine.measure()


def test_calibration_is_a_median_of_warm_runs() -> None:
    readings = iter([t for i in range(18) for t in (0, 9000 if i < 3 else 1000 + i)])
    assert calibrate(lambda: next(readings)) == 1000 + 10  # the middle of 3..17
