"""Sets of maps with names: folders of files, stacks of arrays, arrays in memory; and ground truths beside predictions.

A `MapSet` knows the names of its maps and reads one when it is asked to, from any thread: the labels of a data set are
larger than memory. Maps of two sets belong together by their names.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol, get_args
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Int
from cvbench.errors import CvbenchError, FormatError, InputError
from cvbench.io.problems import Problem, refuse, suggestion
from cvbench.io.rasters import Memory, Raster, array_of, map_problem, read_raster

MapSource = str | os.PathLike[str] | Mapping[Any, Any] | Sequence[Any] | NDArray[Any]
MapName = Literal["stem", "path"]

SUFFIXES = (".png", ".npy")
"""Endings of the files of a folder that are maps."""


class Read(Protocol):
    """How a map is read."""

    def __call__(self, i: int, memory: Memory | None = None, /) -> Raster:
        """Map *i*; see `MapSet`."""


@dataclass(frozen=True, slots=True)
class MapSet:
    """I maps with names.

    Attributes
    ----------
    name : str
        How messages call the set: its path, or the name of the argument.
    path : str or None
        None for arrays in memory.
    names : I distinct names
        Ascending; of a stack or a sequence, the running number in six digits.
    places : I places
        What messages call each map: a path, or ``gt[3]``.
    read : callable
        ``read(i)`` is map *i* as a `Raster`; the hash of an array is that of its type, shape and content. It may be
        called from many threads. Raises FormatError or InputError where there is no map. ``read(i, memory)`` is as
        that of `read_raster`.
    ignored : int
        Files of the folder that are not among the maps.
    """

    name: str
    path: str | None
    names: tuple[str, ...]
    places: tuple[str, ...]
    read: Read
    ignored: int = 0

    def __len__(self) -> int:
        return len(self.names)

    def where(self, index: int) -> str:
        """What messages call map `index`."""
        return self.places[index]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which maps of two sets belong together, N pairs.

    Attributes
    ----------
    names : N names, in the order of the ground truth
    gt, pred : (N,) int64
        Indices into the two sets.
    extra : int
        Predicted maps without a ground truth; they are not scored.
    """

    names: tuple[str, ...]
    gt: Int
    pred: Int
    extra: int

    def __len__(self) -> int:
        return len(self.names)


def open_maps(source: MapSource, argument: str, *, suffix: str = "", by: MapName = "stem") -> MapSet:
    """Find the maps of a source and name them; files are not read yet.

    Parameters
    ----------
    source
        A folder with PNG or ``.npy`` files, in folders of their own or not; an ``.npy`` file with a stack of shape
        (I, H, W), or (I, H, W, 3) of uint8; an ``.npz`` file with one such stack, or one map under each name. Or arrays
        in memory: a mapping from name to map, a sequence of maps, a stack. Links to files are followed, links to
        folders are not; hidden files are left out.
    argument
        What messages call arrays in memory.
    suffix
        Folders: take only the files whose name ends so, before its extension, and take it off the name:
        ``_gtFine_labelIds``.
    by : {"stem", "path"}
        Folders: a map's name is its file's name without extension, or the path from the folder on without extension,
        where files in different folders have the same name.

    Raises
    ------
    FormatError
        There is no such file or folder, it holds no map, or two files have the same name.
    InputError
        What is in memory are no maps, or an argument is none of the above.

    Examples
    --------
    >>> maps = open_maps({"b": np.zeros((2, 2), int), "a": np.ones((2, 2), np.uint8)}, "gt")
    >>> maps.names, maps.read(0).pixels.tolist(), maps.where(1)
    (('a', 'b'), [[1, 1], [1, 1]], "gt['b']")
    """
    if by not in get_args(MapName):
        raise InputError(f"by is {by!r}, expected one of {', '.join(get_args(MapName))}")
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if Path(path).is_dir():
            return _folder(path, suffix, by)
        if suffix or by != "stem":
            raise InputError(f"{path} is no folder; suffix and by are for names of files")
        return _stored_arrays(path)
    if suffix or by != "stem":
        raise InputError("suffix and by are for names of files, not for arrays in memory", where=argument)
    if isinstance(source, Mapping):
        return _named(source, argument)
    if not hasattr(source, "__len__") or isinstance(source, (bytes, bytearray)):
        expected = "expected a path, a stack, a mapping from name to map, or a sequence of maps"
        raise InputError(f"found {type(source).__name__}, {expected}", where=argument)
    if hasattr(source, "shape"):
        return _stack(_array(source), argument, None, InputError)
    return _sequence(source, argument)


def pair_maps(gt: MapSet, pred: MapSet) -> Pairs:
    """The maps of equal name.

    Raises
    ------
    FormatError
        A ground truth has no prediction. Predictions without ground truth are counted.

    Examples
    --------
    >>> gt, pred = open_maps({"a": np.eye(2, dtype=int)}, "gt"), open_maps([np.eye(2, dtype=int)], "pred")
    >>> pair_maps(gt, gt).names
    ('a',)
    >>> pair_maps(gt, pred)
    Traceback (most recent call last):
        ...
    cvbench.errors.FormatError: pred: there is no map `a`, which gt['a'] asks for; its maps are named 000000
    """
    problems = list(pairing_problems(gt, pred))
    if problems:
        files = gt.path is not None and pred.path is not None
        raise refuse(problems, "cvbench check TASK GT PRED" if files else "cvbench.io.label_maps.pairing_problems")
    index = {name: i for i, name in enumerate(pred.names)}
    found = np.array([index[name] for name in gt.names], np.int64)
    return Pairs(gt.names, np.arange(len(gt), dtype=np.int64), found, len(pred) - len(gt))


def pairing_problems(gt: MapSet, pred: MapSet) -> Iterator[Problem]:
    """Every ground truth without a prediction."""
    known = set(pred.names)
    missing = [i for i, name in enumerate(gt.names) if name not in known]
    for n, i in enumerate(missing):
        hint = "" if n else _naming(gt, pred, gt.names[i], len(missing) == len(gt))  # slow, and the same for all
        yield Problem(pred.name, f"there is no map `{gt.names[i]}`, which {gt.where(i)} asks for{hint}")


def digest_of(names: Iterable[str], hashes: Iterable[str]) -> str:
    r"""One SHA-256 for a set of maps, whatever their order: of the lines that ``sha256sum`` prints, sorted by name.

    Parameters
    ----------
    names, hashes
        The name and the SHA-256 of each map.

    Examples
    --------
    >>> digest_of(["b", "a"], ["22", "11"]) == hashlib.sha256(b"11  a\n22  b\n").hexdigest()
    True
    """
    lines = [f"{digest}  {name}\n" for name, digest in sorted(zip(names, hashes, strict=True))]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


# Files ---------------------------------------------------------------------------------------------------------------


def _folder(folder: str, suffix: str, by: MapName) -> MapSet:
    found: dict[str, str] = {}
    others: list[str] = []
    for path in _files(folder):
        place = PurePosixPath(Path(path).relative_to(folder).as_posix())
        if place.name.startswith(".") or place.suffix.lower() not in SUFFIXES or not place.stem.endswith(suffix):
            others.append(place.name)
            continue
        stem = place.stem[: len(place.stem) - len(suffix)]
        name = stem if by == "stem" else str(place.with_name(stem + place.suffix).with_suffix(""))
        first = found.setdefault(name, path)
        if first != path:
            mend = (
                "names of maps must differ; by='path' tells them apart by their folders" if by == "stem" else "keep one"
            )
            raise FormatError(f"{first} and {path} both have the name `{name}`; {mend}", where=folder)
    if not found:
        raise FormatError(_no_maps(others, suffix), where=folder)
    names = tuple(sorted(found))
    places = tuple(found[name] for name in names)
    return MapSet(folder, folder, names, places, lambda i, memory=None: read_raster(places[i], memory), len(others))


def _files(folder: str) -> Iterator[str]:
    def stop(error: OSError) -> None:
        raise FormatError(f"the folder cannot be read: {error.strerror}", where=str(error.filename)) from error

    for parent, folders, files in os.walk(folder, onerror=stop):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            yield os.path.join(parent, name)  # noqa: PTH118  # Path would cost as much as the walk itself


def _no_maps(others: Sequence[str], suffix: str) -> str:
    """Why a folder with these files has no map."""
    kinds = sorted({PurePosixPath(name).suffix or name for name in others})
    held = f"it has {', '.join(kinds[:5])}" if kinds else "it is empty"
    if suffix and any(kind.lower() in SUFFIXES for kind in kinds):
        first = next(name for name in others if PurePosixPath(name).suffix.lower() in SUFFIXES)
        return f"there is no map whose name ends with `{suffix}`; there is {first}"
    return f"there are no maps ({', '.join(SUFFIXES)}) in this folder; {held}"


def _stored_arrays(path: str) -> MapSet:
    try:
        with Path(path).open("rb") as file:
            zipped = file.read(2) == b"PK"
            # an archive stays in memory as it is stored, since an open file would have to be closed by somebody
            content = io.BytesIO(b"PK" + file.read()) if zipped else path
        stored = np.load(content, mmap_mode=None if zipped else "r", allow_pickle=False)
    except FileNotFoundError:
        raise FormatError("there is no such file or folder", where=path) from None
    except OSError as error:
        raise FormatError(f"the file cannot be read: {error.strerror or error}", where=path) from error
    except (ValueError, EOFError, BadZipFile) as error:  # what is neither .npy nor .npz, NumPy takes for a pickle
        message = "this is no folder of maps, and no whole .npy or .npz file of integers"
        raise FormatError(message, where=path) from error
    if isinstance(stored, np.ndarray):
        return _stack(np.asarray(stored), path, path, FormatError)
    return _archive(stored, path)


def _archive(stored: Any, path: str) -> MapSet:
    """The arrays of an ``.npz`` file, each read when it is asked for; `zipfile` lets threads take turns at the file."""
    members = frozenset(stored.zip.namelist())

    def member(name: str) -> NDArray[Any]:
        try:
            content = stored.zip.read(name if name in members else f"{name}.npy")
            array = array_of(content) if content.startswith(b"\x93NUMPY") else None
        except Exception as error:  # zipfile, zlib, lzma and NumPy each have their own
            raise FormatError(f"the array is damaged: {error}", where=f"{path}[{name!r}]") from error
        if array is None:
            raise FormatError("this is no array, expected .npy files alone", where=f"{path}[{name!r}]")
        return array

    if not stored.files:
        raise FormatError("the archive is empty, expected one array for each map", where=path)
    if len(stored.files) == 1:
        only = member(stored.files[0])
        if only.ndim > 2:
            return _stack(only, path, path, FormatError)
    names = tuple(sorted(stored.files))
    places = tuple(f"{path}[{name!r}]" for name in names)
    return MapSet(path, path, names, places, lambda i, _=None: _raster(member(names[i]), places[i], FormatError))


# Arrays --------------------------------------------------------------------------------------------------------------


def _named(maps: Mapping[Any, Any], argument: str) -> MapSet:
    arrays = {str(name): value for name, value in maps.items()}
    if len(arrays) < len(maps):
        raise InputError("two keys have the same text, as 1 and '1' have; names of maps must differ", where=argument)
    names = tuple(sorted(arrays))
    return _in_memory([arrays[name] for name in names], names, [f"{argument}[{name!r}]" for name in names], argument)


def _sequence(maps: Sequence[Any], argument: str) -> MapSet:
    return _in_memory(list(maps), _numbers(len(maps)), [f"{argument}[{i}]" for i in range(len(maps))], argument)


def _in_memory(maps: list[Any], names: tuple[str, ...], places: list[str], argument: str) -> MapSet:
    if not maps:
        raise InputError("there are no maps", where=argument)
    for value, place in zip(maps, places, strict=True):
        if not hasattr(value, "shape"):
            raise InputError(f"found {type(value).__name__}, expected an array", where=place)
    return MapSet(
        argument, None, names, tuple(places), lambda i, _=None: _raster(_array(maps[i]), places[i], InputError)
    )


def _stack(array: NDArray[Any], name: str, path: str | None, error: type[CvbenchError]) -> MapSet:
    """The maps of an array (I, H, W), or (I, H, W, 3) of uint8."""
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8:
        message = "one map of colours, or maps 3 pixels wide; write a stack of colours as (I, H, W, 3)"
        raise error(f"found uint8 of shape {array.shape}, which may be {message}", where=name)
    if array.ndim < 3 or not len(array):
        raise error(f"found an array of shape {array.shape}, expected a stack of maps (I, H, W)", where=name)
    problem = map_problem(array[0])
    if problem is not None:
        raise error(f"each map of the stack: {problem}", where=name)
    places = tuple(f"{name}[{i}]" for i in range(len(array)))
    return MapSet(name, path, _numbers(len(array)), places, lambda i, _=None: _raster(array[i], places[i], error))


def _raster(array: NDArray[Any], where: str, error: type[CvbenchError]) -> Raster:
    problem = map_problem(array)
    if problem is not None:
        raise error(problem, where=where)
    content = hashlib.sha256(repr((array.dtype.str, array.shape)).encode())
    content.update(np.ascontiguousarray(array).data)
    return Raster(array, content.hexdigest(), array.nbytes)


def _array(value: Any) -> NDArray[Any]:
    """The array that an array or a torch tensor on any device stands for."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _numbers(n: int) -> tuple[str, ...]:
    return tuple(f"{i:06d}" for i in range(n))


# Pairs ---------------------------------------------------------------------------------------------------------------


def _naming(gt: MapSet, pred: MapSet, name: str, none_common: bool) -> str:
    """How to mend a prediction that is not there."""
    for maps in (gt, pred) if none_common else ():
        end = _common_end(maps.names)
        other = pred if maps is gt else gt
        if end and {found[: -len(end)] for found in maps.names} & set(other.names):
            return f"; all names of {maps.name} end with `{end}`, which suffix={end!r} takes off"
    near = suggestion(name, pred.names)
    if near is not None:
        return f"; there is `{near}`"
    listed = ", ".join(pred.names[:3]) + (", ..." if len(pred) > 3 else "")
    return f"; its maps are named {listed}"


def _common_end(names: Sequence[str]) -> str:
    return os.path.commonprefix([name[::-1] for name in names])[::-1]  # noqa: RUF071  # characters are meant
