"""Transcripts of ``cvbench run``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import cvbench.models
from cvbench import bootstrap, cli, running, scenes
from cvbench.cost.turns import Plan
from cvbench.errors import InputError
from cvbench.records import Model, RunRecord
from cvbench.running import Candidate, runs, timing
from runnable_models import Labels

Run = Callable[..., tuple[int, str, list[str]]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line in this process, in an empty folder, with few replicates."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "bootstrap", lambda metric, replicates, progress: bootstrap(metric, replicates=39))

    def call(*arguments: str | Path) -> tuple[int, str, list[str]]:
        with pytest.raises(SystemExit) as exit_:
            cli.app(["run", *map(str, arguments)], prog_name="cvbench")
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return int(exit_.value.code or 0), out, [line for line in err.splitlines() if "compiling" not in line]

    return call


def test_a_model_of_ones_own(run: Run) -> None:
    code, out, err = run("runnable_models:Labels", "-b", "scenes.semantic", "--limit", "2", "--no-latency")
    assert (code, err) == (0, ["wrote 1 record to leaderboards/results"])
    header, row = (re.split(r"\s{2,}", line) for line in out.splitlines())
    assert header == ["benchmark", "model", "figure", "value", "95 %", "p50, ms"]
    record = RunRecord.load("leaderboards/results/scenes.semantic/runnable_models-Labels.json")
    low, high = (f"{end:.5f}" for end in (record.intervals["mIoU"].low, record.intervals["mIoU"].high))
    value = f"{record.accuracy.values['mIoU']:.5f}"
    assert row == ["scenes.semantic", "runnable_models-Labels", "mIoU", value, f"{low} to {high}", "-"]


def test_times_stand_beside_the_score(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = []
    monkeypatch.setattr(timing, "measure_latencies", lambda builds, plan, **_: plans.append(plan) or builds)
    monkeypatch.setattr(timing.Timing, "of", lambda latency: timing.Timing("e2e", {}, {"e2e_p50_ms": 1.25}, []))
    code, out, _ = run("runnable_models:Labels", "-b", "scenes.semantic", "--limit", "1", "-o", "here")
    assert (code, out.splitlines()[1].split()[-1], plans) == (0, "1.25", [Plan()])


def test_a_model_that_fails_is_an_exit_code(run: Run) -> None:
    options = ("-b", "scenes.semantic", "--limit", "1", "--no-latency", "-o", "here")
    code, out, err = run("runnable_models:Broken", "runnable_models:Labels", *options)
    assert code == 1
    assert err[0].startswith("runnable_models-Broken on scenes.semantic: predictions: RuntimeError: the network is")
    assert err[1] == "wrote 2 records to here"
    assert out.splitlines()[1].split()[3:5] == ["-", "-"]
    assert float(out.splitlines()[2].split()[3]) > 0


def test_files_of_ones_own(run: Run, tmp_path: Path) -> None:
    scenes.write_folder(tmp_path / "val", "val", 2, threads=1)
    files = ("--gt", "val/instances.json", "--images", "val/images")
    code, out, _ = run("runnable_models:Boxes", "-b", "coco.bbox", *files, "--no-latency", "-o", "here")
    assert code == 0
    record = RunRecord.load("here/coco.bbox/runnable_models-Boxes.json")
    assert record.accuracy.inputs["gt"]["path"] == "val/instances.json"
    assert out.splitlines()[1].split()[2:4] == ["AP", f"{record.accuracy.values['AP']:.5f}"]


OWN = "runnable_models:Labels"
USAGE = {
    "a model of your own says no field; name a --benchmark": [OWN],
    "unknown benchmark 'scenes.poses'; did you mean 'scenes.pose'?": [OWN, "-b", "scenes.poses"],
    "--gt FILE and --images DIR go with --benchmark coco.bbox or coco.segm": [OWN, "-b", "coco.bbox"],
    "--gt FILE and --images DIR go with": [OWN, "-b", "scenes.pose", "--gt", "x"],
    "torch cannot compute on 'gpu': ": [OWN, "-b", "scenes.semantic", "--device", "gpu"],
    "torch cannot compute on 'meta': ": [OWN, "-b", "scenes.semantic", "--device", "meta"],
    "unknown model 'centrenet'; did you mean 'centernet'?": ["centrenet"],
}


@pytest.mark.parametrize(("message", "arguments"), USAGE.items())
def test_usage_is_checked_first(run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    monkeypatch.setattr(cvbench.models, "models", lambda: {"centernet": None})
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err[0].startswith(f"error: {message}")
    assert not Path("leaderboards").exists()


def offer(monkeypatch: pytest.MonkeyPatch, **candidates: Candidate | Exception) -> None:
    """Let these be the models that packages offer; an error is what looking at the model raises."""

    def look(name: str) -> Candidate:
        found = candidates[name]
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(cvbench.models, "models", lambda: dict.fromkeys(candidates))
    monkeypatch.setattr(running, "candidate", look)


def test_without_names_all_trained_models_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    good = Candidate(Model("good", "nano", "0" * 64), Labels, "semantic")
    raw = Candidate(Model("raw", "nano"), Labels, "semantic")
    offer(monkeypatch, broken=InputError("cannot be imported", where="else.where"), good=good, raw=raw)
    code, out, err = run("--limit", "1", "--no-latency", "-o", "here")
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["scenes.semantic", "good-nano"]]
    assert (code, err) == (
        1,
        [
            "broken is left out: else.where: cannot be imported",
            "without weights and left out: raw",
            "wrote 1 record to here",
        ],
    )
    offer(monkeypatch, raw=raw)
    code, out, err = run()
    assert (code, out) == (2, "")
    assert err[1].startswith("error: no installed model has weights")


def test_an_interrupt_is_exit_code_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "evaluate", stop)
    assert run("runnable_models:Labels", "-b", "scenes.semantic", "--limit", "1")[0] == 130
