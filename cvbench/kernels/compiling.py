"""Compiling kernels.

Numba types a kernel and translates it to code of LLVM. Then it would make a wrapper that takes Python's objects,
optimise both and make machine code of them, even of functions that only other functions call. Here a kernel remains
code of LLVM, a `Library`, until Python calls it; then it is optimised, once, with all that it calls, and becomes an
entry, see `cvbench.kernels.loading`. Passes that kernels have no use for are left out. All this saves a third of the
time.

With settings of Numba, and for what entries do not take, `dispatcher_of` is Numba as everybody knows it.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import numba
from llvmlite import binding
from numba.core import codegen, compiler, event, typed_passes, untyped_passes
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.registry import CPUDispatcher

from cvbench.kernels.caching import KernelCache, keep
from cvbench.kernels.loading import CODE, Entry, entry_name, entry_of, find_entry, processor, symbol

OPTIONS = {"nopython": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}
"""What Numba is told of each kernel."""

USELESS = {
    untyped_passes.ReconstructSSA,  # a variable of a kernel is of one type
    typed_passes.PreLowerStripPhis,  # follows from it
    untyped_passes.InlineClosureLikes,  # there are no closures
    typed_passes.NopythonRewrites,  # nor expressions of whole arrays
}
"""Passes that are left out."""

RETURNED: dict[Any, str] = {numba.types.none: "", numba.int64: "q", numba.float64: "d", numba.boolean: "?"}
"""Formats of `struct` of what entries may return, alone or in a tuple."""

SAFE = re.compile(
    r"llvm\.(mem|[su](min|max|add|sub|mul)|f?abs|sqrt|ct|masked|vector\.reduce|x86\.atomic|assume|lifetime|experimental)"
)
"""What entries may call: functions of LLVM that become instructions, or calls that every C library has."""

LIBRARY = re.compile(r"(?:llvm\.)?(sqrtf?|hypot|atan2|exp)(?:\.v?\d*f64)?")
"""What else they may call, where the process that loads them has it: functions of C, by these names."""

ENTRY_EVENT = "cvbench:entry"
"""While an entry is made."""

COMPILER: Any = compiler.CompilerBase
DISPATCHER: Any = CPUDispatcher
JIT_LIBRARY: Any = codegen.JITCodeLibrary
LISTENER: Any = event.TimingListener
LOWERING: Any = typed_passes.NativeLowering
MANAGER: Any = PassManager
PIPELINES: Any = compiler.DefaultPassBuilder
RESULT: Any = compiler.compile_result
"""Parts of Numba, which carry no types."""


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
event.register(ENTRY_EVENT, COMPILING)  # type: ignore[no-untyped-call]


# To functions that Python calls --------------------------------------------------------------------------------------


class Passes(COMPILER):  # type: ignore[misc]  # as above
    """Numba's passes without those that are left out."""

    lowering: ClassVar[Any] = LOWERING

    def define_pipelines(self) -> list[Any]:
        """The one pipeline that there is."""
        passes = MANAGER("kernels")
        for one, why in PIPELINES.define_nopython_pipeline(self.state).passes:
            if one not in USELESS:
                passes.add_pass(self.lowering if one is LOWERING else one, why)
        passes.finalize()
        return [passes]


def dispatcher_of(function: Callable[..., object]) -> Any:
    """Numba's dispatcher of a kernel."""
    made = DISPATCHER(function, {}, OPTIONS, pipeline_class=Passes)
    made._cache = KernelCache(function)  # noqa: SLF001  # where Numba would put its own
    return made


# To code of LLVM -----------------------------------------------------------------------------------------------------


class Library(JIT_LIBRARY):  # type: ignore[misc]  # as above
    """Code of LLVM that is not machine code yet, nor optimised as a whole."""

    @classmethod
    def of(cls, generator: Any, name: str, module: Any) -> Library:
        """A library that has all that it links already."""
        library = cls(generator, name)
        library._final_module = module
        library._finalize_final_module()
        return library

    def optimized(self) -> Any:
        """The module, after all of Numba's passes over it."""
        super()._optimize_final_module()
        return self._final_module

    def _optimize_final_module(self) -> None:
        """What is linked is optimised where it ends up."""

    def _finalize_final_module(self) -> None:
        """No machine code is made."""
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)  # type: ignore[no-untyped-call]
class Lowering(LOWERING):  # type: ignore[misc]  # as above
    """Lowering to a `Library`, which other kernels can call and Python cannot."""

    _name = "kernel_lowering"

    def run_pass(self, state: Any) -> bool:
        """Write ``state.cr``, whose function is no more than the key under which other kernels find the library."""
        state.library = Library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        key = object()
        state.targetctx.insert_user_function(key, state.cr.fndesc, [state.library])
        state["cr"] = state.cr._replace(cfunc=key)
        return True


class CodePasses(Passes):
    """Passes to a `Library`."""

    lowering = Lowering


class CodeCache(KernelCache):
    """The libraries of one kernel."""

    suffix = CODE

    def reduced(self, data: Any) -> tuple[Any, ...]:
        """Name and code of the library, what the function is called there, and its types."""
        data.fndesc.typemap = data.fndesc.calltypes = None  # which cannot be kept
        return data.library.name, data.library._final_module.as_bitcode(), data.fndesc, data.signature  # noqa: SLF001

    def rebuilt(self, target_context: Any, stored: tuple[Any, ...]) -> Any:
        """See `reduced`."""
        name, bitcode, descriptor, signature = stored
        return RESULT(
            typing_context=target_context.typing_context,
            target_context=target_context,
            library=Library.of(target_context.codegen(), name, binding.parse_bitcode(bitcode)),
            entry_point=object(),
            fndesc=descriptor,
            signature=signature,
            objectmode=False,
        )


class Code(DISPATCHER):  # type: ignore[misc]  # as above
    """A kernel as kernels call it, and as entries are made of it; not for Python to call."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function, {}, {**OPTIONS, "no_cpython_wrapper": True}, pipeline_class=CodePasses)
        self._cache = CodeCache(function)

    def add_overload(self, cres: Any) -> None:
        """Take in what was compiled."""
        self.overloads[tuple(cres.signature.args)] = cres


# To entries ----------------------------------------------------------------------------------------------------------


def make_entry(code: Code, arguments: Sequence[Any], kinds: Iterable[Any]) -> Entry | None:
    """Compile a kernel for arguments of these types and keep its entry; None where it can have none."""
    name, types = entry_name(code.py_func, kinds), tuple(map(numba.typeof, arguments))
    with global_compiler_lock, event.trigger_event(ENTRY_EVENT):
        made = find_entry(code.py_func, kinds)  # by another thread meanwhile
        if made is not None:
            return made
        code.compile(types)
        compiled = code.overloads[types]
        if compiled.codegen.magic_tuple() != processor() or compiled.library.has_dynamic_globals:
            return None
        content = _entry(compiled, symbol(name))
    if content is None:
        return None
    keep(name, content)
    return entry_of(content, name, kinds)


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
    _drop_unused(module, generator)
    module = Library.of(generator, name, module).optimized()
    _drop_unused(module, generator)
    called = {function.name for function in module.functions if function.is_declaration}
    matches = [LIBRARY.fullmatch(function) for function in called if not SAFE.match(function)]
    foreign = any(value.is_declaration for value in module.global_variables)
    if returned is None or foreign or None in matches:
        return None
    functions = sorted({match[1] for match in matches if match is not None})
    content: bytes = f"{' '.join([returned, *functions])}\n".encode() + _machine(generator).emit_object(module)
    return content


def _drop_unused(module: Any, generator: Any) -> None:
    passes = binding.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, binding.create_pass_builder(_machine(generator), binding.create_pipeline_tuning_options()))


def _machine(generator: Any) -> Any:
    """What machine code is made for."""
    return generator._tm  # noqa: SLF001  # no other way


def _format(returned: Any) -> str | None:
    """What a function returns, as a format of `struct`; None where that is more than numbers."""
    if isinstance(returned, numba.types.BaseTuple):
        items = [RETURNED.get(item) for item in list(returned)]  # type: ignore[call-overload]  # as above
        return None if None in items else f"({''.join(map(str, items))})"
    return RETURNED.get(returned)
