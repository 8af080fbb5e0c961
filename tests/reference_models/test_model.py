from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest
import torch

from cvbench.cost.counter import count
from cvbench.cost.workload import Conditions
from cvbench.errors import InputError
from reference_models.model import DISTINCT, Model
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


@pytest.mark.parametrize("batch", [1, 3])
def test_a_workload_runs_the_stages_on_the_images(batch: int) -> None:
    model = toy()
    workload = pickle.loads(pickle.dumps(partial(model.workload, images=IMAGES)))(Conditions(batch=batch))
    assert list(workload.stages) == ["pre", "forward", "post"]
    assert len({id(item) for item in workload.inputs}) == len(workload.inputs) == DISTINCT
    with workload.context():
        for start, given in enumerate(workload.inputs[:7]):
            result = given
            for stage in workload.stages.values():
                result = stage(result)
            expected = model.predict(IMAGES[[(start + i) % 5 for i in range(batch)]])
            assert all(torch.equal(a["labels"], b["labels"]) for a, b in zip(result, expected, strict=True))


def test_a_workload_without_images_has_noise_of_the_counted_size() -> None:
    workload = toy().workload(Conditions(dtype="bfloat16", memory_format="channels_last"))
    prepared = workload.pre(workload.inputs[0])
    assert (prepared.shape, prepared.dtype) == ((1, 3, 8, 6), torch.bfloat16)
    assert prepared.is_contiguous(memory_format=torch.channels_last)
    assert len({item.tobytes() for item in workload.inputs}) == DISTINCT


def test_unknown_conditions_are_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'channels_last'"):
        toy().workload(Conditions(memory_format="channel_last"))
