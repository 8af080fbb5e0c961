from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cost.probes import Function
from cvbench.cost.counter import Count, ModuleRow, count
from cvbench.cost.formulas import Work
from cvbench.cost.operators import OPERATORS, register_formula
from cvbench.cost.spec import CountSpec
from cvbench.errors import InputError


class Block(nn.Module):
    """A residual block; `conv` may be lent by another one."""

    def __init__(self, conv: nn.Conv2d | None = None) -> None:
        super().__init__()
        self.conv = conv or nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.norm(self.conv(x))).relu()


class Network(nn.Module):
    """Two blocks in a list, that share a convolution, and a head."""

    def __init__(self) -> None:
        super().__init__()
        first = Block()
        self.blocks = nn.ModuleList([first, Block(first.conv)])
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


IMAGE = (2, 8, 4, 4)
CONV = 2 * 16 * 8 * 8 * 9


def rows(counted: Count) -> dict[str, ModuleRow]:
    return {row.path: row for row in counted.modules}


def test_a_shared_module_counts_per_call_and_is_listed_once() -> None:
    counted = count(Network(), IMAGE)
    assert [row.path for row in counted.modules] == [
        "", "blocks", "blocks.0", "blocks.0.conv", "blocks.0.norm", "blocks.1", "blocks.1.norm", "head",
    ]  # fmt: skip
    conv = rows(counted)["blocks.0.conv"]
    assert (conv.calls, conv.params, conv.total.macs) == (2, 576, 2 * CONV)
    assert counted.params == 576 + 2 * 16 + 36
    assert counted.macs == 2 * CONV + 2 * 8 * 4


def test_sums_of_modules_are_of_what_they_call() -> None:
    counted = count(Network(), IMAGE)
    by_path = rows(counted)
    assert [by_path[f"blocks.{i}"].total.macs for i in (0, 1)] == [CONV, CONV], "each block calls the one convolution"
    assert by_path["blocks"].total.macs == 2 * CONV
    assert by_path["blocks"].calls == 0, "a list is never called"
    assert by_path["blocks.1"].own.macs == 0
    assert by_path[""].total.macs == counted.macs == sum(row.own.macs for row in counted.modules)
    assert by_path[""].total.flops == counted.flops == sum(row.own.flops for row in counted.modules)
    assert [by_path[path].depth for path in ("", "blocks", "blocks.0.conv")] == [0, 1, 3]


def test_flops_are_two_per_mac_and_the_documented_rest() -> None:
    counted = count(Network(), IMAGE)
    block = 2 * 256 + 256 + 256  # norm with running statistics, addition, relu
    assert counted.flops == 2 * counted.macs + 2 * block + (256 + 16) + 8
    assert counted.activations == 2 * 256 + 8


def test_bytes_of_a_convolution_and_what_follows_it() -> None:
    counted = count(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU()), (1, 3, 4, 4))
    conv = 4 * (3 * 16 + 8 * 3 + 8 + 8 * 16)
    assert counted.bytes_unfused == conv + 4 * 2 * 8 * 16
    assert counted.bytes_fused == conv
    assert counted.ai == counted.flops / counted.bytes_unfused


def test_expanded_tensors_and_tensors_given_twice_are_read_once() -> None:
    expanded = count(Function(lambda x: x.expand(5, 4) * x.expand(5, 4)), (1, 4)).calls[-1]
    assert (expanded.bytes_read, expanded.bytes_written) == (2 * 16, 80)
    squared = count(Function(lambda x: x * x), (5, 4)).calls[-1]
    assert (squared.bytes_read, squared.bytes_written, squared.bytes_fused) == (80, 80, 0)


def test_lookups_read_the_rows_that_they_return() -> None:
    indices = torch.zeros(3, dtype=torch.int64)
    (call,) = count(nn.Embedding(1000, 4), inputs=indices).calls
    assert (call.bytes_read, call.bytes_written) == (3 * 16 + 3 * 8, 3 * 16)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_peak_is_of_what_lives_at_once(device: str) -> None:
    def body(x: Tensor) -> Tensor:
        for _ in range(3):
            x = x + 1  # the old one is let go of after the new one is made
        return x.view(-1)

    assert count(Function(body), (256,), device=device).peak_activation_bytes == 2 * 1024
    kept = count(Function(lambda x: torch.stack([x + 1 for _ in range(3)])), (256,), device=device)
    assert kept.peak_activation_bytes == 6 * 1024
    assert count(Function(lambda x: x.relu_().view(-1)), (256,), device=device).peak_activation_bytes == 0


def test_no_bytes_have_no_intensity() -> None:
    assert math.isnan(count(Function(lambda x: x.view(-1)), (2, 2)).ai)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_and_the_process_stay_as_they_were(device: str, backward: bool, fails: bool) -> None:
    class Caching(Network):
        def forward(self, x: Tensor) -> Tensor:
            self.grid = torch.rand(3)  # a random number, and an attribute
            y = super().forward(x)
            return y @ y if fails else y

    model = Caching().train()
    model.blocks[0].eval()
    model.head.weight.requires_grad_(False)
    before, modes = copy.deepcopy(model.state_dict()), [module.training for module in model.modules()]
    image = torch.rand(IMAGE)
    kept, random, fused = image.clone(), torch.random.get_rng_state(), torch.backends.mha.get_fastpath_enabled()
    hooks = [len(registry) for registry in hook_registries()]
    if fails:
        with pytest.raises(InputError):
            count(model, inputs=image, device=device, backward=backward)
    else:
        count(model, inputs=image, device=device, backward=backward)
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert modes == [module.training for module in model.modules()]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not hasattr(model, "grid")
    assert torch.equal(image, kept)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert torch.backends.mha.get_fastpath_enabled() == fused
    assert [len(registry) for registry in hook_registries()] == hooks
    assert torch._C._len_torch_dispatch_stack() == 0
    assert torch._C._len_torch_function_stack() == 0
    assert count(Network(), IMAGE) == count(Network(), IMAGE), "and the next count starts from nothing"


def hook_registries() -> list[Any]:
    module = torch.nn.modules.module
    return [module._global_forward_hooks, module._global_forward_pre_hooks, module._global_forward_hooks_always_called]


def test_meta_takes_no_memory_for_weights() -> None:
    with torch.device("meta"):
        model = nn.Linear(2**20, 2**20)  # 4 TiB
    counted = count(model, (1, 2**20))
    assert (counted.params, counted.macs) == (2**40 + 2**20, 2**40)


def test_trainable_parameters_and_evaluation_mode() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 4)).train()
    model[0].requires_grad_(False)
    counted = count(model, (1, 4))
    assert (counted.params, counted.params_trainable) == (40, 20)
    assert {call.op for call in counted.calls if call.kind != "free"} == {"aten.addmm"}
    assert counted.convention.endswith("forward in evaluation mode")


def test_the_backward_pass_is_known_by_module() -> None:
    counted = count(Network(), IMAGE, backward=True, strict=True)
    backward = [call for call in counted.calls if call.phase == "backward"]
    convs = [(call.op, call.module) for call in backward if call.kind == "conv"]
    assert convs == [("aten.convolution_backward", "blocks.0.conv")] * 2
    assert {call.module for call in backward if call.kind == "norm"} == {"blocks.0.norm", "blocks.1.norm"}
    assert {call.module for call in backward if call.op == "aten.mm"} == {"head"}
    by_path = rows(counted)
    # the first block needs no gradient of the image
    assert [by_path[f"blocks.{i}"].total.macs for i in (0, 1)] == [2 * CONV, 3 * CONV]
    assert counted.convention.endswith("forward and backward in training mode")


def test_checkpoints_count_what_they_run_again() -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(8, 8, bias=False), nn.ReLU(), nn.Linear(8, 8, bias=False))

        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(self.inner, x, use_reentrant=False)

    counted = count(Checkpointed(), (4, 8), backward=True)
    work = [(call.phase, call.module) for call in counted.calls if call.macs]
    # the second layer needs the result of the first again, and no gradient of the input is asked for
    assert work[:3] == [("forward", "inner.0"), ("forward", "inner.2"), ("backward", "inner.0")]
    assert sorted(work[3:]) == [("backward", "inner.0"), ("backward", "inner.2"), ("backward", "inner.2")]


class Deciding(nn.Module):
    """Looks at values."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return x @ x if self.stem(x).sum().item() > 0 else x


def test_a_model_that_looks_at_values_runs_on_cpu() -> None:
    assert count(Deciding(), (4, 4), device="cpu").macs == 64
    with pytest.raises(InputError, match=r"Deciding: .*\(4, 4\).*count on device='cpu'"):
        count(Deciding(), (4, 4))


def test_constants_that_a_forward_makes_may_be_on_the_cpu() -> None:
    def body(x: Tensor) -> Tensor:
        steps = torch.linspace(0, 1, 5).tolist()
        canvas = torch.zeros(2, 4)
        canvas[:, 1:3] = x[:, 1:3]
        return canvas @ torch.cat([x, torch.ones(2, 4)]).T * steps[-1]

    assert count(Function(body), (2, 4)).macs == count(Function(body), (2, 4), device="cpu").macs == 2 * 4 * 4


def test_a_failing_forward_is_named_by_module_and_shapes() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.ReLU(), nn.Conv2d(3, 8, 3)))
    with pytest.raises(InputError) as caught:
        count(model, (1, 3, 8, 8), device="cpu")
    message = str(caught.value)
    assert message.startswith("Sequential.1.1: the model fails on (1, 8, 6, 6): RuntimeError: ")
    assert "the last operator was aten." in message
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_errors_that_a_model_handles_leave_the_paths_right() -> None:
    class Trying(Network):
        def forward(self, x: Tensor) -> Tensor:
            try:
                self.head(x)  # does not fit
            except RuntimeError:
                return super().forward(x)
            raise AssertionError("the head took an image")

    assert rows(count(Trying(), IMAGE))["blocks"].total.macs == 2 * CONV


@pytest.fixture
def own_operator() -> Iterator[Callable[[Tensor], Tensor]]:
    library = torch.library.Library("cvbench_tests", "DEF")
    library.define("twist(Tensor x, int times=2) -> Tensor")
    library.impl("twist", lambda x, times=2: x.clone(), "CompositeExplicitAutograd")
    known = dict(OPERATORS)
    yield torch.ops.cvbench_tests.twist
    OPERATORS.clear()
    OPERATORS.update(known)
    library._destroy()


def test_unknown_operators_are_listed_and_refused_under_strict(own_operator: Callable[[Tensor], Tensor]) -> None:
    model = nn.Sequential(nn.Linear(4, 4), Function(lambda x: own_operator(own_operator(x))))
    counted = count(model, (2, 4))
    assert counted.unknown == {"cvbench_tests.twist": 2}
    assert [call.bytes_written for call in counted.calls if call.kind == "unknown"] == [32, 32]
    with pytest.raises(InputError, match=r"^Sequential\.1: cvbench_tests\.twist on \(2, 4\) has no formula"):
        count(model, (2, 4), strict=True)


def test_a_registered_formula_gets_shapes_and_defaults(own_operator: Callable[[Tensor], Tensor]) -> None:
    def twist(out: tuple[int, ...], x: tuple[int, ...], times: int) -> Work:
        return Work(macs=times * math.prod(x), extra=math.prod(out))

    register_formula("cvbench_tests::twist", twist, "matmul")
    counted = count(Function(own_operator), (2, 4), strict=True)
    assert (counted.macs, counted.flops, counted.unknown) == (16, 40, {})


def test_a_formula_that_fails_is_named(own_operator: Callable[[Tensor], Tensor]) -> None:
    register_formula("cvbench_tests.twist", lambda out, x: Work())  # leaves out `times`
    with pytest.raises(InputError, match=r"Function: the formula of cvbench_tests\.twist on \(2, 4\) fails: TypeError"):
        count(Function(own_operator), (2, 4))


@pytest.mark.parametrize(("name", "kind"), [("twist", "other"), ("a::b", "convolution")])
def test_registration_refuses_what_can_not_be_found(name: str, kind: Any) -> None:
    with pytest.raises(InputError):
        register_formula(name, lambda out: Work(), kind)


class TwoStages(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 8, 3, padding=1)
        self.box_head = nn.Linear(8, 4)
        self.mask_head = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.backbone(x)
        return self.box_head(features[features > 0].new_ones(len(features.nonzero()), 8))

    def count_parts(self, spec: CountSpec, image: Tensor) -> Iterator[str]:
        yield "backbone"
        features = self.backbone(image)
        yield "box head"
        self.box_head(features.new_empty(spec.proposals, 8))
        yield "mask head"
        self.mask_head(features.new_empty(spec.masks, 8, 14, 14))


def test_parts_of_a_model_are_counted_at_pinned_sizes() -> None:
    counted = count(TwoStages(), CountSpec((1, 3, 16, 16), proposals=7, masks=2))
    macs = {name: part.macs for name, part in counted.parts.items()}
    assert macs == {"backbone": 256 * 8 * 27, "box head": 7 * 32, "mask head": 2 * 196 * 64}
    assert counted.macs == sum(macs.values())
    assert rows(counted)["mask_head"].total.macs == macs["mask head"]
    with pytest.raises(InputError, match="forward only"):
        count(TwoStages(), (1, 3, 16, 16), backward=True)


def test_inputs_come_as_one_several_or_named() -> None:
    class Named(nn.Module):
        def forward(self, x: Tensor, *, pair: dict[str, list[Tensor]]) -> Tensor:
            return x @ pair["other"][0]

    a, b = torch.rand(2, 3), torch.rand(3, 4)
    assert count(Function(torch.matmul), inputs=(a, b)).macs == 24
    assert count(Function(torch.matmul), "2x3,3x4").macs == 24
    assert count(Named(), inputs={"x": a, "pair": {"other": [b]}}).macs == 24


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (nn.Identity(), {}, "either input_size or inputs"),
        (nn.Identity(), {"input_size": (1,), "inputs": torch.rand(1)}, "either input_size or inputs"),
        (len, {"input_size": (1,)}, "model: a builtin_function_or_method is no model"),
        (nn.LazyLinear(3), {"input_size": (1, 4)}, "weight: this lazy parameter"),
        (nn.Linear(3, 3, device="meta"), {"input_size": (1, 3), "device": "cpu"}, "on meta"),
        (nn.Identity(), {"input_size": (1,), "backward": True}, "nothing to differentiate"),
    ],
)
def test_what_can_not_be_counted_is_refused(model: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        count(model, **options)


def test_modules_outside_of_the_model_are_named_after_their_class() -> None:
    class Hiding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = [nn.Linear(3, 3, bias=False)]

        def forward(self, x: Tensor) -> Tensor:
            return self.hidden[0](x)

    counted = count(Hiding(), (1, 3))
    assert counted.params == 0
    assert rows(counted)["<Linear>"].total.macs == 9
