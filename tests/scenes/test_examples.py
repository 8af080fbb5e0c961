"""The examples of the docstrings."""

from __future__ import annotations

import doctest

import pytest

import cvbench.scenes
from cvbench.scenes import draws, rendering, splits, truth


@pytest.mark.parametrize(
    "module", [cvbench.scenes, draws, rendering, splits, truth], ids=lambda module: module.__name__
)
def test_examples(module):
    tested = doctest.testmod(module)
    assert tested.attempted > 0
    assert tested.failed == 0
