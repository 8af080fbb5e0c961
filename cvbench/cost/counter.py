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
