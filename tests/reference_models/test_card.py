from __future__ import annotations

from pathlib import Path

import pytest

from cvbench.errors import FormatError, InputError
from cvbench.records import Published
from reference_models.card import WEIGHTS, Card, Training

PARAMS = Published("params", 31_030_658, "count", source="paper", verified="yes")
MACS = (Published("macs", 150.4, "GMACs", input="1x1x572x572"), Published("macs", 192.4, "GMACs", input="1x1x512x512"))
TRAINING = Training("0" * 64, "scenes.semantic", "mIoU", 0.5, "the commonest class", 0.02, {"seed": 0, "seconds": 1.5})


def card(weights: Path = WEIGHTS) -> Card:
    return Card("unet", "U-Net", "semantic", "Ronneberger et al., 2015", (PARAMS, *MACS), weights=weights)


def test_the_first_number_of_a_quantity_stands_for_the_model() -> None:
    assert card().fact("params") is PARAMS
    assert card().fact("macs").value == 150.4
    with pytest.raises(InputError, match="nobody published latency of U-Net"):
        card().fact("latency")


def test_training_stands_beside_the_weights(tmp_path: Path) -> None:
    model = card(tmp_path)
    assert model.training is None
    TRAINING.save(model.training_path)
    assert model.training == TRAINING
    assert (model.weights_path, model.training_path) == (tmp_path / "unet.safetensors", tmp_path / "unet.json")


@pytest.mark.parametrize("text", ["", "[]", '{"sha256": 1}', '{"sha256": "0"}'])
def test_other_files_are_no_training(tmp_path: Path, text: str) -> None:
    (tmp_path / "unet.json").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match="unet.json: does not say how a model was trained"):
        card(tmp_path).training  # noqa: B018  # reading it is the test
