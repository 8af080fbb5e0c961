"""What ``docs/tasks.md`` says of tasks and rules is what the code has."""

from __future__ import annotations

import pytest

from rule_tables import PAGE, updated

TEXT = PAGE.read_text(encoding="utf-8")


def test_tables_of_presets_are_those_of_the_code() -> None:
    """`python tests/rule_tables.py` writes them."""
    assert updated(TEXT) == TEXT


def test_a_table_that_is_not_there_is_missed() -> None:
    with pytest.raises(ValueError, match="the first line of pck_presets stands on the page 0 times"):
        updated("")
