"""The public names: one flat set, resolved on first use, the same to people, programs and type checkers."""

from __future__ import annotations

import ast
from importlib.metadata import version
from pathlib import Path

import pytest

import cvbench


def test_type_checkers_see_the_names_that_resolve() -> None:
    stub = ast.parse(Path(cvbench.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    seen = {
        (node.module, alias.asname)
        for node in ast.walk(stub)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {(home, name) for name, home in cvbench._HOME.items()}


def test_every_name_resolves_and_is_documented() -> None:
    for name in cvbench.__all__:
        value = getattr(cvbench, name)
        if callable(value):
            assert value.__doc__, name


def test_no_public_name_is_also_a_submodule() -> None:
    # importing such a submodule would put itself in the place of the name
    folder = Path(cvbench.__file__).parent
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert not modules & set(cvbench.__all__)


def test_dir_lists_the_names() -> None:
    assert set(cvbench.__all__) <= set(dir(cvbench))


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'mAP'"):
        cvbench.mAP  # noqa: B018  # reading it is the test


def test_the_version_is_the_installed_one() -> None:
    assert cvbench.__version__ == version("cvbench")
