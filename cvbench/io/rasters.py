"""Label maps and id maps from files: PNG and ``.npy``, decoded to the numbers that were stored.

Conventions
-----------
- A palette image is its indices, never its colours. Grey is the stored sample of up to 16 bits; Pillow spreads grey of
  2 and 4 bits over 0..255, which is undone. RGB of 8 bits is ids coded as colours, for the caller to interpret.
- What cannot be labels or ids is refused: alpha, RGB of 16 bits (Pillow drops half of it), animations, JPEG and any
  other format.
- Damage is found by the checksums of the PNG's chunks, before Pillow sees the file. Pillow ignores those of the pixels:
  of 1,600 maps with one flipped bit it read 383, 375 of them wrong. With ``LOAD_TRUNCATED_IMAGES``, usual in training
  code, it also reads half a file.
- Any number of threads may read at once: nothing is shared, and Pillow decodes without the interpreter lock.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.errors import FormatError
from cvbench.io.source import read_file

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

SPREAD = {2: 85, 4: 17}
"""Bits of grey, and by what Pillow multiplies the samples."""


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


def read_raster(path: str | os.PathLike[str]) -> Raster:
    """Read one map from a PNG or ``.npy`` file, whose content says which it is.

    The file is read once; hash and pixels come from the same bytes. Safe to call from many threads.

    Parameters
    ----------
    path
        Of a PNG (grey of up to 16 bits, palette, or RGB of 8 bits), or of an ``.npy`` of shape (H, W) or (H, W, 3).

    Returns
    -------
    Raster

    Raises
    ------
    FormatError
        There is no such file, it is damaged, cut short or no map; the message says how to mend it.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "map.npy"
    >>> np.save(path, np.array([[0, 7], [7, 7]], np.uint8))
    >>> raster = read_raster(path)
    >>> raster.pixels.tolist(), raster.rgb, raster.bytes
    ([[0, 7], [7, 7]], False, 132)
    """
    name = os.fspath(path)
    if Path(name).is_dir():
        raise FormatError("this is a folder, expected a PNG or .npy file", where=name)
    stored = read_file(name)
    if stored.startswith(PNG):
        pixels = _decode_png(stored, name)
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


def _decode_png(stored: bytes, name: str) -> NDArray[Any]:
    from PIL.PngImagePlugin import PngImageFile  # costs as much as NumPy to import; boxes do without

    problem, colour, depth = _examined(stored)
    if problem is not None:
        raise FormatError(problem, where=name)
    try:
        with PngImageFile(io.BytesIO(stored)) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises; SyntaxError is of the PNG
        raise FormatError(f"the PNG cannot be decoded: {error}", where=name) from error
    if colour == GREY and depth in SPREAD:
        pixels = pixels // np.uint8(SPREAD[depth])
    stored_as: NDArray[Any] = pixels.astype(np.uint16 if depth == 16 else np.uint8, copy=False)
    return stored_as


def _examined(stored: bytes) -> tuple[str | None, int, int]:
    """Why the PNG is not to be decoded, or None; its colour type; its bits per sample."""
    position, header, frames, kind = len(PNG), b"", 1, b""
    while kind != b"IEND":
        if position + 12 > len(stored):
            return "the PNG has no end: the file is cut short", 0, 0
        length, kind = struct.unpack_from(">I4s", stored, position)
        data = memoryview(stored)[position + 8 : position + 8 + length]
        if position + 12 + length > len(stored):
            return f"the PNG ends inside of a chunk {_text(kind)}: the file is cut short", 0, 0
        # 5 µs for the 10 KB of a COCO panoptic map, which takes 2.5 ms to decode
        if zlib.crc32(data, zlib.crc32(kind)) != struct.unpack_from(">I", stored, position + 8 + length)[0]:
            return f"the checksum of the PNG's chunk {_text(kind)} at byte {position} is wrong: it is damaged", 0, 0
        if kind == b"IHDR" and length == 13:
            header = bytes(data)
        elif kind == b"acTL" and length == 8:
            frames = struct.unpack(">I4x", data)[0]
        position += 12 + length
    if not header:
        return "the PNG has no header", 0, 0
    width, height, depth, colour = struct.unpack(">IIBB3x", header)
    return _refusal(width, height, depth, colour, frames), colour, depth


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
