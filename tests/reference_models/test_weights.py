from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import nn

from cvbench.errors import FormatError, InputError, MismatchError
from reference_models.weights import load_weights, save_weights
from toy_model import Toy


def trained(seed: int) -> Toy:
    torch.manual_seed(seed)
    model = Toy()
    model(torch.rand(4, 3, 8, 6))  # the norm has seen images
    return model


def test_weights_come_back_rounded_to_half_precision(tmp_path: Path) -> None:
    path, model, other = tmp_path / "toy.safetensors", trained(0), trained(1)
    sha256 = save_weights(model, path)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    load_weights(other, path, sha256)
    for name, tensor in model.state_dict().items():
        expected = tensor.half().to(tensor.dtype) if tensor.is_floating_point() else tensor
        assert torch.equal(other.state_dict()[name], expected), name
    assert other.conv.weight.dtype == torch.float32
    assert save_weights(other, path) == sha256, "what was loaded is saved as it was"


def test_weights_of_another_training_are_refused(tmp_path: Path) -> None:
    path, model = tmp_path / "toy.safetensors", trained(0)
    save_weights(model, path)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(MismatchError, match=f"toy.safetensors: has SHA-256 [0-9a-f]{{64}}; expected {'0' * 64}"):
        load_weights(model, path, "0" * 64)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (nn.Conv2d(3, 2, 1), r"weight is missing there and floating \(2, 3, 1, 1\) in the Conv2d"),
        (
            nn.ModuleDict({"conv": nn.Conv2d(3, 4, 1)}),
            r"conv.weight is floating \(2, 3, 1, 1\) there and floating \(4,",
        ),
        (nn.ModuleDict({"conv": nn.Conv2d(3, 2, 1)}), r"norm.bias is floating \(2,\) there and missing in the Modul"),
    ],
)
def test_weights_of_another_model_are_refused(tmp_path: Path, other: nn.Module, message: str) -> None:
    path = tmp_path / "toy.safetensors"
    save_weights(trained(0), path)
    with pytest.raises(MismatchError, match=message):
        load_weights(other, path)


def test_numbers_do_not_become_counts(tmp_path: Path) -> None:
    path, model = tmp_path / "toy.safetensors", trained(0)
    path.write_bytes(save({name: tensor.half() for name, tensor in model.state_dict().items()}))
    with pytest.raises(MismatchError, match=r"num_batches_tracked is floating \(\) there and int64 \(\)"):
        load_weights(model, path)


class Trap:
    """Would write a file if anything unpickled it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["pickle", "torch", "cut", "empty"])
def test_other_files_are_refused_and_run_nothing(tmp_path: Path, kind: str) -> None:
    path, sprung, model = tmp_path / "toy.safetensors", tmp_path / "sprung", trained(0)
    save_weights(model, path)
    if kind == "torch":
        torch.save({"weight": Trap(sprung)}, path)
    else:
        contents = {"pickle": pickle.dumps(Trap(sprung)), "cut": path.read_bytes()[:-1], "empty": b""}
        path.write_bytes(contents[kind])
    with pytest.raises(FormatError, match="toy.safetensors: is no file of weights"):
        load_weights(model, path)
    assert not sprung.exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing.safetensors: there is no such file"):
        load_weights(trained(0), tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("value", [7e4, float("nan")])
def test_values_that_half_precision_does_not_have_are_refused(tmp_path: Path, value: float) -> None:
    model = trained(0)
    nn.init.constant_(model.conv.bias, value)
    with pytest.raises(InputError, match="conv.bias: has values that are not finite in float16"):
        save_weights(model, tmp_path / "toy.safetensors")
    assert not list(tmp_path.iterdir())
