from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cvbench.cost.counter import count
from cvbench.errors import MismatchError
from reference_models.model import Model
from reference_models.weights import save_weights
from toy_model import Toy

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3), np.uint8)


def toy() -> Toy:
    torch.manual_seed(0)
    return Toy().eval()


def test_a_model_has_all_of_its_methods() -> None:
    with pytest.raises(TypeError, match="forward.*loss.*postprocess"):
        Model(toy().spec)


def test_pixels_are_prepared_as_forward_takes_them() -> None:
    images = IMAGES[:, ::-1]
    images.flags.writeable = False
    prepared = toy().prepare(images)
    assert prepared.dtype == torch.float32
    expected = torch.tensor(images / np.float32(255))  # torch multiplies by the reciprocal
    torch.testing.assert_close(prepared.permute(0, 2, 3, 1), expected, rtol=2**-22, atol=0)
    assert toy().half().prepare(images).dtype == torch.float16
    assert toy().normalized(torch.tensor([0.0, 0.5, 1.0])).tolist() == [-2, 0, 2]


def test_predictions_are_the_stages_in_order() -> None:
    model = toy()
    found = model.predict(IMAGES)
    assert [image["labels"].shape for image in found] == [(8, 6)] * 5
    assert all(
        torch.equal(image["labels"], model.predict(IMAGES[i, None])[0]["labels"]) for i, image in enumerate(found)
    )
    assert not found[0]["labels"].requires_grad


def test_the_spec_is_what_is_counted() -> None:
    assert count(toy(), toy().spec).macs == 3 * 2 * 8 * 6


def test_weights_are_read_by_the_model(tmp_path: Path) -> None:
    model, other, path = toy(), Toy(), tmp_path / "toy.safetensors"
    sha256 = save_weights(model, path)
    other.load(path, sha256)
    assert torch.equal(other.conv.weight, model.conv.weight.half().float())
    with pytest.raises(MismatchError, match="has SHA-256"):
        other.load(path, "0")
