"""Warming up: what is compiled ahead of time is all that is needed afterwards, and nothing can be forgotten."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cvbench import TASKS, InputError, warming, warmup
from cvbench.kernels.caching import folder_of_kernels
from families.map_files import exit_code
from generated import Knobs, coco
from mode import JIT, without_settings

compiled = pytest.mark.skipif(not JIT, reason="kernels run as plain Python")


def fresh(code: str, cache: Path) -> Any:
    """What the code prints in a fresh process that keeps kernels in `cache`, as JSON."""
    environment = without_settings(NUMBA_CACHE_DIR=str(cache))
    command = [sys.executable, "-c", f"import json\n{code}"]
    return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


HEAVY = (
    *("numba", "scipy"),  # the compiler
    *("cvbench.families.points", "cvbench.metrics.panoptic"),  # other tasks
    *("PIL", "matplotlib", "pandas", "pyarrow", "rich", "torch", "typer"),
)
"""Modules that boxes do without."""

COUNT = """
from cvbench.kernels import KERNELS
made = sorted(f"{k.__module__}.{k.__name__}" for k in KERNELS if k.compiled)
"""


@compiled
def test_everything_is_compiled_and_nothing_is_compiled_afterwards(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    used = """
from importlib import import_module
from pkgutil import iter_modules
from cvbench import kernels, warmup
done = warmup()
for module in iter_modules(kernels.__path__):
    import_module(f"cvbench.kernels.{module.name}")
unused = [f"{k.__module__}.{k.__name__}" for k in kernels.KERNELS if not k.compiled]
print(json.dumps([done.folder, done.loaded, done.compiled, done.kept, unused]))
"""
    folder, _, made, kept, unused = fresh(used, cache)
    assert (folder, kept) == (str(cache / "cvbench"), True)
    assert unused == [], "cvbench/warming.py has to call new kernels, best through a sample of their task"
    files = sorted(cache.rglob("*.*"))
    assert sum(file.suffix == ".code" for file in files) == made
    assert {file.suffix for file in files} == {".code", ".entry"}, "all kernels can have an entry"

    tasks = ("bbox", "segm", "keypoints")
    data = {f"coco.{task}": coco(Knobs(3, 3, 3, 5, 9, 5, False, True, 1, True), task) for task in tasks}
    (tmp_path / "data.json").write_text(json.dumps(data))
    later = f"""
import sys, cvbench
data = json.load(open({str(tmp_path / "data.json")!r}))
heavy = []
for task, files in data.items():
    cvbench.score(task, *files)
    heavy = heavy or [name for name in {HEAVY!r} if task == "coco.bbox" and name in sys.modules]
{COUNT}
again = cvbench.warmup()
print(json.dumps([heavy, made, again.loaded > 0, again.compiled]))
"""
    assert fresh(later, cache) == [[], [], True, 0]
    assert sorted(cache.rglob("*.*")) == files


def test_every_task_can_be_named() -> None:
    assert set(warming._works()) == {*TASKS, "functions", "scenes"}


def test_progress_tells_what_comes_next() -> None:
    told: list[tuple[str, int, int]] = []
    done = warmup(["pose.epe", "pose.pcp", "pose.epe"], progress=lambda *stage: told.append(stage))
    assert told == [("pose.epe", 0, 2), ("pose.pcp", 1, 2), ("done", 2, 2)]
    assert done.kept
    assert done.seconds > 0
    assert warmup(["pose.epe"]).compiled == 0


def test_unknown_tasks() -> None:
    with pytest.raises(InputError, match="there is no task 'coco.box'; did you mean 'coco.bbox'"):
        warmup(["coco.box"])


def test_the_shell_says_how_many_and_where(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert exit_code("warmup", "pose.epe") == 0
    first, second = capfd.readouterr().out.splitlines()
    assert re.fullmatch(r"\d+ kernels compiled, \d+ found, in \d+\.\d s", first)
    assert second == f"They are in {folder_of_kernels()}"
    monkeypatch.setattr(warming, "can_keep", lambda: False)
    assert exit_code("warmup", "pose.epe") == 1
    assert len(capfd.readouterr().out.splitlines()) == 1
