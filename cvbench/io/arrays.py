"""Paired keypoints from arrays: ``.npy``, ``.npz``, and arrays in memory.

Conventions
-----------
- Keypoints are (N, J, 2 or 3) as in `cvbench.io.instances`. Everything else has one entry for each of the N instances.
- Names of arrays are those of `NAMES`; other names are noted and not read, and refused where they look like a known
  one. An ``.npz`` file with a single array of any name holds the keypoints. ``visible`` wins over a third number.
- Pickled objects are never loaded.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float
from cvbench.io.instances import Instances, Side, id_array, source_of
from cvbench.io.problems import shown, suggestion
from cvbench.io.source import Source, read_file

NAMES = ("keypoints", "visible", "ids", "image_ids", "boxes", "head_boxes", "size", "groups", "joint_names")
"""What arrays of an instance are called in ``.npz`` files and mappings."""

ALIASES = {"preds": "keypoints", "box_size": "size", "head_size": "size", "group": "groups"}

OF_BOTH = ("keypoints", "ids", "image_ids", "joint_names")
"""What is read of predictions, too."""


def read_npy(side: Side) -> Instances:
    """An ``.npy`` file of keypoints (N, J, 2 or 3)."""
    stored = read_file(side.name)
    return instances_of({"keypoints": _npy(stored, side)}, side, hashed(stored, side))


def read_npz(side: Side) -> Instances:
    """An ``.npz`` file with arrays of the names above."""
    stored = read_file(side.name)
    try:
        with np.load(io.BytesIO(stored), allow_pickle=False) as archive:
            names = list(archive.files)
            wanted = names if len(names) == 1 else [name for name in names if ALIASES.get(name, name) in NAMES]
            arrays: dict[str, Any] = dict.fromkeys(names)
            for name in wanted:
                arrays[name] = archive[name]
    except Exception as error:  # zipfile, zlib, lzma and NumPy each have their own
        raise side.wrong(f"the .npz file is damaged, cut short or holds objects: {error}") from error
    if len(names) == 1 and ALIASES.get(names[0], names[0]) not in NAMES:
        arrays = {"keypoints": arrays[names[0]]}
    return instances_of(arrays, side, hashed(stored, side))


def read_arrays(data: Any, side: Side) -> Instances:
    """An array in memory, or a mapping with arrays of the names above."""
    fields = data if isinstance(data, Mapping) else {"keypoints": data}
    arrays = {str(name): _in_memory(value, str(name), side) for name, value in fields.items() if value is not None}
    texts = {name: np.asarray(repr(value)) for name, value in arrays.items() if isinstance(value, list)}
    return instances_of(arrays, side, source_of(arrays | texts))


def instances_of(fields: Mapping[str, Any], side: Side, source: Source) -> Instances:
    """Instances from arrays by name."""
    known, unread = _known(fields, side)
    if "keypoints" not in known:
        raise side.wrong(f"there are no `keypoints`; it has {', '.join(fields) or 'nothing'}")
    points, visible = split(known["keypoints"], side)
    n, joints = points.shape[:2]
    notes = [f"{side.name}: {', '.join(unread)} are of no known name and not read"] if unread else []

    def shaped(name: str, shape: tuple[int, ...]) -> Float | None:
        return numbers(known[name], shape, side, name) if side.truth and known.get(name) is not None else None

    given = shaped("visible", (n, joints))
    names = known.get("joint_names")
    return Instances(
        side,
        source,
        points,
        lambda row: f"{side.name}[{row}]",
        visible if given is None else visibility(given, side),
        _ids(known.get("ids"), n, side, "ids"),
        _ids(known.get("image_ids"), n, side, "image_ids"),
        shaped("boxes", (n, 4)),
        shaped("head_boxes", (n, 4)),
        shaped("size", (n,)),
        labels_of(known["groups"], n, side) if side.truth and known.get("groups") is not None else None,
        None if names is None else _texts(names, side),
        notes=notes,
    )


def split(array: NDArray[Any], side: Side, part: str = "") -> tuple[Float, Bool | None]:
    """Coordinates (N, J, D), and visibility where there is a third number that stands for it."""
    wide = (2, 3) if side.dims == 2 else (3,)
    if array.dtype.kind not in "fiub":
        raise side.wrong(f"found {array.dtype}, expected numbers", part)
    if array.ndim != 3 or array.shape[2] not in wide:
        expected = f"(N, J, {' or '.join(map(str, wide))}): instances, keypoints, coordinates"
        raise side.wrong(f"found an array of shape {array.shape}, expected {expected}", part)
    points: Float = np.array(array[:, :, : side.dims], np.float64, order="C")
    if not side.truth or array.shape[2] == side.dims:
        return points, None
    return points, visibility(array[:, :, 2], side)


def visibility(values: NDArray[Any], side: Side) -> Bool:
    """Whether each keypoint counts: its number is above 0."""
    row, joint = (int(i[0]) if len(i) else -1 for i in np.nonzero(np.isnan(values)))
    if row >= 0:
        raise side.wrong(f"found NaN for the visibility of keypoint {joint}, expected a number", f"[{row}]")
    counts: Bool = values > 0
    return counts


def numbers(value: NDArray[Any], shape: tuple[int, ...], side: Side, name: str) -> Float:
    """`value` as float64 of this shape; (N, 1) is taken for (N,)."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise side.wrong(f"found {array.dtype}, expected numbers", f"[{name!r}]")
    array = array.reshape(shape) if array.shape == (*shape, 1) else array
    if array.shape != shape:
        raise side.wrong(f"found an array of shape {array.shape}, expected {shape}", f"[{name!r}]")
    return array.astype(np.float64)


def labels_of(value: Any, n: int, side: Side) -> list[tuple[str, ...]]:
    """The labels of each instance, which has one, or a list of them."""
    values = value.tolist() if isinstance(value, np.ndarray) else list(value)
    labels = [
        (one,) if isinstance(one, str) else tuple(one) if isinstance(one, (list, tuple)) else None for one in values
    ]
    if isinstance(value, str) or len(labels) != n:
        raise side.wrong(f"found {len(labels)} entries, expected one for each of {n} instances", "['groups']")
    for row, own in enumerate(labels):
        if own is None or not all(isinstance(label, str) for label in own):
            raise side.wrong(f"found {shown(values[row])}, expected a label or a list of labels", f"['groups'][{row}]")
    return [own for own in labels if own is not None]


def _known(fields: Mapping[str, Any], side: Side) -> tuple[dict[str, Any], list[str]]:
    """The arrays by their proper names, and the names that are not known."""
    known: dict[str, Any] = {}
    unread = []
    for name, value in fields.items():
        proper = ALIASES.get(name, name)
        if proper in known:
            raise side.wrong(f"there are two arrays of {proper}; keep one", f"[{name!r}]")
        if proper in NAMES:
            known[proper] = value
            continue
        near = suggestion(name, NAMES)
        if near is not None:
            raise side.wrong(f"there is no such name, did you mean `{near}`?", f"[{name!r}]")
        unread.append(name)
    return known, unread


def _ids(value: Any, n: int, side: Side, name: str) -> NDArray[Any] | None:
    if value is None:
        return None
    array = np.asarray(value)
    ids = id_array(array.tolist()) if array.ndim == 1 else None
    if isinstance(value, list):  # NumPy makes text of numbers beside text
        ids = id_array(value)
    if ids is None or len(ids) != n:
        found = f"found {array.dtype} of shape {array.shape}"
        raise side.wrong(f"{found}, expected ({n},) of integers or of strings", f"[{name!r}]")
    return ids


def _texts(value: Any, side: Side) -> tuple[str, ...]:
    names = value.tolist() if isinstance(value, np.ndarray) else list(value)
    if not all(isinstance(name, str) for name in names):
        raise side.wrong(f"found {shown(names)}, expected strings", "['joint_names']")
    return tuple(names)


def _in_memory(value: Any, name: str, side: Side) -> Any:
    """The array that an array, a tensor on any device or a list stands for; lists of ids and labels stay lists."""
    if name in ("ids", "image_ids", "groups", "group", "joint_names") and isinstance(value, (list, tuple)):
        return [item.item() if isinstance(item, np.generic) else item for item in value]
    try:
        return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except (TypeError, ValueError) as error:
        raise side.wrong(f"this is no array: {error}", "" if name == "keypoints" else f"[{name!r}]") from error


def _npy(stored: bytes, side: Side) -> NDArray[Any]:
    content = io.BytesIO(stored)
    try:
        array: NDArray[Any] = np.lib.format.read_array(content, allow_pickle=False)
    except Exception as error:  # a damaged header is read as Python, and may ask for any amount of memory
        raise side.wrong(f"the .npy file is damaged, cut short or holds objects: {error}") from error
    if content.tell() != len(stored):
        raise side.wrong(f"there are {len(stored) - content.tell()} bytes after the array, expected one array alone")
    return array


def hashed(stored: bytes, side: Side) -> Source:
    """Where a file with these bytes is from."""
    return Source(side.path, hashlib.sha256(stored).hexdigest(), len(stored))
