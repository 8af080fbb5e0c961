"""What all metrics share: counts that add, and a class that collects them.

Every score is ``summarize(count(gt, pred))``. A `State` holds what `count` found, in a form in which two halves of a
data set are merged by adding integers and joining rows, so merging is exact and its order cannot matter. A `Metric`
wraps a state for loops that see one image at a time.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Int
from cvbench.errors import InputError, MismatchError

S = TypeVar("S", bound="State")
M = TypeVar("M", bound="Metric[Any]")
Differing = Literal["refuse", "first"]
"""What to do about copies of an image for which different things were counted; `Metric.sync` says more."""


def rows_of(image: str) -> dict[str, str]:
    """Metadata of a field of a `State` with one entry per row; the field called `image` says whose rows they are.

    Merging joins them, and taking images takes their rows. A field that some rules leave empty may have no rows at all.
    """
    return {"kind": "rows", "image": image}


IMAGE_ROWS = {"kind": "image"}
"""Of a field that holds, for each row, the index of its image; merging joins and shifts them."""

PER_IMAGE = {"kind": "images"}
"""Of a field with one entry per image."""

TALLIES = {"kind": "tallies"}
"""Of a field with named integers of each image."""

TABLE = {"kind": "table"}
"""Of a field that rows point into; `State.align` makes it the same in all states before they merge."""

CONSTANT = {"kind": "constant"}
"""Of a field that must be equal in all states for them to merge."""


@dataclass(frozen=True)
class State:
    """Counts of a set of images; subclasses add fields and say in their metadata what they are.

    Attributes
    ----------
    image_ids : (I,) int64 or str
        In any order. Ids that the caller gave are unique; running numbers need not be, see `digests`.
    digests : (I,) int64
        0 for an id that the caller gave. Otherwise the id is only a running number, which an image of another shard may
        bear too, and the digest of the image's content tells the two apart, so that their order does not hang on who
        merges whom.
    tallies : dict of str to (I,) int64
        What each image had, and what became of it; `counts` are the sums.
    """

    image_ids: NDArray[Any] = field(metadata=PER_IMAGE)
    digests: Int = field(metadata=PER_IMAGE)
    tallies: dict[str, Int] = field(metadata=TALLIES)

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def counts(self) -> dict[str, int]:
        """Images, and the sums of their `tallies`."""
        return {"images": len(self)} | {name: int(numbers.sum()) for name, numbers in self.tallies.items()}

    def image_order(self) -> Int:
        """(I,) the place of each image when images are sorted by id, then digest."""
        place = np.empty(len(self), np.int64)
        place[np.lexsort((self.digests, self.image_ids))] = np.arange(len(self))
        return place

    def __add__(self: S, other: S) -> S:
        """Both together. Exact: the order of additions never changes a figure that is computed from the sum.

        Raises
        ------
        MismatchError
            If the states were counted by other rules, or both hold the same image.
        """
        return merge([self, other])

    def align(self: S, others: list[S]) -> list[S]:
        """Bring states to common index tables before their rows are joined; subclasses with such tables override it."""
        return [self, *others]

    def take_images(self: S, chosen: Bool) -> S:
        """The state of some images, the same as if they alone had been counted.

        Index tables stay as they are: a category or group that only other images had is one without rows.

        Parameters
        ----------
        chosen : (I,) bool
        """
        chosen = np.asarray(chosen)
        if chosen.shape != (len(self),) or chosen.dtype != np.bool_:
            raise InputError(f"chosen is {chosen.dtype} {chosen.shape}; expected bool ({len(self)},), one per image")
        if chosen.all():
            return self
        place, rows = np.cumsum(chosen) - 1, {}
        changes: dict[str, Any] = {}
        for f in fields(self):
            if f.metadata["kind"] == "image":
                image = getattr(self, f.name)
                rows[f.name] = np.flatnonzero(chosen[image])
                changes[f.name] = place[image[rows[f.name]]].astype(image.dtype)
        for f in fields(self):
            kind, value = f.metadata["kind"], getattr(self, f.name)
            if kind == "rows":
                changes[f.name] = value[rows[f.metadata["image"]]] if len(value) else value
            elif kind == "images":
                changes[f.name] = value[chosen]
            elif kind == "tallies":
                changes[f.name] = {name: numbers[chosen] for name, numbers in value.items()}
        return replace(self, **changes)


def merge(states: Iterable[S]) -> S:
    """The sum of one or more states; joining many at once costs one copy."""
    parts = list(states)
    if not parts:
        raise InputError("there is nothing to merge; expected at least one state")
    if len(parts) == 1:
        return parts[0]
    parts = parts[0].align(parts[1:])
    if len({type(part) for part in parts}) > 1:
        raise MismatchError("states of different metrics do not add")
    shifts = np.cumsum([0, *(len(part) for part in parts)])
    changes = {f.name: _merged(f, [getattr(part, f.name) for part in parts], shifts) for f in fields(parts[0])}
    kinds = {part.image_ids.dtype.kind for part in parts if len(part)}
    if len(kinds) > 1:
        raise MismatchError("one state has integer image ids and another has strings; ids must be of one kind")
    whole = replace(parts[0], **changes)
    refuse_repeats(whole)
    return whole


def _merged(f: Field[Any], values: list[Any], shifts: Int) -> Any:
    kind = f.metadata["kind"]
    if kind in ("rows", "images"):
        filled = [value for value in values if len(value)]
        return np.concatenate(filled) if filled else values[0]
    if kind == "image":
        return np.concatenate([value + value.dtype.type(shift) for value, shift in zip(values, shifts, strict=False)])
    if kind == "tallies":
        names = dict.fromkeys(name for value in values for name in value)
        none = [np.zeros(n, np.int64) for n in np.diff(shifts).tolist()]
        return {
            name: np.concatenate([value.get(name, empty) for value, empty in zip(values, none, strict=True)])
            for name in names
        }
    for value in values[1:] if kind == "constant" else ():
        if value != values[0]:
            raise MismatchError(f"{f.name} differs: {values[0]} and {value}; figures under different rules do not add")
    return values[0]


def refuse_repeats(state: State) -> None:
    """Refuse a state in which an id that the caller gave stands for two images."""
    given = state.image_ids[state.digests == 0]
    ids, times = np.unique(given, return_counts=True)
    if len(ids) < len(given):
        repeated = ids[times > 1]
        names = ", ".join(str(value) for value in repeated[:5])
        raise MismatchError(
            f"{len(repeated)} image ids occur more than once ({names}{', …' if len(repeated) > 5 else ''}); "
            "an image may be counted only once, so drop the copies that a padding sampler adds"
        )


def digest(arrays: Iterable[NDArray[Any]]) -> int:
    """A number other than 0 that tells images apart by their content."""
    content = hashlib.sha256()  # half the time of blake2b where the processor helps, as most do
    for array in arrays:
        content.update(repr((array.dtype.str, array.shape)).encode())
        content.update(np.ascontiguousarray(array).data)
    return int.from_bytes(content.digest()[:8], "little") >> 1 or 1


def image_weights(state: State, weights: NDArray[Any] | Mapping[Any, int] | None) -> Int:
    """Check and complete weights: how many times each image of `state` counts.

    Parameters
    ----------
    weights
        None: once each. An array (I,) of integers ≥ 0 along ``state.image_ids``. Or a mapping from image id to weight,
        where images that it does not name weigh 0.

    Raises
    ------
    InputError
        If the weights are not integers, negative, of another length, or name an unknown image.
    """
    if weights is None:
        return np.ones(len(state), np.int64)
    if isinstance(weights, Mapping):
        unknown = set(weights) - set(state.image_ids.tolist())
        if unknown:
            raise InputError(f"weights name image {next(iter(unknown))!r}, which was not counted")
        weights = np.array([weights.get(image, 0) for image in state.image_ids.tolist()])
    weights = np.asarray(weights)
    if weights.shape != (len(state),):
        raise InputError(f"weights have shape {weights.shape}; expected ({len(state)},), one per image")
    if not (np.issubdtype(weights.dtype, np.integer) or weights.dtype == np.bool_ or weights.size == 0):
        raise InputError(f"weights are {weights.dtype}; expected integers: how many times each image counts")
    if (weights < 0).any():
        raise InputError(f"weight {weights.min()} < 0; an image counts 0 times or more")
    return weights.astype(np.int64)


def check_flags(params: Any) -> None:
    """Refuse a flag of a dataclass of rules that is not True or False: ``"no"`` would count as yes."""
    for rule in fields(params):
        value = getattr(params, rule.name)
        if rule.type in ("bool", bool) and not isinstance(value, (bool, np.bool_)):
            raise InputError(f"{rule.name} {value!r}: expected True or False")


def to_numpy(value: Any) -> NDArray[Any]:
    """The array that an array, a torch tensor on any device or a list stands for."""
    if hasattr(value, "detach"):
        # NumPy has no bfloat16
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy(force=True)
    return np.asarray(value)


@dataclass(frozen=True, slots=True)
class Image:
    """A checked image that waits to be counted: its id, its digest (see `State`), its arrays."""

    id: int | str
    digest: int
    arrays: dict[str, NDArray[Any]]


class Metric(ABC, Generic[S]):
    """Collects images one by one and scores them all: ``update`` as often as one likes, then ``compute``.

    Subclasses check images, hand them to `_add`, and say in `_count` how many of them are counted at once. Images wait
    until there are `BATCH` of them, or until somebody asks for the state: counting has a start that one image does not
    repay.
    """

    BATCH = 1024

    def __init__(self) -> None:
        self.reset()

    def reset(self: M) -> M:
        """Forget all images."""
        self._waiting: list[Image] = []
        self._states: list[S] = []
        self._given: set[int | str] = set()
        self._id_type: type | None = None
        self._numbered = 0
        self._everywhere = False
        return self

    @property
    def state(self) -> S:
        """The counts of all images so far."""
        if self._waiting or not self._states:
            self._count_waiting()
        self._states = [merge(self._states)]
        return self._states[0]

    def _count_waiting(self) -> None:
        self._states.append(self._count(self._waiting))
        self._waiting = []

    def merge(self: M, *others: M) -> M:
        """Add the images of `others`, which stay as they are.

        The sum is the same to the last bit in whatever order parts are merged.

        Raises
        ------
        MismatchError
            If the others follow other rules, or an id that the caller gave is in two of them.
        """
        self._states = [merge([self.state, *(other.state for other in others)])]
        for other in others:
            self._given |= other._given  # noqa: SLF001  # ours: another metric of this class
            self._numbered += other._numbered  # noqa: SLF001  # likewise
            self._id_type = self._id_type or other._id_type  # noqa: SLF001  # likewise
        return self

    def sync(self: M, group: Any = None, *, differing: Differing = "refuse") -> M:
        """Hold the images of all processes of `torch.distributed`, in each of them; every process has to call this.

        Samplers that give all processes equally many images repeat some of them. Copies of an image are known by its
        ``image_id`` and dropped, so the figures are those of one process that saw each image once. Images without ids
        are all kept.

        Nothing can be added after it until `reset`; a second call does nothing. Without `torch.distributed`, the images
        stay as they are.

        Parameters
        ----------
        group
            The processes; None for all.
        differing : {"refuse", "first"}
            What becomes of copies of an image for which two processes counted different things, since different images
            have the same id, or since the arithmetic of a model depends on the rest of the batch: refuse them, or keep
            the copy of the process of lowest rank.

        Raises
        ------
        MismatchError
            Metrics differ in their rules, or copies of an image differ. All processes raise it alike, and hold what
            they held before.
        InputError
            Several processes were started, and `torch.distributed` is not initialised.
        """
        if differing not in ("refuse", "first"):
            raise InputError(f"differing {differing!r} is unknown; expected one of refuse, first")
        if not self._everywhere:
            from cvbench.metrics.gathering import gathered, united

            self._states = [united(gathered(self.state, group), differing)]
            self._everywhere = True
        return self

    def _add(self, ids: Sequence[int | str | None], arrays: Sequence[dict[str, NDArray[Any]]]) -> None:
        """Let images wait under their ids or, where these are None, under running numbers: all of them, or none."""
        if self._everywhere:
            raise InputError("the images of all processes are together since sync; reset before more are added")
        kind, given = self._id_type, set[int | str]()
        for image_id in ids:
            if kind is not None and type(image_id) is not kind:
                if type(None) in (kind, type(image_id)):
                    raise InputError("some images have an image_id and some have none; give one to all or to none")
                raise InputError(
                    f"image_id {image_id!r} is a {type(image_id).__name__} and those before are {kind.__name__}"
                )
            kind = type(image_id)
            if image_id in self._given or image_id in given:
                raise InputError(f"image_id {image_id!r} came before; an image is counted once")
            if image_id is not None:
                given.add(image_id)
        for image_id, columns in zip(ids, arrays, strict=True):
            if image_id is None:
                self._waiting.append(Image(self._numbered, digest(columns.values()), columns))
                self._numbered += 1
            else:
                self._waiting.append(Image(image_id, 0, columns))
        self._id_type = kind
        self._given |= given
        if len(self._waiting) >= self.BATCH:
            self._count_waiting()

    @abstractmethod
    def _count(self, images: list[Image]) -> S:
        """The state of these images, which may be none."""
