"""What ``docs/scenes.md`` says is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cvbench import scenes, tasks
from cvbench.scenes.truth import DOCUMENTS

TEXT = (Path(__file__).parents[2] / "docs" / "scenes.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_examples_run(example):
    names: dict[str, object] = {}
    exec(example.replace("limit=100", "limit=2"), names)
    assert set(names) & {"gt", "frames"}


def test_categories_are_named_in_order():
    for kind in (scenes.THINGS, scenes.STUFF):
        assert f"| {', '.join(kind)} |" in TEXT
    assert f"{scenes.SPLITS['train']:,}" in TEXT
    assert f"{scenes.SPLITS['val']:,}" in TEXT


def test_every_document_and_task_is_there():
    assert set(re.findall(r"\| `(\w+)\.json`", TEXT)) == set(DOCUMENTS)
    named = re.findall(r"`((?:coco|pose|landmarks|semantic)\.\w+)", TEXT)
    assert len(named) == 8
    assert all(name in tasks.TASKS for name in named)


def test_the_figure_is_there():
    assert (Path(__file__).parents[2] / "docs" / "figures" / "scenes.png").is_file()
