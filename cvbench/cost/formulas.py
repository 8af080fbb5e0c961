"""What one call of an operator costs: integers from shapes and arguments.

A formula is called as ``formula(out, *args, **kwargs)``. `out` is the shape of the first tensor that the call returned;
the others are the arguments of the operator in the order of its schema, defaults included, where every tensor is
replaced by its shape (a tuple) and every list of tensors by a list of shapes. Other arguments are as they were: sizes
and paddings are lists, so a tuple is always a shape. Formulas that are told less take the rest as ``*_``.

Conventions
-----------
*macs* are the multiply-accumulates of convolutions, matrix products and attention, over every tap and every score: taps
that fall on padding and scores that a mask hides count, since they are computed. *extra* are the FLOPs beside them:

- an addition, multiplication, division, comparison or selection, and one evaluation of an elementary function (exp,
  log, sqrt, tanh, erf, …) cost 1; so a bias costs 1 per output, a sigmoid 4 (negate, exp, add, divide), a SiLU 5;
- softmax costs 5 per score: maximum, difference, exp, sum, quotient;
- a norm costs 4 per element for mean and variance where it takes them from the input, 2 to normalise and 2 for scale
  and shift; with running statistics these fold into one multiplication and one addition;
- a pool costs one per element of its window, an average one more per output;
- interpolation and sampling cost 2 per tap (2, 4, 8, 16 or 64 taps), fast Fourier transforms 5 n log2 n, half of it for
  real signals;
- a non-maximum suppression costs 12 per IoU.

Moving data costs bytes and no FLOPs.

Reference: the shapes' arithmetic. Transposed convolutions count over their input and grouped ones over the channels of
one group, which several counters get wrong.
"""

from __future__ import annotations

from math import ceil, log2, prod
from typing import Any, NamedTuple, Protocol

Shape = tuple[int, ...]

SOFTMAX = 5
"""FLOPs per score of a softmax."""

SOFTMAX_BACKWARD = 4
"""Product, sum, difference, product."""

STATISTICS = 4
"""FLOPs per element of mean and variance: one addition, and difference, square and addition."""

NORM = STATISTICS + 2 + 2
"""FLOPs per element of a norm that takes its statistics from its input, with scale and shift."""

IOU = 12
"""FLOPs of one IoU of two boxes."""


class Work(NamedTuple):
    """The arithmetic of one call.

    Attributes
    ----------
    macs
        Multiply-accumulates of convolution, matrix product and attention.
    extra
        All FLOPs beside them.
    """

    macs: int = 0
    extra: int = 0

    @property
    def flops(self) -> int:
        """Two per multiply-accumulate, and the rest."""
        return 2 * self.macs + self.extra


class Formula(Protocol):
    """What a formula is: ``formula(out, *args, **kwargs) -> Work``; see the module."""

    def __call__(self, out: Shape, /, *args: Any, **kwargs: Any) -> Work:
        """The work of one call."""


def nothing(_out: Shape, *_: Any, **__: Any) -> Work:
    """No arithmetic: views, allocations, copies."""
    return Work()


# ---------------------------------------------------------------------------------------------------- convolution


def convolution(
    out: Shape, x: Shape, weight: Shape, bias: Shape | None, _s: Any, _p: Any, _d: Any, transposed: bool, *_: Any
) -> Work:
    """Every weight meets every position: of the output, or of the input where the convolution is transposed.

    The weight is ``(C_out, C_in / groups, …)``, transposed ``(C_in, C_out / groups, …)``: groups need no factor.
    """
    positions = prod((x if transposed else out)[2:])
    return Work(x[0] * positions * prod(weight), prod(out) if bias is not None else 0)


def convolution_backward(
    _out: Shape,
    grad: Shape,
    x: Shape,
    weight: Shape,
    _bias: Any,
    _s: Any,
    _p: Any,
    _d: Any,
    transposed: bool,
    _o: Any,
    _groups: int,
    output_mask: list[bool],
) -> Work:
    """As often the forward as gradients are asked for, of the input and of the weight; the bias sums the gradient."""
    forward = x[0] * prod((x if transposed else grad)[2:]) * prod(weight)
    return Work(forward * (output_mask[0] + output_mask[1]), prod(grad) * output_mask[2])


def conv_tbc(out: Shape, _x: Shape, weight: Shape, *_: Any) -> Work:
    """A convolution over time; the weight is ``(taps, C_in, C_out)``."""
    return Work(prod(out) * weight[0] * weight[1], prod(out))


def deformable_convolution(
    out: Shape, x: Shape, weight: Shape, _offset: Shape, mask: Shape, bias: Shape, *rest: Any
) -> Work:
    """A convolution whose taps are each read by bilinear sampling: 4 multiply-accumulates of *extra* per tap.

    The arguments are those of ``torchvision::deform_conv2d``, which passes empty tensors for no mask; the last argument
    says whether there is one.
    """
    taps = out[0] * prod(out[2:]) * x[1] * prod(weight[2:])
    masked = bool(rest and rest[-1] and prod(mask))
    return Work(out[0] * prod(out[2:]) * prod(weight), taps * (8 + masked) + (prod(out) if prod(bias) else 0))


def deformable_convolution_backward(
    _out: Shape,
    grad: Shape,
    x: Shape,
    weight: Shape,
    offset: Shape,
    mask: Shape,
    bias: Shape,
    *rest: Any,
) -> Work:
    """Twice the forward, for the gradients of input and weight."""
    forward = deformable_convolution(grad, x, weight, offset, mask, bias, *rest)
    return Work(2 * forward.macs, 2 * forward.extra)


# ------------------------------------------------------------------------------------------------ matrix products


def matrix_product(out: Shape, a: Shape, _b: Shape, *_: Any, **__: Any) -> Work:
    """``(…, n, k) @ (…, k, m)``; matrix · vector and vector · vector have the same arithmetic."""
    return Work(prod(out) * a[-1])


def matrix_product_added(out: Shape, _c: Shape, a: Shape, b: Shape, *_: Any, **__: Any) -> Work:
    """``c + a @ b``."""
    return Work(matrix_product(out, a, b).macs, prod(out))


def batch_product_summed(out: Shape, _c: Shape, a: Shape, b: Shape, *_: Any, **__: Any) -> Work:
    """``c + (a @ b).sum(0)`` of ``(N, n, k)`` and ``(N, k, m)``."""
    return Work(prod(a) * b[-1], prod(out))


def linear(out: Shape, x: Shape, _weight: Shape, bias: Shape | None, *_: Any) -> Work:
    """``x @ weight.T + bias``."""
    return Work(prod(out) * x[-1], prod(out) if bias is not None else 0)


def outer_product_added(out: Shape, _c: Shape, _a: Shape, _b: Shape, *_: Any, **__: Any) -> Work:
    """``c + a ⊗ b``: a matrix product with k = 1."""
    return Work(prod(out), prod(out))


def trilinear(
    _out: Shape,
    a: Shape,
    b: Shape,
    c: Shape,
    expand_a: list[int],
    expand_b: list[int],
    expand_c: list[int],
    *_: Any,
) -> Work:
    """The sum of ``a * b * c`` after inserting axes: one product and one multiply-accumulate per element of the whole.

    Of ``nn.Bilinear``: n · in1 · in2 · out.
    """

    def inserted(shape: Shape, axes: list[int]) -> list[int]:
        sizes = list(shape)
        for axis in sorted(axes):
            sizes.insert(axis, 1)
        return sizes

    expanded = zip(inserted(a, expand_a), inserted(b, expand_b), inserted(c, expand_c), strict=True)
    whole = prod(max(sizes) for sizes in expanded)
    return Work(whole, whole)


def affine_grid(out: Shape, theta: Shape, *_: Any) -> Work:
    """Homogeneous coordinates of every pixel times a matrix of ``(N, 2, 3)`` or ``(N, 3, 4)``."""
    return Work(prod(out) * theta[-1])


def distances(out: Shape, a: Shape, *_: Any) -> Work:
    """All distances between rows: one multiply-accumulate per coordinate, as in the matrix product that it is.

    Beside it a difference per coordinate and a root.
    """
    return Work(prod(out) * a[-1], prod(out) * (a[-1] + 1))


def distances_backward(_out: Shape, _grad: Shape, a: Shape, _b: Shape, _p: float, distance: Shape) -> Work:
    """The forward once more, for the gradient of the first operand."""
    return distances(distance, a)


# ------------------------------------------------------------------------------------------------------ attention


def attention(_out: Shape, q: Shape, k: Shape, v: Shape, *rest: Any, attn_mask: Shape | None = None, **_: Any) -> Work:
    """Scaled dot-product attention over all scores: two matrix products, a scale and a softmax, and a mask if any.

    Heads are counted as the query has them: keys and values that are shared by groups of heads are used as often.
    """
    scores = prod(q[:-1]) * k[-2]
    masked = attn_mask is not None or (bool(rest) and isinstance(rest[0], tuple))
    return Work(scores * (q[-1] + v[-1]), scores * (SOFTMAX + 1 + masked))


def attention_backward(_out: Shape, _grad: Shape, q: Shape, k: Shape, v: Shape, *_: Any, **__: Any) -> Work:
    """Five matrix products: the scores again, and the gradients of value, weights, query and key."""
    scores = prod(q[:-1]) * k[-2]
    return Work(scores * (3 * q[-1] + 2 * v[-1]), scores * (SOFTMAX + SOFTMAX_BACKWARD + 1))


def multi_head_attention(
    _out: Shape,
    query: Shape,
    key: Shape,
    value: Shape,
    width: int,
    heads: int,
    *_: Any,
) -> Work:
    """Projections of ``(B, L, width)`` queries, keys and values, attention, projection of its output, biases."""
    rows = prod(query[:-1]) * 2 + prod(key[:-1]) + prod(value[:-1])
    split = [(shape[0], heads, shape[1], width // heads) for shape in (query, key, value)]
    core = attention(split[0], *split)
    return Work(rows * width**2 + core.macs, rows * width + core.extra)


def transformer_encoder_layer(out: Shape, x: Shape, width: int, heads: int, *rest: Any) -> Work:
    """Self-attention, two linear layers with an activation between them, two norms, two residual additions."""
    use_gelu, hidden = rest[4], rest[11][0]
    rows = prod(x[:-1])
    core = multi_head_attention(out, x, x, x, width, heads)
    activation = POINTWISE["gelu"] if use_gelu else 1
    extra = rows * (hidden * (1 + activation) + width * (1 + 2 * NORM + 2))
    return Work(core.macs + 2 * rows * hidden * width, core.extra + extra)


# ------------------------------------------------------------------------------------------------ recurrent layers

LSTM, GRU, RNN = 18, 14, 1
"""FLOPs per hidden unit and step beside the sums of the gates. LSTM: three sigmoids, two tanh, ``c = f c + i g`` and
``h = o tanh c``. GRU: two sigmoids, one tanh, ``r n`` and ``(1 - z) n + z h``. RNN: its activation."""


def recurrent(
    _out: Shape,
    x: Shape,
    _hx: Any,
    weights: list[Shape],
    biases: bool,
    layers: int,
    _dropout: float,
    _train: bool,
    both: bool,
    *_: Any,
    gates: int,
    unit: int,
) -> Work:
    """All layers, directions and steps of an LSTM, GRU or RNN: every weight matrix meets every step of every sequence.

    `unit` is what a hidden unit of `gates` gates costs beside the sums of two products and their biases.
    """
    steps = prod(x[:-1])
    rows = weights[0][0]
    macs = steps * sum(prod(weight) for weight in weights if len(weight) == 2)
    return Work(macs, steps * layers * (1 + both) * (rows * (1 + 2 * biases) + rows // gates * unit))


def recurrent_packed(out: Shape, data: Shape, _batch_sizes: Shape, *rest: Any, gates: int, unit: int) -> Work:
    """As `recurrent`, of packed sequences: the rows of `data` are the steps that there are."""
    return recurrent(out, data, *rest, gates=gates, unit=unit)


def lstm_layer(_out: Shape, x: Shape, input_weight: Shape, hidden_weight: Shape, *_: Any) -> Work:
    """One direction of one LSTM layer, as the CPU runs it."""
    steps = prod(x[:-1])
    rows = input_weight[0]
    return Work(steps * (prod(input_weight) + prod(hidden_weight)), steps * (3 * rows + rows // 4 * LSTM))


def lstm_layer_backward(out: Shape, x: Shape, input_weight: Shape, hidden_weight: Shape, *_: Any) -> Work:
    """Twice the forward, for the gradients of what goes in and of the weights."""
    forward = lstm_layer(out, x, input_weight, hidden_weight)
    return Work(2 * forward.macs, 2 * forward.extra)


def cell(_out: Shape, input_gates: Shape, hidden_gates: Shape, state: Shape, *biases: Shape | None, unit: int) -> Work:
    """The fused point-wise part of a recurrent cell: its two products come as operators of their own."""
    given = sum(bias is not None for bias in biases[:2])
    return Work(0, prod(hidden_gates) + given * prod(input_gates) + unit * prod(state))


# -------------------------------------------------------------------------- point-wise operators, norms, reductions

POINTWISE = {
    "addcdiv": 3,
    "addcmul": 3,
    "celu": 4,
    "clamp": 2,
    "elu": 3,
    "elu_backward": 4,
    "gelu": 5,
    "gelu_backward": 9,
    "glu": 5,
    "glu_backward": 8,
    "hardshrink": 2,
    "hardsigmoid": 4,
    "hardsigmoid_backward": 3,
    "hardswish": 5,
    "hardswish_backward": 6,
    "hardtanh": 2,
    "hardtanh_backward": 3,
    "leaky_relu": 2,
    "leaky_relu_backward": 2,
    "lerp": 3,
    "log_sigmoid_forward": 4,
    "log_sigmoid_backward": 5,
    "logit": 3,
    "mish": 5,
    "mish_backward": 12,
    "native_dropout": 2,
    "native_dropout_backward": 2,
    "polar": 4,
    "selu": 5,
    "sigmoid": 4,
    "sigmoid_backward": 3,
    "silu": 5,
    "silu_backward": 8,
    "softplus": 4,
    "softplus_backward": 4,
    "softshrink": 3,
    "tanh_backward": 3,
}
"""FLOPs per element of the output, where they are not 1: additions, products, quotients, comparisons and evaluations of
elementary functions, counted in the definitions."""


def per_output(out: Shape, *_: Any, flops: int = 1, **__: Any) -> Work:
    """So many FLOPs per element of the output."""
    return Work(0, flops * prod(out))


def per_input(_out: Shape, x: Shape, *_: Any, flops: int = 1, **__: Any) -> Work:
    """So many FLOPs per element of the first argument."""
    return Work(0, flops * prod(x))


def mean(out: Shape, x: Shape, *_: Any, **__: Any) -> Work:
    """A sum and a quotient per output."""
    return Work(0, prod(x) + prod(out))


def top(_out: Shape, x: Shape, k: int, *_: Any, **__: Any) -> Work:
    """The `k` largest of each row by a heap: log2 k comparisons per element."""
    return Work(0, prod(x) * ceil(log2(max(2, k))))


def sort(_out: Shape, x: Shape, axis: int = -1, *_: Any, dim: int | None = None, **__: Any) -> Work:
    """log2 n comparisons per element of a row of n."""
    length = x[axis if dim is None else dim] if x else 1
    return Work(0, prod(x) * ceil(log2(max(2, length))))


def bisection(out: Shape, *args: Any, table: int) -> Work:
    """Places in a sorted row of n, which is the argument number `table`: log2 n comparisons each."""
    return Work(0, prod(out) * ceil(log2(max(2, args[table][-1]))))


def batch_norm(
    out: Shape, _x: Shape, _weight: Any, _bias: Any, _mean: Any, _var: Any, training: bool = True, *_: Any
) -> Work:
    """With running statistics one multiplication and one addition per element, else those of a norm."""
    return per_output(out, flops=NORM if training else 2)


# ------------------------------------------------------------------------------- windows, taps, boxes, frequencies


def pool(out: Shape, _x: Shape, kernel: list[int], *_: Any, average: bool = False) -> Work:
    """One comparison or addition per element of the window, an average one quotient more."""
    dims = len(out) - 2 if len(kernel) == 1 else 1
    return Work(0, prod(out) * (prod(kernel) ** dims + average))


def average_pool_backward(_out: Shape, grad: Shape, _x: Shape, kernel: list[int], *_: Any) -> Work:
    """One addition per element of the window, and one quotient."""
    return pool(grad, grad, kernel, average=True)


def interpolation(out: Shape, _x: Shape, *_: Any, taps: int) -> Work:
    """A multiplication and an addition for each of `taps` neighbours."""
    return Work(0, 2 * taps * prod(out))


def interpolation_backward(_out: Shape, grad: Shape, *_: Any, taps: int) -> Work:
    """As many as forward: each gradient goes back to `taps` neighbours."""
    return Work(0, 2 * taps * prod(grad))


def smooth_interpolation(out: Shape, x: Shape, *_: Any, support: int) -> Work:
    """Interpolation with antialiasing, columns first, then rows; filters widen with the step between samples."""
    (height, width), (high, wide) = x[-2:], out[-2:]
    across = ceil(2 * support * max(1.0, width / wide))
    down = ceil(2 * support * max(1.0, height / high))
    return Work(0, 2 * prod(out[:-2]) * wide * (height * across + high * down))


def grid_sample(out: Shape, _x: Shape, grid: Shape, mode: int, *_: Any) -> Work:
    """Linear (2 taps an axis), nearest or cubic (4) sampling, and 6 FLOPs per coordinate for place and weights."""
    axes = grid[-1]
    taps = {0: 2**axes, 1: 0, 2: 4**axes}[mode]
    return Work(0, 2 * taps * prod(out) + 6 * prod(grid))


def grid_sample_backward(_out: Shape, grad: Shape, x: Shape, grid: Shape, mode: int, *_: Any) -> Work:
    """Twice the forward, for the gradients of the image and of the grid."""
    return Work(0, 2 * grid_sample(grad, x, grid, mode).extra)


ROI_SAMPLES = 4
"""Samples per bin of RoIAlign where their number follows from the size of the box: 2 × 2, as for boxes that have
twice as many pixels as bins a side."""


def roi_align(out: Shape, _x: Shape, _rois: Shape, _scale: float, _ph: int, _pw: int, ratio: int, *_: Any) -> Work:
    """4 multiply-accumulates of *extra* per sample, `ratio`² samples a bin, and their mean."""
    samples = ratio**2 if ratio > 0 else ROI_SAMPLES
    return Work(0, prod(out) * (8 * samples + samples + 1))


def roi_align_backward(out: Shape, grad: Shape, rois: Shape, scale: float, ph: int, pw: int, *rest: Any) -> Work:
    """As many samples as forward: each hands its gradient to 4 pixels of the image, whose four sizes come first."""
    return roi_align(grad, out, rois, scale, ph, pw, rest[4])


def nms(out: Shape, boxes: Shape, *_: Any) -> Work:
    """Every box that is kept meets all."""
    return Work(0, IOU * boxes[0] * out[0])


def fourier(out: Shape, x: Shape, axes: list[int], *_: Any, real: bool = False) -> Work:
    """5 n log2 n for each complex transform of n samples, half of it for a real signal.

    A real signal and its halved spectrum are told apart by their sizes: the larger of `x` and `out` is the signal.
    """
    signal = max(x, out, key=prod)
    return Work(0, round((2.5 if real else 5.0) * prod(signal) * log2(prod(signal[axis] for axis in axes))))
