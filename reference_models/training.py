"""Training as a function of a recipe.

Step *s* has its images, its random numbers and its rate from the seed and *s* alone, so a run that was stopped goes on
from its last checkpoint to the same weights, to the last bit on the same machine with as many threads.
"""

from __future__ import annotations

import importlib
import io
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cvbench.benchmarks import Benchmark, Picture
from cvbench.errors import InputError, did_you_mean
from cvbench.models import Entry
from cvbench.result import replace_file
from reference_models.model import Model

Progress = Callable[[str, int, int], object]
Shown = tuple[NDArray[np.uint8], Mapping[str, NDArray[Any]]]
"""An image and its target."""

LARGEST_GRADIENT = 10.0
"""Norm to which larger gradients are cut."""

LOOK_AHEAD = 4
"""Batches that are drawn while others are learnt from."""

CHECKPOINT_SECONDS = 20.0
"""Time between two checkpoints; writing one takes some milliseconds."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. A module with a model may have its own changes, a dict ``RECIPE``.

    Attributes
    ----------
    steps
        Batches that are learnt from.
    batch
        Pictures in a batch.
    rate
        Largest learning rate, of AdamW; it rises for `warm_up` steps and falls to 0 along a cosine.
    decay
        Of weights.
    warm_up
        Steps.
    seed
        Of the first weights, of the order of pictures, and of what a loss draws.
    pictures
        Only the first so many of the split ``train``; None for all.
    """

    steps: int = 3000
    batch: int = 16
    rate: float = 2e-3
    decay: float = 1e-4
    warm_up: int = 100
    seed: int = 0
    pictures: int | None = None

    def __post_init__(self) -> None:
        if (
            min(self.steps, self.batch) < 1
            or not (self.rate > 0 and self.decay >= 0)
            or min(self.warm_up, self.seed) < 0
        ):
            raise InputError(f"{self}: expected steps and a batch from 1, a rate above 0, and nothing below 0")

    @classmethod
    def of(cls, entry: Entry, **changes: Any) -> Recipe:
        """The recipe of a model, with changes; those that are None are none."""
        own = getattr(importlib.import_module(entry.module), "RECIPE", {})
        known = [each.name for each in fields(cls)]
        for name in own:
            if name not in known:
                raise InputError(f"RECIPE has {name!r}{did_you_mean(name, known)}", where=entry.module)
        return cls(**own | {name: value for name, value in changes.items() if value is not None})

    def rate_at(self, step: int) -> float:
        """The learning rate of a step.

        >>> [round(Recipe(steps=5, rate=1.0, warm_up=2).rate_at(step), 3) for step in range(5)]
        [0.5, 1.0, 1.0, 0.75, 0.25]
        """
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        return self.rate * (1 + math.cos(math.pi * (step - self.warm_up) / (self.steps - self.warm_up))) / 2


@dataclass
class Run:
    """A training under way.

    Attributes
    ----------
    model
    optimizer
    step
        Steps that are done.
    seconds
        They took, over all parts of the run.
    log
        Rows of the log: step, seconds, rate, loss, and its terms.
    """

    model: Model
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)

    def save(self, path: Path, recipe: Recipe) -> None:
        """Write a checkpoint, which holds the old content or the new one at every moment."""
        content = io.BytesIO()
        states = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**states, "at": (self.step, self.seconds), "log": self.log, "recipe": asdict(recipe)}, content)
        replace_file(path, content.getvalue())

    def load(self, path: Path, recipe: Recipe) -> None:
        """Go on from a checkpoint, which executes nothing.

        Raises
        ------
        InputError
            It is of another recipe.
        """
        found = torch.load(path, weights_only=True, map_location="cpu")
        if found["recipe"] != asdict(recipe):
            raise InputError("is of a training by another recipe; go on with that one, or delete it", where=str(path))
        self.model.load_state_dict(found["model"])
        self.optimizer.load_state_dict(found["optimizer"])
        (self.step, self.seconds), self.log = found["at"], found["log"]


def train(
    model: Model, benchmark: Benchmark, recipe: Recipe, checkpoint: Path, progress: Progress | None = None
) -> Run:
    """Train a model, or go on where a checkpoint is.

    Parameters
    ----------
    model
        With its first weights, on the device that trains.
    benchmark
        Whose split ``train`` is learnt from.
    recipe
    checkpoint
        File to write every `CHECKPOINT_SECONDS` and at the end.
    progress
        Told how many steps are done.

    Raises
    ------
    InputError
        A loss is not finite, or the checkpoint is of another recipe.
    """
    run = Run(model, torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=recipe.decay))
    if checkpoint.exists():
        run.load(checkpoint, recipe)
    model.train()
    began = written = time.monotonic() - run.seconds
    with _same_every_time():
        for batch in batches(benchmark, recipe, run.step):
            torch.manual_seed(recipe.seed * 1_000_003 + run.step)  # of all devices
            rate = recipe.rate_at(run.step)
            terms = _learn(run, batch, rate)
            run.step, run.seconds = run.step + 1, time.monotonic() - began
            if run.step % 50 == 0 or run.step in (1, recipe.steps):
                run.log.append({"step": run.step, "seconds": run.seconds, "rate": rate, **terms})
            if time.monotonic() - written > CHECKPOINT_SECONDS:
                run.save(checkpoint, recipe)
                written = time.monotonic()
            if progress is not None:
                progress(f"training, loss {terms.get('loss', math.nan):.3f}", run.step, recipe.steps)
    run.save(checkpoint, recipe)
    return run


def _learn(run: Run, batch: Sequence[Shown], rate: float) -> dict[str, float]:
    """One step; the loss and its terms. Pictures without anything to show, as of people, teach nothing."""
    if not batch:
        return {}
    device = next(run.model.parameters()).device
    targets = [{name: torch.from_numpy(array).to(device) for name, array in target.items()} for _, target in batch]
    terms = run.model.loss(run.model(run.model.prepare(np.stack([image for image, _ in batch]))), targets)
    loss = torch.stack(list(terms.values())).sum()
    if not bool(loss.isfinite()):
        listed = ", ".join(f"{name} {float(term):g}" for name, term in terms.items())
        raise InputError(f"the loss is {float(loss):g} ({listed}); try a lower rate", where=f"step {run.step}")
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), LARGEST_GRADIENT)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.optimizer.step()
    return {"loss": float(loss.detach()), **{name: float(term.detach()) for name, term in terms.items()}}


def batches(benchmark: Benchmark, recipe: Recipe, start: int = 0) -> Iterator[list[Shown]]:
    """The images of each step with their targets, from step `start` on; drawn ahead, by a thread.

    All pictures come once before any comes again, each time in another order.
    """
    pictures = benchmark.pictures("train", recipe.pictures)
    orders: dict[int, list[int]] = {}

    def place(position: int) -> int:
        epoch, index = divmod(position, len(pictures))
        if epoch not in orders:
            generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
            orders[epoch] = torch.randperm(len(pictures), generator=generator).tolist()
        return orders[epoch][index]

    # One thread: with two, a step took 1.1 s in place of 0.5 s on two cores, as torch's threads wait for one another.
    with ThreadPoolExecutor(1) as pool:
        ahead: deque[list[Future[Picture]]] = deque()
        for step in range(start, recipe.steps + LOOK_AHEAD):
            if step < recipe.steps:
                places = [place(step * recipe.batch + k) for k in range(recipe.batch)]
                ahead.append([pool.submit(pictures.__getitem__, index) for index in places])
            if step - start >= LOOK_AHEAD and ahead:
                drawn = [future.result() for future in ahead.popleft()]
                yield list(chain.from_iterable(zip(one.images, one.targets, strict=True) for one in drawn))


@contextmanager
def _same_every_time() -> Iterator[None]:
    """Choose operators that give the same result every time, where there are such."""
    memory: Any = torch.utils.deterministic  # mypy does not see its attribute
    before = torch.are_deterministic_algorithms_enabled(), memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    memory.fill_uninitialized_memory = False  # a tenth of the time, for memory that nobody reads
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        memory.fill_uninitialized_memory = before[1]
