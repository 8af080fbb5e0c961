"""What ``docs/models.md`` shows is what the code does."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from cvbench.benchmarks import BENCHMARKS, FILE_TASKS, find
from cvbench.errors import InputError
from cvbench.models import models
from cvbench.running import evaluate
from perfect import cached
from reference_models.training import CHECKPOINT_SECONDS, Recipe
from runnable_models import Returns

TEXT = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")


def test_the_example_prints_what_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"```python\n(.*?)```\n\nprints\n\n```\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    exec(found[1], {})
    assert capsys.readouterr().out == found[2]


def test_the_refusal_is_the_one_that_is_shown() -> None:
    prediction = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0)}
    with pytest.raises(InputError) as refusal:
        evaluate(Returns([prediction]), cached(find("scenes.detection"), 1))
    assert f"\n{refusal.value}\n" in TEXT


def test_every_benchmark_is_in_the_table() -> None:
    table = TEXT.partition("| benchmark |")[2].partition("\n\n")[0]
    for name in (*BENCHMARKS, *FILE_TASKS):
        row = next(line for line in table.splitlines() if f"`{name}`" in line)
        benchmark = BENCHMARKS.get(name, BENCHMARKS["scenes.instance" if name == "coco.segm" else "scenes.detection"])
        assert row.endswith(f"| {benchmark.figure} |")
        own = [key for key in benchmark.expects if f"`{key}`" in row]
        assert own == list(benchmark.expects) or "the same and" in row


def test_the_recipe_is_what_the_page_says() -> None:
    listed = TEXT.partition("by a dict `RECIPE` of ")[2].partition(".\n")[0]
    assert re.findall(r"`(\w+)`", listed) == [each.name for each in fields(Recipe)]
    assert f"every {CHECKPOINT_SECONDS:.0f} seconds" in TEXT


def test_trainings_took_as_long_as_the_page_says() -> None:
    found = re.search(r"took (\d+) to (\d+) minutes each, (\d+) hours and (\d+) minutes in all, with one thread", TEXT)
    assert found is not None
    trainings = [entry.card.training for entry in models().values()]
    facts = [training.facts for training in trainings if training is not None]
    minutes = [float(own["seconds"]) / 60 for own in facts]
    assert [int(found[1]), int(found[2])] == [round(min(minutes)), round(max(minutes))]
    assert (int(found[3]), int(found[4])) == divmod(round(sum(minutes)), 60)
    assert {(own["threads"], own["device"]) for own in facts} == {(1, "cpu")}
