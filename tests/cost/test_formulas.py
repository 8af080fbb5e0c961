from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log2, prod

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st
from torch import Tensor, nn

from cost.probes import Function
from cvbench.cost import formulas as f
from cvbench.cost.counter import Count, count
from cvbench.cost.operators import OPERATORS, Operator, find_operator, moved_bytes


def work_of(body: Callable[..., object], *shapes: tuple[int, ...], device: str = "cpu") -> tuple[int, int]:
    """Multiply-accumulates and the FLOPs beside them, of a function of tensors; every operator has to be known."""
    counted = count(Function(body), shapes, device=device, strict=True)  # type: ignore[arg-type]  # results of any kind
    return counted.macs, counted.flops - 2 * counted.macs


# ---------------------------------------------------------------------------------------------------- convolutions


def as_matrix_products(x: Tensor, weight: Tensor, groups: int, **shape: int) -> Tensor:
    """A convolution as columns times weights, group by group: what it costs is what the products cost."""
    columns = F.unfold(x, weight.shape[-2:], **shape)  # type: ignore[arg-type]  # two sizes
    columns = columns.view(len(x), groups, -1, columns.shape[-1])
    return weight.view(groups, weight.shape[0] // groups, -1) @ columns


@given(
    n=st.integers(1, 3),
    groups=st.integers(1, 3),
    per_group=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
)
def test_convolutions_cost_what_their_matrix_products_cost(
    n: int, groups: int, per_group: tuple[int, int], kernel: tuple[int, int], stride: int, padding: int, dilation: int
) -> None:
    into, out = (groups * channels for channels in per_group)
    shape = {"stride": stride, "padding": padding, "dilation": dilation}
    x, weight = torch.empty(n, into, 7, 6), torch.empty(out, into // groups, *kernel)
    forward = count(Function(lambda x, w: F.conv2d(x, w, groups=groups, **shape)), inputs=(x, weight))
    assert (
        forward.macs == count(Function(lambda x, w: as_matrix_products(x, w, groups, **shape)), inputs=(x, weight)).macs
    )

    # the transposed one is the gradient of the input: it goes from output to input over the same taps
    y = torch.empty(forward.calls[0].output_shapes[0])
    back = count(Function(lambda y, w: F.conv_transpose2d(y, w, groups=groups, **shape)), inputs=(y, weight))
    assert back.macs == forward.macs


def test_a_bias_is_no_mac() -> None:
    assert work_of(F.conv2d, (1, 2, 4, 4), (3, 2, 1, 1), (3,)) == (96, 48)
    assert work_of(F.linear, (5, 2), (3, 2), (3,)) == (30, 15)


def test_convolution_over_time() -> None:
    assert work_of(torch.conv_tbc, (9, 2, 4), (3, 4, 5), (5,)) == (7 * 2 * 5 * 12, 70)


# ------------------------------------------------------------------------------------------------- matrix products

PRODUCTS: list[tuple[Callable[..., Tensor], tuple[tuple[int, ...], ...], tuple[int, int]]] = [
    (torch.dot, ((8,), (8,)), (8, 0)),
    (torch.mv, ((4, 8), (8,)), (32, 0)),
    (torch.addmv, ((4,), (4, 8), (8,)), (32, 4)),
    (torch.addmm, ((4, 6), (4, 8), (8, 6)), (192, 24)),
    (torch.addbmm, ((4, 6), (5, 4, 8), (5, 8, 6)), (960, 24)),
    (torch.baddbmm, ((5, 4, 6), (5, 4, 8), (5, 8, 6)), (960, 120)),
    (torch.addr, ((4, 6), (4,), (6,)), (24, 24)),
    (torch.outer, ((4,), (6,)), (0, 24)),  # torch runs a multiplication
    (lambda theta: F.affine_grid(theta, (2, 3, 4, 5), align_corners=False), ((2, 2, 3),), (2 * 20 * 2 * 3, 0)),
    (F.pdist, ((4, 2),), (12, 18)),
    (torch.cdist, ((3, 2), (4, 2)), (24, 36)),
    (torch.cdist, ((2, 30, 16), (2, 40, 16)), (38400, 40800)),
]


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(("product", "shapes", "expected"), PRODUCTS)
def test_matrix_products(
    product: Callable[..., Tensor], shapes: tuple[tuple[int, ...], ...], expected: tuple[int, int], device: str
) -> None:
    assert work_of(product, *shapes, device=device) == expected


def test_a_bilinear_layer_meets_every_pair_of_inputs() -> None:
    counted = count(nn.Bilinear(4, 5, 6, bias=False), [(3, 4), (3, 5)], strict=True)
    assert (counted.macs, counted.flops) == (360, 3 * 360)


def test_distances_go_back_as_often() -> None:
    inputs = (torch.rand(3, 2, requires_grad=True), torch.rand(4, 2))
    counted = count(Function(torch.cdist), inputs=inputs, backward=True, device="cpu", strict=True)
    assert counted.macs == 2 * 24


# ------------------------------------------------------------------------------------------------------- attention


def test_attention_with_mask_groups_and_other_widths() -> None:
    scores = 2 * 4 * 10 * 12
    for mask in (None, torch.ones(10, 12)):
        inputs = {"query": torch.rand(2, 4, 10, 8), "key": torch.rand(2, 2, 12, 8), "value": torch.rand(2, 2, 12, 6)}
        body = as_module_with_names(lambda **named: F.scaled_dot_product_attention(**named, enable_gqa=True))
        counted = count(body, inputs=inputs | ({} if mask is None else {"attn_mask": mask}))
        assert counted.macs == scores * (8 + 6)
        assert counted.flops == 2 * counted.macs + scores * (f.SOFTMAX + 1 + (mask is not None))


def as_module_with_names(body: Callable[..., Tensor]) -> nn.Module:
    class Named(nn.Module):
        def forward(self, **named: Tensor) -> Tensor:
            return body(**named)

    return Named()


def test_the_cpu_form_of_attention_and_its_backward() -> None:
    """Forward two products; backward the scores again and one product for each of value, weights, query, key."""
    inputs = tuple(torch.rand(2, 4, 10, 8, requires_grad=True) for _ in range(3))
    counted = count(Function(F.scaled_dot_product_attention), inputs=inputs, backward=True, device="cpu", strict=True)
    kinds = [(call.op, call.macs) for call in counted.calls if call.kind == "attention"]
    name = "aten._scaled_dot_product_flash_attention_for_cpu"
    assert kinds == [(name, 2 * 6400), (f"{name}_backward", 5 * 6400)]


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_the_fused_encoder_layer_costs_what_its_parts_cost(activation: str) -> None:
    layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, activation, batch_first=True)
    parts = count(layer, (2, 10, 32), strict=True)
    attention = layer.self_attn

    def fused(x: Tensor) -> Tensor:
        weights = (attention.in_proj_weight, attention.in_proj_bias, attention.out_proj.weight, attention.out_proj.bias)
        norms = (layer.norm1.weight, layer.norm1.bias, layer.norm2.weight, layer.norm2.bias)
        feed = (layer.linear1.weight, layer.linear1.bias, layer.linear2.weight, layer.linear2.bias)
        return torch._transformer_encoder_layer_fwd(
            x, 32, 4, *weights, activation == "gelu", False, 1e-5, *norms, *feed
        )

    counted = count(Function(fused), (2, 10, 32), device="cpu", strict=True)
    assert [call.op for call in counted.calls] == ["aten._transformer_encoder_layer_fwd"]
    assert (counted.macs, counted.flops) == (parts.macs, parts.flops)


def test_fused_multi_head_attention_costs_what_its_parts_cost() -> None:
    attention = nn.MultiheadAttention(32, 4, batch_first=True)
    parts = count(Function(lambda x: attention(x, x, x, need_weights=False)[0]), (2, 10, 32))

    def fused(x: Tensor) -> Tensor:
        weights = (attention.in_proj_weight, attention.in_proj_bias, attention.out_proj.weight, attention.out_proj.bias)
        return torch._native_multi_head_attention(x, x, x, 32, 4, *weights, need_weights=False)[0]

    counted = count(Function(fused), (2, 10, 32), device="cpu", strict=True)
    assert (counted.macs, counted.flops) == (parts.macs, parts.flops)


# ------------------------------------------------------------------------------------------------------- recurrence


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("bias", [False, True])
def test_recurrent_layers_cost_what_their_steps_cost(bias: bool, device: str) -> None:
    layers: list[tuple[nn.Module, int, int]] = [
        (nn.LSTM(6, 5, bias=bias), 4, f.LSTM),
        (nn.GRU(6, 5, bias=bias), 3, f.GRU),
        (nn.RNN(6, 5, bias=bias), 1, f.RNN),
    ]
    for layer, gates, unit in layers:
        counted = count(layer, (7, 2, 6), device=device, strict=True)
        rows = gates * 5
        assert counted.macs == 14 * rows * (6 + 5)
        assert counted.flops - 2 * counted.macs == 14 * (rows * (1 + 2 * bias) + 5 * unit)


def test_projections_layers_and_directions_of_an_lstm() -> None:
    counted = count(nn.LSTM(6, 5, 2, bidirectional=True, proj_size=3), (7, 2, 6))
    first, second = 20 * (6 + 3) + 3 * 5, 20 * (2 * 3 + 3) + 3 * 5
    assert counted.macs == 14 * 2 * (first + second)


def test_packed_sequences_cost_the_steps_that_they_have() -> None:
    layer = nn.GRU(6, 5)

    def body(x: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([7, 4]))
        return layer(packed)[0].data

    counted = count(Function(body), (7, 2, 6), device="cpu", strict=True)
    assert counted.macs == (7 + 4) * 15 * (6 + 5)


def test_the_cpu_form_of_an_lstm_layer_goes_back_at_twice_the_cost() -> None:
    x = torch.rand(7, 2, 6, requires_grad=True)
    counted = count(nn.LSTM(6, 5), inputs=x, device="cpu", backward=True, strict=True)
    layers = {call.op: call.macs for call in counted.calls if call.macs}
    one = 14 * 20 * 11
    assert layers == {"aten.mkldnn_rnn_layer": one, "aten.mkldnn_rnn_layer_backward": 2 * one}


def test_fused_cells_are_what_is_beside_the_products() -> None:
    gates, state = (2, 20), (2, 5)
    assert f.cell(state, gates, gates, state, None, None, unit=f.LSTM) == f.Work(0, 40 + 180)
    assert f.cell(state, gates, gates, state, (20,), (20,), unit=f.LSTM) == f.Work(0, 3 * 40 + 180)


# ------------------------------------------------------------------------------- point-wise, norms, pools, sampling

BESIDE: list[tuple[Callable[..., object], tuple[tuple[int, ...], ...], int]] = [
    (torch.relu, ((2, 3),), 6),
    (torch.sigmoid, ((2, 3),), 24),
    (F.silu, ((2, 3),), 30),
    (lambda x: F.silu(x, inplace=True), ((2, 3),), 30),
    (torch.add, ((2, 3), (3,)), 6),
    (lambda x: x.softmax(-1), ((2, 3),), 30),
    (lambda x: x.log_softmax(-1), ((2, 3),), 30),
    (lambda x: F.layer_norm(x, (3,)), ((2, 3),), 48),
    (lambda x: F.group_norm(x, 2), ((1, 4, 3),), 96),
    (F.instance_norm, ((1, 4, 3),), 96),
    (lambda x: F.rms_norm(x, (3,)), ((2, 3),), 24),
    (lambda x: F.batch_norm(x, x.new_zeros(3), x.new_ones(3)), ((2, 3),), 12),
    (lambda x: F.max_pool2d(x, 3, 2), ((1, 2, 7, 7),), 18 * 9),
    (lambda x: F.avg_pool2d(x, (1, 3)), ((1, 2, 6, 6),), 24 * 4),
    (lambda x: F.avg_pool1d(x, 3), ((1, 2, 6),), 4 * 4),
    (lambda x: F.adaptive_avg_pool2d(x, 3), ((1, 2, 6, 6),), 72 + 18),
    (lambda x: F.adaptive_avg_pool2d(x, 1), ((1, 2, 6, 6),), 72 + 2),
    (lambda x: x.sum(1), ((2, 3),), 6),
    (lambda x: x.mean(1), ((2, 3),), 8),
    (lambda x: x.var(1), ((2, 3),), 24),
    (lambda x: x.sort(-1), ((2, 8),), 48),
    (lambda x: x.sort(dim=0, stable=True), ((2, 8),), 16),
    (lambda x: x.topk(4), ((2, 8),), 32),
    (torch.bucketize, ((2, 3), (16,)), 24),
    (torch.searchsorted, ((16,), (2, 3)), 24),
    (torch.linalg.cross, ((2, 3), (2, 3)), 18),
    (lambda x: x.median(), ((2, 3),), 6),
    (lambda x: F.interpolate(x, scale_factor=2), ((1, 2, 3, 3),), 0),
    (lambda x: F.interpolate(x, scale_factor=2, mode="linear"), ((1, 2, 3),), 12 * 4),
    (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), ((1, 2, 3, 3),), 72 * 8),
    (lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"), ((1, 2, 3, 3),), 72 * 32),
    (lambda x: F.interpolate(x, (2, 2), mode="bilinear", antialias=True), ((1, 1, 8, 8),), 2 * 2 * (8 * 8 + 2 * 8)),
    (lambda x, g: F.grid_sample(x, g, align_corners=False), ((1, 2, 4, 4), (1, 3, 3, 2)), 18 * 8 + 6 * 18),
    (lambda x, g: F.grid_sample(x, g, "nearest", align_corners=False), ((1, 2, 4, 4), (1, 3, 3, 2)), 6 * 18),
    (lambda x, g: F.grid_sample(x, g, align_corners=False), ((1, 2, 4, 4, 4), (1, 3, 3, 3, 3)), 54 * 16 + 6 * 81),
    (lambda x: torch.cat([x, x]), ((2, 3),), 0),
    (lambda x: F.pad(x, (1, 1), mode="reflect"), ((1, 2, 3),), 0),
    (lambda x: F.pixel_shuffle(x, 2), ((1, 4, 3, 3),), 0),
]


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(("body", "shapes", "flops"), BESIDE)
def test_work_beside_macs(
    body: Callable[..., object], shapes: tuple[tuple[int, ...], ...], flops: int, device: str
) -> None:
    assert work_of(body, *shapes, device=device) == (0, flops)


@pytest.mark.parametrize(
    ("body", "signal", "factor"),
    [
        (lambda x: torch.fft.fft(x.to(torch.complex64)), (3, 8), 5.0),
        (torch.fft.rfft, (3, 8), 2.5),
        (torch.fft.rfft2, (3, 8, 12), 2.5),
    ],
)
def test_fourier_transforms(body: Callable[[Tensor], Tensor], signal: tuple[int, ...], factor: float) -> None:
    expected = round(factor * prod(signal) * log2(prod(signal[1:])))
    assert work_of(body, signal) == (0, expected)


def test_what_follows_a_convolution_goes_back_with_known_operators() -> None:
    """Everything that a vision model is made of has a formula in the backward pass, too."""
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU(), nn.MaxPool2d(2), nn.GroupNorm(2, 8), nn.GELU(),
        nn.Upsample(scale_factor=2, mode="bilinear"), nn.Hardswish(), nn.AvgPool2d(2), nn.PReLU(),
        nn.ReflectionPad2d(1), nn.Upsample(scale_factor=2), nn.LeakyReLU(), nn.PixelShuffle(2),
        nn.AdaptiveAvgPool2d(3), nn.Sigmoid(), nn.Flatten(), nn.LayerNorm(18), nn.Dropout(), nn.Softmax(-1),
    )  # fmt: skip
    for device in ("cpu", "meta"):
        counted: Count = count(layers, (2, 3, 16, 16), device=device, backward=True)
        assert counted.unknown == {}


# -------------------------------------------------------------------------------------------- operators by their name


@pytest.fixture
def torchvision() -> Iterator[object]:
    """Operators with the names and arguments of torchvision's, which need not be there to be counted."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define(
        "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor"
    )
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define(
        "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, "
        "SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, "
        "SymInt offset_groups, bool use_mask) -> Tensor"
    )
    everywhere = "CompositeExplicitAutograd"
    library.impl("roi_align", lambda x, rois, _, h, w, *__: x.new_empty(len(rois), x.shape[1], h, w), everywhere)
    library.impl("nms", lambda boxes, *_: boxes.new_empty(3, dtype=torch.int64), everywhere)
    library.impl("deform_conv2d", lambda x, w, *_: x.new_empty(x.shape[0], w.shape[0], *x.shape[2:]), everywhere)
    yield torch.ops.torchvision
    library._destroy()


def test_boxes_and_deformable_convolutions(torchvision: torch._ops._OpNamespace) -> None:
    def align(x: Tensor, rois: Tensor, ratio: int) -> Tensor:
        return torchvision.roi_align(x, rois, 0.25, 7, 7, ratio, False)

    outputs = 10 * 4 * 49
    assert work_of(lambda x, r: align(x, r, 2), (1, 4, 8, 8), (10, 5)) == (0, outputs * (4 * 8 + 4 + 1))
    assert work_of(lambda x, r: align(x, r, -1), (1, 4, 8, 8), (10, 5)) == (0, outputs * (4 * 8 + 4 + 1))
    assert work_of(lambda b, s: torchvision.nms(b, s, 0.5), (10, 4), (10,)) == (0, 12 * 10 * 3)

    def deform(x: Tensor, w: Tensor, offset: Tensor, mask: Tensor, bias: Tensor, masked: bool) -> Tensor:
        return torchvision.deform_conv2d(x, w, offset, mask, bias, 1, 1, 1, 1, 1, 1, 2, 1, masked)

    shapes = ((1, 4, 8, 8), (6, 2, 3, 3), (1, 18, 8, 8), (1, 9, 8, 8), (6,))
    taps = 64 * 4 * 9
    assert work_of(lambda *a: deform(*a, masked=False), *shapes) == (64 * 6 * 2 * 9, 8 * taps + 64 * 6)
    assert work_of(lambda *a: deform(*a, masked=True), *shapes) == (64 * 6 * 2 * 9, 9 * taps + 64 * 6)


def test_backward_forms_of_boxes_and_deformable_convolutions() -> None:
    x, grad, weight, offset = (1, 4, 8, 8), (1, 6, 8, 8), (6, 2, 3, 3), (1, 18, 8, 8)
    rest = (1, 1, 1, 1, 1, 1, 2, 1, False)
    forward = f.deformable_convolution(grad, x, weight, offset, (1, 1), (6,), *rest)
    backward = f.deformable_convolution_backward(x, grad, x, weight, offset, (1, 1), (6,), *rest)
    assert backward == f.Work(2 * forward.macs, 2 * forward.extra)
    pooled = (10, 4, 7, 7)
    assert f.roi_align_backward(x, pooled, (10, 5), 0.25, 7, 7, 1, 4, 8, 8, 2, False) == f.roi_align(
        pooled, x, (10, 5), 0.25, 7, 7, 2
    )


def test_every_entry_is_an_operator_of_torch() -> None:
    """A name that torch has not, in any version that is installed, is a misspelt one."""
    names = {name.replace("::", ".").split(".out")[0] for name in torch._C._dispatch_get_all_op_names()}
    known = {".".join(name.split(".")[:2]) for name in names} | names
    not_there = {name for name in OPERATORS if name.startswith("aten.") and name not in known}
    assert not_there == set()


def test_in_place_forms_and_overloads_are_found() -> None:
    assert find_operator("aten.silu_") is find_operator("aten.silu") is OPERATORS["aten.silu"]
    assert find_operator("aten.lstm", "data") is OPERATORS["aten.lstm.data"] is not find_operator("aten.lstm", "input")
    assert find_operator("aten.__and__") is None


def test_moved_bytes_by_what_is_read() -> None:
    assert moved_bytes(Operator("free", f.nothing), [8], [8]) == (0, 0, 0)
    assert moved_bytes(Operator("other", f.nothing), [8, 4], [6]) == (12, 6, 18)
    assert moved_bytes(Operator("other", f.nothing, "rows"), [8, 4], [6]) == (10, 6, 16)
    assert moved_bytes(Operator("other", f.nothing, "not first"), [8, 4], [8]) == (4, 8, 12)
    assert moved_bytes(Operator("norm", f.nothing), [8, 4], [8]) == (12, 8, 4)
    assert moved_bytes(Operator("unknown", f.nothing), [], [8]) == (0, 8, 8)
