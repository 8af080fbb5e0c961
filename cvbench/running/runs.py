"""From models and benchmarks to records."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping, Sequence
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
    records = []
    for benchmark in benchmarks:
        group = {one.model.label: one for other, one in pairs if other is benchmark}
        records += _run_group(group, benchmark, settings, journal, progress, say)
    journal.close()
    return records


def _quiet(_: str) -> None:
    """Say nothing."""


def _identity(benchmark: Benchmark, one: Candidate, settings: Settings) -> str:
    """Everything by which a run can be told from another."""
    made = Provenance.collect()
    parts = (benchmark.name, benchmark.truth, one.model, one.source, settings, made.cvbench, made.commit, made.cpu)
    return repr(parts)


def _run_group(
    group: Mapping[str, Candidate],
    benchmark: Benchmark,
    settings: Settings,
    journal: Journal,
    progress: Progress | None,
    say: Callable[[str], object],
) -> list[RunRecord]:
    """Scores first, one model after the other, then the times of all."""
    records: dict[str, RunRecord] = {}
    for label, one in group.items():
        known = journal.finished(benchmark.name, label) if one.source is not None else None
        if known is not None:
            say(f"{label} on {benchmark.name}: scored already")
        records[label] = known or scored_record(one, benchmark, settings, progress)
        if known is None:
            journal.save(records[label])
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
