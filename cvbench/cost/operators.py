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
            "_cdist_forward _euclidean_dist _pdist_forward": f.distances,
            "affine_grid_generator": f.affine_grid,
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

_POINTWISE = (
    _aten("pointwise", {name: partial(f.per_output, flops=flops) for name, flops in f.POINTWISE.items()})
    | _aten(
        "pointwise",
        {
            "_prelu_kernel _add_relu floor_divide rsub complex": f.per_output,
            "_prelu_kernel_backward": partial(f.per_output, flops=2),
            "_to_copy": f.nothing,
            "_thnn_fused_lstm_cell": partial(f.cell, unit=f.LSTM),
            "_thnn_fused_gru_cell": partial(f.cell, unit=f.GRU),
        },
    )
    | _aten("pointwise", {"bernoulli uniform normal random exponential": f.per_output}, "not first")
)

_TWICE = partial(f.per_output, flops=2 * f.NORM)
_NORM = _aten(
    "norm",
    {
        "batch_norm native_batch_norm _native_batch_norm_legit cudnn_batch_norm miopen_batch_norm": f.batch_norm,
        "_native_batch_norm_legit.no_stats _batch_norm_with_update": partial(f.per_output, flops=f.NORM),
        "_native_batch_norm_legit_no_training _batch_norm_no_update": partial(f.per_output, flops=2),
        "native_layer_norm native_group_norm": partial(f.per_output, flops=f.NORM),
        "rms_norm _fused_rms_norm": partial(f.per_output, flops=4),
        "native_batch_norm_backward cudnn_batch_norm_backward batch_norm_backward": _TWICE,
        "native_layer_norm_backward native_group_norm_backward _fused_rms_norm_backward": _TWICE,
    },
)

_SOFTMAX = _aten(
    "softmax",
    {
        "_softmax _log_softmax _safe_softmax _masked_softmax": partial(f.per_output, flops=f.SOFTMAX),
        "_softmax_backward_data _log_softmax_backward_data _masked_softmax_backward": partial(
            f.per_output, flops=f.SOFTMAX_BACKWARD
        ),
    },
)

_POOL = _aten(
    "pool",
    {
        "max_pool2d_with_indices max_pool3d_with_indices": f.pool,
        "avg_pool2d avg_pool3d": partial(f.pool, average=True),
        "avg_pool2d_backward avg_pool3d_backward": f.average_pool_backward,
        "max_pool2d_with_indices_backward max_pool3d_with_indices_backward": f.per_input,
        "_adaptive_avg_pool2d _adaptive_avg_pool3d": f.mean,
        "adaptive_max_pool2d adaptive_max_pool3d fractional_max_pool2d fractional_max_pool3d": f.per_input,
        "_adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward": f.per_output,
        "adaptive_max_pool2d_backward adaptive_max_pool3d_backward": f.per_input,
        "max_unpool2d max_unpool3d": f.nothing,
    },
) | {
    "torchvision.roi_align": Operator("pool", f.roi_align),
    "torchvision._roi_align_backward": Operator("pool", f.roi_align_backward),
}

_INTERPOLATION = _aten(
    "interpolation",
    {
        **_taps(f.interpolation),
        **_taps(f.interpolation_backward, "_backward"),
        "_upsample_bilinear2d_aa": partial(f.smooth_interpolation, support=1),
        "_upsample_bicubic2d_aa": partial(f.smooth_interpolation, support=2),
        "upsample_nearest1d upsample_nearest2d upsample_nearest3d": f.nothing,
        "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d": f.nothing,
        "upsample_nearest1d_backward upsample_nearest2d_backward upsample_nearest3d_backward": f.per_input,
        "grid_sampler_2d grid_sampler_3d _grid_sampler_2d_cpu_fallback": f.grid_sample,
        "grid_sampler_2d_backward grid_sampler_3d_backward": f.grid_sample_backward,
    },
)

_OTHER = (
    _aten(
        "other",
        {
            # one pass over the input
            "sum amax amin max min prod any all argmax argmin aminmax nansum count_nonzero cumsum cumprod cummax "
            "cummin trace nonzero unique_consecutive _unique _unique2 unique_dim bincount histc masked_select "
            "embedding_dense_backward nll_loss_backward median nanmedian kthvalue mode isin "
            "segment_reduce": f.per_input,
            "bucketize": partial(f.bisection, table=1),
            "searchsorted": partial(f.bisection, table=0),
            "linalg_cross": partial(f.per_output, flops=3),
            "mean": f.mean,
            "var var_mean std std_mean": partial(f.per_input, flops=f.STATISTICS),
            "linalg_vector_norm norm": partial(f.per_input, flops=2),
            "_weight_norm_interface": partial(f.per_input, flops=4),
            "_weight_norm_interface_backward": partial(f.per_input, flops=8),
            "logsumexp logcumsumexp": partial(f.per_input, flops=4),
            "mse_loss mse_loss_backward": partial(f.per_input, flops=3),
            "smooth_l1_loss smooth_l1_loss_backward huber_loss huber_loss_backward": partial(f.per_input, flops=5),
            "binary_cross_entropy binary_cross_entropy_backward": partial(f.per_input, flops=6),
            "binary_cross_entropy_with_logits": partial(f.per_input, flops=8),
            "sort": f.sort,
            "topk": f.top,
            "_fft_r2c _fft_c2r": partial(f.fourier, real=True),
            "_fft_c2c": f.fourier,
            # nothing but moved
            "clone cat stack repeat roll flip pixel_shuffle pixel_unshuffle channel_shuffle constant_pad_nd "
            "reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d "
            "im2col unfold_copy tril triu diag_embed block_diag unsafe_split unsafe_split_with_sizes slice_scatter "
            "select_scatter diagonal_scatter as_strided_scatter slice_backward select_backward diagonal_backward "
            "index_copy index_put _unsafe_index_put _index_put_impl scatter index_fill masked_scatter view_copy put "
            "_pack_padded_sequence "
            "repeat_interleave nll_loss_forward nll_loss2d_forward nll_loss2d_backward lift_fresh_copy": f.nothing,
            # moved, and added where several meet
            "col2im index_add scatter_add scatter_reduce index_reduce unfold_backward reflection_pad1d_backward "
            "reflection_pad2d_backward reflection_pad3d_backward replication_pad1d_backward "
            "replication_pad2d_backward replication_pad3d_backward": f.per_input,
            # made from nothing
            "zeros ones full zeros_like ones_like full_like new_zeros new_ones new_full scalar_tensor eye arange "
            "range linspace logspace tril_indices triu_indices hann_window hamming_window": f.nothing,
            "rand randn randint rand_like randn_like randint_like randperm multinomial": f.per_output,
        },
    )
    | _aten("other", {"copy fill zero": f.nothing}, "not first")
    | _aten(
        "other",
        {
            "index _unsafe_index index_select gather take embedding _embedding_bag "
            "_embedding_bag_forward_only": f.nothing
        },
        "rows",
    )
    | {"torchvision.nms": Operator("other", f.nms)}
)

_FREE = _aten(
    "free",
    {
        "empty empty_like empty_strided empty_permuted new_empty new_empty_strided resize resize_as set lift "
        "_unsafe_view _local_scalar_dense _assert_async _assert_scalar _assert_tensor_metadata is_same_size "
        "_has_same_storage_numel sym_constrain_range sym_constrain_range_for_size is_pinned "
        # views; in place, the schema does not say so
        "as_strided detach squeeze swapaxes swapdims t transpose unsqueeze": f.nothing,
    },
)

OPERATORS: dict[str, Operator] = {
    **_CONV,
    **_MATMUL,
    **_ATTENTION,
    **_POINTWISE,
    **_NORM,
    **_SOFTMAX,
    **_POOL,
    **_INTERPOLATION,
    **_OTHER,
    **_FREE,
}
"""All operators that are known by name. Composite ones that are in it count as one call, others as what they do."""


def find_operator(name: str, overload: str = "") -> Operator | None:
    """The entry of an operator, that of its overload first; None where it has none.

    >>> find_operator("aten.relu_") is None, find_operator("aten.silu_").kind
    (True, 'pointwise')
    """
    plain = name[:-1] if name.endswith("_") and not name.endswith("__") else name
    return OPERATORS.get(f"{plain}.{overload}") or OPERATORS.get(plain)


def register_formula(name: str, formula: f.Formula, kind: Kind = "other") -> None:
    """Teach the counter an operator, or replace what it knows of one.

    Parameters
    ----------
    name
        As in the dispatcher: ``mylib::deform_attn`` or ``mylib.deform_attn``; with an overload, that one alone.
    formula
        ``formula(out, *args, **kwargs) -> Work``, see `cvbench.cost.formulas`: tensors come as their shapes.
    kind
        Class of the operator.

    Raises
    ------
    InputError
        The name has no namespace, or there is no such class.

    Examples
    --------
    >>> from cvbench.cost.formulas import Work
    >>> def butterfly(out, x, weight):
    ...     return Work(macs=2 * math.prod(x))
    >>> register_formula("mylib::butterfly", butterfly, "matmul")
    """
    plain = name.replace("::", ".")
    if "." not in plain.strip("."):
        raise InputError(f"{name!r} names no operator; expected a namespace and a name, such as 'mylib::deform_attn'")
    if kind not in get_args(Kind):
        raise InputError(f"{kind!r} is no class of operators{did_you_mean(kind, get_args(Kind))}")
    OPERATORS[plain] = Operator(kind, formula)


def moved_bytes(operator: Operator, inputs: Iterable[int], outputs: Iterable[int]) -> tuple[int, int, int]:
    """Bytes that a call reads, writes, and moves when it is fused, from the sizes of its tensors in bytes."""
    sizes, written = list(inputs), sum(outputs)
    if operator.kind == "free":
        return 0, 0, 0
    first = sizes[0] if sizes else 0
    if operator.reads == "rows":
        first = min(first, written)
    elif operator.reads == "not first":
        first = 0
    read = first + sum(sizes[1:])
    fused = sum(sizes[1:]) if operator.kind in ("pointwise", "norm") else read + written
    return read, written, fused
