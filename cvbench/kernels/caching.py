"""Where compiled kernels are kept between processes.

Numba's own cache looks for a folder that it may write to, and gives up where there is none, even if a folder that it
may only read holds everything. It does not see that a kernel in another file has changed, and initialises its compiler
before it loads anything, which takes 0.3 s. So kernels have their own, with these rules:

- The folder is ``NUMBA_CACHE_DIR`` if that is set. Otherwise kernels are looked for beside the sources, in
  ``__pycache__``, and in the user's cache folder, and are kept in the first of these that can be written to.
- Nothing is tried before a kernel is compiled. Where it can be kept nowhere, because no folder can be written to or the
  disk is full, it stays in memory, and a `CacheWarning` says so once.
- A file is named after everything that its machine code depends on: the sources of the kernel's module and of those
  that it imports, types, processor, versions and flags. So a file is right or absent, never out of date.
- A file begins with its hash. One that is damaged is compiled anew and replaced.

A kernel has its code of LLVM, for kernels that call it, and where Python calls it an entry, see
`cvbench.kernels.loading`; a function for Numba's dispatcher only where it can have no entry.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, ClassVar

import numba
from numba.core import compiler, serialize
from numba.core.caching import _Cache
from numba.core.runtime.nrt import rtsys

from cvbench.kernels.loading import FLAGS, KERNEL, file_name, folders, read

CONFIG: Any = numba.config
COMPILED: Any = compiler.CompileResult
PICKLE: Any = serialize
"""Parts of Numba, which carry no types."""


class CacheWarning(UserWarning):
    """Compiled kernels cannot be kept: this process works as any other, but every process compiles them anew."""


class KernelCache(_Cache):
    """The functions that Numba makes of one kernel, for its dispatcher.

    Parameters
    ----------
    function
        The kernel as Python.
    """

    suffix: ClassVar[str] = KERNEL
    """How the names of its files end."""

    refused: ClassVar[dict[Path, str]] = {}
    """Folders that files could not be written to, and why."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    @property
    def cache_path(self) -> str:
        """The folder that is written to."""
        return str(folder_of_kernels())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled for these types, None where there is none."""
        name = self._name(sig, target_context.codegen())
        for folder in folders():
            stored = read(folder / name)
            if stored is not None:
                # Machine code needs the memory of Numba's runtime and nothing else. That Numba declares all that it
                # can compile costs 0.3 s.
                rtsys.initialize(target_context)
                return self.rebuilt(target_context, pickle.loads(stored))
        target_context.refresh()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, or warn, once, that it cannot be kept."""
        if data.library.has_dynamic_globals:
            return  # it holds addresses of this process
        keep(self._name(sig, data.codegen), PICKLE.dumps(self.reduced(data)))

    def reduced(self, data: Any) -> tuple[Any, ...]:
        """What is kept of what was compiled."""
        return data._reduce()  # type: ignore[no-any-return]  # noqa: SLF001  # as Numba's own cache does

    def rebuilt(self, target_context: Any, stored: tuple[Any, ...]) -> Any:
        """What was compiled, of what was kept."""
        return COMPILED._rebuild(target_context, *stored)  # noqa: SLF001  # no other way

    def enable(self) -> None:
        """Kernels are always kept where they can be."""

    def disable(self) -> None:
        """See `enable`."""

    def flush(self) -> None:
        """Files are never out of date."""

    def _name(self, sig: Any, codegen: Any) -> str:
        """The name of the file, by all that the machine code depends on."""
        flags = [(name, getattr(CONFIG, name, None)) for name in FLAGS]
        return file_name(self.suffix, self._function, str(sig), codegen.magic_tuple(), numba.__version__, flags)


def folder_of_kernels() -> Path:
    """The folder that is written to."""
    return next((folder for folder in folders() if folder not in KernelCache.refused), folders()[0])


def can_keep() -> bool:
    """Whether there is a folder that has taken all that was compiled so far."""
    return not all(folder in KernelCache.refused for folder in folders())


def keep(name: str, content: bytes) -> None:
    """Write a file, or warn, once, that it cannot be written."""
    for folder in folders():
        if folder in KernelCache.refused:
            continue
        try:
            _write(folder / name, content)
        except OSError as error:
            KernelCache.refused[folder] = error.strerror or str(error)
        else:
            return
    _warn_once()


def _write(path: Path, content: bytes) -> None:
    """Write the file at once: other processes see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        try:
            file.write(hashlib.sha256(content).digest() + content)
            file.close()
            Path(file.name).replace(path)
        except BaseException:
            file.close()
            Path(file.name).unlink(missing_ok=True)
            raise


@cache
def _warn_once() -> None:
    reasons = "; ".join(f"{folder}: {reason}" for folder, reason in KernelCache.refused.items())
    warnings.warn(
        f"compiled kernels cannot be kept, and every process compiles them anew ({reasons}). Set NUMBA_CACHE_DIR to a "
        "folder that can be written to; or run `cvbench warmup` once where it can be, and it need only be read",
        CacheWarning,
        stacklevel=2,
    )
