"""How models are run, and how long they take on the images of a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain, cycle, islice
from typing import Any

from cvbench.benchmarks import Benchmark
from cvbench.cost.latency import Progress, measure_latencies
from cvbench.cost.turns import Plan
from cvbench.cost.workload import Conditions, Workload
from cvbench.errors import InputError
from cvbench.intervals import REPLICATES
from cvbench.records import Timing
from cvbench.running.candidates import Candidate
from cvbench.running.evaluation import BATCH, Images, Stages


@dataclass(frozen=True)
class Settings:
    """How models are run.

    Attributes
    ----------
    limit
        Only the first so many images; None for all.
    batch
        Images of one size that a model is shown at once.
    threads
        Of torch, for predictions and times. With 1, figures are the same to the last bit on the same machine.
    device
        By torch's name.
    plan
        How much is timed; None for nothing.
    replicates
        Of the bootstrap of the figures.
    predictions
        Folder to keep predictions in, as files that ``cvbench score`` reads; None to keep none.
    processes
        Models that are scored at once. With more than 1, each is scored in a fresh process, so a script has to call
        `run` under ``if __name__ == "__main__":``; what cannot be sent there is scored here. Records do not depend on
        it, and times are measured afterwards.
    """

    limit: int | None = None
    batch: int = BATCH
    threads: int = 1
    device: str = "cpu"
    plan: Plan | None = field(default_factory=Plan)
    replicates: int = REPLICATES
    predictions: str | None = None
    processes: int = 1


@dataclass(frozen=True)
class RealImages:
    """Makes the workload of a model over images of a benchmark, in a fresh process.

    Attributes
    ----------
    load
        Makes the module; other processes have to be able to import it.
    images
        Shown in turn, one to a call.
    """

    load: Callable[[], Any]
    images: tuple[Images, ...]

    def __call__(self, conditions: Conditions) -> Workload:
        """The workload under these conditions."""
        import torch

        module = self.load().eval().to(device=conditions.device, dtype=getattr(torch, conditions.dtype))
        stages = Stages(module)
        return Workload(
            inputs=[image[None].copy() for image in self.images],
            pre=stages.pre,
            forward=stages.forward,
            post=stages.post,
            sync=getattr(torch, torch.device(conditions.device).type).synchronize,
            context=torch.inference_mode,
        )


def timed(
    candidates: Mapping[str, Candidate], benchmark: Benchmark, settings: Settings, progress: Progress | None = None
) -> dict[str, Timing | Exception]:
    """The latency of models on images of a benchmark, measured side by side; where one cannot be, why.

    If measuring all together fails, each is measured by itself, so that the one at fault stops no other.
    """
    plan, conditions = settings.plan or Plan(), Conditions(threads=settings.threads, device=settings.device)
    pictures = benchmark.pictures(benchmark.splits[-1], settings.limit)
    shown = list(islice(chain.from_iterable(picture.images for picture in pictures), plan.distinct))
    images = tuple(islice(cycle(shown), plan.distinct))
    builds = {label: RealImages(candidate.load, images) for label, candidate in candidates.items()}
    try:
        measured = measure_latencies(builds, conditions=conditions, plan=plan, progress=progress)
        return {label: Timing.of(latency) for label, latency in measured.items()}
    except InputError as error:
        if len(candidates) == 1:
            return dict.fromkeys(candidates, error)
    alone = [timed({label: candidate}, benchmark, settings, progress) for label, candidate in candidates.items()]
    return {label: timing for part in alone for label, timing in part.items()}
