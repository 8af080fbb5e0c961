"""Leaderboards as files: every digit in the CSV, rounding in Markdown, and what `differences` finds."""

from __future__ import annotations

import csv
import io
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cvbench import publishing
from cvbench.errors import MissingDependency
from cvbench.leaderboard import Leaderboard, leaderboard
from cvbench.records import Model, Published, RunRecord
from cvbench.result import Result, Signature
from run_records import MADE, TRUTH, draws, record, score, timing

FAILED = RunRecord(Model("bad"), "scenes.detection", error="RuntimeError: out\nof memory", made_by=MADE)


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    return leaderboard(
        [
            record("far", 0.3),
            record("near", 1 / 2.6, macs=2 * 10**9, params=300_000),
            record("first", 0.4, latency=timing(9.0, noise=["it rained"])),
            record("odd", accuracy=score(0.9, rules=(("iou", "0.50"),))),
            FAILED,
        ]
    )


def rows(board: Leaderboard) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(publishing.csv(board))))


def test_csv_keeps_every_digit(board: Leaderboard) -> None:
    first, near, far, bad = rows(board)
    assert [row["model"] for row in (first, near, far, bad)] == ["first", "near", "far", "bad"]
    assert float(near["AP [fraction]"]) == 1 / 2.6
    assert float(near["AP_low [fraction]"]) == 1 / 2.6 - 0.02
    assert (near["params [count]"], near["macs [count]"], near["ai [FLOP/B]"]) == ("300000", "2000000000", "0.25")
    assert (first["e2e_p50 [ms]"], first["e2e_p50_bound [ms]"], first["e2e_p90_bound [ms]"]) == ("9.0", "9.09", "")
    assert (float(first["e2e_images_per_s [1/s]"]), first["peak_rss [B]"]) == (1e3 / 9, "300000000.0")
    assert (first["forward_p50 [ms]"], first["latency_threads"], first["latency_noise"]) == ("8.1", "1", "it rained")
    assert (first["ci_replicates [count]"], first["ci_confidence [fraction]"], first["ci_seed"]) == ("999", "0.95", "0")
    assert (first["gt_sha256"], first["weights_sha256"]) == ("9" * 64, "a" * 64)
    assert (first["signature"], first["commit"], first["dirty"]) == ("coco.bbox@1|iou:0.50:0.95:0.05", "c0ffee", "no")
    assert [row["pareto_macs"] for row in (first, near, far, bad)] == ["front", "tied", "behind", ""]
    assert (bad["error"], bad["AP [fraction]"], bad["macs [count]"]) == ("RuntimeError: out\nof memory", "", "")


def test_published_numbers_have_columns_of_their_own(board: Leaderboard) -> None:
    first = rows(board)[0]
    published = {name: cell for name, cell in first.items() if name.startswith("published")}
    assert published == {
        "published params [count]": "14437349",
        "published box AP on COCO val2017 [%]": "28.1",  # the first of two
        "published_source": "the authors' code; the authors' page",
    }
    assert "14437349" not in {cell for name, cell in first.items() if name not in published}


def test_a_row_says_how_far_ahead_of_the_next_it_is() -> None:
    board = leaderboard([record("a", 0.4, bootstrap=draws(0.4)), record("b", 0.3, bootstrap=draws(0.3))])
    first, last = rows(board)
    assert [float(first[f"AP_lead{end} [fraction]"]) for end in ("", "_low", "_high")] == pytest.approx([0.1] * 3)
    assert last["AP_lead [fraction]"] == ""
    header, _, *body = publishing.markdown(board).split("\n\n")[2].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")][2] for line in (header, *body)]
    assert cells == ["ahead of the next [95 %]", "0.100 [0.100, 0.100]", ""]


def test_what_is_quoted_from_memory_is_marked() -> None:
    speeds = [Published("latency", 45.0, "FPS", source="paper", verified=sure) for sure in ("memory", "source")]
    quoted = leaderboard([record(published=speeds)])
    published = {name: cell for name, cell in rows(quoted)[0].items() if name.startswith("published")}
    assert published == {
        "published unverified latency [FPS]": "45.0",
        "published latency [FPS]": "45.0",
        "published_source": "paper",
    }
    assert "from memory |" in publishing.markdown(quoted)


def test_columns_do_not_hang_on_the_order_of_records() -> None:
    bare = record("bare", 0.1, intervals={}, cost=None, latency=None, published=[])
    whole = record("whole", 0.05, published=[Published("latency", 7.0, "ms")])
    headers = [list(rows(leaderboard([bare, other]))[0]) for other in (whole, replace(whole, accuracy=score(0.2)))]
    assert headers[0] == headers[1]
    assert headers[0][:7] == ["model", "size", "tier", "benchmark", "error", "AP [fraction]", "AP_low [fraction]"]
    assert "published latency [ms]" in headers[0]
    assert rows(leaderboard([bare]))[0]["params [count]"] == "250000", "the card says it where nothing was counted"


def test_frames_are_typed(board: Leaderboard) -> None:
    table = publishing.frame(board)
    assert table["macs [count]"].dtype == "Int64"
    assert table["AP [fraction]"].dtype == np.float64
    assert table["macs [count]"].isna().tolist() == [False, False, False, True]
    again = pd.read_csv(io.StringIO(publishing.csv(board)))
    assert again["AP [fraction]"].tolist()[:3] == table["AP [fraction]"].tolist()[:3]


@pytest.mark.parametrize(
    ("figure", "unit"), [("EPE", "px"), ("PA-MPJPE_groups", "unit of the keypoints"), ("PQ", "fraction")]
)
def test_figures_have_units(figure: str, unit: str) -> None:
    result = Result("t@1", {figure: 1.5}, Signature("t@1"), inputs=TRUTH, made_by=MADE)
    assert rows(leaderboard([record(accuracy=result, intervals={})]))[0][f"{figure} [{unit}]"] == "1.5"


def test_markdown_is_for_people(board: Leaderboard) -> None:
    title, signature, table, legend, picture, *rest = publishing.markdown(board, picture="a.svg").split("\n\n")
    assert (title, signature.split(",")[0]) == ("# scenes.detection", "`coco.bbox@1|iou:0.50:0.95:0.05`")
    header, rule, *body = table.splitlines()
    assert rule.startswith("|:-")
    assert rule.count("-:|") == 7, "numbers stand flush right"
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in (header, *body)] == [
        ["model", "AP [95 %]", "params, M", "GMACs", "MB moved", "p50, ms", "p90, ms", "images/s"],
        ["first-nano", "0.400 [0.380, 0.420]", "0.250 ●", "1.00 ●", "2.00 ●", "9.00 (≤ 9.09) ●", "10.8 (≤ n/a)", "111"],
        ["near-nano", "0.385 [0.365, 0.405]", "0.300 ○", "2.00 ○", "2.40 ○", "20.0 (≤ 20.2) ○", "24.0 (≤ n/a)", "50.0"],
        ["far-nano", "0.300 [0.280, 0.320]", "0.250", "1.00", "2.00", "10.0 (≤ 10.1)", "12.0 (≤ n/a)", "100"],
        ["bad", *["n/a"] * 7],
    ]
    assert (legend, picture) == (publishing.LEGEND, "![AP against parameters, MACs, bytes and latency](a.svg)")
    assert rest[:2] == ["## Published", publishing.QUOTED]
    quoted = [[cell.strip() for cell in line.strip("|").split("|")] for line in rest[2].splitlines()]
    assert quoted[0] == ["model", "figure", "value", "of", "source", "how sure"]
    assert quoted[2:5] == [
        ["first", "params", "14,437,349", "", "the authors' code", "verified"],
        ["first", "box AP on COCO val2017", "28.1 %", "", "the authors' page", "read there"],
        ["first", "box AP on COCO val2017", "30 %", "flip test", "the same", ""],
    ]
    assert rest[3:] == [
        "## Failed",
        "- bad: RuntimeError: out\\nof memory",
        "## Refused",
        "- odd-nano: the results follow different conventions: iou is 0.50:0.95:0.05 and 0.50",
        "## Notes",
        "- The latency of first-nano is noisy: it rained.\n",
    ]


def test_markdown_of_failures_alone() -> None:
    text = publishing.markdown(leaderboard([FAILED]))
    assert "| bad" in text
    assert "accuracy" in text.splitlines()[2]
    assert "## Published" not in text


def test_a_board_on_which_nothing_stands_says_so(tmp_path: Path) -> None:
    empty = leaderboard([record(accuracy=score(0.9, inputs={}))])
    assert publishing.markdown(empty).split("\n\n")[1:3] == ["No result stands on this board.", "## Refused"]
    publishing.write(empty, tmp_path)
    assert publishing.differences(empty, tmp_path) == []


def test_confidences_stand_in_the_heading_where_they_agree() -> None:
    half = {"AP": replace(record().intervals["AP"], confidence=0.5)}
    assert "| AP |" in publishing.markdown(leaderboard([record("a"), record("b", intervals=half)])).replace("  ", "")
    assert "AP [50 %]" in publishing.markdown(leaderboard([record(intervals=half)]))


# Files


def test_what_was_written_does_not_differ(board: Leaderboard, tmp_path: Path) -> None:
    folder = tmp_path / "boards"
    written = publishing.write(board, folder)
    assert sorted(path.name for path in written) == [f"scenes.detection.{form}" for form in ("csv", "md", "png", "svg")]
    assert sorted(folder.iterdir()) == sorted(written)
    before = [path.read_bytes() for path in written]
    assert publishing.differences(board, folder) == []
    publishing.write(board, folder)
    assert [path.read_bytes() for path in written] == before
    with Image.open(folder / "scenes.detection.png") as image:
        assert image.info["Description"].startswith("coco.bbox@1|iou:0.50:0.95:0.05|rows:")


def test_every_difference_is_found(board: Leaderboard, tmp_path: Path) -> None:
    publishing.write(board, tmp_path)
    table, page = tmp_path / "scenes.detection.csv", tmp_path / "scenes.detection.md"
    page.write_bytes(page.read_bytes() + b"\n")
    table.unlink()
    assert publishing.differences(board, tmp_path) == [f"{table}: is missing", f"{page}: is not what the results give"]
    other = leaderboard([*board.records, record("new", 0.1)])
    assert [text.partition("detection")[2] for text in publishing.differences(other, tmp_path)] == [
        ".csv: is missing",
        ".md: is not what the results give",
        ".png: shows other results",
        ".svg: shows other results",
    ]
    assert len(publishing.differences(other, tmp_path, pictures=False)) == 2


def test_boards_without_figures_have_no_picture(tmp_path: Path) -> None:
    failed = leaderboard([FAILED])
    assert len(publishing.write(failed, tmp_path)) == 2
    assert "![" not in (tmp_path / "scenes.detection.md").read_text(encoding="utf-8")


def test_pictures_show_what_compares(board: Leaderboard) -> None:
    drawn = publishing.tradeoff(board)
    assert drawn.names == ("first-nano", "near-nano", "far-nano", "bad")
    assert [panel.label for panel in drawn.panels] == ["params, M", "GMACs", "MB moved", "p50, ms"]
    assert drawn.panels[1].x.tolist()[:3] == [1.0, 2.0, 1.0]
    assert drawn.panels[1].standings == ("front", "tied", "behind", "")
    assert np.isnan(drawn.panels[1].x_ends).all()
    low, high = drawn.panels[3].x_ends[0]
    assert low < 9.0 < high
    assert math.isnan(drawn.y[3])


@pytest.mark.parametrize(("package", "extra"), [("pandas", "board"), ("tabulate", "board"), ("matplotlib", "plots")])
def test_missing_packages_are_named(
    board: Leaderboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingDependency, match=rf"{package}, which is not installed: pip install 'cvbench\[{extra}\]'"
    ):
        publishing.write(board, tmp_path)
    assert not list(tmp_path.iterdir())
    if package == "matplotlib":
        assert len(publishing.write(board, tmp_path, pictures=False)) == 2
