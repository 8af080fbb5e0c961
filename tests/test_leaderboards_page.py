"""What ``docs/leaderboards.md`` shows is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cvbench.leaderboard import leaderboard
from cvbench.publishing import frame
from run_records import draws, record

TEXT = (Path(__file__).parents[1] / "docs" / "leaderboards.md").read_text(encoding="utf-8")


def test_the_example_prints_what_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"```python\n(.*?)```\n\nprints\n\n```\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    exec(found[1], {})
    assert capsys.readouterr().out == found[2]


def test_columns_are_those_of_a_table() -> None:
    named = set(re.findall(r"`([^`]+)`", TEXT.partition("## Columns of the CSV")[2]))
    named -= {"measured", "front", "tied", "behind", "published …", "published unverified …"}
    two = [record(name, bootstrap=draws(0.4)) for name in "ab"]
    assert named - {"tier"} <= set(frame(leaderboard(two)).columns)
