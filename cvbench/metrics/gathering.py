"""The states of all processes of `torch.distributed` in one, each image once.

States travel as typed arrays behind a header of JSON, never as pickles: what another process sends is data, and cannot
run anything here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from cvbench.errors import InputError, MismatchError
from cvbench.metrics.base import Differing, State, merge

S = TypeVar("S", bound=State)
Bytes = NDArray[np.uint8]

KINDS = "biufU"
"""What arrays may hold: flags, integers, floats, text."""

SIZE = 8
"""Bytes of the number in front, which is the length of the header."""


class _Array(msgspec.Struct):
    """An array of a state: its place in the state, and its form."""

    field: str
    tally: str | None
    dtype: str
    shape: tuple[int, ...]


class _Header(msgspec.Struct):
    """What a state has beside its arrays, in the order of which they follow."""

    kind: str
    arrays: list[_Array]
    texts: dict[str, tuple[str, ...]]
    rules: dict[str, str]


def packed(state: State) -> Bytes:
    """The state as bytes, see `unpacked`."""
    header = _Header(type(state).__name__, [], {}, {})
    arrays: list[NDArray[Any]] = []

    def add(name: str, tally: str | None, array: NDArray[Any]) -> None:
        if array.dtype.kind not in KINDS:
            raise InputError(f"{name} holds {array.dtype}, which cannot be sent; expected numbers, flags or text")
        header.arrays.append(_Array(name, tally, array.dtype.str, array.shape))
        arrays.append(np.ascontiguousarray(array))

    for f in fields(state):
        value = getattr(state, f.name)
        if f.metadata["kind"] == "tallies":
            for name, numbers in value.items():
                add(f.name, name, numbers)
        elif isinstance(value, np.ndarray):
            add(f.name, None, value)
        elif isinstance(value, tuple):
            header.texts[f.name] = value
        else:
            header.rules[f.name] = repr(value)
    text = msgspec.json.encode(header)
    parts = [np.array([len(text)], f"<i{SIZE}"), np.frombuffer(text, np.uint8), *arrays]
    return np.concatenate([part.reshape(-1).view(np.uint8) for part in parts])


def unpacked(data: Bytes, like: S) -> S:
    """The state that `packed` made these bytes of.

    Parameters
    ----------
    data
    like
        A state of the same metric under the same rules.

    Raises
    ------
    MismatchError
        The state is one of another metric, or was counted by other rules.
    InputError
        The bytes are not a state.
    """
    header, arrays = _opened(data)
    if header.kind != type(like).__name__:
        raise MismatchError(f"one process has a {type(like).__name__} and another a {header.kind}; they do not add")
    changes: dict[str, Any] = {f.name: {} for f in fields(like) if f.metadata["kind"] == "tallies"}
    for array, value in zip(header.arrays, arrays, strict=True):
        if array.tally is None:
            changes[array.field] = value
        else:
            changes[array.field][array.tally] = value
    changes |= header.texts
    if {*changes, *header.rules} != {f.name for f in fields(like)}:
        raise MismatchError(f"another process has a {header.kind} of another version; install one version everywhere")
    for name, rule in header.rules.items():
        if rule != repr(getattr(like, name)):
            raise MismatchError(
                f"{name} differs: {getattr(like, name)} and {rule}; figures under different rules do not add"
            )
    return replace(like, **changes)


def _opened(data: Bytes) -> tuple[_Header, list[NDArray[Any]]]:
    """The header, and the arrays that follow it."""
    try:
        length = int(data[:SIZE].view(f"<i{SIZE}")[0])
        header = msgspec.json.decode(data[SIZE : SIZE + length].tobytes(), type=_Header)
        start, arrays = SIZE + length, []
        for array in header.arrays:
            dtype = np.dtype(array.dtype)
            stop = start + dtype.itemsize * int(np.prod(array.shape, dtype=np.int64))
            if dtype.kind not in KINDS or min(array.shape, default=0) < 0 or stop > len(data):
                raise ValueError(f"{array.field}: {array.dtype} {array.shape} of {len(data)} bytes")
            arrays.append(data[start:stop].copy().view(dtype).reshape(array.shape))
            start = stop
    except (ValueError, TypeError, IndexError, msgspec.MsgspecError) as error:
        raise InputError(f"another process sent bytes that are not a state: {error}") from error
    return header, arrays


def gathered(state: S, group: Any = None) -> list[S]:
    """The states of all processes, in the order of their ranks; `state` alone where there are no others.

    Parameters
    ----------
    state
        That of this process.
    group
        A process group of `torch.distributed`; None for all processes.

    Raises
    ------
    InputError
        Several processes were started and `torch.distributed` knows nothing of them.
    """
    distributed: Any = sys.modules.get("torch.distributed")  # it was imported by whoever initialised it
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        started = os.environ.get("WORLD_SIZE", "1")
        if started not in ("", "1"):
            raise InputError(
                f"WORLD_SIZE is {started} and torch.distributed is not initialised; call "
                "torch.distributed.init_process_group before sync"
            )
        return [state]
    return [unpacked(data, state) for data in _everybodys(packed(state), group, distributed)]


def _everybodys(data: Bytes, group: Any, distributed: Any) -> list[Bytes]:
    """The bytes of all processes of the group, in the order of their ranks."""
    import torch

    on_gpu = distributed.get_backend(group) == "nccl"
    device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
    own, size = distributed.get_rank(group), distributed.get_world_size(group)
    lengths = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(size)]
    distributed.all_gather(lengths, torch.tensor([len(data)], device=device), group=group)
    found = []
    for rank, length in enumerate(lengths):
        sent = torch.from_numpy(data).to(device) if rank == own else torch.empty(int(length), dtype=torch.uint8)
        sent = sent.to(device)
        # one after another, as their lengths differ: gathering all at once would pad them to the longest
        source = rank if group is None else distributed.get_global_rank(group, rank)
        distributed.broadcast(sent, source, group=group)
        found.append(sent.cpu().numpy())
    return found


def united(states: Sequence[S], differing: Differing = "refuse") -> S:
    """The sum of states that may share images, and how many copies were dropped.

    Of an image whose id the caller gave, the copy of the first state that has it stays. Images without such ids stay
    all: nothing tells a copy from another image of the same content.

    Raises
    ------
    MismatchError
        The states were counted by other rules, or, with ``differing="refuse"``, copies of an image differ in what was
        counted.
    """
    parts = states[0].align(list(states[1:]))
    seen, kept, copies = np.zeros(0, states[0].image_ids.dtype), [], []
    for part in parts:
        given = part.digests == 0
        known = given & np.isin(part.image_ids, seen)
        copies.append(part.take_images(known))
        kept.append(part.take_images(~known))
        seen = np.concatenate([seen, part.image_ids[given & ~known]]) if len(part) else seen
    whole = merge(kept)
    for part in copies if differing == "refuse" else ():
        different = _first_difference(whole, part)
        if different is not None:
            raise MismatchError(
                f"image {different!r} was counted by two processes with different outcomes; an image_id stands for "
                "one image. Where only the last bits of the predictions differ, sync(differing='first') keeps the "
                "copy of the first process"
            )
    return whole


def _first_difference(whole: S, copies: S) -> Any:
    """The id of an image that `copies` has otherwise than `whole`; None where there is none."""
    ids = np.sort(copies.image_ids)
    if not len(ids) or _alike(whole, copies, ids):
        return None
    while len(ids) > 1:
        half = ids[: len(ids) // 2]
        ids = ids[len(half) :] if _alike(whole, copies, half) else half
    return ids[0].item()


def _alike(one: S, other: S, ids: NDArray[Any]) -> bool:
    """Whether both states have the same counts for these images."""
    parts = [state.take_images((state.digests == 0) & np.isin(state.image_ids, ids)) for state in (one, other)]
    names, none = {*one.tallies, *other.tallies}, np.zeros(len(ids), np.int64)
    first, second = ([part.tallies.get(name, none)[_by_id(part)] for name in names] + _rows(part) for part in parts)
    pairs = zip(first, second, strict=True)
    # without rows, nobody knows how many columns there are
    return all(len(a) == len(b) == 0 or np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def _by_id(state: State) -> NDArray[np.int64]:
    return np.argsort(state.image_order())


def _rows(state: State) -> list[NDArray[Any]]:
    """All rows and what else images have, by the ids of images; the rows of an image in the order of the state."""
    place, arrays = state.image_order(), []
    orders = {
        f.name: np.argsort(place[getattr(state, f.name)], kind="stable")
        for f in fields(state)
        if f.metadata["kind"] == "image"
    }
    for f in fields(state):
        kind, value = f.metadata["kind"], getattr(state, f.name)
        if kind == "image":
            arrays.append(place[value][orders[f.name]])
        elif kind == "rows":
            arrays.append(value[orders[f.metadata["image"]]] if len(value) else value)
        elif kind == "images" and f.name not in ("image_ids", "digests"):
            arrays.append(value[_by_id(state)])
    return arrays
