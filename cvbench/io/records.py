"""Paired keypoints from JSON: annotations of COCO's form, and lists of predictions; also the same data in memory.

Conventions
-----------
- A file is an object with ``annotations``, or a list of records. The categories of an object may name the keypoints.
- ``keypoints`` are ``[x1, y1, v1, x2, ...]``, or in 3 dimensions ``[x1, y1, z1, x2, ...]``; or a list of one list for
  each keypoint, with two or three numbers. ``null`` is NaN: not predicted. ``visible``, a number for each keypoint,
  wins over a third number.
- Annotations may have ``id``, ``image_id``, ``bbox`` as [x, y, width, height], ``head_box`` as [x1, y1, x2, y2], a size
  under one of the names ``size``, ``box_size`` (AFLW) and ``head_size``, and ``groups``, a label or a list of labels.
- A prediction belongs to the annotation of its ``annotation_id``; without one, of its ``id``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float
from cvbench.io.coco import RELAXED
from cvbench.io.extract import Refused, require
from cvbench.io.fields import Field, Id, Rule, image_id_rule, is_number, problems_in, struct_of
from cvbench.io.instances import SIZES, Instances, Side, Wrong, id_array
from cvbench.io.problems import Problem, shown
from cvbench.io.source import Document, list_of

Number = float | None
FLAT = tuple[Number, ...]
NESTED = tuple[tuple[Number, ...], ...]
GROUPS = ("groups", "group")


def read_records(source: Any, side: Side, joints: int | None) -> Instances:
    """A JSON file, or its content.

    Parameters
    ----------
    source
        A path to JSON or gzipped JSON, or a dict or list.
    side
    joints
        How many keypoints every record has; None for as many as the first one.
    """
    document = Document(source, side.name)
    try:
        return _fast(document, side)
    except Refused:
        problems = list(_problems(document.tree(), side, joints))
        assert problems, "the fast reader refused what the slow one finds nothing wrong with"
        raise Wrong(problems) from None


# The fast way --------------------------------------------------------------------------------------------------------


def _fast(document: Document, side: Side) -> Instances:
    records, nested, in_object, categories = _decoded(document, side)
    points, third = _points([record.keypoints for record in records], nested, side)
    n, joints = points.shape[:2]
    name = f"{side.name}.annotations" if in_object else side.name
    require(not (side.truth and _have(records, "annotation_id")))
    ids = _ids(records, _pairing_name([name for name in ("annotation_id", "id") if _have(records, name)]))
    columns = _of_truth(records, third, joints) if side.truth else {}
    names, note = _joint_names(categories, joints) if n else (None, "")
    return Instances(
        side,
        document.source,
        points,
        lambda row: f"{name}[{row}]",
        ids=ids,
        image_ids=_ids(records, "image_id"),
        joint_names=names,
        notes=[RELAXED.format(side.name)] * document.relaxed + [f"{side.name}.{note}"] * bool(note),
        **columns,
    )


def _decoded(document: Document, side: Side) -> tuple[list[Any], bool, bool, Any]:
    """The records; whether their keypoints are lists of lists, whether an object holds them; its categories."""
    for nested in (False, True):
        form = list_of(struct_of("Record", _fields(side, Form(), NESTED if nested else FLAT)))
        records = document.decode(form)
        if records is not None:
            return records, nested, False, None
        file: Any = document.decode(msgspec.defstruct("File", [("annotations", form), ("categories", Any, None)]))
        if file is not None:
            return file.annotations, nested, True, file.categories
    raise Refused


def _points(values: Sequence[Any], nested: bool, side: Side) -> tuple[Float, NDArray[Any] | None]:
    """Keypoints (N, J, D), and what stands third in 2 dimensions."""
    require(len(set(map(len, values))) <= 1)
    joints = len(values[0]) if values else 0
    width = 3
    if nested:
        widths = set(map(len, chain.from_iterable(values)))
        require(widths in ({3}, {2}) if side.dims == 2 else widths == {3})
        width, values = min(widths), list(map(chain.from_iterable, values))
    else:
        require(joints % 3 == 0)
        joints //= 3
    require(joints > 0 or not values)
    flat = np.array(list(chain.from_iterable(values)), np.float64)
    points = flat.reshape(len(values), joints, width)
    return np.ascontiguousarray(points[:, :, : side.dims]), points[:, :, 2] if width > side.dims else None


def _of_truth(records: Sequence[Any], third: NDArray[Any] | None, joints: int) -> dict[str, Any]:
    """What is read of annotations alone."""
    given = _given(records, "visible")
    if given is not None:
        require(all(value is not None and len(value) == joints for value in given))
        third = np.array(given, np.float64).reshape(-1, joints)
    visible: Bool | None = None
    if third is not None:
        require(not np.isnan(third).any())
        visible = third > 0
    sizes = [column for name in SIZES if (column := _given(records, name)) is not None]
    groups = [column for name in GROUPS if (column := _given(records, name)) is not None]
    require(len(sizes) <= 1 and len(groups) <= 1)
    return {
        "visible": visible,
        "boxes": _boxes(records, "bbox"),
        "head_boxes": _boxes(records, "head_box"),
        "size": np.array(sizes[0], np.float64) if sizes else None,
        "labels": [(one,) if isinstance(one, str) else tuple(one or ()) for one in groups[0]] if groups else None,
    }


def _given(records: Sequence[Any], name: str) -> list[Any] | None:
    """The values of a field, None where a record has none; None where no record has one."""
    values = list(map(attrgetter(name), records))
    return values if values.count(None) < len(values) else None


def _have(records: Sequence[Any], name: str) -> bool:
    return bool(records) and hasattr(records[0], name) and _given(records, name) is not None


def _boxes(records: Sequence[Any], name: str) -> Float | None:
    values = _given(records, name)
    if values is None:
        return None
    return np.array([(np.nan,) * 4 if value is None else value for value in values], np.float64).reshape(-1, 4)


def _pairing_name(held: Sequence[str]) -> str:
    return held[0] if held else "id"


def _ids(records: Sequence[Any], name: str) -> NDArray[Any] | None:
    values = _given(records, name)
    if values is None:
        return None
    ids = id_array(values)
    require(ids is not None)
    return ids


def _joint_names(categories: Any, joints: int) -> tuple[tuple[str, ...] | None, str]:
    """The names that all categories give the keypoints, and what there is to note."""
    listed = categories if isinstance(categories, list) else []
    found = {tuple(one["keypoints"]) for one in listed if isinstance(one, dict) and _are_texts(one.get("keypoints"))}
    if len(found) != 1:
        return None, "categories name their keypoints differently: no names are taken" if found else ""
    names = found.pop()
    if len(names) == joints:
        return names, ""
    return None, f"categories name {len(names)} keypoints, but records have {joints}: no names are taken"


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


# Fields --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Form:
    """What the keypoints of all records have to be like: how many, None for any number; and how many numbers each list
    of a list of lists holds, 0 for flat lists, None for either.
    """

    joints: int | None = None
    width: int | None = None


def points_rule(side: Side, form: Form) -> Rule:
    """Keypoints, as a flat list or as a list of lists."""
    names = "x, y, visibility" if side.dims == 2 else "x, y, z"
    widths = (2, 3) if side.dims == 2 else (3,)

    def rule(value: object) -> str | None:
        if not isinstance(value, list) or not value:
            return f"found {shown(value)}, expected a list [x1, y1, {'v1' if side.dims == 2 else 'z1'}, x2, ...]"
        nested = isinstance(value[0], list)
        if form.width is not None and nested != (form.width > 0):
            return "keypoints of some records are flat lists, of others lists of lists; write one form"
        if not nested and len(value) % 3:
            return f"found {len(value)} numbers, expected three for each keypoint: {names}"
        found = len(value) if nested else len(value) // 3
        if form.joints is not None and found != form.joints:
            return f"found {found} keypoints, expected {form.joints}"
        return _lists(value, (form.width,) if form.width else widths) if nested else _coordinates(value)

    return rule


def _lists(points: list[Any], widths: tuple[int, ...]) -> str | None:
    """What is wrong with a list of lists."""
    for index, point in enumerate(points):
        if not isinstance(point, list) or len(point) not in widths:
            expected = f"expected a list of {' or '.join(map(str, widths))} numbers"
            return f"keypoint {index}: found {shown(point)}, {expected}"
        message = _coordinates(point)
        if message is not None:
            return f"keypoint {index}: {message}"
        widths = (len(point),)
    return None


def _coordinates(values: list[Any]) -> str | None:
    for index, item in enumerate(values):
        if item is not None and not is_number(item):
            return f"number {index}: found {shown(item)}, expected a number, or null where there is none"
    return None


def seen_rule(joints: int | None) -> Rule:
    """A number, which is not NaN, for each keypoint."""

    def rule(value: object) -> str | None:
        if not isinstance(value, list) or (joints is not None and len(value) != joints):
            return f"found {shown(value)}, expected a list of {joints} numbers, one for each keypoint"
        wrong = next((i for i, item in enumerate(value) if not _is_seen(item)), None)
        return None if wrong is None else f"keypoint {wrong}: found {shown(value[wrong])}, expected a number"

    return rule


def _is_seen(value: object) -> bool:
    return isinstance(value, bool) or (is_number(value) and not np.isnan(float(value)))  # type: ignore[arg-type]  # a number


def number_or_nan_rule(value: object) -> str | None:
    """Any number; whether it can be divided by is not asked here."""
    return None if is_number(value) else f"found {shown(value)}, expected a number of pixels"


def corners_rule(form: str) -> Rule:
    """Four numbers."""

    def rule(value: object) -> str | None:
        if isinstance(value, list) and len(value) == 4 and all(map(is_number, value)):
            return None
        return f"found {shown(value)}, expected {form} in pixels"

    return rule


def labels_rule(value: object) -> str | None:
    """A label, or a list of labels."""
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        return None
    return f"found {shown(value)}, expected a label or a list of labels"


def _fields(side: Side, form: Form, decoded: Any = FLAT) -> list[Field]:
    """What is read of a record, whose keypoints are `decoded` to this type."""
    fields = [
        Field("keypoints", decoded, points_rule(side, form)),
        Field("id", Id, image_id_rule, required=False),
        Field("image_id", Id, image_id_rule, required=False),
        Field("annotation_id", Id, image_id_rule, required=False),
    ]
    if not side.truth:
        return fields
    box = tuple[float, float, float, float]
    return [
        *fields,
        Field("visible", tuple[float | bool, ...], seen_rule(form.joints), required=False),
        Field("bbox", box, corners_rule("[x, y, width, height]"), required=False),
        Field("head_box", box, corners_rule("[x1, y1, x2, y2]"), required=False),
        *(Field(name, float, number_or_nan_rule, required=False) for name in SIZES),
        *(Field(name, str | tuple[str, ...], labels_rule, required=False) for name in GROUPS),
    ]


# The slow way --------------------------------------------------------------------------------------------------------


def _problems(tree: Any, side: Side, joints: int | None) -> Iterator[Problem]:
    """Every problem of the records, in the order of the file."""
    name, records = side.name, tree
    if isinstance(tree, dict):
        name, records = f"{side.name}.annotations", tree.get("annotations")
        if not isinstance(records, list):
            have = f"missing; the file has {', '.join(map(str, tree)) or 'nothing'}"
            yield Problem(name, f"{f'found {shown(records)}' if 'annotations' in tree else have}; expected a list")
            return
    if not isinstance(records, list):
        yield Problem(name, f"found {shown(records)}, expected a list of records, or an object with annotations")
        return
    places = [(f"{name}[{i}]", record) for i, record in enumerate(records)]
    if side.truth:
        yield from _predictions_in(places)
    fields = _fields(side, _form_of(records, side, joints))
    for where, record in places:
        if isinstance(record, dict):
            yield from problems_in(record, where, fields)
            yield from _unclear(record, where, side)
        else:
            yield Problem(where, f"found {shown(record)}, expected an object with keypoints")
    yield from _uneven([(where, record) for where, record in places if isinstance(record, dict)], side)


def _predictions_in(places: Sequence[tuple[str, Any]]) -> Iterator[Problem]:
    """The first record of a ground truth that says it is a prediction."""
    for where, record in places:
        if isinstance(record, dict) and record.get("annotation_id") is not None:
            said = "annotations have an `id`, it is predictions that name an annotation"
            yield Problem(f"{where}.annotation_id", f"{said}; are ground truth and predictions swapped?")
            return


def _form_of(records: Sequence[Any], side: Side, joints: int | None) -> Form:
    """The form that the first sound record has."""
    rule = points_rule(side, Form(joints))
    for record in records:
        value = record.get("keypoints") if isinstance(record, dict) else None
        if rule(value) is None and isinstance(value, list):
            nested = isinstance(value[0], list)
            return Form(len(value) if nested else len(value) // 3, len(value[0]) if nested else 0)
    return Form(joints)


def _unclear(record: dict[str, Any], where: str, side: Side) -> Iterator[Problem]:
    """What a record says in two ways, or in none."""
    if not side.truth:
        return
    for names in (SIZES, GROUPS):
        held = [name for name in names if name in record]
        if len(held) > 1:
            yield Problem(f"{where}.{held[1]}", f"the record has {held[0]}, too, which means the same; keep one")
    if side.dims == 2 and "visible" not in record and points_rule(side, Form())(record.get("keypoints")) is None:
        points = record["keypoints"]
        third = [point[2:] for point in points] if isinstance(points[0], list) else [[item] for item in points[2::3]]
        for joint, values in enumerate(third):
            if not all(map(_is_seen, values)):
                found = f"visibility of keypoint {joint}: found {shown(values[0])}"
                yield Problem(f"{where}.keypoints", f"{found}, expected a number above 0 where the keypoint counts")


def _uneven(places: Sequence[tuple[str, dict[str, Any]]], side: Side) -> Iterator[Problem]:
    """Fields that only some of the records have, or two of them in two ways."""
    names = ["image_id", "visible"] if side.truth else ["image_id"]
    pairing = [name for name in ("annotation_id", "id") if any(name in record for _, record in places)]
    for name in [_pairing_name([one for one in pairing if one == "id" or not side.truth]), *names]:
        held = [(where, record[name]) for where, record in places if name in record]
        if held and len(held) < len(places):
            lacking = (where for where, record in places if name not in record)
            yield from (Problem(f"{where}.{name}", f"missing; {held[0][0]} has one") for where in lacking)
        if name != "visible":
            yield from _two_types([(where, value) for where, value in held if image_id_rule(value) is None], name)
    for group in (SIZES, GROUPS) if side.truth else ():
        found = [(where, name) for where, record in places for name in group if name in record]
        for where, name in found:
            if name != found[0][1] and where != found[0][0]:
                yield Problem(
                    f"{where}.{name}", f"{found[0][0]} has {found[0][1]}, which means the same; write one name"
                )


def _two_types(ids: Sequence[tuple[str, Any]], name: str) -> Iterator[Problem]:
    for where, value in ids[1:]:
        if isinstance(value, str) != isinstance(ids[0][1], str):
            found = f"found {shown(value)}, but {ids[0][0]}.{name} is {shown(ids[0][1])}"
            yield Problem(f"{where}.{name}", f"{found}; ids must all be of one type")
