"""Which operators there are, what kind each is, and whose formula is whose.

An operator is known in one of four ways: it is in the table below, or it was added with `register_formula`; it returns
views of what it was given, which is free; torch marks it as point-wise, which costs 1 FLOP per element; or it is
*unknown*, which is reported and never taken for nothing.

Names are those of the dispatcher with a dot, without overload: ``aten.convolution``, ``torchvision.nms``. An overload
that takes other arguments has an entry of its own, ``aten.lstm.data``. Operators that work in place are known under the
name of those that do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple, get_args

from cvbench.cost import formulas as f
from cvbench.errors import InputError, did_you_mean

Kind = Literal[
    "conv",
    "matmul",
    "attention",
    "pointwise",
    "norm",
    "softmax",
    "pool",
    "interpolation",
    "other",
    "free",
    "unknown",
]
"""Classes of operators: those of one class run at about one rate."""

Reads = Literal["all", "rows", "not first"]
"""What a call reads of its tensors: all of them; of the first one only as much as it returns (a lookup); or all but the
first, which it overwrites."""

Phase = Literal["forward", "backward"]


class Operator(NamedTuple):
    """What is known of an operator: its class, its formula, and what it reads."""

    kind: Kind
    formula: f.Formula
    reads: Reads = "all"


@dataclass(frozen=True, slots=True)
class OpCall:
    """One call of one operator.

    Attributes
    ----------
    op
        The operator, ``aten.convolution``.
    module
        Dotted path of the module that called it; empty for the model itself.
    depth
        How deep that module lies: 0 is the model.
    kind
        Class of the operator; ``free`` for views and allocations, ``unknown`` where it has no formula.
    macs, flops
        Multiply-accumulates, and FLOPs: twice as many and what `cvbench.cost.formulas` says beside them.
    bytes_read, bytes_written
        What the call reads and writes when it runs alone, every tensor once.
    bytes_fused
        What it has to move when a point-wise operator or norm takes its first operand from registers and leaves its
        result there; a lower bound.
    input_shapes, output_shapes
        Of the tensors that went in and came out.
    dtype
        Of the first tensor that came out, else of the first that went in, ``float32``; empty without tensors.
    phase
        ``forward`` or ``backward``.
    part
        The part of the model that the call belongs to, where it is counted in parts.
    scopes
        All modules that the call counts for, from the model to `module`.
    """

    op: str
    module: str
    depth: int
    kind: Kind
    macs: int
    flops: int
    bytes_read: int
    bytes_written: int
    bytes_fused: int
    input_shapes: tuple[f.Shape, ...]
    output_shapes: tuple[f.Shape, ...]
    dtype: str
    phase: Phase = "forward"
    part: str = ""
    scopes: tuple[str, ...] = field(default=("",), repr=False)


FREE = Operator("free", f.nothing)
POINTWISE = Operator("pointwise", f.per_output)
UNKNOWN = Operator("unknown", f.nothing)


def _aten(kind: Kind, entries: Mapping[str, f.Formula], reads: Reads = "all") -> dict[str, Operator]:
    """Entries by the names that a key lists, without ``aten.``."""
    return {
        f"aten.{name}": Operator(kind, formula, reads) for names, formula in entries.items() for name in names.split()
    }


def _taps(formula: f.Formula, suffix: str = "") -> dict[str, f.Formula]:
    """Interpolations by their taps."""
    taps = {"linear1d": 2, "bilinear2d": 4, "trilinear3d": 8, "bicubic2d": 16}
    return {f"upsample_{name}{suffix}": partial(formula, taps=count) for name, count in taps.items()}


_CONV = _aten(
    "conv",
    {
        "convolution": f.convolution,
        "convolution_backward": f.convolution_backward,
        "conv_tbc": f.conv_tbc,
    },
) | {
    "torchvision.deform_conv2d": Operator("conv", f.deformable_convolution),
    "torchvision._deform_conv2d_backward": Operator("conv", f.deformable_convolution_backward),
}

_RECURRENT = {"lstm": (4, f.LSTM), "gru": (3, f.GRU), "rnn_tanh": (1, f.RNN), "rnn_relu": (1, f.RNN)}

_MATMUL = (
    _aten(
        "matmul",
        {
            "mm bmm mv dot vdot _int_mm _scaled_mm": f.matrix_product,
            "addmm addmv baddbmm _addmm_activation": f.matrix_product_added,
            "addbmm": f.batch_product_summed,
            "addr": f.outer_product_added,
            "mkldnn_linear": f.linear,
            "_trilinear": f.trilinear,
            "_cdist_forward _euclidean_dist": f.distances,
            "_cdist_backward": f.distances_backward,
            "mkldnn_rnn_layer": f.lstm_layer,
            "mkldnn_rnn_layer_backward": f.lstm_layer_backward,
        },
    )
    | _aten("matmul", {name: partial(f.recurrent, gates=g, unit=u) for name, (g, u) in _RECURRENT.items()})
    | _aten("matmul", {f"{n}.data": partial(f.recurrent_packed, gates=g, unit=u) for n, (g, u) in _RECURRENT.items()})
)

_ATTENTION = _aten(
    "attention",
    {
        "scaled_dot_product_attention "
        "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention "
        "_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention": f.attention,
        "_scaled_dot_product_flash_attention_for_cpu_backward _scaled_dot_product_flash_attention_backward "
        "_scaled_dot_product_efficient_attention_backward _scaled_dot_product_cudnn_attention_backward": (
            f.attention_backward
        ),
        "_native_multi_head_attention": f.multi_head_attention,
        "_transformer_encoder_layer_fwd": f.transformer_encoder_layer,
    },
)
