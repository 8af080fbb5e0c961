"""Compiled kernels without the compiler.

Python calls a kernel by its *entry*: machine code that takes numbers and the parts of arrays, and knows nothing of
Python. llvmlite, the part of Numba that has LLVM, puts it into memory, and ctypes calls it. `cvbench.kernels.compiling`
makes entries and keeps them. Importing Numba takes 0.3 s, as long as scoring 500,000 boxes, and a process in which
everything was compiled before has no need of it.

Where Numba has settings, and for types that are not the ones of below, there is no entry.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import struct
import sys
import threading
from collections.abc import Callable, Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

KERNEL, CODE, ENTRY = ".kernel", ".code", ".entry"
"""How the names of files end: functions for Numba's dispatcher, code of LLVM for other kernels, and entries."""

HASH = hashlib.sha256().digest_size
"""Bytes at the start of a file."""

IMPORTED = re.compile(r"^\s*from (cvbench\.kernels(?:\.\w+)?) import ", re.MULTILINE)
"""How a module of kernels names another one."""

HARMLESS = {"NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"}
"""Settings of Numba that entries obey; with any other, there are none."""

FLAGS: dict[str, tuple[object, ...]] = {
    "BOUNDSCHECK": (None, 0),
    "DEBUGINFO_DEFAULT": (0,),
    "ENABLE_AVX": (1,),
    "LOOP_VECTORIZE": (1,),
    "OPT": (3,),
    "SLP_VECTORIZE": (0,),
}
"""Settings of Numba that change machine code, and those values of them with which there are entries."""

NUMBERS: dict[type, tuple[str, type]] = {
    int: ("i", int),
    np.int64: ("i", int),
    float: ("f", float),
    np.float64: ("f", float),
    bool: ("b", bool),
    np.bool_: ("b", bool),
}
"""Types of numbers: how they are called here, and what ctypes takes for them."""

OF_NUMBERS = {"i": ctypes.c_int64, "f": ctypes.c_double, "b": ctypes.c_bool}

CONTIGUOUS, FORTRAN, ALIGNED, WRITEABLE = 0x1, 0x2, 0x100, 0x400
"""Flags of an array."""

ADDRESS_AT = object.__basicsize__
"""Where in an array's object CPython has the address of its data: the first field, in NumPy's C interface. To ask NumPy
takes ten times as long, a third of a short call.
"""

ENTRIES: dict[str, Entry] = {}
"""What was loaded, by the names of files."""

LOCK = threading.Lock()


class Entry:
    """Machine code of a kernel for one combination of types.

    Parameters
    ----------
    address
    kinds
        Of the arguments, see `parts`.
    returned
        What it returns, as a format of `struct`; several values are a tuple, none None.
    """

    def __init__(self, address: int, kinds: Iterable[Any], returned: str) -> None:
        arguments: list[Any] = [ctypes.c_void_p, ctypes.c_void_p]
        for kind in kinds:
            if isinstance(kind, tuple):
                address_and_sizes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
                arguments += [*address_and_sizes, *[ctypes.c_int64] * (2 * kind[1])]
            elif kind in OF_NUMBERS:
                arguments.append(OF_NUMBERS[kind])
        self._function = ctypes.CFUNCTYPE(ctypes.c_int32, *arguments)(address)
        self._several = returned.startswith("(")
        self._returned = struct.Struct(f"@{returned.strip('()')}")

    def __call__(self, values: Iterable[Any]) -> Any:
        """Call it with `parts` of arguments, without the interpreter's lock."""
        out = ctypes.create_string_buffer(max(8, self._returned.size))
        error = ctypes.c_void_p()
        status = self._function(ctypes.addressof(out), ctypes.addressof(error), *values)
        assert status in (0, -2), "kernels raise nothing"
        found = self._returned.unpack_from(out)
        return found if self._several else found[0] if found else None


def usable() -> bool:
    """Whether kernels are called by their entries in this process, where they have one."""
    return _environment_is_harmless() and _numba_is_as_it_comes()


def _numba_is_as_it_comes() -> bool:
    """Whether Numba, where it is loaded, has the settings that it comes with."""
    config = getattr(sys.modules.get("numba"), "config", None)  # another thread may be about to import it
    return config is None or all(getattr(config, name) in usual for name, usual in FLAGS.items())


@cache
def _environment_is_harmless() -> bool:
    given = {name for name in os.environ if name.startswith("NUMBA_")}
    known = sys.platform == "linux" and sys.implementation.name == "cpython"
    return known and given <= HARMLESS and not Path(".numba_config.yaml").exists()


def parts(arguments: Iterable[Any], kinds: list[Any], values: list[Any]) -> bool:
    """Take arguments apart, as Numba does for machine code; False where one is of a type that entries do not take.

    Parameters
    ----------
    arguments
    kinds
        Written: the types, all that machine code depends on.
    values
        Written: numbers, and for each array two pointers to who owns it, which may be null for who returns no array,
        its size, bytes of an item, address, shape and strides.
    """
    for value in arguments:
        kind = type(value)
        if kind is np.ndarray:
            flags = value.flags.num
            if not flags & ALIGNED:
                return False
            kinds.append((value.dtype, value.ndim, flags & (CONTIGUOUS | FORTRAN | WRITEABLE)))
            address = ctypes.c_void_p.from_address(id(value) + ADDRESS_AT).value
            values += (None, None, value.size, value.itemsize, address, *value.shape, *value.strides)
        elif kind in NUMBERS:
            name, plain = NUMBERS[kind]
            if name == "i" and not -(1 << 63) <= value < 1 << 63:
                return False
            kinds.append(name)
            values.append(plain(value))
        elif isinstance(value, tuple) and hasattr(value, "_fields"):
            kinds.append(f"{kind.__module__}.{kind.__qualname__}{value._fields}")
            if not parts(value, kinds, values):
                return False
        else:
            return False
    return True


def find_entry(function: Callable[..., object], kinds: Iterable[Any]) -> Entry | None:
    """The entry of a kernel for arguments of these kinds; None where it was not compiled yet."""
    name = entry_name(function, kinds)
    with LOCK:
        for folder in folders() if name not in ENTRIES else ():
            stored = read(folder / name)
            if stored is not None:
                return entry_of(stored, name, kinds)
    return ENTRIES.get(name)


def entry_of(stored: bytes, name: str, kinds: Iterable[Any]) -> Entry | None:
    """Load the content of the file of this name; None where this process lacks what it calls."""
    head, _, code = stored.partition(b"\n")
    returned, *needed = head.decode().split(" ")
    if all(map(_has, needed)):
        ENTRIES[name] = Entry(_loaded(code, symbol(name)), kinds, returned)
    return ENTRIES.get(name)


def entry_name(function: Callable[..., object], kinds: Iterable[Any]) -> str:
    """The name of the file with an entry, by all that the machine code depends on."""
    types = [
        (kind[0].str, kind[1], "C" if kind[2] & CONTIGUOUS else "F" if kind[2] & FORTRAN else "A", kind[2] & WRITEABLE)
        if isinstance(kind, tuple)
        else kind
        for kind in kinds
    ]
    return file_name(ENTRY, function, types, processor(), _compiler())


def symbol(name: str) -> str:
    """What an entry is called in its machine code."""
    return "entry_" + hashlib.sha256(name.encode()).hexdigest()[:32]


@cache
def processor() -> tuple[str, str, str]:
    """What code is compiled for, as Numba's code generator says it: system, processor and its features."""
    from llvmlite import binding

    name = os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if name.lower() == "generic" else binding.get_host_cpu_features().flatten()
    return binding.get_process_triple(), name, features


@cache
def _compiler() -> bytes:
    """The version of the compiler, as its package has it, which need not be imported for it."""
    spec = find_spec("numba")
    assert spec is not None, "the package depends on it"
    assert spec.origin is not None, "it is no namespace"
    return Path(spec.origin).with_name("_version.py").read_bytes()


def _loaded(code: bytes, name: str) -> int:
    """Put machine code into memory, for good; where its function of this name is."""
    from llvmlite import binding

    engine = _engine()
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address: int = engine.get_function_address(name)
    return address


def _has(name: str) -> bool:
    """Whether this process has a function of C."""
    from llvmlite import binding

    _engine()  # before the first one, LLVM does not look into the process
    return binding.address_of_symbol(name) is not None


@cache
def _engine() -> Any:
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_triple(binding.get_process_triple()).create_target_machine(codemodel="jitdefault")
    return binding.create_mcjit_compiler(binding.parse_assembly(""), machine)


# Files ---------------------------------------------------------------------------------------------------------------


def folders() -> list[Path]:
    """Where kernels are looked for and kept, in this order."""
    if own := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(own) / "cvbench"]
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  # Path wants a home
    return [Path(__file__).parent / "__pycache__", Path(user) / "numba" / "cvbench"]


def file_name(suffix: str, function: Callable[..., object], *others: object) -> str:
    """The name of a file with machine code of `function`, which depends on its sources and on `others`."""
    module = function.__module__
    parts = (sources_hash(module), function.__qualname__, function.__code__.co_firstlineno, *others)
    digest = hashlib.sha256(repr((*parts, sys.implementation.cache_tag)).encode()).hexdigest()
    return f"{module.rpartition('.')[2]}.{function.__name__}-{digest[:24]}{suffix}"


@cache
def sources_hash(module: str) -> str:
    """The hash of a module's source and of those of all modules of kernels that it imports."""
    found: dict[str, bytes] = {}
    missing = {module}
    while missing:
        name = missing.pop()
        found[name] = source_of(name)
        missing |= set(IMPORTED.findall(found[name].decode())) - found.keys()
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()


@cache
def source_of(module: str) -> bytes:
    """The source of a module, from wherever it is imported."""
    spec = sys.modules[module].__spec__ if module in sys.modules else find_spec(module)
    assert spec is not None, "kernels are in modules"
    source: bytes = spec.loader.get_data(spec.origin)  # type: ignore[union-attr]  # loaders of files and archives have it
    return source


def read(path: Path) -> bytes | None:
    """The content of a file; None where there is none, or another one than was written."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None  # what cannot be read is compiled, and whether that can be kept is told then
    content = stored[HASH:]
    return content if hashlib.sha256(content).digest() == stored[:HASH] else None
