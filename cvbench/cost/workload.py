"""What is timed: a model as a chain of stages, ``pre`` → ``forward`` → ``post``, and the conditions it runs under."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from typing import Any

from cvbench.errors import InputError


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
