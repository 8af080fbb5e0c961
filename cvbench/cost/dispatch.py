"""Runs a model and writes down every operator that it dispatches.

This module imports torch when it is imported; `cvbench.cost.counter` imports it when it counts.

The model that runs is a twin: modules are copied, weights are not. On ``meta`` the twin's weights have shapes and no
memory; on a real device it shares the model's own. Buffers and other tensors are copied, so a forward that writes into
them (statistics of batch norms, cached grids) leaves the model alone.
"""

from __future__ import annotations

import copy
import sys
import threading
import weakref
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from cvbench.cost.formulas import Shape
from cvbench.cost.operators import FREE, POINTWISE, UNKNOWN, OpCall, Operator, Phase, find_operator, moved_bytes
from cvbench.errors import InputError

if TYPE_CHECKING:
    from cvbench.cost.spec import CountSpec

META = torch.device("meta")

COMPOSITE = "CompositeImplicitAutograd"
"""Torch's name for operators that are made of others."""


@dataclass(frozen=True)
class ModuleInfo:
    """One module of the model, at the first of its paths; its children's parameters are among its own."""

    path: str
    type: str
    params: int
    params_trainable: int


@dataclass
class Recording:
    """What a run did.

    Attributes
    ----------
    calls
        Every operator, in order.
    modules
        Every module of the model once, in the order in which they are registered; then those that it only called.
    module_calls
        How often each was called in the forward pass.
    peak_bytes
        The most bytes that were alive at once in storages made by the run.
    """

    modules: list[ModuleInfo]
    calls: list[OpCall] = field(default_factory=list)
    module_calls: Counter[str] = field(default_factory=Counter)
    peak_bytes: int = 0


class _Copies(TorchFunctionMode):
    """Says how tensors are copied with the object that holds them."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not Tensor.__deepcopy__:
            return func(*args, **(kwargs or {}))
        tensor, memo = args
        memo[id(tensor)] = placed(tensor, self.device)
        return memo[id(tensor)]


def placed(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy of a tensor on `device` that asks for gradients if the tensor does; on meta it has no memory."""
    detached = tensor.detach()
    copied = torch.empty_like(detached, device=META) if device == META else detached.to(device, copy=True)
    return copied.requires_grad_(tensor.requires_grad)


def twin_of(model: nn.Module, device: torch.device) -> nn.Module:
    """A copy of the model on `device` that shares its parameters, or has none in memory on meta.

    Raises
    ------
    InputError
        Parameters are not yet made, have no values but are to run on a real device, or the model cannot be copied.
    """
    memo: dict[int, Any] = {}
    for path, parameter in model.named_parameters():
        if nn.parameter.is_lazy(parameter):
            raise InputError(
                "this lazy parameter has no shape yet; run the model once before it is counted", where=path
            )
        if parameter.device == META != device:
            raise InputError(f"the weights are on meta and have no values; they cannot run on {device}", where=path)
        if parameter.device == device:
            memo[id(parameter)] = parameter
        else:
            moved = placed(parameter.detach(), device)
            memo[id(parameter)] = nn.Parameter(moved, parameter.requires_grad)
    try:
        with _Copies(device):
            return copy.deepcopy(model, memo)
    except Exception as error:
        message = f"the model cannot be copied, and counting runs a copy: {type(error).__name__}: {error}"
        raise InputError(message, where=type(model).__name__) from error


class _Liveness:
    """Bytes of the storages that a run has made and not yet let go of."""

    def __init__(self) -> None:
        self.live = 0
        self.peak = 0
        self._storages: dict[int, weakref.ref[Any]] = {}

    def add(self, made: list[Tensor], given: list[Tensor]) -> None:
        """Follow the storages of `made` that are not those of `given`: weights, inputs, what was made before."""
        old = {_address(tensor.untyped_storage()) for tensor in given if _is_dense(tensor)}
        for tensor in filter(_is_dense, made):
            storage = tensor.untyped_storage()
            key = _address(storage)
            if key in old or key in self._storages:
                continue
            size = storage.nbytes()
            self._storages[key] = weakref.ref(storage, self._gone(key, size))
            self.live += size
        self.peak = max(self.peak, self.live)

    def _gone(self, key: int, size: int) -> Callable[[object], None]:
        def gone(_: object) -> None:
            del self._storages[key]
            self.live -= size

        return gone


def _address(storage: Any) -> int:
    """What tells storages apart, on meta too, as long as they live."""
    return int(storage._cdata)  # noqa: SLF001  # torch has no public name for it


class _Scopes:
    """Knows which module runs, in the forward pass and, by the age of its nodes, in the backward pass.

    Autograd numbers its nodes in the order in which they are made. Noting the number at which a module was entered or
    left says to which module a node belongs.
    """

    def __init__(self, model: nn.Module, recording: Recording) -> None:
        self._recording = recording
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._stack: list[tuple[str, ...]] = [("",)]
        self._entered: list[int] = []
        self._starts = [-1]
        self._scopes: list[tuple[str, ...]] = [("",)]
        self._thread = threading.get_ident()
        self.failed: tuple[BaseException, str, list[Shape]] | None = None

    @contextmanager
    def follow(self) -> Iterator[None]:
        """Let every module that is called say so; only for the time of the block, and without touching the modules."""
        hooks = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def current(self) -> tuple[tuple[str, ...], Phase]:
        """The modules that an operator counts for, outermost first, and the pass that runs."""
        age = _age_of_running_node()
        if age is None:
            return self._stack[-1], "forward"
        if len(self._stack) > 1:
            return self._stack[-1], "backward"  # a forward that is run again, for checkpoints
        return self._scopes[bisect_right(self._starts, age) - 1], "backward"

    def _enter(self, module: nn.Module, _args: Any) -> None:
        if threading.get_ident() != self._thread:
            return
        outer = self._stack[-1]
        path = self._paths.get(id(module))
        if path is None:  # made or kept outside of the model's modules
            path = f"{outer[-1]}.<{type(module).__name__}>".removeprefix(".")
            self._paths[id(module)] = path
            self._recording.modules.append(info_of(path, module))
        self._recording.module_calls[path] += 1
        self._entered.append(id(module))
        self._push(outer if path in outer else (*outer, *_containers(outer[-1], path), path))

    def _leave(self, module: nn.Module, args: Any, _result: Any) -> None:
        if threading.get_ident() != self._thread or id(module) not in self._entered:
            return
        error = sys.exc_info()[1]
        if error is not None and (self.failed is None or self.failed[0] is not error):
            self.failed = error, self._stack[-1][-1], shapes_of(args)
        while self._entered.pop() != id(module):
            self._stack.pop()
        self._stack.pop()
        self._note(self._stack[-1])

    def _push(self, scopes: tuple[str, ...]) -> None:
        self._stack.append(scopes)
        self._note(scopes)

    def _note(self, scopes: tuple[str, ...]) -> None:
        self._starts.append(_age_of_next_node())
        self._scopes.append(scopes)


def _age_of_next_node() -> int:
    """The number that autograd gives to the next node that this thread makes."""
    autograd: Any = torch.autograd
    return int(autograd._get_sequence_nr())  # noqa: SLF001  # torch has no public name for it


def _age_of_running_node() -> int | None:
    """The number of the node whose backward runs; None outside of a backward pass."""
    node: Any = torch._C._current_autograd_node()  # noqa: SLF001  # likewise
    return None if node is None else int(node._sequence_nr())  # noqa: SLF001  # likewise


def _containers(outer: str, path: str) -> list[str]:
    """The modules between two that are never called themselves, such as lists of modules.

    >>> _containers("", "stages.0.conv"), _containers("head", "stages.0.conv")
    (['stages', 'stages.0'], [])
    """
    prefix = f"{outer}." if outer else ""
    if not path.startswith(prefix):
        return []  # a module that another one lends
    names = path.removeprefix(prefix).split(".")
    return [prefix + ".".join(names[:end]) for end in range(1, len(names))]


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not type its subclass hook
    """Writes down each operator, with its work, its bytes, and what stays alive after it."""

    def __init__(self, scopes: _Scopes, recording: Recording, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self._scopes = scopes
        self._recording = recording
        self.on_meta = device == META
        self.liveness = _Liveness()
        self.part = ""
        self.last = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        operator = find_operator(_name(func), _schema(func).overload_name)
        if operator is None:
            if _is_composite(func):
                with self:
                    return _run_composite(func, args, kwargs)
            operator = _by_schema(func)
        given = _tensors((args, kwargs))
        self.last = f"{_name(func)} on {_text([tuple(tensor.shape) for tensor in given])}"
        if self.on_meta and any(tensor.device == META for tensor in given):
            args, kwargs = tree_map(_to_meta, (args, kwargs))
        result = func(*args, **kwargs)
        if self.on_meta and _name(func) == "aten.scaled_dot_product_attention":
            result = _fused_layout(result, args[0])
        self._record(func, operator, args, kwargs, given, _tensors(result))
        return result

    def _record(
        self, func: Any, operator: Operator, args: Any, kwargs: Any, given: list[Tensor], made: list[Tensor]
    ) -> None:
        scopes, phase = self._scopes.current()
        out = tuple(made[0].shape) if made else ()
        positional, named = _as_shapes(func, args, kwargs)
        try:
            work = operator.formula(out, *positional, **named)
        except Exception as error:
            message = f"the formula of {self.last} fails: {type(error).__name__}: {error}"
            raise InputError(message) from error
        read, written, fused = moved_bytes(operator, map(_bytes, given), map(_bytes, made))
        self.liveness.add(made, given)
        self._recording.calls.append(
            OpCall(
                op=_name(func),
                module=scopes[-1],
                depth=len(scopes[-1].split(".")) if scopes[-1] else 0,
                kind=operator.kind,
                macs=work.macs,
                flops=work.flops,
                bytes_read=read,
                bytes_written=written,
                bytes_fused=fused,
                input_shapes=tuple(tuple(tensor.shape) for tensor in given),
                output_shapes=tuple(tuple(tensor.shape) for tensor in made),
                dtype=str((made or given)[0].dtype).removeprefix("torch.") if made or given else "",
                phase=phase,
                part=self.part,
                scopes=scopes,
            )
        )


def _schema(func: Any) -> Any:
    return func._schema  # noqa: SLF001  # what torch itself reads in its modes


@cache
def _name(func: Any) -> str:
    """Namespace and name of an operator, without overload.

    >>> _name(torch.ops.aten.add.Tensor)
    'aten.add'
    """
    return str(_schema(func).name).replace("::", ".")


@cache
def _is_composite(func: Any) -> bool:
    """Whether the operator is made of others on every device."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), COMPOSITE)  # noqa: SLF001  # no public name


def _run_composite(func: Any, args: Any, kwargs: Any) -> Any:
    """Run a composite operator as its parts, by torch's compiled code.

    ``func.decompose`` may prefer a Python version that is written for compilers and does more: a dropout that does
    nothing then copies.
    """
    key = getattr(torch._C.DispatchKey, COMPOSITE)  # noqa: SLF001  # likewise
    return func._op_dk(key, *args, **kwargs)  # noqa: SLF001  # what `decompose` calls


@cache
def _by_schema(func: Any) -> Operator:
    """What an operator without an entry is by its own word: a view, point-wise, without tensors, or unknown."""
    returns = _schema(func).returns
    if returns and all(value.alias_info is not None and not value.alias_info.is_write for value in returns):
        return FREE
    if torch.Tag.pointwise in func.tags:
        return POINTWISE
    takes = [*_schema(func).arguments, *returns]
    return UNKNOWN if any("Tensor" in str(value.type) for value in takes) and func.namespace != "prim" else FREE


def _as_shapes(func: Any, args: Any, kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
    """The arguments as formulas take them; torch leaves out those that have the schema's default."""
    named = dict(kwargs)
    positional = list(args)
    for argument in _schema(func).arguments[len(args) :]:
        if argument.kwarg_only:
            break
        positional.append(named.pop(argument.name, argument.default_value))
    return [_shaped(value) for value in positional], {name: _shaped(value) for name, value in named.items()}


def _shaped(value: Any) -> Any:
    if isinstance(value, Tensor):
        return tuple(value.shape)
    return [_shaped(item) for item in value] if isinstance(value, list | tuple) else value


def _tensors(tree: Any) -> list[Tensor]:
    """The tensors in arguments or results, each once."""
    return list({id(leaf): leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)}.values())


def shapes_of(tree: Any) -> list[Shape]:
    """The shapes of the tensors in `tree`, each tensor once."""
    return [tuple(tensor.shape) for tensor in _tensors(tree)]


def _text(shapes: list[Shape]) -> str:
    return ", ".join(map(str, shapes)) or "no tensors"


def _to_meta(value: Any) -> Any:
    """Constants that a forward makes on the CPU, where they meet tensors without memory; single numbers may stay."""
    return value.to(META) if isinstance(value, Tensor) and value.dim() and value.device != META else value


def _fused_layout(result: Tensor, q: Tensor) -> Tensor:
    """What attention returns where it is fused: laid out as its query, which may spare a copy afterwards.

    On meta, attention is unfused.
    """
    fused = result.device == META and q.dim() == 4 and result.shape == q.shape
    return torch.empty_like(q) if fused else result


def _bytes(tensor: Tensor) -> int:
    """What reading or writing a tensor moves: repeated elements of expanded ones once."""
    if not _is_dense(tensor):
        return tensor.numel() * tensor.element_size()
    sizes = zip(tensor.shape, tensor.stride(), strict=True)
    return prod(size for size, stride in sizes if stride or not size) * tensor.element_size()


def _is_dense(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_nested


def info_of(path: str, module: nn.Module) -> ModuleInfo:
    """Type and parameters of a module; shared parameters count once."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in module.parameters()]
    return ModuleInfo(path, type(module).__name__, sum(n for n, _ in sizes), sum(n for n, grad in sizes if grad))


def record(
    model: nn.Module, args: Any, kwargs: Any, *, device: str, backward: bool, spec: CountSpec | None
) -> Recording:
    """Run a twin of the model, and write down what it does.

    Parameters
    ----------
    model
        Stays as it is.
    args, kwargs
        Its inputs: any tensors in any lists and dicts; they are copied.
    device
        Where the twin runs.
    backward
        Also run the backward pass, for the gradients of all parameters and inputs that ask for them. The model then
        runs in the mode that it is in, else in evaluation mode.
    spec
        Run ``count_parts(spec, *args)`` of the model in place of its forward.

    Raises
    ------
    InputError
        The forward or the backward pass fails; the message begins with the module that failed.
    """
    where = torch.device(device)
    twin = twin_of(model, where)
    if not backward:
        twin.eval()
    args, kwargs = tree_map(lambda leaf: placed(leaf, where) if isinstance(leaf, Tensor) else leaf, (args, kwargs))
    recording = Recording([info_of(path, module) for path, module in twin.named_modules()])
    scopes = _Scopes(twin, recording)
    recorder = _Recorder(scopes, recording, where)
    with _left_as_found(where), scopes.follow():
        try:
            with torch.enable_grad() if backward else torch.inference_mode():
                with recorder:
                    result = twin(*args, **kwargs) if spec is None else _run_parts(twin, args, recorder, spec)
                if backward:
                    _run_backward(twin, (args, kwargs), result, recorder)
        except Exception as error:
            raise _failure(error, model, (args, kwargs), scopes, recorder) from error
    recording.peak_bytes = recorder.liveness.peak
    return recording


@contextmanager
def _left_as_found(device: torch.device) -> Iterator[None]:
    """Random numbers and settings are afterwards what they were before.

    The fused path of transformer layers is switched off: it runs on some devices only and hides what it runs.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _run_parts(twin: Any, args: Any, recorder: _Recorder, spec: CountSpec) -> list[str]:
    """The names of the parts; what runs after a name has come counts for it."""
    names = []
    for name in twin.count_parts(spec, *args):
        recorder.part = name
        names.append(name)
    return names


def _run_backward(twin: nn.Module, inputs: Any, result: Any, recorder: _Recorder) -> None:
    """From a gradient of ones for every output, to parameters and inputs; no gradient is left in the model."""
    ends = [tensor for tensor in _tensors(result) if tensor.requires_grad]
    starts = [tensor for tensor in [*twin.parameters(), *_tensors(inputs)] if tensor.requires_grad]
    if not ends or not starts:
        raise InputError("nothing to differentiate: no output depends on a parameter or input that asks for gradients")
    ones = [torch.ones_like(tensor) for tensor in ends]
    with recorder:
        torch.autograd.grad(ends, starts, ones, allow_unused=True)


def _failure(error: Exception, model: nn.Module, inputs: Any, scopes: _Scopes, recorder: _Recorder) -> InputError:
    """What to say when a run fails: the innermost module, what went into it, and the last operator."""
    path, shapes = "", shapes_of(inputs)
    if scopes.failed is not None and scopes.failed[0] is error:
        _, path, shapes = scopes.failed
    place = f"{type(model).__name__}.{path}" if path else type(model).__name__
    if isinstance(error, InputError):
        return InputError(error.message, where=error.where or place)
    last = f"; the last operator was {recorder.last}" if recorder.last else ""
    hint = "; tensors on meta have no values: where the model asks for some, count on device='cpu'"
    message = f"the model fails on {_text(shapes)}: {type(error).__name__}: {error}{last}"
    return InputError(message + hint * recorder.on_meta, where=place)
