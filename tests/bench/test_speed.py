"""The speed table, cell by cell: fresh processes, engines in turns, equal figures. Nothing is asserted about a time."""

from __future__ import annotations

import pytest

from cells import measure, measure_compiling, missing
from rows import ROWS, Cell
from turns import prepare


def test_compiling(row: str, processes: int) -> None:
    measure_compiling(row, min(ROWS[row].compiles, processes))


def test_speed(cell: Cell, processes: int) -> None:
    if not missing(cell, processes):
        pytest.skip("was measured before, or nobody is there to be measured")
    prepare(*cell[:2])
    for _ in measure(cell, processes):
        pass
