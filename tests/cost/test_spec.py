from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cvbench.cost.spec import CountSpec, load_model, require_torch
from cvbench.errors import InputError, MissingDependency


@pytest.mark.parametrize(
    ("text", "shapes", "dtypes"),
    [
        ("1x3x640x480", ((1, 3, 640, 480),), ("float32",)),
        ("7", ((7,),), ("float32",)),
        ("1x3x8x8, 1x77:int64", ((1, 3, 8, 8), (1, 77)), ("float32", "int64")),
    ],
)
def test_shapes_are_read_and_written(text: str, shapes: Any, dtypes: Any) -> None:
    spec = CountSpec.of(text)
    assert (spec.shapes, spec.dtypes) == (shapes, dtypes)
    assert str(spec) == text.replace(" ", "")
    assert CountSpec.parse(str(spec)) == spec


def test_one_shape_and_several() -> None:
    assert CountSpec.of((1, 3, 8, 8)).shapes == ((1, 3, 8, 8),)
    assert CountSpec.of([1, 3]).shapes == ((1, 3),)
    assert CountSpec.of([(1, 3), [2]]).shapes == ((1, 3), (2,))
    spec = CountSpec((1, 3, 800, 1333), proposals=300)
    assert CountSpec.of(spec) is spec
    assert (spec.proposals, spec.masks) == (300, 100)


@pytest.mark.parametrize("text", ["", "1x", "ax3", "1,,2", "1x-3", "1X3", "1x3:"])
def test_text_that_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected sizes as in 1x3x640x640"):
        CountSpec.parse(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input": ()}, r"input: \(\) is no shape"),
        ({"input": (1, 0)}, r"input: \(1, 0\) is no shape"),
        ({"input": (1.0, 3)}, "is no shape"),
        ({"input": (True, 3)}, "is no shape"),
        ({"input": (1, (2, 3))}, "input: mixes sizes and shapes"),
        ({"input": (1,), "proposals": -1}, "proposals: -1"),
        ({"input": (1,), "masks": 1.5}, "masks: 1.5"),
        ({"input": (1,), "dtypes": ("float31",)}, "did you mean 'float3?2?"),
        ({"input": ((1,), (2,), (3,)), "dtypes": ("bool", "bool")}, "2 types for 3 inputs"),
    ],
)
def test_impossible_specs_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CountSpec(**options)


def test_inputs_are_the_same_each_time_and_leave_random_numbers_alone() -> None:
    spec = CountSpec.parse("2x3,4:int64,5:bool,6:float16")
    state = torch.random.get_rng_state()
    first, second = spec.build(), spec.build()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert [tensor.dtype for tensor in first] == [torch.float32, torch.int64, torch.bool, torch.float16]
    assert 0 <= first[0].min() < first[0].max() < 1
    assert not first[1].any()
    assert [tensor.device.type for tensor in spec.build("meta")] == ["meta"] * 4


BUILDERS = """
from torch import nn
model = nn.Linear(2, 3)
class Models:
    @staticmethod
    def wide(): return nn.Linear(2, 30)
def build(): return nn.Linear(2, 4)
def number(): return 4
def fails(): raise ValueError("no such size")
def reads(): return nn.Linear(int(nn.Linear(1, 1).weight.abs().ceil().item()), 1)
constant = 3
"""


@pytest.fixture
def builders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a module of builders."""
    (tmp_path / "own_builders.py").write_text(BUILDERS, encoding="utf-8")
    (tmp_path / "broken_builders.py").write_text("import no_such_module_anywhere", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("own_builders", "broken_builders"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.mark.usefixtures("builders")
@pytest.mark.parametrize(("name", "width"), [("model", 3), ("Models.wide", 30), ("build", 4)])
def test_models_are_found_by_their_builder(name: str, width: int) -> None:
    path = list(sys.path)
    model = load_model(f"own_builders:{name}")
    assert isinstance(model, nn.Linear)
    assert model.out_features == width
    assert sys.path == path


@pytest.mark.usefixtures("builders")
def test_models_are_built_where_they_are_to_run() -> None:
    assert load_model("own_builders:build").weight.device.type == "meta"
    assert load_model("own_builders:build", device="cpu").weight.device.type == "cpu"
    assert load_model("own_builders:reads", device="cpu").in_features == 1


@pytest.mark.usefixtures("builders")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_builders", "^own_builders: expected package.module:build"),
        ("own_builders:", "expected package.module:build"),
        ("missing_builders:build", "ModuleNotFoundError: No module named 'missing_builders'; install it, or run where"),
        ("missing.builders:build", "No module named 'missing'; install it, or run where it lies$"),
        ("broken_builders:build", r"No module named 'no_such_module_anywhere' \(.*broken_builders.py:1 in <module>\)$"),
        ("own_builders:biuld", "own_builders has no 'biuld'; did you mean 'build'?"),
        ("own_builders:Models.wied", "own_builders.Models has no 'wied'; did you mean 'wide'?"),
        ("own_builders:number", "built a int; expected a torch.nn.Module"),
        ("own_builders:constant", "is a int; expected a model or a function"),
        ("own_builders:fails", r"the builder fails: ValueError: no such size \(.*own_builders.py:9 in fails\)$"),
        ("own_builders:reads", "build on device='cpu'"),
    ],
)
def test_what_is_no_builder_is_named_with_the_fix(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_model(name)


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependency, match=r"pip install 'cvbench\[models\]'"):
        require_torch()
    with pytest.raises(MissingDependency):
        load_model("a:b")
    with pytest.raises(MissingDependency):
        CountSpec((1,)).build()
