"""Benches print their tables after the last test: nothing is asserted about a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LINES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LINES] = []


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Add a line to the summary."""
    return request.config.stash[LINES].append


@pytest.fixture(scope="session")
def folder() -> Path:
    """Where workloads are kept between runs."""
    return Path(__file__).parents[2] / ".cache" / "bench"


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Iterator[None]:
    yield
    for line in config.stash[LINES]:
        terminalreporter.write_line(line)
