"""Compiled kernels in processes without Numba: the same results, by the same machine code, or Numba after all."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cvbench.kernels import loading
from cvbench.kernels.loading import CODE, ENTRY, FLAGS, parts, usable
from mode import JIT, without_settings

pytestmark = [
    pytest.mark.skipif(not JIT, reason="kernels run as plain Python"),
    pytest.mark.skipif(sys.platform != "linux", reason="there are entries on Linux alone"),
]


def fresh(*command: str, cache: Path, cwd: Path | None = None, **settings: str) -> Any:
    """What a Python program prints as JSON, with the kernels in `cache` and no other settings of Numba than these."""
    environment = without_settings(NUMBA_CACHE_DIR=str(cache), **settings)
    answer = subprocess.run(
        [sys.executable, *command], env=environment, cwd=cwd, capture_output=True, text=True, check=True
    )
    return json.loads(answer.stdout)


RESULTS = f"""
import json, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from kernels.entry_kernels import results
print(json.dumps([results("others" in sys.argv), "numba" in sys.modules], default=lambda number: number.item()))
"""


def all_results(cache: Path, *arguments: str, **more: Any) -> Any:
    """What the kernels of `entry_kernels` return, and whether Numba was needed for it."""
    return fresh("-c", RESULTS, *arguments, cache=cache, **more)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A folder with all kernels, and what they returned when they were compiled."""
    cache = tmp_path_factory.mktemp("warm")
    returned, with_numba = all_results(cache)
    assert with_numba
    return cache, returned


def test_entries_return_what_the_compiler_s_functions_return(warm: tuple[Path, list[Any]]) -> None:
    cache, returned = warm
    before = sorted(cache.rglob("*.*"))
    assert all_results(cache) == [returned, False]
    assert sorted(cache.rglob("*.*")) == before
    plain, _ = all_results(cache, NUMBA_DISABLE_JIT="1")
    assert plain == returned


@pytest.mark.parametrize("setting", ["NUMBA_BOUNDSCHECK", "NUMBA_OPT"])
def test_there_are_no_entries_with_settings_of_numba(setting: str, warm: tuple[Path, list[Any]]) -> None:
    cache, returned = warm
    entries = sorted(cache.rglob(f"*{ENTRY}"))
    assert all_results(cache, **{setting: "1"}) == [returned, True]
    assert sorted(cache.rglob(f"*{ENTRY}")) == entries


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (0, 3)])
def test_where_the_data_of_arrays_are(shape: tuple[int, ...]) -> None:
    array = np.zeros(shape, np.float32)
    for values in (array, array.T, np.zeros((4, 5))[1::2, ::-1], np.frombuffer(b"12345678", np.uint8, offset=3)):
        found: list[Any] = []
        assert parts((values,), [], found)
        assert found[4] == values.__array_interface__["data"][0]


def test_settings_of_a_numba_that_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_environment_is_harmless", lambda: True)
    usual = {name: values[0] for name, values in FLAGS.items()}
    for config, entries in ((usual, True), (usual | {"OPT": 1}, False), (usual | {"BOUNDSCHECK": 1}, False)):
        monkeypatch.setitem(sys.modules, "numba", SimpleNamespace(config=SimpleNamespace(**config)))
        assert usable() == entries
    monkeypatch.setitem(sys.modules, "numba", SimpleNamespace())  # as another thread finds it that imports it, too
    assert usable()


def test_a_file_of_settings_is_heeded(warm: tuple[Path, list[Any]], tmp_path: Path) -> None:
    cache, returned = warm
    (tmp_path / ".numba_config.yaml").write_text("opt: 3\n")
    assert all_results(cache, cwd=tmp_path) == [returned, True]


def test_another_processor_has_entries_of_its_own(warm: tuple[Path, list[Any]]) -> None:
    cache, returned = warm
    generic = {"NUMBA_CPU_NAME": "generic"}
    assert all_results(cache, **generic)[1]
    assert all_results(cache, **generic) == [returned, False]


def test_what_calls_other_libraries_has_no_entry(warm: tuple[Path, list[Any]]) -> None:
    cache, returned = warm
    for _ in range(2):
        assert all_results(cache, "others") == [[*returned, math.lgamma(0.1)], True]


def test_an_entry_that_calls_c_can_be_the_first_one(warm: tuple[Path, list[Any]]) -> None:
    cache, _ = warm
    code = f"""
import json, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from kernels.entry_kernels import of_libraries
print(json.dumps([of_libraries(0.1), "numba" in sys.modules]))
"""
    _, with_numba = fresh("-c", code, cache=cache)
    assert not with_numba


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "gone"])
@pytest.mark.parametrize("suffix", [CODE, ENTRY])
def test_damaged_files_are_made_anew(suffix: str, damage: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    returned, _ = all_results(cache)
    written = {path: path.stat().st_mtime_ns for path in cache.rglob("*.*")}
    damaged = sorted(cache.rglob(f"*{suffix}"))[::3]
    for path in damaged:
        whole = path.read_bytes()
        changed = whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]
        path.write_bytes({"cut": whole[:99], "empty": b"", "changed": changed, "gone": b""}[damage])
        if damage == "gone":
            path.unlink()
    assert all_results(cache) == [returned, suffix == ENTRY], "code is asked for where an entry is lacking"
    for path in sorted(cache.rglob(f"*{ENTRY}")) if suffix == CODE else ():
        path.unlink()
    assert all_results(cache) == [returned, suffix == CODE]
    assert all_results(cache) == [returned, False]
    assert written.keys() >= set(cache.rglob("*.*")), "what only kernels call need not be there again"
    anew = {path for path, at in written.items() if not path.exists() or path.stat().st_mtime_ns != at}
    assert anew == {*damaged, *(cache.rglob(f"*{ENTRY}") if suffix == CODE else ())}, "nothing else was compiled"


def test_threads_that_call_a_kernel_at_once_compile_it_once(tmp_path: Path) -> None:
    code = f"""
import json, sys
from threading import Barrier, Thread
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from kernels.entry_kernels import Pair, larger, several
import numpy as np
start, found = Barrier(4), []
def call(n):
    start.wait()
    found.append(several(n, 2.0, Pair(np.zeros(3), 1.5)) if n % 2 else larger(n, 2.0))
threads = [Thread(target=call, args=(n,)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps([sorted(map(repr, found)), several.compiled, larger.compiled]))
"""
    expected = sorted(map(repr, [False, False, (False, 4, 3.0, True), (True, 6, 3.0, False)]))
    assert fresh("-c", code, cache=tmp_path) == [expected, 1, 2], "one order of types from Python and another kernel"


SCORES = """
import json, sys, tempfile
from pathlib import Path
if "with" in sys.argv:
    import numba
import cvbench
from cvbench.samples import samples
values = {}
for task in ("coco.bbox", "coco.segm", "coco.keypoints", "coco.panoptic", "semantic.miou", "pose.pck"):
    with tempfile.TemporaryDirectory() as folder:
        scored = [cvbench.score(task, gt, pred, threads=2, **rules) for gt, pred, rules in samples(task, Path(folder))]
        values[task] = [{name: repr(value) for name, value in result.values.items()} for result in scored]
print(json.dumps([values, "numba" in sys.modules]))
"""


def test_tasks_have_the_same_figures(tmp_path: Path) -> None:
    values, with_numba = fresh("-c", SCORES, "with", cache=tmp_path)
    assert with_numba
    assert fresh("-c", SCORES, cache=tmp_path) == [values, False]
