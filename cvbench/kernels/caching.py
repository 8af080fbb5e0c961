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

A kernel has up to two files: one for Numba's dispatcher and for other kernels, and an entry for processes without
Numba, see `cvbench.kernels.loading`.
"""

from __future__ import annotations

import gc
import hashlib
import pickle
import re
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, ClassVar

import numba
from llvmlite import binding
from numba.core import compiler, event, serialize
from numba.core.caching import _Cache
from numba.core.compiler_lock import global_compiler_lock
from numba.core.runtime.nrt import rtsys

from cvbench.kernels.loading import KERNEL, entry_name, file_name, folders, parts, processor, read, symbol

FLAGS = {
    "BOUNDSCHECK": (None, 0),
    "DEBUGINFO_DEFAULT": (0,),
    "ENABLE_AVX": (1,),
    "LOOP_VECTORIZE": (1,),
    "OPT": (3,),
    "SLP_VECTORIZE": (0,),
}
"""Settings of Numba that change machine code, and those values of them with which entries are made."""

CONFIG: Any = numba.config
COMPILED: Any = compiler.CompileResult
PICKLE: Any = serialize
LISTENER: Any = event.TimingListener
"""Parts of Numba, which carry no types."""

RETURNED: dict[Any, str] = {numba.types.none: "", numba.int64: "q", numba.float64: "d", numba.boolean: "?"}
"""Formats of `struct` of what entries may return, alone or in a tuple."""

SAFE = re.compile(
    r"llvm\.(mem|[su](min|max|add|sub|mul)|f?abs|sqrt|ct|masked|vector\.reduce|x86\.atomic|assume|lifetime|experimental)"
)
"""What entries may call: functions of LLVM that become instructions, or calls that every C library has."""

LIBRARY = re.compile(r"(?:llvm\.)?(sqrtf?|hypot|atan2|exp)(?:\.v?\d*f64)?")
"""What else they may call, where the process that loads them has it: functions of C, by these names."""


class CacheWarning(UserWarning):
    """Compiled kernels cannot be kept: this process works as any other, but every process compiles them anew."""


class Compiling(LISTENER):  # type: ignore[misc]  # as above
    """Measures how long kernels are compiled, without the garbage collector meanwhile: it takes an eighth of it."""

    def on_start(self, what: Any) -> None:
        """Stop collecting with the outermost kernel."""
        if self._depth == 0:
            self._collects = gc.isenabled()
            gc.disable()
        super().on_start(what)

    def on_end(self, what: Any) -> None:
        """Go on collecting."""
        super().on_end(what)
        if self._depth == 0 and self._collects:
            gc.enable()


COMPILING = Compiling()
event.register("numba:compile", COMPILING)  # type: ignore[no-untyped-call]


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
            stored = read(folder / name)
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
        keep(self._name(sig, data.codegen), PICKLE.dumps(data._reduce()))  # noqa: SLF001  # as Numba's own cache does

    def enable(self) -> None:
        """Kernels are always kept where they can be."""

    def disable(self) -> None:
        """See `enable`."""

    def flush(self) -> None:
        """Files are never out of date."""

    def _name(self, sig: Any, codegen: Any) -> str:
        """The name of the file, by all that the machine code depends on."""
        flags = [(name, getattr(CONFIG, name, None)) for name in FLAGS]
        return file_name(KERNEL, self._function, str(sig), codegen.magic_tuple(), numba.__version__, flags)


def keep_entry(dispatcher: Any, arguments: Sequence[Any]) -> None:
    """Keep the entry for arguments of these types, which the dispatcher was called with, unless it is there already."""
    kinds: list[Any] = []
    if not parts(arguments, kinds, []) or any(getattr(CONFIG, name) not in FLAGS[name] for name in FLAGS):
        return
    compiled = dispatcher.overloads.get(tuple(map(numba.typeof, arguments)))
    name = entry_name(dispatcher.py_func, kinds)
    if compiled is None or any(read(folder / name) for folder in folders()):
        return
    if compiled.codegen.magic_tuple() == processor() and not compiled.library.has_dynamic_globals:
        with global_compiler_lock:
            content = _entry(compiled, symbol(name))
        if content is not None:
            keep(name, content)


def _entry(compiled: Any, name: str) -> bytes | None:
    """A file's content: what is returned and which functions of C are called, a line, and machine code.

    None where that needs more.
    """
    returned = _format(compiled.signature.return_type)
    generator = compiled.codegen
    module = compiled.library._get_module_for_linking().clone()  # noqa: SLF001  # what other kernels get of it
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration:
            value.linkage = "internal"
    main = module.get_function(compiled.fndesc.llvm_func_name)
    main.name, main.linkage = name, "external"
    passes = binding.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    machine = generator._tm  # noqa: SLF001  # the one that compiled it
    passes.run(module, binding.create_pass_builder(machine, binding.create_pipeline_tuning_options()))
    called = {function.name for function in module.functions if function.is_declaration}
    matches = [LIBRARY.fullmatch(function) for function in called if not SAFE.match(function)]
    foreign = any(value.is_declaration for value in module.global_variables)
    if returned is None or foreign or None in matches:
        return None
    functions = sorted({match[1] for match in matches if match is not None})
    content: bytes = f"{' '.join([returned, *functions])}\n".encode() + machine.emit_object(module)
    return content


def _format(returned: Any) -> str | None:
    """What a function returns, as a format of `struct`; None where that is more than numbers."""
    if isinstance(returned, numba.types.BaseTuple):
        items = [RETURNED.get(item) for item in list(returned)]  # type: ignore[call-overload]  # as above
        return None if None in items else f"({''.join(map(str, items))})"
    return RETURNED.get(returned)


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
