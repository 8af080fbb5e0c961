"""What families on pairs of maps share: reading and comparing them, pair by pair, on all threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock, local
from typing import Any, Generic, TypeVar

from cvbench.columns import Int
from cvbench.errors import CvbenchError, FormatError
from cvbench.io.label_maps import MapSet, digest_of, pairing_problems
from cvbench.io.problems import Problem
from cvbench.io.rasters import Memory, Raster
from cvbench.kernels import available_threads, map_ranges
from cvbench.metrics.detection import Progress
from cvbench.metrics.overlaps import Rgb
from cvbench.result import Input

T = TypeVar("T")
Compare = Callable[[int, Any, Any], tuple[T, list[str], list[str]]]
"""From the number of a pair and its two maps to what is counted of them, what is wrong with the map of the ground
truth, and what with that of the prediction."""


LONGEST = 32
"""Pairs of a range at most: what Ctrl-C has to wait for."""


@dataclass(frozen=True)
class Side:
    """The maps of one side, in the order in which they meet those of the other.

    Attributes
    ----------
    maps
    rows : (N,) int64
        Which map is number *n*.
    """

    maps: MapSet
    rows: Int

    def where(self, number: int) -> str:
        """What messages call a map."""
        return self.maps.where(int(self.rows[number]))

    def read(self, number: int, memory: Memory) -> Raster:
        """The map itself, until the next one is read with this memory; raises FormatError or InputError."""
        return self.maps.read(int(self.rows[number]), memory)

    def input(self, hashes: Sequence[tuple[str, int]], listing: tuple[str, str, int] | None = None) -> Input:
        """What a result says of this side.

        Parameters
        ----------
        hashes
            SHA-256 and size of each map.
        listing
            Path, hash and size of the file that lists the maps, if one does.
        """
        names = [self.maps.names[row] for row in self.rows.tolist()]
        digests, size = [digest for digest, _ in hashes], sum(size for _, size in hashes)
        if listing is None:
            return {"path": self.maps.path, "sha256": digest_of(names, digests), "bytes": size}
        path, digest, listing_size = listing
        whole = digest_of([*names, ".json"], [*digests, digest])
        return {"path": path, "sha256": whole, "bytes": size + listing_size}


def opening_problems(*openers: Callable[[], MapSet]) -> list[Problem]:
    """Why sets of maps cannot be opened, or which maps of the first one have no partner in the last one.

    Parameters
    ----------
    *openers
        Open one set each; for a ground truth alone there is one.
    """
    sets, problems = [], []
    for opener in openers:
        try:
            sets.append(opener())
        except FormatError as error:
            problems.append(Problem(error.where, error.message))
    return problems or list(pairing_problems(sets[0], sets[-1]))


@dataclass(frozen=True)
class Pair(Generic[T]):
    """What became of one pair: what was counted, unless there are problems; hash and size of both maps."""

    part: T | None
    problems: list[Problem]
    hashes: tuple[tuple[str, int], ...] = ()


def compare_maps(
    gt: Side,
    pred: Side,
    compare: Compare[T],
    sizes: Int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Pair[T]]:
    """Read and compare all pairs.

    Maps that cannot be read, of colours where ids are expected, or of unequal size, are problems like those that
    `compare` finds.

    Parameters
    ----------
    gt, pred
        As many maps on either side.
    compare
        Called with maps of equal size, from any thread.
    sizes : (N, 2) int64 or None
        Height and width that the ground truth states.
    threads, progress
        As `cvbench.score` takes them.
    """
    n, done, lock, own = len(gt.rows), 0, Lock(), local()
    bounds = _bounds(n, available_threads() if threads is None else threads)
    pairs: list[Pair[T]] = [Pair(None, [])] * n

    def run(first: int, last: int) -> None:
        if not hasattr(own, "memories"):
            own.memories = Memory(), Memory()
        for number in range(bounds[first], bounds[last]):
            size = None if sizes is None else sizes[number].tolist()
            pairs[number] = _compared(number, gt, pred, own.memories, compare, size)
        finished(bounds[last] - bounds[first])

    def finished(items: int) -> None:
        nonlocal done
        with lock:
            done += items
            if progress is not None:
                progress("comparing maps", done, n)

    map_ranges(run, len(bounds) - 1, threads)
    return pairs


def _bounds(n: int, threads: int) -> list[int]:
    """Where ranges of `n` pairs begin and end, long ones first, so that all threads are through at the same time.

    The calling thread wakes at the end of each: with one pair to a range two threads take 8 % longer, as all want the
    interpreter lock.

    >>> _bounds(20, 2)
    [0, 5, 8, 11, 13, 14, 15, 16, 17, 18, 19, 20]
    """
    bounds = [0]
    while bounds[-1] < n:
        share = (n - bounds[-1]) // (2 * max(threads, 1))
        bounds.append(bounds[-1] + min(max(share, 1), LONGEST))
    return bounds


def _compared(
    number: int, gt: Side, pred: Side, memories: tuple[Memory, Memory], compare: Compare[T], size: list[int] | None
) -> Pair[T]:
    places = gt.where(number), pred.where(number)
    rasters, problems = [], []
    for side, memory in zip((gt, pred), memories, strict=True):
        try:
            rasters.append(side.read(number, memory))
        except CvbenchError as error:
            problems.append(Problem(error.where, error.message))
    if problems:
        return Pair(None, problems)
    shapes = [raster.pixels.shape[:2] for raster in rasters]
    if size is not None and list(shapes[0]) != size:
        stated = f"{size[1]} x {size[0]}, width x height"
        problems.append(Problem(places[0], f"{_size(shapes[0])}; the ground truth's `images` say {stated}"))
    if shapes[0] != shapes[1]:
        problems.append(Problem(places[1], f"{_size(shapes[1])}; {places[0]} has {_size(shapes[0])}"))
        return Pair(None, problems)
    maps = [Rgb(raster.pixels) if raster.rgb else raster.pixels for raster in rasters]
    part, *messages = compare(number, *maps)
    problems += [Problem(place, message) for place, said in zip(places, messages, strict=True) for message in said]
    return Pair(None if problems else part, problems, tuple((raster.sha256, raster.bytes) for raster in rasters))


def _size(shape: Sequence[int]) -> str:
    return f"{shape[1]} x {shape[0]} pixels"
