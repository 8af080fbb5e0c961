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
