"""The table of speeds: ratios, growth and text from answers of processes, and README's part from ``speed.csv``."""

from __future__ import annotations

import importlib
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

import cells
import speed_table
from rows import ROWS, SIZES
from speed_table import Line, from_csv, growth, lines_of, markdown, readme_part, time_text, to_csv, with_part
from turns import check_figures, in_turns

ROOT = Path(__file__).parents[1]
WHERE = {
    "cpu": "a processor",
    "cores": "2",
    "memory_gb": "8",
    "platform": "Linux",
    "python": "3.12",
    "numpy": "2",
    "numba": "0",
}


def answer(load: float, evaluate: float, peak: float, base: float = 50.0) -> dict[str, Any]:
    times = {"load": [load, load / 2], "evaluate": [evaluate, evaluate]}
    slow = {stage: [2 * wall, processor] for stage, (wall, processor) in times.items()}
    return {
        "import": [0.5, 0.5],
        "first": slow,
        "rounds": [times, slow, times],
        "base_mb": base,
        "peak_mb": peak,
        "figures": [0.5],
        "time": "2026-01-01T00:00:00+00:00",
    }


@pytest.fixture
def everything_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_table, "installed", lambda engine: engine.package != "vernier")
    monkeypatch.setattr(speed_table, "version", lambda engine: "1.0")


@pytest.fixture
def lines(everything_installed: None) -> list[Line]:
    found = []
    for size, times in {"50k": 1.0, "500k": 10.0, "4m": 160.0}.items():
        engines = {
            "cvbench": [answer(0.1 * times, 0.1 * times, 50 + times), answer(0.2 * times, 0.2 * times, 50 + times)],
            "hotcoco": [answer(0.5 * times, 0.4 * times, 50 + 2 * times)],
            "ultrafast-pycocotools": [answer(0.3 * times, 0.3 * times, 50 + 3 * times)],
        }
        found += lines_of(("boxes", size, 2), engines, [5.0, 7.0, 6.5], WHERE)
    return found


def test_a_ratio_is_the_fastest_other_engine_over_cvbench(lines: list[Line]) -> None:
    ours, *others = lines[:4]
    assert (ours.engine, ours.fastest, ours.n, ours.processes) == ("cvbench", "ultrafast-pycocotools", 50_000, 2)
    assert ours.total == pytest.approx(0.3), "the median of processes, each the median of its rounds"
    assert (ours.low, ours.high) == pytest.approx((0.2, 0.4))
    assert ours.ratio == pytest.approx(2)
    assert ours.memory_ratio == pytest.approx(53 / 51)
    assert (ours.load, ours.evaluate, ours.first) == pytest.approx((0.15, 0.15, 0.6))
    assert ours.processor == pytest.approx(0.225)
    assert ours.compiling == 6.5
    assert [line.engine for line in others] == ["ultrafast-pycocotools", "hotcoco", "vernier"]
    assert [line.ratio for line in others[:2]] == pytest.approx([2, 3])


def test_nothing_measured() -> None:
    assert from_csv(to_csv([])) == []
    assert speed_table.NOTHING in markdown([])
    assert readme_part([]) == speed_table.NOTHING


def test_an_engine_that_is_not_there_has_a_line(lines: list[Line]) -> None:
    (absent,) = (line for line in lines if line.engine == "vernier")
    assert absent.status == "not installed"
    assert "Not installed: vernier." in markdown(lines)
    assert "| not installed |" in markdown(lines)


def test_without_cvbench_or_others(everything_installed: None) -> None:
    assert lines_of(("boxes", "50k", 1), {"hotcoco": [answer(1, 1, 1)]}, [], WHERE) == []
    alone, *_ = lines_of(("boxes", "50k", 1), {"cvbench": [answer(1, 1, 100)]}, [], WHERE)
    assert alone.fastest == ""
    assert math.isnan(alone.ratio)
    assert "2.00 s" in markdown([alone])


def test_what_does_less_is_no_peer(everything_installed: None) -> None:
    found = {"cvbench": [answer(1, 1, 100)], "decoding alone": [answer(0.1, 0.1, 60)], "hotcoco": [answer(2, 2, 70)]}
    assert lines_of(("pq-files", "50k", 2), found, [], WHERE)[0].fastest == "hotcoco"


def test_growth_is_an_exponent(lines: list[Line]) -> None:
    found = {small.engine: (times, memory) for small, _, times, memory in growth(lines)}
    exponent = math.log(160) / math.log(80)
    assert found["cvbench"] == pytest.approx((exponent, exponent))
    assert set(found) == {"cvbench", "hotcoco", "ultrafast-pycocotools"}


def test_csv_keeps_every_digit(lines: list[Line]) -> None:
    text = to_csv(lines)
    assert text.startswith("ratio,"), "ratios first"
    assert to_csv(from_csv(text)) == text
    assert from_csv(text)[4] == lines[4], "one where all is known"


def test_pages_say_what_is_reached(lines: list[Line]) -> None:
    page = markdown(lines)
    assert "boxes, JSON, 500,000 detections" in page
    assert "≥ 2 ×: reached" in page
    assert "≤ 6 s: missed" in page
    part = readme_part(lines)
    assert "3.00 s" in part
    assert "50,000" not in part, "has no goal"
    assert with_part(f"a\n{speed_table.MARKS[0]}old\n{speed_table.MARKS[1]}b", part) == (
        f"a\n{speed_table.MARKS[0]}\n{part}\n\n{speed_table.MARKS[1]}b"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, ""),
        (math.nan, ""),
        (0.0012345, "1.23 ms"),
        (0.0999, "99.9 ms"),
        (0.1, "0.100 s"),
        (47.11, "47.1 s"),
        (123.4, "123 s"),
    ],
)
def test_times_have_three_digits(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_readme_quotes_the_published_table() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = from_csv((ROOT / "leaderboards" / "speed.csv").read_text(encoding="utf-8"))
    assert with_part(readme, readme_part(lines)) == readme
    assert (ROOT / "leaderboards" / "speed.md").read_text(encoding="utf-8") == markdown(lines)


@pytest.mark.parametrize("name", ROWS)
def test_rows_name_what_is_there(name: str) -> None:
    row = ROWS[name]
    assert next(iter(row.engines)) == "cvbench"
    assert set(row.goals) | set(row.threads) <= set(SIZES)
    assert set(row.sizes) <= set(SIZES)
    for path in (row.data, *(engine.make for engine in row.engines.values())):
        module, _, function = path.partition(":")
        assert callable(getattr(importlib.import_module(module), function))
    assert all(engine.reason for engine in row.engines.values() if engine.tolerance)


def test_engines_take_turns() -> None:
    assert list(in_turns("abc", 3)) == list("abcbcacab")


def test_other_figures_are_refused() -> None:
    row = ROWS["boxes"]
    check_figures(row, "hotcoco", [0.5, math.nan], [0.5, math.nan])
    check_figures(row, "faster-coco-eval", [0.5 + 1e-13], [0.5])
    for figures in ([0.5 + 1e-13], [math.nan], [0.5, 0.5]):
        with pytest.raises(AssertionError, match="hotcoco"):
            check_figures(row, "hotcoco", figures, [0.5])


class TestStoppedRuns:
    @pytest.fixture(autouse=True)
    def _in_a_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []

        def worker(row: str, engine: str, size: str, threads: int) -> str:
            self.asked.append(engine)
            if len(self.asked) == 4:
                raise KeyboardInterrupt
            return json.dumps(answer(1, 1, 1))

        monkeypatch.setattr(cells, "records", lambda: tmp_path)
        monkeypatch.setattr(cells, "worker", worker)
        monkeypatch.setattr(cells, "present", lambda *_: ["cvbench", "hotcoco", "pycocotools"])

    def test_go_on(self, tmp_path: Path) -> None:
        cell = ("boxes", "50k", 1)
        with pytest.raises(KeyboardInterrupt):
            list(cells.measure(cell, 3))
        (path,) = tmp_path.iterdir()
        path.write_text(path.read_text() + '{"cut o')
        assert [name for name, _ in cells.measure(cell, 3)] == [
            "hotcoco",
            "pycocotools",
            "cvbench",
            "cvbench",
            "hotcoco",
        ]
        assert {name: len(some) for name, some in cells.answers(cell).items()} == {
            "cvbench": 3,
            "hotcoco": 3,
            "pycocotools": ROWS["boxes"].engines["pycocotools"].most,
        }
        assert list(cells.measure(cell, 3)) == []


def test_the_makefile_hands_on_what_the_bench_knows() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    known = (ROOT / "tests" / "bench" / "conftest.py").read_text(encoding="utf-8")
    assert set(re.findall(r"--(sizes|rows|processes)=", makefile)) == set(re.findall(r'"--(\w+)"', known))
