"""Bytes from disk or data from memory, as JSON that can be decoded fast or examined slowly."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from types import GenericAlias
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from cvbench.errors import FormatError, InputError
from cvbench.io.problems import suggestion
from cvbench.kernels import compiled

if TYPE_CHECKING:
    from cvbench.io.scan import Form, Rows

T = TypeVar("T")
U = TypeVar("U")

LARGE = 4 << 20
"""Bytes of JSON from which on a scan is faster, although its machine code must be loaded first."""

BLOCK = 1 << 20
"""Bytes of a file that are read at a time where not all are: for its hash, or where its size tells nothing."""

PART = 1 << 18
"""Bytes of JSON that are decoded at a time."""

BETWEEN = re.compile(rb"\}\s*,\s*\{")
"""The end of one object of a list and the start of the next."""

GZIP = b"\x1f\x8b"
"""The first bytes of every gzip file; a file's name says nothing about its content."""


@dataclass(frozen=True)
class LateHash:
    """The hash of a file that was read, to be found if it is asked for: it takes a tenth of the time of reading."""

    path: str
    size: int
    modified: int
    """Nanoseconds"""

    @classmethod
    def of(cls, path: str) -> LateHash:
        """That of the file as it is now."""
        status = Path(path).stat()
        return cls(path, status.st_size, status.st_mtime_ns)

    def found(self) -> str:
        """The hash; a FormatError where the file is another one by now."""
        found = hash_of_file(self.path)
        if LateHash.of(self.path) != self:
            raise FormatError("the file has changed since it was read, and is not hashed any more", where=self.path)
        return found


@dataclass(frozen=True, eq=False)
class Source:
    """Where columns came from, so that a result can say what it was made of.

    Attributes
    ----------
    path : str or None
        As the caller gave it; None for data from memory.
    sha256 : str
        Hexadecimal, of the bytes as they lie on disk, compressed or not. For data from memory, of their canonical JSON:
        no spaces, keys in order, the shortest decimals that read back as the same numbers. That of large files is found
        when it is first asked for, with a FormatError where the file has changed.
    bytes : int
        How many bytes were hashed.
    hash : str or LateHash
        What `sha256` comes from.
    """

    path: str | None
    hash: str | LateHash
    bytes: int

    @cached_property
    def sha256(self) -> str:
        """See above."""
        return self.hash if isinstance(self.hash, str) else self.hash.found()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Source) or (self.path, self.bytes) != (other.path, other.bytes):
            return False
        return self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash((self.path, self.bytes))


class Document:
    """One JSON input.

    Decoding into typed structs is the fast way and says only whether it worked. `tree` is the slow way, plain Python
    objects, for finding out what is wrong. What is not quite JSON (NaN, Infinity, a byte-order mark, UTF-16) is read
    the slow way, too.

    Attributes
    ----------
    name : str
        How messages call the document: the path as given, or the name of the argument.
    path : str or None
        None for data from memory.
    relaxed : bool
        Whether it took more patience than strict JSON needs.
    """

    def __init__(self, source: str | os.PathLike[str] | Mapping[str, Any] | Sequence[Any], argument: str) -> None:
        """Read `source`.

        Parameters
        ----------
        source
            A path to JSON or gzipped JSON, or the data themselves: dicts, lists, strings and numbers. Arrays and
            scalars of NumPy and torch are taken for lists and numbers, bytes (as in compressed masks) for text.
        argument
            What messages call data from memory.

        Raises
        ------
        FormatError
            There is no such file, it cannot be read, is empty or is damaged gzip.
        InputError
            `source` is neither a path nor data of the kinds above.
        """
        self.relaxed = False
        self._read: bytes | memoryview | None = None
        self._tree: Any = None
        self.path: str | None = None
        stored: bytes | None = None
        if not isinstance(source, (str, os.PathLike)):
            self.name = argument
            self._tree = plain(source, argument)
            stored = canonical(self._tree, argument)
        else:
            self.name = self.path = os.fspath(source)
            if not _is_large(self.path):
                stored = read_file(self.path)
                self._read = unzip(stored, self.name) if stored.startswith(GZIP) else stored
                if not self._read.strip():
                    raise FormatError(f"the file is empty ({len(stored)} bytes), expected JSON", where=self.name)
        self.is_large = stored is None or (self._read is not None and len(self._read) >= LARGE and compiled())
        self.source = Source(self.path, *_hash_of(self.path, stored))
        """Where the document came from."""

    @property
    def _text(self) -> bytes | memoryview | None:
        """All of the file, read when it is first needed; None for data from memory."""
        if self._read is None and self.path is not None:
            self._read = self._with_zero().data[:-1]
            if not bytes(self._read[:PART]).strip() and not bytes(self._read).strip():
                raise FormatError(f"the file is empty ({len(self._read)} bytes), expected JSON", where=self.name)
        return self._read

    def _with_zero(self) -> NDArray[np.uint8]:
        """All of the text, and a zero at the end."""
        if self._read is not None:
            return np.frombuffer(bytearray(b"\0").join((self._read, b"")), np.uint8)
        assert self.path is not None, "data from memory are never large"
        with _opened(self.path) as file:
            text = np.empty(os.fstat(file.fileno()).st_size + 1, np.uint8)
            n = file.readinto(text.data[:-1])
        text[n] = 0
        return text[: n + 1]

    def scan_list(self, form: Form, use: Callable[[Rows], U], keep: Callable[[U, float], object]) -> bool:
        """Read the document, a list of records; see `cvbench.io.scan.scan_list`. Whether it could be read.

        Only for a document that `is_large`: of a small one, msgspec is through before machine code is loaded.
        """
        from cvbench.io.scan import File, Memory, scan_whole_list  # brings numba, which small files do without

        if self._read is not None or self.path is None:
            return scan_whole_list(Memory(self._with_zero()), form, use, keep)
        with _opened(self.path), File(self.path) as file:
            return scan_whole_list(file, form, use, keep)

    def scan_object(
        self, lists: Mapping[str, tuple[Form, Callable[[Rows], U]]]
    ) -> tuple[dict[str, list[U]], dict[str, memoryview]] | None:
        """Lists of records of the document, an object, and the text of its other values; as `scan_list`."""
        from cvbench.io.scan import scan_object  # as above

        text = self._with_zero()
        if self._read is None:
            self._read = text.data[:-1]
        return scan_object(text, lists)

    def decode(self, form: type[T]) -> T | None:
        """The document as `form`, a type that msgspec knows; None where it does not have that form.

        Raises
        ------
        FormatError
            It is not JSON at all.
        """
        if self._text is not None and self._tree is None:
            try:
                return msgspec.json.decode(self._text, type=form)
            except msgspec.ValidationError:
                return None
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._tree = parse(self._text, self.name)
                self.relaxed = True
        try:
            return msgspec.convert(self._tree, form)
        except msgspec.ValidationError:
            return None

    def decode_list(self, form: type[T], use: Callable[[list[T]], U]) -> list[U] | None:
        """What `use` makes of the document, a list of `form`, part by part; None where it does not have that form.

        Parts that fit into the processor's cache decode twice as fast as the whole, and need less memory: 0.35 s and
        170 MB for 50 MB of boxes in a fresh process, not 0.71 s and 300 MB.

        Raises
        ------
        FormatError
            It is not JSON at all.
        """
        if self._text is not None and self._tree is None:
            try:
                return [use(part) for part in decoded_parts(self._text, form)]
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # a part is wrong, or was cut at the wrong place; the whole will tell
        whole = self.decode(list_of(form))
        return None if whole is None else [use(whole)]

    def tree(self) -> Any:
        """The document as dicts, lists, strings, numbers, booleans and None.

        Raises
        ------
        FormatError
            It is not JSON at all.
        """
        if self._tree is None and self._text is not None:
            self._tree = parse(self._text, self.name)
        return self._tree


def read_file(path: str) -> bytes:
    """The bytes of the file, or a FormatError that says why there are none.

    A file object makes twice as many calls to the system, and at each another thread may take the interpreter lock:
    two threads that read maps take 10 % longer.
    """
    with _explained(path):
        number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            size = os.fstat(number).st_size
            parts = [os.read(number, size + 1)]
            if len(parts[0]) != size:  # more than fits into one call, no common file, or one that changes
                parts += iter(lambda: os.read(number, BLOCK), b"")
        finally:
            os.close(number)
    return b"".join(parts)


def hash_of_file(path: str) -> str:
    """The hash of a file, a block at a time; FormatError as of `read_file`."""
    content, buffer = hashlib.sha256(), memoryview(bytearray(BLOCK))
    with _opened(path) as file:
        while n := file.readinto(buffer):
            content.update(buffer[:n])
    return content.hexdigest()


def _is_large(path: str) -> bool:
    """Whether this is a file that is better scanned than decoded."""
    if not Path(path).is_file() or Path(path).stat().st_size < LARGE or not compiled():
        return False
    with _opened(path) as file:
        return not file.peek(2).startswith(GZIP)


def _hash_of(path: str | None, stored: bytes | None) -> tuple[str | LateHash, int]:
    """The hash of a document and its bytes; of the content where it was read already."""
    if stored is not None:
        return hashlib.sha256(stored).hexdigest(), len(stored)
    assert path is not None, "data from memory are there"
    late = LateHash.of(path)
    return late, late.size


@contextmanager
def _opened(path: str) -> Iterator[BufferedReader]:
    """The open file; a FormatError where there is none, or where reading fails."""
    with _explained(path), Path(path).open("rb") as file:
        yield file


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """A FormatError where there is no such file, or where reading fails."""
    try:
        yield
    except FileNotFoundError:
        folder = Path(path).parent
        files = [file.name for file in folder.iterdir()] if folder.is_dir() else []
        near = suggestion(Path(path).name, files)
        hint = f"; did you mean `{folder / near}`?" if near else ""
        raise FormatError(f"there is no such file{hint}", where=path) from None
    except IsADirectoryError:
        raise FormatError("this is a folder, expected a JSON file", where=path) from None
    except OSError as error:
        raise FormatError(f"the file cannot be read: {error.strerror}", where=path) from error


def unzip(stored: bytes, name: str) -> bytes:
    """What the gzip file holds."""
    try:
        return gzip.decompress(stored)
    except (OSError, EOFError, zlib.error) as error:
        raise FormatError(f"the gzip data are damaged or cut short: {error}", where=name) from error


def list_of(form: type[T]) -> type[list[T]]:
    """The type ``list[form]`` for a form made at run time."""
    lists: Any = GenericAlias(list, (form,))
    return cast("type[list[T]]", lists)


def decoded_parts(text: bytes | memoryview, form: type[T]) -> Iterator[list[T]]:
    """The records of a JSON list of objects, about `PART` bytes of them at a time.

    The text is cut where it looks as if one object ended and the next began. A cut inside of a string or of a nested
    list leaves a part that is not JSON, and msgspec says so: where the text up to a cut is a list once it is closed,
    the cut is between two records of the list.
    """
    decoder = msgspec.json.Decoder(list_of(form))
    start = 0
    while (cut := BETWEEN.search(text, start + PART)) is not None:
        yield decoder.decode(b"".join((b"[" if start else b"", memoryview(text)[start : cut.start() + 1], b"]")))
        start = cut.end() - 1
    yield decoder.decode(b"".join((b"[", text[start:])) if start else text)


def parse(text: bytes | memoryview, name: str) -> Any:
    """Python's own reading of JSON: slower, more patient, and able to say where the text goes wrong."""
    try:
        return json.loads(bytes(text))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string"):
            message = f"the text ends inside of a value ({place}): the file is cut short"
        else:
            near = error.doc[max(error.pos - 20, 0) : error.pos + 20]
            message = f"this is not JSON: {error.msg} at {place}, near {near!r}"
        raise FormatError(message, where=name) from error
    except UnicodeDecodeError as error:
        raise FormatError(f"this is not JSON: byte {error.start} is not text in UTF-8", where=name) from error
    except RecursionError:
        raise FormatError("the JSON is nested too deeply to be read", where=name) from None
    except ValueError as error:
        raise FormatError(f"this is not JSON that can be read: {error}", where=name) from error


def plain(data: object, name: str) -> Any:
    """A copy of `data` in dicts, lists, strings, numbers, booleans and None alone."""
    if not isinstance(data, (Mapping, Sequence)) or isinstance(data, (bytes, bytearray, memoryview)):
        found = f"found {type(data).__name__}"
        raise InputError(f"{found}, expected a path or the data themselves (a dict or a list of dicts)", where=name)
    data = dict(data) if isinstance(data, Mapping) else list(data)

    def convert(value: Any) -> Any:
        if hasattr(value, "tolist"):  # arrays, tensors and their scalars
            return value.tolist()
        raise TypeError(f"there is a value of type {type(value).__name__}")

    try:
        return _lists_and_texts(msgspec.to_builtins(data, builtin_types=(bytes,), str_keys=True, enc_hook=convert))
    except (TypeError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(f"the data have no form in JSON: {error}", where=name) from error


def _lists_and_texts(value: Any) -> Any:
    """`value` with lists for tuples and text for bytes, which is how pycocotools holds compressed masks."""
    if isinstance(value, dict):
        return {key: _lists_and_texts(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_lists_and_texts(item) for item in value]
    return value.decode("ascii") if isinstance(value, bytes) else value


def canonical(tree: Any, name: str) -> bytes:
    """The JSON text of a tree from `plain`, the same for equal data."""
    try:
        return msgspec.json.encode(tree, order="deterministic")
    except UnicodeEncodeError as error:
        raise InputError(f"there is text that is not Unicode: {error}", where=name) from error
