"""Any torch module as three stages, and its score on a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cvbench.benchmarks import Benchmark, Digest, Picture, Prediction, Scorer
from cvbench.cost.latency import Progress
from cvbench.cost.spec import require_torch
from cvbench.errors import InputError
from cvbench.result import Result, Signature

if TYPE_CHECKING:
    import torch

BATCH = 16
"""Images that a model is shown at once where they are of one size. Figures may depend on it in their last bits."""

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Stages:
    """A torch module as what is run and timed.

    Attributes
    ----------
    module
        In the mode for evaluation. Its methods ``prepare`` and ``postprocess`` are used where it has them, see
        ``docs/models.md``.
    name
        Of the model, for messages.
    """

    module: Any
    name: str = "model"

    def pre(self, images: Images) -> torch.Tensor:
        """Images (B, H, W, 3) uint8 as a tensor (B, 3, H, W) with values from 0 to 1, where the parameters are."""
        import torch

        if hasattr(self.module, "prepare"):
            tensor: torch.Tensor = self.module.prepare(images)
            return tensor
        weight = next(self.module.parameters(), torch.empty(0))
        return torch.from_numpy(images).to(weight.device).permute(0, 3, 1, 2).to(weight.dtype) / 255

    def forward(self, tensor: torch.Tensor) -> Any:
        """What the network puts out."""
        return self.module(tensor)

    def post(self, raw: Any) -> Any:
        """The predictions that this stands for."""
        return self.module.postprocess(raw) if hasattr(self.module, "postprocess") else raw

    def predict(self, images: Images) -> Sequence[Prediction]:
        """One prediction for each of the images (B, H, W, 3).

        Raises
        ------
        InputError
            The model returns anything but a list of as many.
        """
        import torch

        with torch.inference_mode():
            predictions = self.post(self.forward(self.pre(images)))
        if not isinstance(predictions, (list, tuple)) or len(predictions) != len(images):
            found = f"a {type(predictions).__name__}"
            if isinstance(predictions, (list, tuple)):
                found += f" of {len(predictions)}"
            method = "postprocess" if hasattr(self.module, "postprocess") else "forward"
            message = f"{method} returned {found} for {len(images)} images; expected a list of one dict for each"
            raise InputError(message, where=self.name)
        return predictions


@dataclass(frozen=True)
class Evaluation:
    """A model's score on a benchmark, and what was read for it.

    Attributes
    ----------
    result
        With the hash of the ground truth, and under a limit with the number of images in its signature.
    metric
        That it was computed by, for intervals.
    images
        SHA-256 of the pixels that the model was shown.
    """

    result: Result
    metric: Scorer
    images: str


def evaluate(
    module: Any,
    benchmark: Benchmark,
    *,
    limit: int | None = None,
    batch: int = BATCH,
    threads: int | None = None,
    name: str = "model",
    progress: Progress | None = None,
    keep: Callable[[Picture, Sequence[Prediction]], object] | None = None,
) -> Evaluation:
    """Score a model on the split of a benchmark that is for evaluation.

    Parameters
    ----------
    module
        A torch module as ``docs/models.md`` has it; it is put into the mode for evaluation.
    benchmark
        From `cvbench.benchmarks`.
    limit
        Only the first so many images.
    batch
        Images of one size that the model is shown at once.
    threads
        Of the metric; None for all processors. Those of torch are as the caller has set them.
    name
        Of the model, for messages.
    progress
        Told how many images are done.
    keep
        Called with each picture and the predictions for its images.

    Raises
    ------
    InputError
        The model's predictions are not what the benchmark expects; the message names the image.

    Examples
    --------
    >>> import torch
    >>> from cvbench.benchmarks import find
    >>> class Sky(torch.nn.Module):
    ...     def forward(self, images):
    ...         return [{"labels": torch.full(image.shape[1:], 8)} for image in images]
    >>> evaluation = evaluate(Sky(), find("scenes.semantic"), limit=2)
    >>> 0 < evaluation.result.values["mIoU"] < 0.1
    True
    """
    require_torch()
    stages = Stages(module.eval(), name)
    pictures = benchmark.pictures(benchmark.splits[-1], limit)
    metric = benchmark.metric(threads)
    pixels, truths = Digest(), Digest()
    for done, (picture, predictions) in enumerate(_predicted(stages, pictures, batch), 1):
        for image in picture.images:
            pixels.update(image)
        truths.update((picture.id, picture.truth))
        benchmark.update(metric, picture, predictions)
        if keep is not None:
            keep(picture, predictions)
        if progress is not None:
            progress(f"{name} on {benchmark.name}", done, len(pictures))
    result = metric.compute()
    truth = benchmark.truth or {"path": benchmark.name, "sha256": truths.hexdigest(), "bytes": None}
    signature = result.signature
    if limit is not None:
        signature = Signature(signature.task, (*signature.conventions, ("images", f"first {len(pictures)}")))
    result = replace(result, signature=signature, inputs={"gt": truth})
    return Evaluation(result, metric, pixels.hexdigest())


def _predicted(
    stages: Stages, pictures: Sequence[Picture], batch: int
) -> Iterator[tuple[Picture, Sequence[Prediction]]]:
    """Each picture with the predictions for its images, which are shown to the model in batches."""
    waiting: list[Picture] = []
    for index, picture in enumerate(pictures, 1):
        waiting.append(picture)
        if index == len(pictures) or sum(len(one.images) for one in waiting) >= batch:
            images = chain.from_iterable(one.images for one in waiting)
            predictions = chain.from_iterable(map(stages.predict, batches(images)))
            for one in waiting:
                yield one, list(islice(predictions, len(one.images)))
            waiting = []


def batches(images: Iterable[Images]) -> Iterator[Images]:
    """Images (H, W, 3) in their order as batches (B, H, W, 3) of neighbours of one shape."""
    for _, alike in groupby(images, key=lambda image: image.shape):
        yield np.stack(list(alike))


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Let torch's operators use so many threads, and afterwards as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
