"""Results: what a score is, under which conventions, of which files, and how it was made.

A `Result` is plain data. It goes to JSON and back without losing a bit, is never half written, and says of two results
whether they may be compared.
"""

from __future__ import annotations

import math
import os
import platform
import secrets
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from cvbench.errors import FormatError, InputError, MismatchError

Cell = int | float | str
Row = dict[str, Cell]
Input = dict[str, str | int | None]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Signature:
    """Every convention that can change a number, in one line that fits into a paper.

    ``coco.bbox@1|iou:0.50:0.95:0.05|max_dets:1,10,100`` is the task with its version, then ``name:value`` pairs in the
    order in which the task states them.

    Attributes
    ----------
    task
        Name and version, ``coco.bbox@1``. The version rises with every change that changes a score.
    conventions
        Pairs of name and value. A value may contain colons, neither may contain ``|``.

    Examples
    --------
    >>> signature = Signature("coco.bbox@1", (("iou", "0.50:0.95:0.05"), ("max_dets", "1,10,100")))
    >>> str(signature)
    'coco.bbox@1|iou:0.50:0.95:0.05|max_dets:1,10,100'
    >>> Signature.parse(str(signature)) == signature
    True
    """

    task: str
    conventions: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        parts = [self.task, *(part for pair in self.conventions for part in pair)]
        if not all(parts) or any("|" in part or "\n" in part for part in parts):
            raise InputError(f"{parts}: the parts of a signature are one line of text each, without '|', and not empty")
        names = [name for name, _ in self.conventions]
        if any(":" in name for name in names) or len(set(names)) < len(names):
            raise InputError(f"{names}: the names in a signature are distinct and without ':'")

    def __str__(self) -> str:
        return "|".join([self.task, *(f"{name}:{value}" for name, value in self.conventions)])

    @classmethod
    def parse(cls, text: str) -> Signature:
        """The signature that prints as `text`.

        Raises
        ------
        FormatError
            `text` is not a signature.
        """
        task, *pairs = text.split("|")
        for pair in pairs:
            if ":" not in pair:
                raise FormatError(f"{pair!r} is not of the form name:value", where=f"signature {text!r}")
        try:
            return cls(task, tuple((name, value) for name, _, value in (pair.partition(":") for pair in pairs)))
        except InputError as error:
            raise FormatError(error.message, where=f"signature {text!r}") from error


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a result was made. None of it changes a number, all of it helps to find out why one differs.

    Attributes
    ----------
    cvbench
        Version of the installed package; ``"unknown"`` where it runs without being installed.
    commit, dirty
        The commit that the package's own folder is checked out at, and whether files in that folder differ from it.
        None where the package is not run from a checkout or git gives no answer.
    python, numpy, numba
        Versions.
    platform, cpu
        Operating system and processor.
    command
        The command line.
    time
        UTC, ISO 8601.
    torch
        Version; None where torch took no part.
    """

    cvbench: str
    commit: str | None
    dirty: bool | None
    python: str
    numpy: str
    numba: str
    platform: str
    cpu: str
    command: tuple[str, ...]
    time: str
    torch: str | None = None

    @classmethod
    def collect(cls) -> Provenance:
        """The provenance of a result made here and now."""
        commit, dirty = _own_state()
        return cls(
            cvbench=_version("cvbench"),
            commit=commit,
            dirty=dirty,
            python=platform.python_version(),
            numpy=np.__version__,
            numba=_version("numba"),
            platform=f"{platform.system()} {platform.release()} {platform.machine()}",
            cpu=processor(),
            command=tuple(map(_storable, sys.argv)),
            time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            torch=_version("torch") if "torch" in sys.modules else None,
        )


def checkout_state(folder: Path) -> tuple[str | None, bool | None]:
    """Commit and dirty flag of a package `folder` that lies at the top of a git checkout; two None elsewhere.

    Untracked files in the folder count as a difference: they may be modules that shadow others.
    """
    if not (folder.parent / ".git").exists():
        return None, None
    # Variables such as GIT_DIR (set inside of hooks) would send git to the caller's repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), "status", "--porcelain=v2", "--branch", "--", "."]
    try:
        answer = subprocess.run(
            command,
            env=environment | {"GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=5,
            check=True,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.SubprocessError):
        return None, None  # no git, not our repository, too slow: unknown, and a score does not fail for it
    lines = answer.stdout.splitlines()
    commit = next((line.split()[2] for line in lines if line.startswith("# branch.oid ")), "(initial)")
    return None if commit == "(initial)" else commit, any(not line.startswith("#") for line in lines)


@cache
def _own_state() -> tuple[str | None, bool | None]:
    """The checkout state of this package when it was first asked for; asking git takes some milliseconds."""
    return checkout_state(Path(__file__).parent)


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


@cache
def processor(path: Path = Path("/proc/cpuinfo")) -> str:
    """The first processor in a file like ``/proc/cpuinfo``, by its name and its numbers: many are named ``AMD EPYC``.

    Where there is no such file or name, the architecture.
    """
    with suppress(OSError):
        first = path.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
        said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
        numbers = [("family", "cpu family"), ("model", "model"), ("stepping", "stepping")]
        known = ", ".join(f"{word} {said[name]}" for word, name in numbers if name in said)
        if "model name" in said:
            return f"{said['model name']} ({known})" if known else said["model name"]
    return platform.machine()


@dataclass(frozen=True, eq=False)
class Result:
    """Scores in full precision with everything needed to trust and compare them.

    Attributes
    ----------
    task
        Name and version, ``coco.bbox@1``.
    values
        The figures by name, as fractions; NaN where undefined.
    signature
        Every convention that can change a number.
    tables
        More figures by table name, such as ``per_category``: rows of named cells. A row's first cell names it.
    counts
        How many records were read, ignored, dropped, cut.
    notes
        What a reader of the figures should know, in sentences.
    inputs
        By role (``gt``, ``pred``): ``path`` (None for data in memory), ``sha256`` and ``bytes``.
    made_by
        How the result was made.
    arrays
        Curves and the like, by name; never part of the JSON.

    Raises
    ------
    InputError
        A figure is infinite or no number, or a table takes the name of a field.

    Examples
    --------
    >>> result = Result("coco.bbox@1", {"AP": 0.5, "APs": math.nan}, Signature("coco.bbox@1"))
    >>> Result.from_json(result.to_json()).same_scores(result)
    True
    """

    task: str
    values: dict[str, float]
    signature: Signature
    tables: dict[str, list[Row]] = field(default_factory=dict, repr=False)
    counts: dict[str, int] = field(default_factory=dict, repr=False)
    notes: list[str] = field(default_factory=list)
    inputs: dict[str, Input] = field(default_factory=dict, repr=False)
    made_by: Provenance = field(default_factory=Provenance.collect, repr=False)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.task != self.signature.task:
            raise InputError(f"the signature is one of {self.signature.task}, the task is {self.task}")
        taken = sorted(set(self.tables) & set(_FIELDS))
        if taken:
            raise InputError(f"{taken[0]!r} is a field of every result; call the table otherwise")
        if not all(row for rows in self.tables.values() for row in rows):
            raise InputError("a row of a table is empty; its first cell names it")
        values = {name: _figure(value, f"values.{name}") for name, value in self.values.items()}
        tables = {
            table: [
                {
                    name: value if _is_cell(value) else _cell(value, f"{table}[{i}].{name}")
                    for name, value in row.items()
                }
                for i, row in enumerate(rows)
            ]
            for table, rows in self.tables.items()
        }
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "tables", tables)
        object.__setattr__(self, "counts", {name: int(count) for name, count in self.counts.items()})
        inputs = {
            role: {name: _storable(value) if isinstance(value, str) else value for name, value in source.items()}
            for role, source in self.inputs.items()
        }
        object.__setattr__(self, "inputs", inputs)

    @property
    def per_category(self) -> list[Row]:
        """The table of that name; empty where the task has none."""
        return self.tables.get("per_category", [])

    def same_scores(self, other: Result) -> bool:
        """Whether task, signature, values, tables and counts agree to the last bit, NaN being equal to NaN.

        Arrays are compared where both results have them. Where the input lay, what was noted and how the results were
        made plays no part.
        """
        arrays = not (self.arrays and other.arrays) or (
            self.arrays.keys() == other.arrays.keys()
            and all(_same_array(array, other.arrays[name]) for name, array in self.arrays.items())
        )
        return arrays and list(self._score_bits()) == list(other._score_bits())

    def _score_bits(self) -> Iterator[object]:
        yield self.signature
        yield self.counts
        yield {name: _bits(value) for name, value in self.values.items()}
        yield {
            table: [{name: _bits(value) for name, value in row.items()} for row in rows]
            for table, rows in self.tables.items()
        }

    def to_json(self) -> str:
        """The result as JSON text without its arrays; NaN becomes ``null``, tables are keys of their own."""
        content = {
            "task": self.task,
            "values": self.values,
            **self.tables,
            "signature": str(self.signature),
            "counts": self.counts,
            "notes": self.notes,
            "inputs": self.inputs,
            "made_by": asdict(self.made_by),
        }
        # msgspec writes the shortest digits that read back as the same float, and null for NaN.
        return msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, where: str = "result") -> Result:
        """The result that `to_json` wrote.

        Raises
        ------
        FormatError
            `text` is not JSON, or not a result; the message begins with `where`.
        """
        try:
            content = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise FormatError(f"is not a JSON object: {error}", where=where) from error

        def part(name: str, kind: type[_T]) -> _T:
            if name not in content:
                raise FormatError(f"has no {name!r}; expected the JSON of a cvbench result", where=where)
            try:
                return msgspec.convert(content[name], kind)
            except msgspec.ValidationError as error:
                raise FormatError(str(error), where=f"{where}: {name}") from error

        tables = {
            name: part(name, list[dict[str, int | float | str | None]]) for name in content if name not in _FIELDS
        }
        try:
            return cls(
                task=part("task", str),
                values={name: _number(value) for name, value in part("values", dict[str, float | None]).items()},
                signature=Signature.parse(part("signature", str)),
                tables={
                    table: [{name: _number(value) for name, value in row.items()} for row in rows]
                    for table, rows in tables.items()
                },
                counts=part("counts", dict[str, int]),
                notes=part("notes", list[str]),
                inputs=part("inputs", dict[str, Input]),
                made_by=part("made_by", Provenance),
            )
        except InputError as error:
            raise FormatError(error.message, where=where) from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON to `path`, which holds the old content or the new one at every moment."""
        replace_file(path, self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Result:
        """The result in the file at `path`; raises as `from_json` does."""
        return cls.from_json(Path(path).read_bytes(), where=str(path))


_FIELDS = ("task", "values", "signature", "counts", "notes", "inputs", "made_by", "arrays", "tables")


def _figure(value: Any, where: str) -> float:
    """The plain float of a value."""
    if isinstance(value, str):
        raise InputError(f"{value!r}: a figure is a number, NaN where undefined", where=where)
    return float(_cell(value, where))


def _is_cell(value: Any) -> bool:
    """Whether a value is a cell as it is, found in a third of the time of `_cell`: tables have thousands."""
    kind = type(value)
    return kind is str or kind is int or (kind is float and not math.isinf(value))


def _cell(value: Any, where: str) -> Cell:
    """The plain Python value of a cell, be it NumPy's or not."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, (float, np.floating)) and not np.isinf(value):
        return float(value)
    raise InputError(f"{value!r}: a figure is a finite number, NaN where undefined, or a text", where=where)


def _storable(text: str) -> str:
    """The text with what is not Unicode, as in the names of some files, written as an escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def _number(value: _T | None) -> _T | float:
    return float("nan") if value is None else value


def _bits(value: Cell) -> object:
    """Equal for equal cells only: tells -0.0 from 0.0 and 1 from 1.0, but no NaN from another."""
    if isinstance(value, float):
        return "nan" if value != value else struct.pack("<d", value)
    return type(value), value


def _same_array(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    return bool(np.all(((a == b) & (np.signbit(a) == np.signbit(b))) | (np.isnan(a) & np.isnan(b))))


def comparable(a: Result, b: Result) -> None:
    """Make sure that the figures of `a` and `b` may stand in one table.

    Raises
    ------
    MismatchError
        Their tasks, conventions or ground truths differ; the message says which and how.
    """
    if a.task != b.task:
        raise MismatchError(f"the results are of different tasks: {a.task} and {b.task}")
    ours, theirs = dict(a.signature.conventions), dict(b.signature.conventions)
    differing = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    if differing:
        pairs = [f"{name} is {ours.get(name, 'unstated')} and {theirs.get(name, 'unstated')}" for name in differing]
        raise MismatchError(f"the results follow different conventions: {', '.join(pairs)}")
    truths = [result.inputs.get("gt", {}) for result in (a, b)]
    hashes = [truth.get("sha256") for truth in truths]
    if None in hashes:
        raise MismatchError("a result does not say which ground truth it was measured on: inputs.gt.sha256 is missing")
    if hashes[0] != hashes[1]:
        files = [f"{truth.get('path') or 'data in memory'} (sha256 {truth['sha256']})" for truth in truths]
        raise MismatchError(f"the results were measured on different ground truths: {' and '.join(files)}")


def replace_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path` so that a reader, or a crash, finds the old content or the new one, never a part.

    The content goes to a new file in the same folder, which is then renamed. What is no regular file (``/dev/stdout``,
    a named pipe) is written to in place.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        target.write_bytes(content)
        return
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error  # names what the caller asked for
    finally:
        temporary.unlink(missing_ok=True)
