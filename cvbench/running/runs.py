"""From models and benchmarks to records."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cvbench.benchmarks import Benchmark
from cvbench.cost.latency import Progress
from cvbench.cost.spec import CountSpec, require_device
from cvbench.errors import CvbenchError, InputError
from cvbench.intervals import bootstrap
from cvbench.profiling import profile
from cvbench.records import RunRecord, Timing
from cvbench.result import Provenance, Result
from cvbench.running.candidates import Candidate
from cvbench.running.evaluation import Evaluation, evaluate, torch_threads
from cvbench.running.journal import Journal
from cvbench.running.keeping import Keeper
from cvbench.running.timing import Settings, timed
from cvbench.running.workers import call_all, packed

_T = TypeVar("_T")


def run(
    candidates: Sequence[Candidate],
    benchmarks: Sequence[Benchmark],
    folder: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    progress: Progress | None = None,
    say: Callable[[str], object] | None = None,
) -> list[RunRecord]:
    """Run each model on each benchmark that it fits, and write a record of each run.

    A run that was stopped goes on where it was when it is asked for again in the same folder with the same models,
    benchmarks and settings: what was finished is read instead. Models of one's own run anew.

    Parameters
    ----------
    candidates
        From `candidate`.
    benchmarks
        From `cvbench.benchmarks`.
    folder
        For the records, ``<benchmark>/<model>-<size>.json``; made where there is none.
    settings
        None for the defaults.
    progress
        Told how many images, replicates, or processes of the timing are done.
    say
        Called with a sentence where a model fails or is not run again.

    Returns
    -------
    list of RunRecord
        By benchmark, then model. What failed is in the ``error`` of a record.

    Raises
    ------
    InputError
        No model fits a benchmark, a model fits none, two have the same name, or torch does not know the device.
    """
    settings, say = settings or Settings(), say or _quiet
    require_device(settings.device)
    pairs = [(benchmark, one) for benchmark in benchmarks for one in candidates if one.fits(benchmark)]
    labels = [one.model.label for one in candidates]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise InputError(f"there are two models of the name {twice}")
    for benchmark in benchmarks:
        if all(benchmark is not other for other, _ in pairs):
            message = f"asks for {benchmark.field}, which none of the models predicts: {', '.join(labels) or 'none'}"
            raise InputError(message, where=benchmark.name)
    for one in candidates:
        if all(one is not other for _, other in pairs):
            asked = ", ".join(benchmark.name for benchmark in benchmarks)
            raise InputError(f"predicts {one.field}, which is not asked for by {asked}", where=one.model.label)
    journal = Journal(Path(folder), [_identity(benchmark, one, settings) for benchmark, one in pairs])
    scores = iter(_scores(pairs, settings, journal, progress, say))
    records = []
    for benchmark in benchmarks:
        group = {one.model.label: one for other, one in pairs if other is benchmark}
        scored = {label: next(scores) for label in group}
        records += _times(group, scored, benchmark, settings, journal, progress, say)
    journal.close()
    return records


def _quiet(_: str) -> None:
    """Say nothing."""


def _identity(benchmark: Benchmark, one: Candidate, settings: Settings) -> str:
    """Everything by which a run can be told from another."""
    made, settings = Provenance.collect(), replace(settings, processes=1)  # records are the same with any number
    parts = (benchmark.name, benchmark.truth, one.model, one.source, settings, made.cvbench, made.commit, made.cpu)
    return repr(parts)


def _scores(
    pairs: Sequence[tuple[Benchmark, Candidate]],
    settings: Settings,
    journal: Journal,
    progress: Progress | None,
    say: Callable[[str], object],
) -> list[RunRecord]:
    """The record of each model on each benchmark without its latency, as far as it is not known already."""
    records: list[RunRecord | None] = []
    for benchmark, one in pairs:
        known = journal.finished(benchmark.name, one.model.label) if one.source is not None else None
        if known is not None:
            say(f"{one.model.label} on {benchmark.name}: scored already")
        records.append(known)
    left = [k for k, known in enumerate(records) if known is None]
    with closing(_scored([pairs[k] for k in left], settings, progress)) as scored:
        for index, record in scored:
            records[left[index]] = record
            journal.save(record)
    return [record for record in records if record is not None]


def _scored(
    pairs: Sequence[tuple[Benchmark, Candidate]], settings: Settings, progress: Progress | None
) -> Generator[tuple[int, RunRecord], None, None]:
    """Index and record of each as soon as it is known: from other processes where these are asked for, or from here."""
    calls: dict[int, bytes] = {}
    if min(settings.processes, len(pairs)) > 1:
        packs = {k: packed(scored_record, one, benchmark, settings) for k, (benchmark, one) in enumerate(pairs)}
        calls = {k: pack for k, pack in packs.items() if pack is not None}
    together = _Together({k: pairs[k] for k in calls}, settings, progress)
    with closing(call_all(calls, settings.processes, together.told)) as returned:
        for k, found in returned:
            together.ended(k)
            yield k, found if isinstance(found, RunRecord) else _failed(pairs[k], found)
    for k, (benchmark, one) in enumerate(pairs):
        if k not in calls:
            yield k, scored_record(one, benchmark, settings, progress)


def _failed(pair: tuple[Benchmark, Candidate], error: Exception) -> RunRecord:
    benchmark, one = pair
    return RunRecord(one.model, benchmark.name, error=described(error), published=list(one.published))


class _Together:
    """Tells the progress of models that are scored at once as that of one piece of work: images and replicates."""

    def __init__(
        self, pairs: Mapping[int, tuple[Benchmark, Candidate]], settings: Settings, progress: Progress | None
    ) -> None:
        self._labels = {k: one.model.label for k, (_, one) in pairs.items()}
        self._images = {k: len(each.pictures(each.splits[-1], settings.limit)) for k, (each, _) in pairs.items()}
        self._total = sum(self._images.values()) + settings.replicates * len(pairs)
        self._replicates = settings.replicates
        self._done: dict[int, int] = {}
        self._progress = progress

    def told(self, index: int, stage: str, done: int, _: int) -> None:
        """A model has come so far in its images, or after them in its replicates."""
        self._tell(index, done + (self._images[index] if stage == "bootstrap" else 0))

    def ended(self, index: int) -> None:
        """A model is through, however far it came."""
        self._tell(index, self._images[index] + self._replicates)
        del self._labels[index]

    def _tell(self, index: int, done: int) -> None:
        self._done[index] = done
        if self._progress is not None:
            begun = [label for k, label in self._labels.items() if k in self._done]
            self._progress(", ".join(begun), sum(self._done.values()), self._total)


def _times(
    group: Mapping[str, Candidate],
    records: dict[str, RunRecord],
    benchmark: Benchmark,
    settings: Settings,
    journal: Journal,
    progress: Progress | None,
    say: Callable[[str], object],
) -> list[RunRecord]:
    """The records of the models of a benchmark with their latencies, which are measured side by side."""
    untimed = {label: group[label] for label, r in records.items() if r.accuracy is not None and r.latency is None}
    timings = timed(untimed, benchmark, settings, progress) if settings.plan is not None and untimed else {}
    for label, timing in timings.items():
        if isinstance(timing, Timing):
            records[label] = replace(records[label], latency=timing)
        else:
            reasons = filter(None, [records[label].error, f"latency: {described(timing)}"])
            records[label] = replace(records[label], error="; ".join(reasons))
        journal.save(records[label])
    for label, record in records.items():
        if record.error is not None:
            say(f"{label} on {benchmark.name}: {record.error}")
    return list(records.values())


def scored_record(
    one: Candidate, benchmark: Benchmark, settings: Settings, progress: Progress | None = None
) -> RunRecord:
    """The record of one model on one benchmark, without its latency; what fails is in its ``error``."""
    errors: list[str] = []
    model, evaluation, intervals, cost = one.model, None, {}, None
    with torch_threads(settings.threads):
        module = _attempt("building", errors, lambda: one.load().to(settings.device))
        if module is not None:
            model = replace(model, params=sum(parameter.numel() for parameter in module.parameters()))
            evaluation = _attempt(
                "predictions", errors, lambda: _evaluated(module, model.label, benchmark, settings, progress)
            )
            cost = _attempt("cost", errors, partial(_cost, module, benchmark))
    scored = None
    if evaluation is not None:
        scored = bootstrap(evaluation.metric, replicates=settings.replicates, progress=progress)
        intervals = scored.intervals()
    return RunRecord(
        model=model,
        benchmark=benchmark.name,
        accuracy=None if evaluation is None else evaluation.result,
        intervals=intervals,
        cost=cost,
        data={} if evaluation is None else {"images": evaluation.images},
        error="; ".join(errors) or None,
        published=list(one.published),
        bootstrap=None if scored is None else scored.only(benchmark.figure),
    )


def _evaluated(
    module: Any, name: str, benchmark: Benchmark, settings: Settings, progress: Progress | None
) -> Evaluation:
    """The score, and the predictions as files where these are asked for."""
    keeper = None if settings.predictions is None else Keeper(Path(settings.predictions), benchmark, name)
    evaluation = evaluate(
        module,
        benchmark,
        limit=settings.limit,
        batch=settings.batch,
        threads=settings.threads,
        name=name,
        progress=progress,
        keep=keeper,
    )
    if keeper is not None:
        keeper.close()
    return evaluation


def _cost(module: Any, benchmark: Benchmark) -> Result:
    """Of one image; counted on meta, or on the processor for a module that reads values."""
    spec = getattr(module, "spec", None)
    if spec is None:
        size = benchmark.size or benchmark.pictures(benchmark.splits[-1], 1)[0].images[0].shape[:2]
        spec = CountSpec((1, 3, *size))
    try:
        return profile(module, spec)
    except InputError:
        return profile(module, spec, device="cpu")


def _attempt(what: str, errors: list[str], function: Callable[[], _T]) -> _T | None:
    """What a function returns; None where it fails, which then is among the errors."""
    try:
        return function()
    except Exception as error:  # noqa: BLE001  # the code of a model may raise anything, and its record says what
        errors.append(f"{what}: {described(error)}")
        return None


def described(error: BaseException) -> str:
    """An error in a line: our own as they are, others with their kind and the place where they arose."""
    if isinstance(error, CvbenchError):
        return " ".join(str(error).split())
    text = " ".join(traceback.format_exception_only(error)[-1].split())
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else text
