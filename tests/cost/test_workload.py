"""Workloads and conditions."""

from __future__ import annotations

import pickle
from functools import partial

import pytest
import torch

from cvbench.cost.workload import Conditions, ModuleWorkload, Workload
from cvbench.errors import InputError

MODEL = partial(torch.nn.Conv2d, 3, 4, 3)


def test_a_module_runs_as_the_conditions_say() -> None:
    conditions = Conditions(batch=2, dtype="bfloat16", memory_format="channels_last")
    workload = ModuleWorkload(MODEL, (3, 8, 10), inputs=5)(conditions)
    assert list(workload.stages) == ["forward"]
    assert len({id(item) for item in workload.inputs}) == 5
    assert not torch.equal(workload.inputs[0], workload.inputs[1])
    for image in workload.inputs:
        assert (image.shape, image.dtype) == ((2, 3, 8, 10), torch.bfloat16)
        assert image.is_contiguous(memory_format=torch.channels_last)
    with workload.context():
        out = workload.forward(workload.inputs[0])
    assert (out.shape, out.dtype, out.is_inference()) == ((2, 4, 6, 8), torch.bfloat16, True)
    assert not workload.forward.training
    assert workload.forward.weight.is_contiguous(memory_format=torch.channels_last)
    assert workload.sync is torch.cpu.synchronize


def test_a_module_that_was_sent_elsewhere_stays_as_it_is() -> None:
    module = torch.nn.Linear(4, 4)
    sent = pickle.loads(pickle.dumps(ModuleWorkload(module, (4,))))
    sent(Conditions(dtype="float64"))
    assert (module.weight.dtype, module.training) == (torch.float32, True)


def test_inputs_are_the_same_in_every_process() -> None:
    first, again = (ModuleWorkload(MODEL, (3, 4, 4))(Conditions()).inputs[7] for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize(
    ("shape", "conditions", "message"),
    [
        ((3, 8, 8), {"dtype": "float23"}, "'float23' is unknown; did you mean 'float32'"),
        ((3, 8, 8), {"memory_format": "NHWC"}, "'NHWC' is unknown; expected one of contiguous, channels_last"),
        ((3,), {"memory_format": "channels_last"}, "channels_last is for channels, height, width"),
        ((3, 8, 8), {"batch": 0}, "expected a batch and numbers of threads of at least 1"),
    ],
)
def test_impossible_conditions_are_refused(shape: tuple[int, ...], conditions: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModuleWorkload(MODEL, shape)(Conditions(**conditions))


def test_stages_stand_in_their_order_and_conditions_in_the_signature() -> None:
    workload = Workload([1], post=str, forward=abs, pre=int)
    assert list(workload.stages) == ["pre", "forward", "post"]
    assert Conditions(batch=8).conventions() == [
        ("batch", "8"),
        ("threads", "1"),
        ("interop_threads", "1"),
        ("dtype", "float32"),
        ("memory_format", "contiguous"),
        ("device", "cpu"),
    ]
