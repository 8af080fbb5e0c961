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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import nan, prod
from typing import TYPE_CHECKING, Any

from cvbench.cost.operators import OpCall
from cvbench.cost.spec import CountSpec, arguments, require_torch
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
                activations += sum(map(prod, call.output_shapes[:1]))  # statistics and states are no activations
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


def count(
    model: torch.nn.Module,
    input_size: CountSpec | str | Sequence[int] | Sequence[Sequence[int]] | None = None,
    *,
    inputs: Any = None,
    device: str = "meta",
    strict: bool = False,
    backward: bool = False,
) -> Count:
    """Count what a model costs.

    A copy of the model runs, without its weights on ``meta`` and with them elsewhere: the model stays as it is, and so
    do random numbers and settings.

    Parameters
    ----------
    model
        Any module. One with a method ``count_parts`` is counted in parts, see `CountSpec`.
    input_size
        Shape of the input, ``(1, 3, 224, 224)`` or ``"1x3x224x224"``, of several inputs, or a `CountSpec`.
    inputs
        The inputs themselves, in place of a size: a tensor, a tuple of arguments or a mapping of named ones. The
        model's ``forward`` then runs as it is.
    device
        Where the copy runs: ``meta`` needs neither memory nor time; a model that asks for values, as one that decides
        by the content of a tensor, runs on ``cpu``.
    strict
        Refuse operators without a formula.
    backward
        Count the backward pass, too: the gradients of all parameters that ask for one, and of `inputs` that do. The
        model then runs in the mode that it is in; without it, in evaluation mode.

    Raises
    ------
    InputError
        The forward pass fails (the message names the module and the shapes), an operator is unknown under `strict`, the
        inputs are missing or given twice, or `model` is no module.
    MissingDependency
        Torch is not installed.

    Undefined
    ---------
    `Count.ai` is NaN for a model that moves no bytes.

    Notes
    -----
    Forward passes are counted under inference mode, in which attention and recurrent layers are one operator on every
    device, so that the count is the same on all. With `backward`, they are counted in the form that the device runs.

    Examples
    --------
    >>> counted = count(torch.nn.Conv2d(3, 16, 3, padding=1), (1, 3, 32, 32))
    >>> counted.params, counted.macs, counted.flops
    (448, 442368, 901120)
    """
    require_torch()
    import torch

    from cvbench.cost.dispatch import record

    if not isinstance(model, torch.nn.Module):
        raise InputError(f"a {type(model).__name__} is no model; expected a torch.nn.Module", where="model")
    if (input_size is None) == (inputs is None):
        raise InputError("expected either input_size or inputs")
    spec = None if input_size is None else CountSpec.of(input_size)
    args, kwargs = arguments(inputs if spec is None else spec.build(device))
    in_parts = spec if hasattr(model, "count_parts") else None
    if in_parts and backward:
        raise InputError("parts of a model are counted forward only; give inputs to count the whole backward")
    recording = record(model, args, kwargs, device=device, backward=backward, spec=in_parts)
    if strict:
        _refuse_unknown(recording.calls, type(model).__name__)
    calls = recording.calls
    totals = Totals.of(calls)
    whole = recording.modules[0]
    mode = "training" if backward and model.training else "evaluation"
    return Count(
        params=whole.params,
        params_trainable=whole.params_trainable,
        macs=totals.macs,
        flops=totals.flops,
        activations=totals.activations,
        bytes_unfused=totals.bytes_unfused,
        bytes_fused=totals.bytes_fused,
        peak_activation_bytes=recording.peak_bytes,
        calls=calls,
        modules=_module_rows(recording.modules, recording.module_calls, calls),
        parts=_grouped(calls, lambda call: [call.part]) if in_parts else {},
        unknown=dict(Counter(call.op for call in calls if call.kind == "unknown")),
        convention=f"{CONVENTION}; {'forward and backward' if backward else 'forward'} in {mode} mode",
    )


def _refuse_unknown(calls: list[OpCall], model: str) -> None:
    unknown = [call for call in calls if call.kind == "unknown"]
    if not unknown:
        return
    first, others = unknown[0], sorted({call.op for call in unknown} - {unknown[0].op})
    shapes = ", ".join(map(str, first.input_shapes)) or "no tensors"
    more = f" (nor have {', '.join(others)})" if others else ""
    name = first.op.replace(".", "::", 1)
    message = f"{first.op} on {shapes} has no formula{more}; give it one with register_formula({name!r}, …)"
    raise InputError(message, where=f"{model}.{first.module}" if first.module else model)


def _grouped(calls: list[OpCall], keys_of: Callable[[OpCall], Iterable[str]]) -> dict[str, Totals]:
    """Totals by key, in the order in which keys come up; a call counts under each of its keys."""
    groups: dict[str, list[OpCall]] = {}
    for call in calls:
        for key in keys_of(call):
            groups.setdefault(key, []).append(call)
    return {key: Totals.of(group) for key, group in groups.items()}


def _module_rows(modules: list[ModuleInfo], called: Counter[str], calls: list[OpCall]) -> list[ModuleRow]:
    total = _grouped(calls, lambda call: call.scopes)
    own = _grouped(calls, lambda call: call.scopes[-1:])
    return [
        ModuleRow(
            path=module.path,
            type=module.type,
            depth=len(module.path.split(".")) if module.path else 0,
            calls=called[module.path],
            params=module.params,
            params_trainable=module.params_trainable,
            total=total.get(module.path, Totals()),
            own=own.get(module.path, Totals()),
        )
        for module in modules
    ]
