"""Where compiled kernels are kept: folders that cannot be written to, full disks, damaged files, changed sources."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvbench.kernels import caching, kernel, loading
from cvbench.kernels.caching import CacheWarning, KernelCache
from cvbench.kernels.loading import CODE, ENTRY, sources_hash
from mode import JIT, without_settings

compiled = pytest.mark.skipif(not JIT, reason="kernels run as plain Python")

MODULES = sorted(path.stem for path in Path(caching.__file__).parent.glob("*.py"))


def twice(values: Any, out: Any) -> None:
    for i in range(len(values)):
        out[i] = 2 * values[i]


def used(values: Any = (1.0, 2.0)) -> Any:
    """A fresh dispatcher of `twice` after its first call."""
    fresh: Any = kernel(twice)
    out = np.empty(2)
    fresh(np.array(values), out)
    assert out.tolist() == [2.0, 4.0]
    assert fresh.entries == {}
    assert (fresh.loaded, fresh.compiled) == hits(fresh.dispatcher)
    return fresh.dispatcher


def hits(dispatcher: Any) -> tuple[int, int]:
    """How often machine code was loaded, and compiled."""
    return sum(dispatcher.stats.cache_hits.values()), sum(dispatcher.stats.cache_misses.values())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for kernels, which have no entries and are compiled without checks of bounds."""
    monkeypatch.setattr(loading, "_environment_is_harmless", lambda: False)
    monkeypatch.delenv("NUMBA_BOUNDSCHECK", raising=False)  # Numba reads the environment again when it changes
    monkeypatch.setattr(caching.CONFIG, "BOUNDSCHECK", None)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(KernelCache, "refused", {})
    caching._warn_once.cache_clear()
    return tmp_path / "cache" / "cvbench"


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@compiled
def test_a_kernel_is_compiled_once(folder: Path) -> None:
    assert hits(used()) == (0, 1)
    (name,) = kept(folder)
    assert re.fullmatch(r"test_caching\.twice-[0-9a-f]{24}\.kernel", name)
    assert hits(used()) == (1, 0)
    assert str(folder) == used().stats.cache_path


@compiled
def test_types_have_files_of_their_own(folder: Path) -> None:
    used((1.0, 2.0))
    assert hits(used((1, 2))) == (0, 1)
    assert len(kept(folder)) == 2


@compiled
@pytest.mark.parametrize("name", ["BOUNDSCHECK", "OPT"])
def test_settings_of_the_compiler_have_files_of_their_own(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used()
    monkeypatch.setattr(caching.CONFIG, name, 1 if not getattr(caching.CONFIG, name) else 2)
    assert hits(used()) == (0, 1)
    assert len(kept(folder)) == 2


@compiled
@pytest.mark.parametrize("damage", ["cut", "empty", "changed"])
def test_a_damaged_file_is_replaced(damage: str, folder: Path) -> None:
    used()
    path = next(folder.glob("*.kernel"))
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    path.write_bytes({"cut": whole[:1000], "empty": b"", "changed": bytes(changed)}[damage])
    assert hits(used()) == (0, 1)
    assert hits(used()) == (1, 0)


@compiled
def test_what_no_folder_takes_is_told_once(folder: Path) -> None:
    folder.parent.write_bytes(b"no folder")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert [hits(used()), hits(used())] == [(0, 1), (0, 1)]
    (warning,) = told
    assert warning.category is CacheWarning
    for part in (f"({folder}: Not a directory)", "Set NUMBA_CACHE_DIR", "`cvbench warmup`"):
        assert part in str(warning.message)


@compiled
def test_the_first_folder_that_can_be_written_to_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parents[1] / "file").write_bytes(b"")
    places = [folder.parents[1] / "file" / "x", folder.parents[1] / "user"]
    monkeypatch.setattr(caching, "folders", lambda: places)
    assert hits(used()) == (0, 1)
    assert len(kept(places[1])) == 1
    assert hits(used()) == (1, 0)
    assert used().stats.cache_path == str(places[1])


def test_folders_beside_the_sources_and_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    own = Path(caching.__file__).parent / "__pycache__"
    assert loading.folders() == [own, Path("/somewhere/numba/cvbench")]


# Whole processes -----------------------------------------------------------------------------------------------------

UNWRITABLE = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); "
"""Every file of this process ends after so many bytes. Permissions would not keep root from writing."""


def shell(cache: Path, tmp_path: Path, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """``cvbench score`` in a fresh process, of the task with the fewest kernels."""
    for name in ("gt", "pred"):
        np.save(tmp_path / name, np.zeros((2, 3, 2)))
    arguments = ["cvbench", "score", "pose.epe", f"{tmp_path}/gt.npy", f"{tmp_path}/pred.npy", "--expect", "EPE=0"]
    code = "" if limit is None else UNWRITABLE.format(limit)
    code += f"import sys; sys.argv = {arguments!r}; from cvbench.cli import main; main()"
    environment = without_settings(NUMBA_CACHE_DIR=str(cache))
    command = [sys.executable, "-B", "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


@compiled
def test_a_warm_folder_need_only_be_read(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = shell(cache, tmp_path)
    assert "compiling kernels" in first.stderr
    before = kept(cache / "cvbench")
    assert {Path(name).suffix for name in before} == {CODE, ENTRY}
    again = shell(cache, tmp_path, limit=0)
    assert again.stderr == ""
    assert again.stdout == first.stdout
    assert kept(cache / "cvbench") == before


@compiled
@pytest.mark.parametrize("how", ["no folder", "full disk"])
def test_the_shell_says_where_kernels_cannot_be_kept(how: str, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    if how == "no folder":
        cache.write_bytes(b"")
    told = shell(cache, tmp_path, limit=None if how == "no folder" else 2000)
    reason = "Not a directory" if how == "no folder" else "File too large"
    assert told.stderr.count("warning: compiled kernels cannot be kept") == 1
    assert f"({cache}/cvbench: {reason})" in told.stderr
    assert "once" not in told.stderr.rpartition("compiling kernels")[2]
    if how == "full disk":
        assert kept(cache / "cvbench") == [], "nothing is left of a file that could not be written"


# Sources -------------------------------------------------------------------------------------------------------------


def imported(module: str) -> set[str]:
    """The modules of kernels that a module imports, itself among them, read the slow way."""
    tree = ast.parse((Path(caching.__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    found = {module}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert "cvbench" not in node.names[0].name, "say from which module what is imported"
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("cvbench.kernels"):
            found.add(str(node.module).removeprefix("cvbench.kernels").removeprefix(".") or "__init__")
            assert not {alias.name for alias in node.names} & set(MODULES), "import from the module, not the module"
    return found


def full_name(module: str) -> str:
    return "cvbench.kernels" if module == "__init__" else f"cvbench.kernels.{module}"


@pytest.mark.parametrize("module", MODULES)
def test_a_change_is_seen_in_whatever_imports_it(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reached: set[str] = {module}
    while more := set().union(*map(imported, reached)) - reached:
        reached |= more
    import_module(full_name(module))
    source, before = loading.source_of, sources_hash.__wrapped__(full_name(module))
    for changed in MODULES:
        name = full_name(changed)
        monkeypatch.setattr(loading, "source_of", lambda own, name=name: source(own) + b"#" * (own == name))
        assert (sources_hash.__wrapped__(full_name(module)) != before) == (changed in reached), changed
