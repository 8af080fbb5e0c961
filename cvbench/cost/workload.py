"""What is timed: a model as a chain of stages, ``pre`` → ``forward`` → ``post``, and the conditions it runs under."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import Any

from cvbench.cost.machine import DTYPES, import_torch
from cvbench.errors import InputError, did_you_mean


@dataclass(frozen=True)
class Conditions:
    """What times depend on besides the model and the machine. All of it stands beside the figures.

    Attributes
    ----------
    batch
        Images in one call.
    threads
        Threads of torch within an operator, of BLAS and of Numba.
    interop_threads
        Threads of torch that run operators side by side.
    dtype, memory_format, device
        Of the model and its inputs, by torch's names.
    """

    batch: int = 1
    threads: int = 1
    interop_threads: int = 1
    dtype: str = "float32"
    memory_format: str = "contiguous"
    device: str = "cpu"

    def __post_init__(self) -> None:
        if min(self.batch, self.threads, self.interop_threads) < 1:
            raise InputError(f"{self}: expected a batch and numbers of threads of at least 1")

    def conventions(self) -> list[tuple[str, str]]:
        """The conditions as pairs for a signature."""
        return [(item.name, str(getattr(self, item.name))) for item in fields(self)]


@dataclass(frozen=True)
class Workload:
    """A model that is ready to be timed.

    Attributes
    ----------
    inputs
        What `pre`, or else `forward`, is called with in turn. Each is one batch; they have to be distinct objects.
    forward
        The network.
    pre
        Turns an input into what the network takes.
    post
        Turns what the network gives into predictions: decoding, suppression of duplicates. What it costs depends on
        what is detected, so inputs should be those of the evaluation.
    sync
        Waits until a device has finished; called on both sides of each stage, within the time of the stage before.
    context
        Entered around all calls, such as ``torch.inference_mode``.
    """

    inputs: Sequence[Any]
    forward: Callable[[Any], Any]
    pre: Callable[[Any], Any] | None = None
    post: Callable[[Any], Any] | None = None
    sync: Callable[[], object] | None = None
    context: Callable[[], AbstractContextManager[Any]] = nullcontext

    @property
    def stages(self) -> dict[str, Callable[[Any], Any]]:
        """The stages that there are, in order."""
        named = {"pre": self.pre, "forward": self.forward, "post": self.post}
        return {name: stage for name, stage in named.items() if stage is not None}


Build = Callable[[Conditions], Workload]
"""Makes a workload under given conditions, in a fresh process: a function, or anything else that can be pickled."""


@dataclass(frozen=True)
class ModuleWorkload:
    """Makes the workload of a torch module: its forward in inference mode, over random images.

    Attributes
    ----------
    model
        A function without arguments that makes a module, or a module. `cvbench.cost.latency.measure_latency` sends
        other processes a copy of it; whoever calls this object gets the module itself, in eval mode and converted.
    shape
        Of one input without the batch: channels, height, width.
    inputs
        Number of distinct batches.

    Examples
    --------
    >>> import torch
    >>> workload = ModuleWorkload(lambda: torch.nn.Conv2d(3, 8, 3), (3, 32, 32))(Conditions(batch=2))
    >>> with workload.context():
    ...     print(tuple(workload.forward(workload.inputs[0]).shape))
    (2, 8, 30, 30)
    """

    model: Any
    shape: tuple[int, ...]
    inputs: int = 32

    def __call__(self, conditions: Conditions) -> Workload:
        """The workload under these conditions; threads are the process's affair.

        Raises
        ------
        InputError
            The type or memory format is unknown, or the format does not fit the shape.
        MissingDependency
            Torch is not installed.
        """
        torch = import_torch()
        formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
        for value, known in ((conditions.dtype, DTYPES), (conditions.memory_format, formats)):
            if value not in known:
                raise InputError(f"{value!r} is unknown{did_you_mean(value, known)}")
        if conditions.memory_format == "channels_last" and len(self.shape) != 3:
            raise InputError(f"inputs of shape {self.shape}: channels_last is for channels, height, width")
        module = self.model if isinstance(self.model, torch.nn.Module) else self.model()
        target = {
            "device": conditions.device,
            "dtype": getattr(torch, conditions.dtype),
            "memory_format": formats[conditions.memory_format],
        }
        random_numbers = torch.Generator().manual_seed(0)
        images = [torch.rand(conditions.batch, *self.shape, generator=random_numbers) for _ in range(self.inputs)]
        return Workload(
            inputs=[image.to(**target) for image in images],
            forward=module.eval().to(**target),
            sync=getattr(torch, torch.device(conditions.device).type).synchronize,
            context=torch.inference_mode,
        )
