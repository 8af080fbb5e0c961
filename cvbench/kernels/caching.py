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
"""

from __future__ import annotations

import hashlib
import pickle
import re
import sys
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
from numba.misc.appdirs import AppDirs

SUFFIX = ".kernel"
"""How the names of files end."""

HASH = hashlib.sha256().digest_size
"""Bytes at the start of a file."""

IMPORTED = re.compile(r"^from (cvbench\.kernels(?:\.\w+)?) import ", re.MULTILINE)
"""How a module of kernels names another one."""

FLAGS = ("BOUNDSCHECK", "DEBUGINFO_DEFAULT", "ENABLE_AVX", "LOOP_VECTORIZE", "OPT", "SLP_VECTORIZE")
"""Settings of Numba that change machine code."""


CONFIG: Any = numba.config
COMPILED: Any = compiler.CompileResult
PICKLE: Any = serialize
FOLDERS: Any = AppDirs
"""Parts of Numba, which carry no types."""


class CacheWarning(UserWarning):
    """Compiled kernels cannot be kept: this process works as any other, but every process compiles them anew."""


class KernelCache(_Cache):
    """The machine code of one kernel, for Numba's dispatcher.

    Parameters
    ----------
    function
        The kernel as Python.
    """

    refused: ClassVar[dict[Path, str]] = {}
    """Folders that files could not be written to, and why."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    @property
    def cache_path(self) -> str:
        """The folder that is written to."""
        return str(folder_of_kernels())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function for these types, None where there is none."""
        name = self._name(sig, target_context.codegen())
        for folder in folders():
            stored = _read(folder / name)
            if stored is not None:
                # Machine code needs the memory of Numba's runtime and nothing else. That Numba declares all that it
                # can compile costs 0.3 s.
                rtsys.initialize(target_context)
                return COMPILED._rebuild(target_context, *pickle.loads(stored))  # noqa: SLF001  # no other way
        target_context.refresh()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function, or warn, once, that it cannot be kept."""
        if data.library.has_dynamic_globals:
            return  # it holds addresses of this process
        name = self._name(sig, data.codegen)
        content: bytes = PICKLE.dumps(data._reduce())  # noqa: SLF001  # as Numba's own cache does
        for folder in folders():
            if folder in self.refused:
                continue
            try:
                _write(folder / name, content)
            except OSError as error:
                self.refused[folder] = error.strerror or str(error)
            else:
                return
        _warn_once()

    def enable(self) -> None:
        """Kernels are always kept where they can be."""

    def disable(self) -> None:
        """See `enable`."""

    def flush(self) -> None:
        """Files are never out of date."""

    def _name(self, sig: Any, codegen: Any) -> str:
        """The name of the file, by all that the machine code depends on."""
        module = self._function.__module__
        parts = (
            sources_hash(module),
            self._function.__qualname__,
            self._function.__code__.co_firstlineno,
            str(sig),
            codegen.magic_tuple(),
            (sys.implementation.cache_tag, numba.__version__),
            [(name, getattr(CONFIG, name, None)) for name in FLAGS],
        )
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()
        return f"{module.rpartition('.')[2]}.{self._function.__name__}-{digest[:24]}{SUFFIX}"


def folders() -> list[Path]:
    """Where kernels are looked for and kept, in this order."""
    if CONFIG.CACHE_DIR:
        return [Path(CONFIG.CACHE_DIR) / "cvbench"]
    user = FOLDERS(appname="numba", appauthor=False).user_cache_dir
    return [Path(__file__).parent / "__pycache__", Path(user) / "cvbench"]


def folder_of_kernels() -> Path:
    """The folder that is written to."""
    return next((folder for folder in folders() if folder not in KernelCache.refused), folders()[0])


def can_keep() -> bool:
    """Whether there is a folder that has taken all that was compiled so far."""
    return not all(folder in KernelCache.refused for folder in folders())


@cache
def sources_hash(module: str) -> str:
    """The hash of a module's source and of those of all modules of kernels that it imports."""
    found: dict[str, bytes] = {}
    missing = {module}
    while missing:
        name = missing.pop()
        found[name] = _source(name)
        missing |= set(IMPORTED.findall(found[name].decode())) - found.keys()
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()


def _source(module: str) -> bytes:
    """The source of a module, from wherever it was imported."""
    spec = sys.modules[module].__spec__
    assert spec is not None, "kernels are in modules"
    source: bytes = spec.loader.get_data(spec.origin)  # type: ignore[union-attr]  # loaders of files and archives have it
    return source


def _read(path: Path) -> bytes | None:
    """The content of a file; None where there is none, or another one than was written."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None  # what cannot be read is compiled, and whether that can be kept is told then
    content = stored[HASH:]
    return content if hashlib.sha256(content).digest() == stored[:HASH] else None


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
