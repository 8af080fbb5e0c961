"""Detections scored by the workers of a Dask cluster, for data sets that are larger than the memory of one machine.

1. Files of predictions, and stretches of large ones, are read on their own, each by some worker.
2. Images are dealt out in shards: what all pieces have of a shard's images meets the ground truth of these in one
   place, and is matched there, once and for all.
3. States are cut by category, and all shards of some categories meet to be scored.

No process holds more than a piece, a shard, or the rows of a few categories; one of them holds the whole ground truth.
Every task can be done again from the files, so nothing is lost with a worker. As states merge in any order without
changing a bit, the result is that of a single process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields, replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from cvbench.columns import Detections, GroundTruth, rows_between, take_rows
from cvbench.errors import CvbenchError, FormatError, InputError, MismatchError, MissingDependency
from cvbench.families.coco import BENCHMARKS, Choice, choose, described, pred_reading, read_truth, rules
from cvbench.io import Reading
from cvbench.io.pieces import (
    Piece,
    file_source,
    folder_source,
    is_folder,
    join_columns,
    join_readings,
    pieces_of,
    placed,
    read_piece,
)
from cvbench.io.source import Source
from cvbench.kernels import available_threads
from cvbench.metrics.base import image_weights, merge
from cvbench.metrics.detection import DetectionState, Progress, Scored, join_scored, scored
from cvbench.result import Result

PIECE = 64 << 20
"""Bytes of JSON that a task reads: a few seconds of work."""

LEAST = 1 << 20
"""The fewest bytes that are worth a task."""

MOST = 256
"""The largest number of pieces that a file is cut into; those of larger files are larger than `PIECE`."""

SHARDS = 64
"""The largest number of shards; each of them meets each piece, which is a task."""

GROUPS = 64
"""The largest number of groups of categories."""

PATIENCE = 60
"""Seconds to wait for the scheduler, and for the first worker."""


def score(
    settings: Mapping[str, Any],
    gt: Any,
    pred: Any,
    threads: int | None,
    progress: Progress | None,
    parameters: Mapping[str, Any],
    dask: Any,
) -> Result:
    """Score detections; arguments as in `cvbench.families`, and the cluster, as `cvbench.score` takes it.

    Raises
    ------
    MissingDependency
        Dask is not installed.
    InputError
        There is no such cluster, or the inputs are not files.
    MismatchError
        The workers have another version of cvbench.
    """
    for side, source in (("gt", gt), ("pred", pred)):
        if not isinstance(source, (str, os.PathLike)):
            raise InputError(
                f"found {type(source).__name__}, expected a path: Dask's workers read the files", where=side
            )
    distributed = _distributed()
    with connected(dask) as client:
        run = _Run(client, dict(settings), dict(parameters), threads or 1, progress or (lambda *_: None))
        try:
            return run.result(os.fspath(gt), os.fspath(pred))
        except distributed.KilledWorker as error:
            raise CvbenchError(
                f"workers ended one after another at the same task, probably for lack of memory: {error}"
            ) from error


def _distributed() -> Any:
    """Dask's package for clusters, which has no types."""
    try:
        return import_module("distributed")
    except ImportError:
        message = "clusters are those of Dask, which is not installed: pip install 'cvbench[dask]'"
        raise MissingDependency(message) from None


@contextmanager
def connected(dask: Any) -> Iterator[Any]:
    """A client of the cluster: one that is given, that of the scheduler at an address, or one of processes here."""
    distributed = _distributed()
    if isinstance(dask, distributed.Client):
        yield dask
    elif dask == "local":
        options = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
        # errors come back to us, who say what has to be said of them
        with (
            distributed.LocalCluster(available_threads(), silence_logs=logging.CRITICAL, **options) as cluster,
            distributed.Client(cluster, set_as_default=False) as client,
        ):
            yield client
    elif isinstance(dask, str) and "://" in dask:
        try:
            client = distributed.Client(dask, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(f"no Dask scheduler answers at {dask}: {error}") from error
        with client:
            yield client
    else:
        raise InputError(
            f"dask={dask!r}: expected local, the address of a scheduler such as tcp://10.0.0.1:8786, or a client"
        )


class _Run:
    """One score on a cluster.

    Parameters
    ----------
    client
    settings, parameters
        Of the task.
    threads
        Of each of Dask's tasks.
    progress
    """

    def __init__(
        self, client: Any, settings: dict[str, Any], parameters: dict[str, Any], threads: int, progress: Progress
    ) -> None:
        self.client, self.progress = client, progress
        self.settings, self.parameters, self.threads = settings, parameters, threads
        self.run, self.number = uuid4().hex[:12], 0
        self._check_versions()

    def result(self, gt: str, pred: str) -> Result:
        """Score the files."""
        truth = self._submit(_read_truth, self.settings, str(Path(gt).resolve()), gt, self.parameters)
        short = self._submit(_outline, truth)
        outline: Reading[GroundTruth] = short.result()
        choice = choose(outline.columns, self.parameters)
        # one thread hashes while the workers read: a hash has no parts
        with ThreadPoolExecutor(1, "cvbench-hash") as pool:
            hashed = None if is_folder(pred) else pool.submit(file_source, pred, pred)
            pieces = pieces_of(pred, self._piece_size(pred))
            read = [self._submit(_read, self.settings, piece, short, self.parameters) for piece in pieces]
            states = self._matched(truth, outline, choice, read)
            readings = self._readings(read, pieces)
            del read
            source = folder_source(pred, [found.source for found in readings]) if hashed is None else hashed.result()
        scores = BENCHMARKS[self.settings["benchmark"]].pred_reading.get("part_scores", ())
        found = join_readings(readings, source, scores)
        bare = merge(self._in_turn("matching", [self._submit(_without_rows, state) for state in states]))
        whole = self._scored(states, bare)
        del states
        figures = BENCHMARKS[self.settings["benchmark"]].figures
        return described(
            self.settings,
            self.parameters,
            bare,
            outline,
            found,
            choice,
            summarize=lambda _state, _weights, _threads, names: figures(whole, names),
        )

    def _check_versions(self) -> None:
        try:
            self.client.wait_for_workers(1, timeout=PATIENCE)
        except _distributed().TimeoutError:
            raise InputError(f"the Dask cluster has no workers after {PATIENCE} s; start some") from None
        own = _version()
        for worker, version in self.client.run(_version).items():
            if version != own:
                raise MismatchError(f"worker {worker} has cvbench {version} and this is {own}; install one version")

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A task whose name says what it does, and that nobody takes for another one."""
        self.number += 1
        key = f"cvbench{function.__name__}-{self.run}-{self.number}"
        return self.client.submit(function, *arguments, key=key)

    def _in_turn(self, stage: str, futures: list[Any]) -> list[Any]:
        """What the tasks give, in their order; they are let go one by one."""
        found, total = [], len(futures)
        while futures:
            found.append(futures.pop(0).result())
            self.progress(stage, len(found), total)
        return found

    def _workers(self) -> int:
        return sum(map(int, self.client.nthreads().values())) or 1

    def _piece_size(self, pred: str) -> int:
        """Bytes of a piece: all workers have some, and none has too much at once."""
        if is_folder(pred):
            return PIECE
        total = Path(pred).stat().st_size if Path(pred).is_file() else 0
        return max(min(PIECE, total // (2 * self._workers()) + 1), total // MOST + 1, LEAST)

    def _matched(self, truth: Any, outline: Reading[GroundTruth], choice: Choice, read: list[Any]) -> list[Any]:
        """The states of all shards, which are still to come."""
        n_images = len(outline.columns.image_ids)
        n_shards = max(1, min(n_images, SHARDS, max(len(read), 2 * self._workers())))
        cuts = np.linspace(0, n_images, n_shards + 1).astype(int).tolist()
        states = []
        for start, stop in pairwise(cuts):
            own = replace(choice, images=choice.images[start:stop])
            gt = self._submit(_truth_of_images, truth, start, stop)
            parts = [self._submit(_found_of_images, piece, start, stop) for piece in read]
            states.append(self._submit(_count, self.settings, self.parameters, self.threads, own, gt, parts))
        return states

    def _readings(self, read: Sequence[Any], pieces: Sequence[Piece]) -> list[Reading[Detections]]:
        """What was read beside the columns, or the first error in the order of the pieces."""
        short, found, records = [self._submit(_outline, piece) for piece in read], [], 0
        for number, piece in enumerate(pieces):
            try:
                reading: Reading[Detections] = short[number].result()
            except FormatError as error:
                raise placed(error, piece, records) from None
            records = 0 if piece.stop is None else records + reading.counts["detections"]
            found.append(reading)
            self.progress("reading", number + 1, len(pieces))
        return found

    def _scored(self, states: Sequence[Any], bare: DetectionState) -> list[Scored]:
        """The categories of all images as the benchmark's figures want them."""
        n_categories = len(bare.category_ids)
        n_groups = max(1, min(n_categories, GROUPS))
        cuts = np.linspace(0, n_categories, n_groups + 1).astype(int).tolist()
        groups = [
            self._submit(
                _score,
                self.settings,
                self.threads,
                [self._submit(_of_categories, state, start, stop) for state in states],
            )
            for start, stop in pairwise(cuts)
        ]
        return [join_scored(of_view) for of_view in zip(*self._in_turn("scoring", groups), strict=True)]


def _version() -> str:
    from importlib.metadata import version

    return version("cvbench")


# What workers do -----------------------------------------------------------------------------------------------------


def _read_truth(
    settings: Mapping[str, Any], path: str, name: str, parameters: Mapping[str, Any]
) -> Reading[GroundTruth]:
    try:
        found = read_truth(settings, path, parameters)
    except FormatError as error:
        raise FormatError(error.message.replace(path, name), where=error.where.replace(path, name)) from None
    notes = [note.replace(path, name) for note in found.notes]
    # hashed here, where the file is
    return replace(found, source=Source(name, found.source.sha256, found.source.bytes), notes=notes)


def _outline(found: Reading[Any]) -> Reading[Any]:
    """What was read, without the rows."""
    columns = found.columns
    return replace(found, columns=take_rows(columns, np.zeros(0, np.int64), np.zeros_like(columns.offsets)))


def _read(
    settings: Mapping[str, Any], piece: Piece, outline: Reading[GroundTruth], parameters: Mapping[str, Any]
) -> Reading[Detections]:
    return read_piece(piece, outline.columns, settings["iou_type"], **pred_reading(settings, outline, parameters))


def _truth_of_images(truth: Reading[GroundTruth], start: int, stop: int) -> Reading[GroundTruth]:
    index = None if truth.crowd_index is None else truth.crowd_index[start:stop].copy()
    columns = rows_between(truth.columns, start, stop)
    columns = replace(columns, image_ids=columns.image_ids[start:stop].copy())
    return replace(truth, columns=columns, image_sizes=None, crowd_index=index)


def _found_of_images(found: Reading[Detections], start: int, stop: int) -> Detections:
    return rows_between(found.columns, start, stop)


def _count(
    settings: Mapping[str, Any],
    parameters: Mapping[str, Any],
    threads: int,
    choice: Choice,
    truth: Reading[GroundTruth],
    parts: Sequence[Detections],
) -> DetectionState:
    columns = choice.of(truth.columns, join_columns(parts))
    return BENCHMARKS[settings["benchmark"]].count(truth, *columns, rules(settings, parameters), threads, None)


def _without_rows(state: DetectionState) -> DetectionState:
    """Images and tallies alone."""
    rows = [f.name for f in fields(state) if f.metadata["kind"] in ("image", "rows")]
    return replace(state, **{name: getattr(state, name)[:0].copy() for name in rows})


def _of_categories(state: DetectionState, start: int, stop: int) -> DetectionState:
    return state.take_categories(start, stop)


def _score(settings: Mapping[str, Any], threads: int, states: Sequence[DetectionState]) -> list[Scored]:
    whole = merge(states)
    views = BENCHMARKS[settings["benchmark"]].views(whole, image_weights(whole, None))
    return [scored(state, weights, threads) for state, weights in views]
