"""What a person sees of work under way: a bar where it takes long, and a word where kernels had to be compiled.

All of it goes to standard error, the bar only to a terminal.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 1.0
"""Seconds of work before a bar appears."""


class Bar:
    """A bar on the terminal from the moment on that work takes longer than `PATIENCE`.

    Calling it with the name of the stage, how much of it is done and how much there is, is cheap and safe from any
    thread. Where standard error is no terminal it shows nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: tuple[Progress, TaskID] | None = None
        self._timer = threading.Timer(PATIENCE, self._show)
        self._timer.daemon = True
        if sys.stderr.isatty():
            self._timer.start()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` are done in this stage."""
        with self._lock:
            if self._shown is not None:
                progress, task = self._shown
                progress.update(task, description=stage, completed=done, total=total)

    def close(self) -> None:
        """Take the bar off the screen for good."""
        self._timer.cancel()
        with self._lock:
            if self._shown is not None:
                self._shown[0].stop()
                self._shown = None

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        progress = Progress(*columns, console=Console(stderr=True), transient=True)
        with self._lock:
            if not self._timer.finished.is_set():
                self._shown = progress, progress.add_task("working", total=None)
                progress.start()


@contextmanager
def watched(say: Callable[[str], None]) -> Iterator[Bar]:
    """Show a `Bar` while work is under way and, where kernels had to be compiled, `say` afterwards how long it took.

    Kernels that were kept by an earlier process are not compiled.
    """
    from cvbench.kernels import compile_seconds

    before = compile_seconds()
    bar = Bar()
    try:
        yield bar
    finally:
        bar.close()
    if compile_seconds() > before:
        from cvbench.kernels.caching import can_keep

        say(f"compiling kernels{', once' if can_keep() else ''}: {compile_seconds() - before:.1f} s")
