"""The house rules that a reader of one file cannot see: imports go down only, and what is heavy is loaded late."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cvbench"
MODULES = sorted(PACKAGE.rglob("*.py"))
MODELS = ROOT / "reference_models"

BELOW = {
    "errors": (),
    "kernels": (),
    "columns": (),
    "result": ("errors",),
    "report": ("result",),
    "metrics.masks": ("columns", "kernels", "errors"),
    "io": ("metrics.masks",),
    "metrics": ("metrics.masks", "result"),
    "scenes": ("metrics.masks",),
    "benchmarks": ("scenes", "metrics", "io"),
    "tasks": ("metrics", "io"),
    "families": ("metrics", "io"),
    "scoring": ("tasks", "families"),
    "samples": ("metrics.masks", "io"),
    "warming": ("scoring", "samples", "scenes"),
    "compat": ("metrics", "io"),
    "cost.formulas": (),
    "cost.operators": ("cost.formulas", "errors"),
    "cost.spec": ("errors",),
    "cost.dispatch": ("cost.operators", "cost.spec"),
    "cost": ("cost.dispatch", "result"),
    "profiling": ("cost",),
    "progress": ("kernels",),
    "pareto": ("errors",),
    "intervals": ("metrics",),
    "records": ("intervals", "cost"),
    "models": ("records",),
    "cards": ("models", "report"),
    "running": ("benchmarks", "models", "profiling"),
    "leaderboard": ("records", "tasks", "pareto"),
    "publishing": ("leaderboard", "plots"),
    "plots": ("tasks", "report"),
    "cli": ("warming", "profiling", "report", "plots", "progress", "publishing", "running", "cards"),
    "__main__": ("cli",),
    "__init__": ("scoring", "profiling", "records", "pareto", "warming"),
}
"""Which parts a part of the package stands on; it may import these and whatever they stand on.

The mask codec is a part of its own: readers need it, and no other metric. The package itself names the public things,
but imports them when they are asked for."""

OUTSIDE = {
    "errors": set[str](),
    "kernels": {"numpy", "numba", "llvmlite"},
    "columns": {"numpy"},
    "result": {"numpy", "msgspec"},
    "report": set[str](),
    "pareto": {"numpy"},
    "cost.formulas": set[str](),
    "cost.operators": set[str](),
    "cost.spec": {"torch"},
    "cost.dispatch": {"torch"},
}
"""Everything beside the standard library that the lowest parts may import."""

RUNTIME = {"numpy", "numba", "llvmlite", "msgspec", "PIL", "rich", "typer", "zlib_ng"}
OPTIONAL = {"distributed", "pandas", "tabulate", "torch", "fvcore", "safetensors", "matplotlib", "h5py", "pyarrow"}


SUBCLASSES_TORCH = {"cost.dispatch"}
"""Parts that cannot be read without torch, since their classes are torch's; others import them as late as torch."""

MODEL_LAYERS = {
    "parts": ("torch.", "reference_models.parts."),
    "registry": (),
    "card": ("cvbench.errors.", "cvbench.records.", "cvbench.result.", "msgspec."),
    "weights": ("torch.", "safetensors.", "cvbench.errors.", "cvbench.result."),
    "model": ("torch.", "numpy.", "cvbench.cost.spec.", "reference_models.weights."),
    "trivial": ("torch.", "numpy."),
    "training": ("torch.", "numpy.", "cvbench.", "reference_models.model."),
    "train": ("torch.", "typer.", "cvbench.", "reference_models."),
    "models": ("torch.", "reference_models.", "cvbench.cost.spec.", "cvbench.records."),
}
"""What files of `reference_models` import: parts, the frame, the models, which say on what they are counted, and
training, which alone sees scenes and metrics."""


class Import(NamedTuple):
    """One imported name: the module that has it, and whether importing the importer imports it."""

    module: str
    name: str
    line: int
    at_once: bool


def part_of(module: str) -> str:
    """The part that holds a `module`, named without ``cvbench.``; empty where none does."""
    return next((part for part in sorted(BELOW, key=len, reverse=True) if f"{module}.".startswith(f"{part}.")), "")


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def imports_of(tree: ast.AST, at_once: bool = True) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, "", node.lineno, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            yield from (Import(node.module or "", alias.name, node.lineno, at_once) for alias in node.names)
        else:
            later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            typing_only = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
            yield from imports_of(node, at_once and not later and not typing_only)


def parts_below(part: str) -> set[str]:
    return {part}.union(*(parts_below(below) for below in BELOW[part]))


def test_every_part_has_its_place() -> None:
    homeless = [path.name for path in MODULES if not part_of(module_of(path))]
    assert not homeless, "say in BELOW what the new part stands on"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_down_only(path: Path) -> None:
    part = part_of(module_of(path))
    for imported in imports_of(ast.parse(path.read_text(encoding="utf-8"))):
        package = imported.module.partition(".")[0]
        place = f"{path.relative_to(ROOT)}:{imported.line}"
        if package == "cvbench":
            target = part_of(f"{imported.module}.{imported.name}.".removeprefix("cvbench.")) or "__init__"
            assert target in parts_below(part), f"{place}: {part} does not stand on {target}"
            assert part != "__init__" or not imported.at_once, f"{place}: public names resolve on first use"
            late = target in SUBCLASSES_TORCH and target != part
            assert not (late and imported.at_once), f"{place}: import {target} inside of the function that needs it"
        elif package not in sys.stdlib_module_names:
            assert package in OUTSIDE.get(part, RUNTIME | OPTIONAL), f"{place}: {package} has no place in {part}"
            late = package in OPTIONAL and part not in SUBCLASSES_TORCH
            assert not (late and imported.at_once), f"{place}: import {package} inside of the function that needs it"


@pytest.mark.parametrize("path", sorted(MODELS.rglob("*.py")), ids=lambda path: path.relative_to(MODELS).as_posix())
def test_models_stand_on_torch_and_their_parts(path: Path) -> None:
    folder = path.parent.relative_to(MODELS).as_posix()
    allowed = MODEL_LAYERS.get(path.stem if folder == "." else folder, MODEL_LAYERS["models"])
    for imported in imports_of(ast.parse(path.read_text(encoding="utf-8"))):
        module = imported.module
        known = module.partition(".")[0] in sys.stdlib_module_names or f"{module}.".startswith(allowed)
        assert known, f"{path.relative_to(ROOT)}:{imported.line}: a model does not stand on {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_compiler_flags_have_one_place(path: Path) -> None:
    if path == PACKAGE / "kernels" / "compiling.py":
        return
    compilers = {"jit", "njit", "vectorize", "guvectorize", "cfunc", "stencil", "prange", "fastmath"}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {getattr(node, field, None) for node in ast.walk(tree) for field in ("id", "attr", "name", "arg")}
    assert not names & compilers, "take the decorator from cvbench.kernels"


def test_modules_are_named_after_what_they_hold() -> None:
    folders = ("cvbench", "reference_models", "tests", "scripts")
    names = {path.stem for folder in folders for path in (ROOT / folder).rglob("*.py")}
    assert not names & {"utils", "util", "helpers", "helper", "common", "misc"}


def test_dependencies_are_the_declared_ones() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    declared = re.search(r"^dependencies = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    assert declared is not None
    names = {"pillow": "PIL", "zlib-ng": "zlib_ng"}
    assert {names.get(name, name) for name in re.findall(r'"([a-z-]+)', declared[1])} == RUNTIME


def loaded_by(statement: str) -> set[str]:
    """The top-level packages that a fresh interpreter holds after `statement`."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-c", code]
    return set(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout.split())


def test_importing_the_package_costs_nothing() -> None:
    assert loaded_by("import cvbench") - loaded_by("import importlib") == {"cvbench", "__future__"}


def test_counting_loads_torch_when_it_counts() -> None:
    assert not loaded_by("import cvbench.cost.counter, cvbench.profiling") & OPTIONAL


def test_the_command_line_loads_what_is_heavy_in_its_verbs() -> None:
    assert not loaded_by("import cvbench.cli") & (OPTIONAL | {"numpy", "numba", "msgspec", "rich"})
