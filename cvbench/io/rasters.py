"""Label maps and id maps from files: PNG and ``.npy``, decoded to the numbers that were stored.

Conventions
-----------
- A palette image is its indices, never its colours. Grey is the stored sample of up to 16 bits; Pillow spreads grey of
  2 and 4 bits over 0..255, which is undone. RGB of 8 bits is ids coded as colours, for the caller to interpret.
- What cannot be labels or ids is refused: alpha, RGB of 16 bits (Pillow drops half of it), animations, JPEG and any
  other format.
- Damage is found by the checksums of the PNG's chunks and of its pixels, and by how many bytes of pixels there are,
  before Pillow sees the file. Pillow ignores the checksums of chunks of pixels: of 1,600 maps with one flipped bit it
  read 383, 375 of them wrong. It makes rows that are missing 0, and with ``LOAD_TRUNCATED_IMAGES``, usual in training
  code, reads half a file.
- The filters of large maps of usual form are undone by `cvbench.kernels.png`, to the pixels that Pillow makes of them.
  Small and interlaced maps, and all in which anything is unusual, go to Pillow.
- Any number of threads may read at once: nothing is shared, and pixels are decoded without the interpreter lock.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zlib_ng import zlib_ng

from cvbench.errors import FormatError
from cvbench.io.source import read_file
from cvbench.kernels.png import PAETH, unfilter

PNG, NPY = b"\x89PNG\r\n\x1a\n", b"\x93NUMPY"

OTHER_FORMATS = (
    (b"\xff\xd8\xff", "a JPEG file, which changes pixels and so destroys labels; write the original labels as PNG"),
    (b"GIF8", "a GIF file; save it as PNG"),
    (b"II*\0", "a TIFF file; save it as PNG or .npy"),
    (b"MM\0*", "a TIFF file; save it as PNG or .npy"),
    (b"BM", "a BMP file; save it as PNG"),
    (b"RIFF", "a WebP file, which may have changed pixels; write the original labels as PNG"),
    (b"PK\x03\x04", "a zip or .npz file; expected one map"),
    (b"version https://git-lfs", "a pointer of Git LFS; fetch the file itself with `git lfs pull`"),
)
"""How files that are no maps begin, and what to say of them."""

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
"""Colour types of PNG."""

DEPTHS = {GREY: (1, 2, 4, 8, 16), PALETTE: (1, 2, 4, 8), RGB: (8,)}
"""Bits per sample."""

SPREAD = {2: 85, 4: 17}
"""Bits of grey, and by what Pillow multiplies the samples."""

WHOLE = ((0, 0, 1, 1),)
INTERLACED = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""The pictures that one is stored as: first column, first row, steps to the next ones."""

CHUNK, CHECKSUM, HEADER = struct.Struct(">I4s"), struct.Struct(">I"), struct.Struct(">IIBBBBB")
"""How a chunk of a PNG begins and ends, and what its header is."""

METADATA = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7}
"""Chunks that change nothing, and their lengths."""

LARGE = 1 << 15
"""Maps of fewer pixels are decoded by Pillow: compiling the decoder takes seconds, once."""


@dataclass(frozen=True, slots=True)
class Raster:
    """One map as it was stored.

    Attributes
    ----------
    pixels : (H, W) array of integers, or (H, W, 3) uint8
        Labels or ids. From PNG uint8 or uint16; from ``.npy`` of whatever integer type, or bool. Three channels are ids
        coded as colours.
    sha256 : str
        Hexadecimal, of the bytes of the file.
    bytes : int
        How many bytes were hashed.
    """

    pixels: NDArray[Any]
    sha256: str
    bytes: int

    @property
    def rgb(self) -> bool:
        """Whether the pixels are colours (H, W, 3)."""
        return self.pixels.ndim == 3


class Memory:
    """Where the pixels of one map after another can lie, of one thread.

    Memory that the system gives anew for every map it clears page by page, which takes as long as reading the map.
    """

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def part(self, size: int) -> NDArray[np.uint8]:
        """(size,) the first bytes; they may hold anything."""
        if size > len(self._bytes):
            self._bytes = np.empty(size, np.uint8)
        return self._bytes[:size]


def read_raster(path: str | os.PathLike[str], memory: Memory | None = None) -> Raster:
    """Read one map from a PNG or ``.npy`` file, whose content says which it is.

    The file is read once; hash and pixels come from the same bytes. Safe to call from many threads.

    Parameters
    ----------
    path
        Of a PNG (grey of up to 16 bits, palette, or RGB of 8 bits), or of an ``.npy`` of shape (H, W) or (H, W, 3).
    memory
        The pixels may lie in there, until the next map is read with it; None: in memory of their own.

    Returns
    -------
    Raster

    Raises
    ------
    FormatError
        There is no such file, it is damaged, cut short or no map; the message says how to mend it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "map.npy"
    >>> np.save(path, np.array([[0, 7], [7, 7]], np.uint8))
    >>> raster = read_raster(path)
    >>> raster.pixels.tolist(), raster.rgb, raster.bytes
    ([[0, 7], [7, 7]], False, 132)
    """
    name = os.fspath(path)
    try:
        stored = read_file(name)
    except FormatError:
        if Path(name).is_dir():
            raise FormatError("this is a folder, expected a PNG or .npy file", where=name) from None
        raise
    if stored.startswith(PNG):
        pixels = _decode_png(stored, name, memory or Memory())
    elif stored.startswith(NPY):
        pixels = _decode_npy(stored, name)
    else:
        raise FormatError(_not_a_map(stored), where=name)
    return Raster(pixels, hashlib.sha256(stored).hexdigest(), len(stored))


def map_problem(array: NDArray[Any]) -> str | None:
    """Why an array is no map: not (H, W) integers nor (H, W, 3) uint8, or without a pixel; None where it is one.

    >>> map_problem(np.zeros((2, 3), np.int32)) is None
    True
    >>> map_problem(np.zeros((2, 3)))
    'found float64, expected labels or ids, which are integers; of scores take the argmax over classes'
    """
    if array.dtype.kind not in "biu":
        hint = "; of scores take the argmax over classes" if array.dtype.kind == "f" else ""
        return f"found {array.dtype}, expected labels or ids, which are integers{hint}"
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8)):
        return f"found {array.dtype} of shape {array.shape}, expected (H, W), or (H, W, 3) of uint8 for ids as colours"
    return None if array.size else f"found a map of shape {array.shape}, which has no pixels"


def _not_a_map(stored: bytes) -> str:
    if not stored:
        return "the file is empty (0 bytes), expected a PNG or .npy file"
    for start, meaning in OTHER_FORMATS:
        if stored.startswith(start):
            return f"this is {meaning}"
    return f"this is neither PNG nor .npy: it starts with {stored[:12]!r}"


HEADERS = threading.Lock()
"""NumPy reads the header of an array as a Python literal, which CPython 3.11 cannot do in two threads at once: there is
a SystemError, "AST constructor recursion depth mismatch", now and then.
"""


def array_of(stored: bytes) -> NDArray[Any]:
    """The array in the bytes of an ``.npy`` file; raises what NumPy raises."""
    with HEADERS:
        array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(stored), allow_pickle=False)
    return array


def _decode_npy(stored: bytes, name: str) -> NDArray[Any]:
    try:
        array = array_of(stored)
    except (ValueError, EOFError, MemoryError) as error:  # a damaged header may ask for any amount of memory
        raise FormatError(f"the .npy file is damaged, cut short or holds objects: {error}", where=name) from error
    problem = map_problem(array)
    if problem is not None:
        raise FormatError(problem, where=name)
    return array


@dataclass(frozen=True, slots=True)
class _Picture:
    """What the chunks of a PNG say.

    Attributes
    ----------
    width, height, depth, colour
        Of the header; `depth` is bits per sample.
    interlaced
        Whether it is stored as seven pictures.
    plain
        Whether rows come one after another, and Pillow can have nothing to say of the chunks beside the pixels.
    parts : list of memoryview
        The stream of the pixels.
    """

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool
    plain: bool
    parts: list[memoryview]

    def shapes(self) -> list[tuple[int, int]]:
        """The rows, and the bytes of each with its filter, of all pictures that it is stored as."""
        shapes = []
        for left, top, across, down in INTERLACED if self.interlaced else WHOLE:
            width, height = len(range(left, self.width, across)), len(range(top, self.height, down))
            shapes.append((height if width else 0, 1 + self.row_bytes(width)))
        return shapes

    def row_bytes(self, width: int) -> int:
        """How long a row of so many pixels is, without its filter."""
        return (width * self.depth * (3 if self.colour == RGB else 1) + 7) // 8


def _decode_png(stored: bytes, name: str, memory: Memory) -> NDArray[Any]:
    picture = _examined(stored)
    if isinstance(picture, str):
        raise FormatError(picture, where=name)
    if picture.depth not in DEPTHS[picture.colour]:
        return _decoded_by_pillow(stored, picture, name)  # who says so
    raw = _inflated(picture, name)
    if picture.plain and picture.width * picture.height >= LARGE:
        return _decoded(picture, raw, name, memory)
    at = 0
    for height, width in picture.shapes():
        _check_filter(max(raw[at : at + height * width : width], default=0), name)
        at += height * width
    return _decoded_by_pillow(stored, picture, name)


def _inflated(picture: _Picture, name: str) -> bytes:
    """All rows and their filters, of the length that they should have."""
    stream, size = zlib_ng.decompressobj(), sum(height * width for height, width in picture.shapes())
    try:
        raw = stream.decompress(b"".join(picture.parts), size + 1)  # however much a small file explodes to
    except zlib_ng.error as error:  # type: ignore[misc]  # which its stub takes for an instance
        raise FormatError(f"the PNG cannot be decoded: {error}", where=name) from error
    if len(raw) != size:
        found = f"{len(raw):,}" if len(raw) < size else "more"
        raise FormatError(f"the PNG cannot be decoded: expected {size:,} bytes of pixels, found {found}", where=name)
    if not stream.eof:
        raise FormatError("the PNG cannot be decoded: the checksum of its pixels is missing", where=name)
    return raw


def _check_filter(kind: int, name: str) -> None:
    """Refuse a PNG where this is the largest filter of its rows and unknown."""
    if kind > PAETH:
        raise FormatError(f"the PNG cannot be decoded: a row has the unknown filter {kind}", where=name)


def _decoded(picture: _Picture, raw: bytes, name: str, memory: Memory) -> NDArray[Any]:
    """The pixels of all rows and their filters."""
    height, width, depth = picture.height, picture.row_bytes(picture.width), picture.depth
    filtered = np.frombuffer(raw, np.uint8).reshape(height, 1 + width)  # refuses any other number of bytes
    scratch = width // 8 * 8 + 8
    buffer = memory.part(scratch + (1 + height) * width)
    out = buffer[scratch:].reshape(1 + height, width)
    step = 3 if picture.colour == RGB else max(depth // 8, 1)
    _check_filter(unfilter(filtered, step, buffer[:scratch], out), name)
    rows = out[1:]
    if picture.colour == RGB:
        return rows.reshape(height, picture.width, 3)
    if depth == 16:
        return rows.view(">u2").astype(np.uint16)
    if depth < 8:
        bits = np.arange(8 - depth, -1, -depth, dtype=np.uint8)
        samples = (rows[..., None] >> bits) & np.uint8((1 << depth) - 1)
        return np.ascontiguousarray(samples.reshape(height, -1)[:, : picture.width])
    return rows


def _decoded_by_pillow(stored: bytes, picture: _Picture, name: str) -> NDArray[Any]:
    from PIL.PngImagePlugin import PngImageFile  # costs as much as NumPy to import; boxes do without

    try:
        with PngImageFile(io.BytesIO(stored)) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises; SyntaxError is of the PNG
        raise FormatError(f"the PNG cannot be decoded: {error}", where=name) from error
    if picture.colour == GREY and picture.depth in SPREAD:
        pixels = pixels // np.uint8(SPREAD[picture.depth])
    stored_as: NDArray[Any] = pixels.astype(np.uint16 if picture.depth == 16 else np.uint8, copy=False)
    return stored_as


def _examined(stored: bytes) -> _Picture | str:
    """What the chunks say, or why the PNG is not to be decoded."""
    content = memoryview(stored)
    position, header, frames, kind = len(PNG), content[:0], 1, b""
    chunks: list[tuple[bytes, memoryview]] = []
    while kind != b"IEND":
        if position + 12 > len(stored):
            return "the PNG has no end: the file is cut short"
        length, kind = CHUNK.unpack_from(stored, position)
        end = position + 8 + length
        if end + 4 > len(stored):
            return f"the PNG ends inside of a chunk {_text(kind)}: the file is cut short"
        if zlib_ng.crc32(content[position + 4 : end]) != CHECKSUM.unpack_from(stored, end)[0]:
            return f"the checksum of the PNG's chunk {_text(kind)} at byte {position} is wrong: it is damaged"
        data = content[position + 8 : end]
        if kind == b"IHDR" and length == HEADER.size:
            header = data
        elif kind == b"acTL" and length == 8:
            frames = CHECKSUM.unpack_from(data)[0]
        chunks.append((kind, data))
        position = end + 4
    if not header:
        return "the PNG has no header"
    width, height, depth, colour, *methods = HEADER.unpack(header)
    problem = _refusal(width, height, depth, colour, frames)
    if problem is not None:
        return problem
    # Pillow reads the pixels that are in one place
    kinds = [kind for kind, _ in chunks]
    first = last = kinds.index(b"IDAT") if b"IDAT" in kinds else len(kinds)
    while kinds[last : last + 1] == [b"IDAT"]:
        last += 1
    plain = methods == [0, 0, 0] and kinds[0] == b"IHDR" and last > first and _plain(chunks[1:first] + chunks[last:-1])
    return _Picture(width, height, depth, colour, methods[2] != 0, plain, [data for _, data in chunks[first:last]])


def _plain(chunks: list[tuple[bytes, memoryview]]) -> bool:
    """Whether Pillow makes nothing but metadata of these chunks beside header, pixels and end."""
    return all(kind == b"PLTE" or METADATA.get(kind) == len(data) for kind, data in chunks)


def _refusal(width: int, height: int, depth: int, colour: int, frames: int) -> str | None:
    """Why a PNG with this header is no map."""
    from PIL import Image

    pixels, limit = width * height, Image.MAX_IMAGE_PIXELS
    if not pixels:
        return f"the image is {width} x {height} pixels, expected at least one"
    if colour in (GREY_ALPHA, RGB_ALPHA):
        form, plain = ("grey", "grey") if colour == GREY_ALPHA else ("RGB", "RGB or grey")
        return f"found {form} with alpha, which is part of no label or id; save the map as {plain} alone"
    if colour == RGB and depth == 16:
        return "found RGB of 16 bits, expected 8 bits for ids as colours (R + 256 G + 65536 B)"
    if colour not in (GREY, RGB, PALETTE):
        return f"the PNG's header is damaged: there is no colour type {colour}"
    if frames > 1:
        return f"the PNG is an animation of {frames} frames, expected one map in a file"
    if limit is not None and pixels > limit:
        allowed = f"Pillow's limit against files that explode is {limit:,}"
        return f"the image has {pixels:,} pixels; {allowed}: raise PIL.Image.MAX_IMAGE_PIXELS, or give it as .npy"
    return None


def _text(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")
