"""Transcripts of ``cvbench leaderboard``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cvbench import cli
from run_records import record, score

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line in this process, in a folder with the results of two models on two benchmarks."""
    monkeypatch.chdir(tmp_path)
    for benchmark in ("scenes.detection", "scenes.pose"):
        for name, ap in (("a", 0.4), ("b", 0.3)):
            made = record(name, ap, benchmark=benchmark)
            made.path("leaderboards/results").parent.mkdir(parents=True, exist_ok=True)
            made.save(made.path("leaderboards/results"))

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            cli.app(["leaderboard", *map(str, arguments)], prog_name="cvbench")
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return int(exit_.value.code or 0), out, err

    return call


def test_boards_lie_beside_their_results(run: Run) -> None:
    code, out, err = run()
    names = [
        f"leaderboards/scenes.{task}.{form}" for task in ("detection", "pose") for form in ("csv", "md", "png", "svg")
    ]
    assert (code, out, err.splitlines()) == (0, "", [f"wrote {name}" for name in names])
    assert all(Path(name).is_file() for name in names)
    assert run("--check") == (0, "", "")


def test_check_says_what_differs_and_writes_nothing(run: Run) -> None:
    code, _, err = run("--check", "--no-pictures")
    assert code == 1
    assert err.splitlines()[0] == "leaderboards/scenes.detection.csv: is missing"
    assert [path.name for path in Path("leaderboards").iterdir()] == ["results"]
    run()
    shutil.rmtree("leaderboards/results/scenes.pose")
    code, _, err = run("--check")
    assert (code, err.splitlines()[:-1]) == (1, ["leaderboards/scenes.pose.csv: no result is of this benchmark"])
    assert err.splitlines()[-1].startswith("run `cvbench leaderboard` with the same arguments")


def test_results_may_be_files_and_folders(run: Run) -> None:
    one = Path("leaderboards/results/scenes.detection/a-nano.json")
    code, _, err = run(one, "leaderboards/results/scenes.pose", "-o", "new/boards", "--no-pictures")
    assert (code, [line.rpartition("/")[2] for line in err.splitlines()]) == (
        0,
        ["scenes.detection.csv", "scenes.detection.md", "scenes.pose.csv", "scenes.pose.md"],
    )
    assert run(one, "-o", "new/boards", "--no-pictures", "--check") == (0, "", ""), "other boards may lie there"


def test_refused_results_are_told(run: Run) -> None:
    record("odd", accuracy=score(0.9, rules=(("iou", "0.50"),))).save("leaderboards/results/odd.json")
    code, _, err = run("--no-pictures")
    reason = "the results follow different conventions: iou is 0.50:0.95:0.05 and 0.50"
    assert (code, err.splitlines()[0]) == (0, f"note: scenes.detection refuses odd-nano: {reason}")


def test_what_cannot_be_read_is_said(run: Run) -> None:
    assert run("nowhere")[::2] == (
        2,
        "error: nowhere: there is no such file or folder; expected results of runs\n",
    )
    Path("broken.json").write_text("{", encoding="utf-8")
    code, _, err = run("broken.json")
    assert code == 2
    assert err.startswith("error: broken.json: is not a JSON object")
