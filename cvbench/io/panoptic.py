"""COCO panoptic files: a JSON file that lists the segments of each image, and a folder of PNG id maps beside it.

Conventions
-----------
- Ground truth and predictions have the same form, ``{"annotations": [{image_id, file_name, segments_info}, ...]}``; the
  ground truth also has ``categories``, each with ``isthing``. ``images`` is asked for heights and widths alone and may
  be absent, as in panopticapi. What predictions say of areas, crowds, images and categories is not read.
- The id of a segment is the value of its pixels, R + 256 G + 65536 B, from 1; 0 is void.
- An image is one annotation of the ground truth. It needs a prediction; predictions of other images are counted.
- A folder is, if none is given, the path of the JSON file without ``.json``. Names of files are taken inside of it.

What the maps hold is not looked at here: `PanopticReading.gt_maps` and `pred_maps` read them one by one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from pathlib import Path, PureWindowsPath
from typing import Any

import msgspec
import numpy as np

from cvbench.columns import Int, Segments, offsets_of
from cvbench.errors import FormatError, InputError
from cvbench.io.coco import RELAXED
from cvbench.io.extract import Refused, flag_column, id_column, index_column, index_of, require
from cvbench.io.fields import (
    LARGEST,
    Field,
    Id,
    area_rule,
    flag_rule,
    id_rule,
    image_id_rule,
    pixels_rule,
    problems_in,
    struct_of,
    text_rule,
)
from cvbench.io.label_maps import MapSet
from cvbench.io.problems import Problem, refuse, shown
from cvbench.io.rasters import read_raster
from cvbench.io.source import Document, Source, list_of

PanopticInput = str | os.PathLike[str] | Mapping[str, Any]
Folder = str | os.PathLike[str] | None

LARGEST_SEGMENT = (1 << 24) - 1
"""The largest id that three channels of 8 bits hold."""


@dataclass(frozen=True)
class PanopticReading:
    """What two panoptic files list, and their maps, which are still to be read.

    Attributes
    ----------
    gt, pred : Segments
        Of the same images and categories. Areas of predictions are NaN and crowds False.
    gt_maps, pred_maps : MapSet
        The id maps in the order of ``gt.image_ids``; their names are the file names.
    gt_source, pred_source : Source
        Path, hash and size of the JSON files.
    sizes : (I, 2) int64 or None
        Height and width of each image in pixels, as the ground truth states them; None unless it does for all.
    counts : dict of str to int
        How many records were read, left out or completed, 0 where none were.
    notes : list of str
        In words, whatever was left out or completed.
    """

    gt: Segments
    pred: Segments
    gt_maps: MapSet
    pred_maps: MapSet
    gt_source: Source
    pred_source: Source
    sizes: Int | None
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def count(self, key: str, n: int | np.integer[Any], note: str = "") -> None:
        """Put `n` under `key`, and the `note` with the number in front where there is something to note."""
        self.counts[key] = int(n)
        if n and note:
            self.notes.append(f"{int(n):,} {note}")


def read_panoptic(
    gt: PanopticInput, pred: PanopticInput, gt_folder: Folder = None, pred_folder: Folder = None
) -> PanopticReading:
    """Read the segments of ground truth and predictions, and find their maps.

    Parameters
    ----------
    gt, pred
        Paths to the JSON (or gzipped JSON) files, or their content.
    gt_folder, pred_folder
        Folders of the maps; None for the JSON file's path without ``.json``.

    Returns
    -------
    PanopticReading
        Counts: ``images``, ``categories``, ``segments``, ``predicted_segments``, ``crowd``, ``missing_iscrowd``,
        ``missing_area``, ``extra_predictions``, ``images_without_annotation``, ``annotations_without_image``,
        ``images_without_size``, ``images_without_segments``, ``images_without_predicted_segments``,
        ``duplicate_category_names``.

    Raises
    ------
    FormatError
        The input is not of this form, or a map or a folder is not there; the message names the first problem's place.
    InputError
        The content of a file is given and no folder.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> np.save(Path(folder) / "7.npy", np.full((2, 3), 5))
    >>> gt = {"annotations": [{"image_id": 7, "file_name": "7.npy", "segments_info": [{"id": 5, "category_id": 1}]}]}
    >>> reading = read_panoptic(gt | {"categories": [{"id": 1, "isthing": 0}]}, gt, folder, folder)
    >>> reading.gt.image_ids.tolist(), reading.pred.id.tolist(), reading.gt_maps.read(0).pixels.tolist()
    ([7], [5], [[5, 5, 5], [5, 5, 5]])
    """
    documents = Document(gt, "gt"), Document(pred, "pred")
    folders = _folder_of(documents[0], gt_folder, "gt_folder"), _folder_of(documents[1], pred_folder, "pred_folder")
    result = _read(*documents, *folders)
    if isinstance(result, PanopticReading):
        return result
    files = documents[0].path is not None and documents[1].path is not None
    raise refuse(result, "cvbench check TASK GT PRED" if files else "cvbench.io.panoptic.check_panoptic")


def check_panoptic(
    gt: PanopticInput, pred: PanopticInput, gt_folder: Folder = None, pred_folder: Folder = None
) -> list[Problem]:
    """Every problem for which `read_panoptic` would refuse the files; parameters as there."""
    try:
        documents = Document(gt, "gt"), Document(pred, "pred")
        folders = _folder_of(documents[0], gt_folder, "gt_folder"), _folder_of(documents[1], pred_folder, "pred_folder")
        result = _read(*documents, *folders)
    except FormatError as error:
        return [Problem(error.where, error.message)]
    return [] if isinstance(result, PanopticReading) else result


def _folder_of(document: Document, given: Folder, argument: str) -> str:
    """The folder of the maps."""
    if given is None and document.path is None:
        raise InputError(f"the content of a file does not say where its maps are; pass {argument}", where=document.name)
    path = "" if document.path is None else document.path.removesuffix(".gz")
    folder = path.removesuffix(".json") if given is None else os.fspath(given)
    if folder == document.path:
        raise FormatError(f"the name does not end with .json, so pass the folder of its maps as {argument}", where=path)
    if not Path(folder).is_dir():
        hint = f"; the maps of {document.name} are expected there unless {argument} is given" if given is None else ""
        raise FormatError(f"there is no such folder{hint}", where=folder)
    return folder


# The fast way --------------------------------------------------------------------------------------------------------


def _read(gt: Document, pred: Document, gt_folder: str, pred_folder: str) -> PanopticReading | list[Problem]:
    try:
        return _reading(gt, pred, gt_folder, pred_folder)
    except Refused:
        found = list(_problems(gt, pred, gt_folder, pred_folder))
        assert found, "the fast reader refused what the slow one finds nothing wrong with"
        return found


def _reading(gt: Document, pred: Document, gt_folder: str, pred_folder: str) -> PanopticReading:
    truth: Any = gt.decode(_form(_gt_fields(), categories=_category_fields(), images=_image_fields()))
    found: Any = pred.decode(_form(_pred_fields()))
    require(truth is not None and found is not None)
    category_ids, category_order = id_column(truth.categories)
    categories = [truth.categories[row] for row in category_order.tolist()]
    names = [str(one.id) if one.name is None else one.name for one in categories]
    things, _ = flag_column(categories, "isthing")
    records, image_ids = _by_image(truth.annotations)
    predicted, predicted_ids = _by_image(found.annotations)
    index = index_of(predicted_ids)
    rows = [index.get(image, -1) for image in image_ids.tolist()]
    require(-1 not in rows)
    answers = [predicted[row] for row in rows]
    table = Segments(image_ids, category_ids, tuple(names), things, *_no_rows())
    segments, missing_crowd, missing_area = _segments(records, table, True)
    answered, _, _ = _segments(answers, table, False)
    gt_maps, pred_maps = _maps(records, gt, gt_folder), _maps(answers, pred, pred_folder)
    sizes, without_size, without_annotation, without_image = _sizes(truth.images, image_ids)

    reading = PanopticReading(segments, answered, gt_maps, pred_maps, gt.source, pred.source, sizes)
    several = f"of {len(segments):,} segments"
    reading.count("images", len(image_ids))
    reading.count("categories", len(category_ids))
    reading.count("segments", len(segments))
    reading.count("predicted_segments", len(answered))
    reading.count("crowd", np.count_nonzero(segments.crowd))
    reading.count("missing_iscrowd", missing_crowd, f"{several} have no iscrowd: taken for 0")
    reading.count("missing_area", missing_area, f"{several} have no area")
    extra = "predictions of images that the ground truth does not annotate are not scored"
    reading.count("extra_predictions", len(predicted) - len(answers), extra)
    listed = "images of the ground truth have no annotation and are not scored, as in panopticapi"
    reading.count("images_without_annotation", without_annotation, listed)
    unlisted = f"of {len(image_ids):,} annotations are of images that `images` does not list"
    reading.count("annotations_without_image", without_image, unlisted)
    sizeless = f"of {len(image_ids):,} images have no height and width: maps are compared with each other alone"
    reading.count("images_without_size", without_size, sizeless)
    reading.count("images_without_segments", np.count_nonzero(np.diff(segments.offsets) == 0))
    reading.count("images_without_predicted_segments", np.count_nonzero(np.diff(answered.offsets) == 0))
    same = f"of {len(names):,} categories have the name of another one"
    reading.count("duplicate_category_names", len(names) - len(set(names)), same)
    if not len(image_ids):
        reading.notes.append("there are no images")
    reading.notes.extend(RELAXED.format(document.name) for document in (gt, pred) if document.relaxed)
    return reading


def _form(annotation: list[Field], **others: list[Field]) -> type[msgspec.Struct]:
    """What a file is decoded to. ``images`` may be absent, then it is None."""
    fields: list[Any] = [("annotations", list_of(struct_of("Annotation", annotation)))]
    for name, record in others.items():
        form = list_of(struct_of(name, record))
        fields.append((name, form, None) if name == "images" else (name, form))
    return msgspec.defstruct("File", fields)


def _no_rows() -> tuple[Any, ...]:
    none = np.zeros(0, np.int64)
    return none, none, none, np.zeros(0), np.zeros(0, np.bool_)


def _by_image(records: Sequence[Any]) -> tuple[list[Any], Any]:
    """The annotations by ascending image id, and the ids."""
    ids, order = id_column([_Image(record.image_id) for record in records])
    return [records[row] for row in order.tolist()], ids


class _Image(msgspec.Struct):
    """An annotation under the name that `id_column` asks for."""

    id: int | str


def _segments(records: Sequence[Any], table: Segments, truth: bool) -> tuple[Segments, int, int]:
    """The segments of annotations, which are ordered by image; how many lack iscrowd and area."""
    lengths = np.array([len(record.segments_info) for record in records], np.int64)
    rows = list(chain.from_iterable(map(attrgetter("segments_info"), records)))
    ids = np.fromiter(map(_bounded, map(attrgetter("id"), rows)), np.int64, len(rows))
    require((ids > 0).all())
    keys = np.repeat(np.arange(len(records), dtype=np.int64), lengths) * (LARGEST_SEGMENT + 1) + ids
    require(len(np.unique(keys)) == len(keys))
    category = index_column(rows, "category_id", index_of(table.category_ids))
    require((category >= 0).all())
    area, crowd = np.full(len(rows), np.nan), np.zeros(len(rows), np.bool_)
    without_crowd = without_area = 0
    if truth:
        given = [row.area for row in rows]
        area, without_area = np.array(given, np.float64), given.count(None)
        known = area[[value is not None for value in given]]
        require((np.isfinite(known) & (known >= 0)).all())
        crowd, without_crowd = flag_column(rows, "iscrowd")
    columns = (offsets_of(lengths), ids, category, area, crowd)
    own = Segments(table.image_ids, table.category_ids, table.category_names, table.things, *columns)
    return own, without_crowd, without_area


def _bounded(value: int) -> int:
    """`value` if it can be the id of a segment, otherwise 0."""
    return value if 0 < value <= LARGEST_SEGMENT else 0


def _maps(records: Sequence[Any], document: Document, folder: str) -> MapSet:
    names = tuple(map(attrgetter("file_name"), records))
    require(len(set(names)) == len(names))
    require(all(file_name_rule(name) is None for name in names))
    root = str(Path(folder))
    places = tuple(os.path.join(root, name) for name in names)  # noqa: PTH118  # 1 µs each, a `Path` takes 10
    require(all(map(os.path.isfile, places)))  # 2 µs each, a `Path` takes 6
    return MapSet(document.name, document.path, names, places, lambda i, memory=None: read_raster(places[i], memory))


def _sizes(images: Sequence[Any] | None, image_ids: Any) -> tuple[Int | None, int, int, int]:
    """Heights and widths, and how many images lack them, how many have no annotation, how many are not listed."""
    if images is None:
        return None, len(image_ids), 0, 0
    listed, _ = id_column(images)
    require(not len(listed) or not len(image_ids) or listed.dtype.kind == image_ids.dtype.kind)
    require(all(1 <= n <= LARGEST for image in images for n in (image.height, image.width) if n is not None))
    known = {image.id: (image.height, image.width) for image in images}
    sizes = [known.get(image, (None, None)) for image in image_ids.tolist()]
    without_size = sum(None in size for size in sizes)
    unlisted = sum(image not in known for image in image_ids.tolist())
    array = None if without_size else np.array(sizes, np.int64).reshape(-1, 2)
    return array, without_size, len(known) - (len(sizes) - unlisted), unlisted


# Fields --------------------------------------------------------------------------------------------------------------


def segment_id_rule(value: object) -> str | None:
    """The id of a segment: an integer that is the value of a pixel and not void."""
    message = id_rule(value)
    if message is None and value == 0:
        return "id 0 is void, which is no segment; ids of segments are from 1"
    if message is None and not 0 < value <= LARGEST_SEGMENT:  # type: ignore[operator]  # id_rule has checked the type
        return f"id {shown(value)} cannot be coded as a colour; ids of segments are from 1 to {LARGEST_SEGMENT:,}"
    return message


PLAIN = re.compile(r"[\w-][\w.-]*")
"""Names of files that are nothing else."""


def file_name_rule(value: object) -> str | None:
    """The name of a file inside of the folder of maps."""
    message = text_rule(value)
    if message is not None:
        return message
    assert isinstance(value, str), "text_rule has checked it"
    if PLAIN.fullmatch(value):  # 1 µs, the parts of a path take 10
        return None
    path = PureWindowsPath(value)  # knows both kinds of slashes, and drives
    if path.anchor or ".." in path.parts:
        return f"{shown(value)} leads out of the folder of the maps; write the name of a file inside of it"
    if not path.name or "\0" in value:
        return f"found {shown(value)}, expected the name of a PNG file"
    return None


def _list_rule(value: object) -> str | None:
    return None if isinstance(value, list) else f"found {shown(value)}, expected a list of segments"


def _image_fields() -> list[Field]:
    size = [Field(name, int, pixels_rule, required=False) for name in ("height", "width")]
    return [Field("id", Id, image_id_rule), *size]


def _category_fields() -> list[Field]:
    return [
        Field("id", int, id_rule),
        Field("name", str, text_rule, required=False),
        Field("isthing", bool | int, flag_rule, hint="1 for things, which have instances, 0 for stuff"),
    ]


def _segment_fields(truth: bool) -> list[Field]:
    fields = [Field("id", int, segment_id_rule), Field("category_id", int, id_rule)]
    if truth:
        fields.append(Field("iscrowd", bool | int, flag_rule, required=False))
        fields.append(Field("area", float, area_rule, required=False))
    return fields


def _gt_fields() -> list[Field]:
    return _annotation_fields(_segment_fields(True))


def _pred_fields() -> list[Field]:
    return _annotation_fields(_segment_fields(False))


def _annotation_fields(segment: list[Field]) -> list[Field]:
    return [
        Field("image_id", Id, image_id_rule),
        Field("file_name", str, file_name_rule, hint="the name of the image's PNG in the folder of maps"),
        Field("segments_info", list_of(struct_of("Segment", segment)), _list_rule),
    ]


# The slow way --------------------------------------------------------------------------------------------------------


def _problems(gt: Document, pred: Document, gt_folder: str, pred_folder: str) -> Iterator[Problem]:
    """Every problem of the two documents, in the order of the files."""
    truth, found = gt.tree(), pred.tree()
    yield from _wrong_lists(truth, gt.name, ("categories", "annotations"))
    yield from _wrong_lists(found, pred.name, ("annotations",))
    if not all(_lists(truth, "annotations", "categories")) or not all(_lists(found, "annotations")):
        return
    images = truth.get("images", [])
    if not isinstance(images, list):
        yield Problem(f"{gt.name}.images", f"found {shown(images)}; expected a list, or nothing")
        images = []
    for key, records, fields in (("images", images, _image_fields()), ("categories", truth["categories"], None)):
        yield from _records(records, f"{gt.name}.{key}", fields or _category_fields())
        yield from _repeated(records, f"{gt.name}.{key}", "id")
    yield from _one_type([*_ids(images, f"{gt.name}.images", "id"), *_annotated(truth, gt.name)])
    categories = {
        record.get("id") for _, record in _objects(truth["categories"], "") if id_rule(record.get("id")) is None
    }
    yield from _annotations(truth, gt.name, True, categories, gt_folder, None)
    yield from _one_type(_annotated(found, pred.name))
    wanted = {image for _, image in _annotated(truth, gt.name)}
    yield from _annotations(found, pred.name, False, categories, pred_folder, wanted)
    yield from _unanswered(truth, found, gt.name, pred.name)


def _annotations(
    tree: Any, name: str, truth: bool, categories: Collection[Any], folder: str, wanted: Collection[Any] | None
) -> Iterator[Problem]:
    """What is wrong with annotations; those of images that are not `wanted` need no known categories and no map."""
    records, fields = tree["annotations"], _gt_fields() if truth else _pred_fields()
    name = f"{name}.annotations"
    yield from _records(records, name, fields)
    yield from _repeated(records, name, "image_id")
    used = [(where, record) for where, record in _objects(records, name) if wanted is None or _known(record, wanted)]
    yield from _repeated_in(used, "file_name")
    for where, record in used:
        yield from _missing_map(record, where, folder)
    for where, record in _objects(records, name):
        segments = record.get("segments_info")
        if not isinstance(segments, list):
            continue
        yield from _records(segments, f"{where}.segments_info", _segment_fields(truth))
        if wanted is not None and not _known(record, wanted):
            continue
        yield from _repeated(segments, f"{where}.segments_info", "id")
        for place, segment in _objects(segments, f"{where}.segments_info"):
            category = segment.get("category_id")
            if id_rule(category) is None and category not in categories:
                owner = f"the {len(categories):,} categories of the ground truth"
                yield Problem(f"{place}.category_id", f"category {category} is not among {owner}")


def _known(record: dict[str, Any], wanted: Collection[Any]) -> bool:
    image = record.get("image_id")
    return image_id_rule(image) is None and image in wanted


def _missing_map(record: dict[str, Any], where: str, folder: str) -> Iterator[Problem]:
    name = record.get("file_name")
    if file_name_rule(name) is None and not Path(folder, str(name)).is_file():
        near = Path(folder, str(name)).with_suffix(".png")
        hint = f"; there is `{near.name}`" if near.is_file() else ""
        yield Problem(f"{where}.file_name", f"there is no file {shown(name)} in {folder}{hint}")


def _unanswered(truth: Any, found: Any, gt: str, pred: str) -> Iterator[Problem]:
    """Images of the ground truth without a prediction."""
    answered = {image for _, image in _annotated(found, pred)}
    for where, image in _annotated(truth, gt):
        if image not in answered:
            kind = next(iter(answered), image)
            hint = "; image ids must be of one type" if isinstance(kind, str) != isinstance(image, str) else ""
            message = f"there is no prediction for image {shown(image)}, which {where} asks for{hint}"
            yield Problem(f"{pred}.annotations", message)


def _wrong_lists(tree: Any, name: str, keys: Sequence[str]) -> Iterator[Problem]:
    if not isinstance(tree, dict):
        expected = f"expected an object with {' and '.join(keys)}"
        hint = '; write {"annotations": [...]}' if isinstance(tree, list) and keys == ("annotations",) else ""
        yield Problem(name, f"found {'a list' if isinstance(tree, list) else shown(tree)}, {expected}{hint}")
        return
    for key, sound in zip(keys, _lists(tree, *keys), strict=True):
        if not sound:
            have = f"missing; the file has {', '.join(map(str, tree)) or 'nothing'}"
            yield Problem(f"{name}.{key}", f"{f'found {shown(tree[key])}' if key in tree else have}; expected a list")


def _lists(tree: Any, *keys: str) -> list[bool]:
    return [isinstance(tree, dict) and isinstance(tree.get(key), list) for key in keys]


def _objects(records: Sequence[Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each record that is an object, and its place."""
    return ((f"{name}[{i}]", record) for i, record in enumerate(records) if isinstance(record, dict))


def _records(records: Sequence[Any], name: str, fields: Sequence[Field]) -> Iterator[Problem]:
    for i, record in enumerate(records):
        if isinstance(record, dict):
            yield from problems_in(record, f"{name}[{i}]", fields)
        else:
            expected = ", ".join(field.name for field in fields if field.required)
            yield Problem(f"{name}[{i}]", f"found {shown(record)}, expected an object with {expected}")


def _ids(records: Sequence[Any], name: str, key: str) -> Iterator[tuple[str, Any]]:
    """The places and values of ids that can be ids."""
    for where, record in _objects(records, name):
        if image_id_rule(record.get(key)) is None:
            yield f"{where}.{key}", record[key]


def _annotated(tree: Any, name: str) -> list[tuple[str, Any]]:
    return list(_ids(tree["annotations"], f"{name}.annotations", "image_id"))


def _repeated(records: Sequence[Any], name: str, key: str) -> Iterator[Problem]:
    yield from _repeated_in(list(_objects(records, name)), key)


def _repeated_in(records: Sequence[tuple[str, dict[str, Any]]], key: str) -> Iterator[Problem]:
    first: dict[Any, str] = {}
    for where, record in records:
        value = record.get(key)
        if isinstance(value, (str, int)) and first.setdefault(value, where) != where:
            yield Problem(f"{where}.{key}", f"found {shown(value)} again; {first[value]} has the same {key}")


def _one_type(ids: Sequence[tuple[str, Any]]) -> Iterator[Problem]:
    for where, value in ids[1:]:
        if isinstance(value, str) != isinstance(ids[0][1], str):
            found = f"found {shown(value)}, but {ids[0][0]} is {shown(ids[0][1])}"
            yield Problem(where, f"{found}; image ids must all be of one type")
