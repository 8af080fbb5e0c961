"""Detections in pieces: the files of a folder, or stretches of one file, each read by itself and put together.

A folder holds files of any form that `cvbench.io.read_detections` reads. Those whose names begin with a dot or an
underscore are not looked at. Records stand in the order of the files' names; ties between equal scores follow it.

A large JSON list is cut where it looks as if one record ended and the next began. A cut at the wrong place leaves a
piece that is not JSON: where all pieces up to a cut are lists once they are closed, the cut is between two records.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cvbench.columns import PER_ROW, Detections, GroundTruth, Masks, image_of_rows, take_rows
from cvbench.errors import FormatError
from cvbench.io.coco import Reading, read_detections
from cvbench.io.extract import by_image, joined_masks
from cvbench.io.fields import IouType
from cvbench.io.label_maps import digest_of
from cvbench.io.source import BETWEEN, Source, hash_of_file

PER_PIECE = "images_without_detections"
"""The count of a reading that does not add up."""

COUNTED = re.compile(r"[\d,]+ of [\d,]+ detections have ")
"""How notes begin that count records of one piece."""


@dataclass(frozen=True)
class Piece:
    """Records of one file.

    Attributes
    ----------
    name : str
        How messages call the file.
    path : str
        Where it is.
    start, stop : int or None
        Where in a JSON list it starts, and where the next piece does, in bytes; a `start` of None stands for the whole
        file, a `stop` of None for its end.
    """

    name: str
    path: str
    start: int | None = None
    stop: int | None = None


def is_folder(source: Any) -> bool:
    """Whether this is the path of a folder."""
    return isinstance(source, (str, os.PathLike)) and Path(source).is_dir()


def pieces_of(path: str, size: int | None = None) -> list[Piece]:
    """The files of a folder in the order of their names, or the file.

    Parameters
    ----------
    path
    size
        Cut JSON files into stretches of about so many bytes; None: leave them whole.

    Raises
    ------
    FormatError
        There are no files in the folder, or there is a folder in it.
    """
    names = [path]
    if is_folder(path):
        found = sorted(entry for entry in Path(path).iterdir() if entry.name[0] not in "._")
        inner = next((entry for entry in found if entry.is_dir()), None)
        if inner is not None:
            raise FormatError("this is a folder inside of a folder of predictions, expected files", where=str(inner))
        if not found:
            raise FormatError("the folder is empty, expected files of predictions", where=path)
        names = [str(entry) for entry in found]
    return [piece for name in names for piece in _stretches(name, size)]


def _stretches(name: str, size: int | None) -> list[Piece]:
    path = str(Path(name).resolve())
    whole = [Piece(name, path)]
    length = Path(path).stat().st_size if Path(path).is_file() else 0
    if size is None or length <= size:
        return whole
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        if not re.match(rb"\s*\[", text):
            return whole  # gzip, columns, or what only the whole file can be refused for
        cuts: list[int] = [0]
        while (cut := BETWEEN.search(text, cuts[-1] + size)) is not None:
            cuts.append(cut.end() - 1)
    return [Piece(name, path, start, stop) for start, stop in pairwise([*cuts, None])] if cuts[1:] else whole


def read_piece(piece: Piece, gt: GroundTruth, iou_type: IouType, **reading: Any) -> Reading[Detections]:
    """Read the records of one piece; arguments as of `cvbench.io.read_detections`.

    Raises
    ------
    FormatError
        The piece is not a list of detections. In stretches of a file, records count from the first one of the piece.
    """
    if piece.start is None:
        return _read(piece.path, piece, gt, iou_type, reading)
    with Path(piece.path).open("rb") as file:
        file.seek(piece.start)
        text = file.read(-1 if piece.stop is None else piece.stop - piece.start)
    closed = text if piece.stop is None else text.rstrip(b" \t\r\n,") + b"]"
    with TemporaryDirectory(prefix="cvbench-") as folder:
        path = Path(folder, "piece.json")
        path.write_bytes(b"[" + closed if piece.start else closed)
        return _read(str(path), piece, gt, iou_type, reading)


def _read(
    path: str, piece: Piece, gt: GroundTruth, iou_type: IouType, reading: Mapping[str, Any]
) -> Reading[Detections]:
    """Read the file at `path` under the name of the piece."""
    try:
        found = read_detections(path, gt, iou_type, **reading)
    except FormatError as error:
        message, where = (text.replace(path, piece.name) for text in (error.message, error.where))
        raise FormatError(message, where=where) from None
    notes = [note.replace(path, piece.name) for note in found.notes]
    source = Source(piece.name, found.source.sha256, found.source.bytes)
    return replace(found, source=source, notes=notes)


def placed(error: FormatError, piece: Piece, records: int) -> FormatError:
    """The error of a stretch of a file as one of the file.

    Parameters
    ----------
    error
        Of `read_piece`.
    piece
    records
        How many records of the file stand before the piece.
    """
    if piece.start is None:
        return error
    index = re.fullmatch(rf"{re.escape(piece.name)}\[(\d+)\](.*)", error.where, re.DOTALL)
    if index is not None:
        return FormatError(error.message, where=f"{piece.name}[{int(index[1]) + records}]{index[2]}")
    stretch = f"what follows byte {piece.start:,} and {records:,} records is not read as a list of records"
    return FormatError(f"{stretch}: {error.message}; `cvbench check` reads the file as a whole", where=error.where)


def join_readings(
    readings: Sequence[Reading[Detections]], source: Source, scores: Sequence[str] = ()
) -> Reading[Detections]:
    """What reading all pieces as one file would have given; columns are those of one piece.

    Parameters
    ----------
    readings
        At least one.
    source
        Of the whole.
    scores
        Fields with scores of parts.

    Raises
    ------
    FormatError
        Detections of some pieces have boxes and those of others have none, so that areas would come from both.
    """
    if len(readings) == 1:
        return replace(readings[0], source=source)
    filled = [reading for reading in readings if reading.counts["detections"]]
    first = filled[0] if filled else readings[0]
    for reading in filled:
        if reading.detection_area != first.detection_area:
            raise FormatError(
                f"areas of detections would be those of the {reading.detection_area}, and of the "
                f"{first.detection_area} in {first.source.path}; expected boxes in all records or in none",
                where=reading.source.path or "",
            )
    found = Reading(first.columns, source, detection_area=first.detection_area)
    total = {name: sum(reading.counts[name] for reading in filled) for name in first.counts if name != PER_PIECE}
    several = f"of {total['detections']:,} detections have"
    said = {
        "dropped_unknown_category": f"{several} a category that the ground truth lacks and are dropped",
        "box_masks": f"{several} no mask: the filled box is taken",
        **{f"missing_{name}": f"{several} no {name}: their score is taken" for name in scores},
    }
    for name, n in total.items():
        found.count(name, n, said.get(name, ""))
    others = [note for reading in filled or readings[:1] for note in reading.notes if not COUNTED.match(note)]
    found.notes.extend(dict.fromkeys(others))
    return found


def join_columns(parts: Sequence[Detections]) -> Detections:
    """The detections of the same images in several pieces; those of an image stand in the order of the pieces."""
    if len(parts) == 1:
        return parts[0]
    image = np.concatenate([image_of_rows(part.offsets) for part in parts])
    order, offsets = by_image(image, len(parts[0].offsets) - 1)
    columns: dict[str, Any] = {"offsets": offsets}
    for name in PER_ROW:
        values = [value for part in parts if (value := getattr(part, name, None)) is not None]
        if values:
            columns[name] = np.concatenate(values)
    masks: list[Masks] = [part.masks for part in parts if part.masks is not None]
    whole = replace(parts[0], **columns, masks=joined_masks(masks) if masks else None)
    return whole if order is None else take_rows(whole, order, offsets)


def read_folder(path: str, gt: GroundTruth, iou_type: IouType, **reading: Any) -> Reading[Detections]:
    """The detections in all files of a folder; arguments as of `cvbench.io.read_detections`.

    The source's hash is that of the lines that ``sha256sum`` prints for the files, sorted by name.
    """
    readings = [read_piece(piece, gt, iou_type, **reading) for piece in pieces_of(path)]
    whole = join_readings(readings, folder_source(path, [found.source for found in readings]), _scores(reading))
    return replace(whole, columns=join_columns([found.columns for found in readings]))


def folder_source(path: str, sources: Sequence[Source]) -> Source:
    """What a result says of a folder, from what it would say of the files in it."""
    names = [Path(source.path or "").name for source in sources]
    digest = digest_of(names, [source.sha256 for source in sources])
    return Source(path, digest, sum(source.bytes for source in sources))


def file_source(path: str, name: str) -> Source:
    """What a result says of a file, read bit by bit."""
    return Source(name, hash_of_file(path), Path(path).stat().st_size)


def _scores(reading: Mapping[str, Any]) -> Sequence[str]:
    names: Sequence[str] = reading.get("part_scores", ())
    return names
