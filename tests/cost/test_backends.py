from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from cvbench.cost.backends import Tally, differences, tally, tally_of
from cvbench.cost.counter import count
from cvbench.errors import InputError, MissingDependency


class Mixed(nn.Module):
    """What counters differ in: a convolution that pads by name, a fused transformer layer, a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 32, 3, padding="same")
        self.encoder = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.recurrent = nn.LSTM(32, 8, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        return self.head(self.recurrent(self.encoder(tokens))[0])


IMAGE = (1, 3, 8, 8)
EMBED = 64 * 32 * 3 * 9
TOKENS, WIDTH = 64, 32
ATTENTION = TOKENS * 4 * WIDTH * WIDTH + 2 * TOKENS * TOKENS * WIDTH
MLP = 2 * TOKENS * WIDTH * 64
LSTM = TOKENS * 4 * 8 * (32 + 8)
HEAD = TOKENS * 8 * 2


@pytest.fixture
def mixed() -> Mixed:
    return Mixed()


def plain() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5))


CONV, LINEAR = 36 * 8 * 27, 288 * 5


@pytest.mark.parametrize("counter", ["fvcore", "torch"])
def test_counters_agree_on_what_all_of_them_know(counter: str) -> None:
    model = plain()
    ours, theirs = tally_of(count(model, IMAGE)), tally(counter, model, IMAGE)
    assert ours.macs == theirs.macs == CONV + LINEAR
    assert {path: sum(macs.values()) for path, macs in theirs.own.items()} == {"0": CONV, "4": LINEAR}
    assert differences([ours, theirs]) == []
    assert theirs.uncounted == {}


def test_what_is_reported_is_the_counters_own_figure() -> None:
    model = plain()
    assert tally("torch", model, IMAGE).reported == 2 * (CONV + LINEAR)
    assert tally("fvcore", model, IMAGE).reported == CONV + LINEAR + 2 * 8 * 36  # and the norm
    counted = count(model, IMAGE)
    assert tally_of(counted).reported == counted.flops


def test_what_fvcore_leaves_out_is_listed(mixed: Mixed) -> None:
    found = tally("fvcore", mixed, IMAGE)
    assert found.macs == MLP + HEAD
    left_out = {"aten::_convolution_mode": 1, "aten::_native_multi_head_attention": 1, "aten::lstm": 1, "aten::add": 2}
    assert found.uncounted == left_out
    assert found.device == "cpu"  # asked for meta


def test_what_torch_leaves_out_depends_on_the_device(mixed: Mixed) -> None:
    on_meta, on_cpu = (tally("torch", mixed, IMAGE, device=device) for device in ("meta", "cpu"))
    assert (on_meta.macs, on_meta.uncounted) == (EMBED + ATTENTION + MLP + LSTM + HEAD, {})
    assert on_cpu.macs == EMBED + HEAD
    assert on_cpu.uncounted == {"aten._transformer_encoder_layer_fwd": 1, "aten.mkldnn_rnn_layer": 1}


def test_operators_explain_the_difference(mixed: Mixed) -> None:
    tallies = [
        tally_of(count(mixed, IMAGE)),
        tally("fvcore", mixed, IMAGE),
        tally("torch", mixed, IMAGE, device="cpu"),
    ]
    rows = differences(tallies)
    figures = {row["first"]: [row["modules"], row["cvbench"], row["fvcore"], row["torch"]] for row in rows}
    assert figures == {
        "encoder.self_attn": [1, ATTENTION, 0, 0],
        "encoder.linear1": [2, MLP, MLP, 0],
        "recurrent": [1, LSTM, 0, 0],
        "embed": [1, EMBED, 0, EMBED],
    }
    assert [row["first"] for row in rows] == list(figures)  # the largest first
    assert "aten.scaled_dot_product_attention" in str(rows[0]["operators"])
    for each in tallies[1:]:
        explained = sum(int(row["cvbench"]) - int(row[each.counter]) for row in rows)
        assert explained == tallies[0].macs - each.macs


def known(counter: str, own: dict[str, dict[str, int]]) -> Tally:
    return Tally(counter, "1", sum(sum(macs.values()) for macs in own.values()), 0, own, {}, "")


def test_only_what_is_disputed_is_named() -> None:
    ours = known("a", {"": {"mm": 5, "attention": 7}, "x": {"mm": 3}})
    theirs = known("b", {"": {"linear": 5}, "x": {"matmul": 3}, "y": {"conv": 2}})
    assert differences([ours, theirs]) == [
        {"operators": "attention", "modules": 1, "first": "(model)", "a": 7, "b": 0},
        {"operators": "conv", "modules": 1, "first": "y", "a": 0, "b": 2},
    ]


class Shared(nn.Module):
    """Two blocks that lend a convolution to each other."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 3, 1))
        self.second = nn.Sequential(self.first[0], nn.Conv2d(3, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


@pytest.mark.parametrize("counter", ["fvcore", "torch"])
def test_shared_modules_count_at_their_first_path(counter: str) -> None:
    found = tally(counter, Shared(), IMAGE)
    macs = {path: sum(counts.values()) for path, counts in found.own.items()}
    assert macs == {"first.0": 2 * 9 * 64, "second.1": 9 * 64}
    assert differences([tally_of(count(Shared(), IMAGE)), found]) == []


@pytest.mark.parametrize("counter", ["fvcore", "torch"])
def test_the_model_stays_as_it_is(counter: str) -> None:
    model = plain().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    numbers = torch.random.get_rng_state()
    tally(counter, model, IMAGE)
    assert all(module.training and not module._forward_hooks for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), numbers)


class Failing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(7)


@pytest.mark.parametrize("counter", ["fvcore", "torch"])
def test_what_they_cannot_run_is_said(counter: str) -> None:
    with pytest.raises(InputError, match=f"^Failing: {counter} cannot count it: RuntimeError: "):
        tally(counter, Failing(), IMAGE)
    assert not torch_module._global_forward_hooks
    assert not torch_module._global_forward_pre_hooks


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"counter": "fvcor", "input_size": IMAGE}, "'fvcor' is no other counter; did you mean 'fvcore'?"),
        ({"counter": "torch"}, "expected either input_size or inputs"),
        ({"counter": "fvcore", "inputs": {"x": torch.ones(IMAGE)}}, r"by position, not by name \(x\)"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tally(model=plain(), **arguments)


def test_inputs_can_be_given_by_name() -> None:
    assert tally("torch", Mixed(), inputs={"x": torch.ones(IMAGE)}).macs > 0


def test_without_fvcore_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fvcore.nn", None)
    with pytest.raises(MissingDependency, match=r"fvcore is not installed; pip install 'cvbench\[models\]'"):
        tally("fvcore", plain(), IMAGE)
