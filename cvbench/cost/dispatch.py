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
