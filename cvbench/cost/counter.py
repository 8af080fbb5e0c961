"""Counts what a model costs: parameters, multiply-accumulates, FLOPs, activations, bytes.

The model runs once, on tensors that have shapes and no memory, and every operator that it dispatches is counted by its
formula. Nothing is left out in silence: operators without a formula are listed, and ``strict`` refuses them.

Conventions
-----------
*macs* are the multiply-accumulates of convolutions, matrix products and attention, what papers print (often under the
name of FLOPs). *flops* are twice as many and the documented cost of everything else (`cvbench.cost.formulas`). The two
are never one word. Work is counted as it is executed: a module that is called twice counts twice, results that nobody
uses count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan, prod
from typing import TYPE_CHECKING, Any

from cvbench.cost.operators import OpCall
from cvbench.cost.spec import CountSpec, require_torch
from cvbench.errors import InputError

if TYPE_CHECKING:
    import torch

    from cvbench.cost.dispatch import ModuleInfo

VERSION = 1
"""Raised with every change that changes a count."""

CONVENTION = (
    "macs: convolution, matrix product and attention, taps on padding included, bias not; "
    "flops: 2 macs + point-wise, norm, softmax, pooling, interpolation; as executed"
)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over calls.

    Attributes
    ----------
    macs, flops
        As in `OpCall`.
    activations
        Elements that convolutions, matrix products and attention put out in the forward pass.
    bytes_unfused
        Bytes read and written when every operator runs alone.
    bytes_fused
        Bytes moved when point-wise operators and norms run in the registers of the operator before them: a lower bound.
    """

    macs: int = 0
    flops: int = 0
    activations: int = 0
    bytes_unfused: int = 0
    bytes_fused: int = 0

    @classmethod
    def of(cls, calls: Iterable[OpCall]) -> Totals:
        """The sums over `calls`."""
        macs = flops = activations = unfused = fused = 0
        for call in calls:
            macs += call.macs
            flops += call.flops
            unfused += call.bytes_read + call.bytes_written
            fused += call.bytes_fused
            if call.kind in ("conv", "matmul", "attention") and call.phase == "forward":
                activations += prod(call.output_shapes[0])
        return cls(macs, flops, activations, unfused, fused)

    @property
    def ai(self) -> float:
        """Arithmetic intensity: FLOPs per byte when every operator runs alone; NaN where no byte moves."""
        return self.flops / self.bytes_unfused if self.bytes_unfused else nan


@dataclass(frozen=True, slots=True)
class ModuleRow:
    """What one module costs.

    Attributes
    ----------
    path
        Dotted path; empty for the model. A module with several paths is listed at the first.
    type
        Name of its class.
    depth
        0 for the model.
    calls
        How often its forward ran; 0 for lists of modules, and for modules whose ``forward`` is called directly.
    params, params_trainable
        Elements of its parameters and of those below, shared ones once; and of those that ask for gradients.
    total
        What it costs with all that it calls.
    own
        What the operators cost that it calls itself.
    """

    path: str
    type: str
    depth: int
    calls: int
    params: int
    params_trainable: int
    total: Totals
    own: Totals


@dataclass(frozen=True, slots=True)
class Count:
    """What a model costs on one input; plain data, all whole numbers.

    Attributes
    ----------
    params, params_trainable
        Elements of all parameters, shared ones once, and of those that ask for gradients. Buffers are not parameters.
    macs, flops, activations, bytes_unfused, bytes_fused
        As in `Totals`.
    peak_activation_bytes
        The most bytes that are alive at once in tensors made on the way, weights and inputs apart.
    calls
        Every operator in the order of its call.
    modules
        One row per module.
    parts
        The cost of each part, in order; empty for a model that is counted as a whole.
    unknown
        Operators without a formula, by the number of their calls; their macs and flops are missing from the sums.
    convention
        One line that says what is counted.
    version
        Of the counter.
    """

    params: int
    params_trainable: int
    macs: int
    flops: int
    activations: int
    bytes_unfused: int
    bytes_fused: int
    peak_activation_bytes: int
    calls: list[OpCall] = field(repr=False)
    modules: list[ModuleRow] = field(repr=False)
    parts: dict[str, Totals]
    unknown: dict[str, int]
    convention: str
    version: int = VERSION

    @property
    def ai(self) -> float:
        """Arithmetic intensity, ``flops / bytes_unfused``; NaN where no byte moves."""
        return self.flops / self.bytes_unfused if self.bytes_unfused else nan
