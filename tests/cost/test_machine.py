"""Rates of the machine on a fake clock, and how they are cached."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cost.fake_clock import FakeClock, Takes
from cvbench.cost import machine as module
from cvbench.cost.machine import TRIADS, Machine, Probe, cache_folder, calibrate, probes, torch_threads
from cvbench.errors import FormatError, InputError, MissingDependency

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


def test_rates_are_measured_once_and_again_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Machine] = []

    def measure(threads: int, dtype: str) -> Machine:
        measured.append(replace(RATES, threads=threads, dtype=dtype, matmul_rate=float(len(measured) + 1)))
        return measured[-1]

    monkeypatch.setattr(Machine, "measure", measure)
    folder = tmp_path / "new"
    assert [Machine.load(folder=folder).matmul_rate for _ in range(2)] == [1, 1]
    assert Machine.load(2, folder=folder).matmul_rate == 2
    assert Machine.load(dtype="bfloat16", folder=folder).matmul_rate == 3
    assert [Machine.load(folder=folder, refresh=refresh).matmul_rate for refresh in (True, False)] == [4, 4]
    assert Machine.load(folder=folder) == measured[-1]
    (tmp_path / "file").touch()
    assert Machine.load(folder=tmp_path / "file").matmul_rate == 5  # a file is no folder: measured, not cached


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (r"\A", "[", "machine.json: Expected `object`, got `array`; measure the machine again with refresh=True"),
        (r'"matmul_rate": [^,]*,', "", "missing required field `matmul_rate`"),
        ("100000000000.0", "0", "a rate is missing or not above 0"),
        (r"(?s)\[\s*\[.*\]", "[]", "a rate is missing or not above 0"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "machine.json"
    RATES.save(path)
    assert Machine.read(path) == RATES
    path.write_text(re.sub(old, new, path.read_text(), count=1))
    with pytest.raises(FormatError, match=re.escape(message)):
        Machine.read(path)


@pytest.mark.parametrize(
    ("threads", "dtype", "message"), [(0, "float32", "threads 0: expected"), (1, "int8", "dtype 'int8' is unknown")]
)
def test_impossible_machines_are_refused(threads: int, dtype: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        Machine.load(threads, dtype, folder=tmp_path)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependency, match=re.escape("pip install 'cvbench[models]'")):
        Machine.measure()


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"XDG_CACHE_HOME": "/caches"}, Path("/caches/cvbench")),
        ("linux", {}, Path("/home/someone/.cache/cvbench")),
        ("darwin", {}, Path("/home/someone/Library/Caches/cvbench")),
        ("win32", {"LOCALAPPDATA": "/local"}, Path("/local/cvbench")),
    ],
)
def test_the_cache_lies_where_the_system_keeps_caches(
    platform: str, variables: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == folder


def test_calibration_is_a_median_of_warm_runs() -> None:
    readings = iter([t for i in range(18) for t in (0, 9000 if i < 3 else 1000 + i)])
    assert calibrate(lambda: next(readings)) == 1000 + 10  # the middle of 3..17
