"""COCO's records by `cvbench.io.scan`: the columns that decoding them one by one gives, or None.

None is no verdict. It sends the reader back to msgspec, and from there, where something is wrong, to a diagnosis.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Float, GroundTruth, Int, Masks, offsets_of
from cvbench.errors import InputError
from cvbench.io.extract import (
    Dataset,
    Part,
    Refused,
    box_areas,
    category_columns,
    checked_areas,
    checked_boxes,
    joined_masks,
    require,
)
from cvbench.io.fields import (
    DetectionOptions,
    Field,
    GroundTruthOptions,
    Parts,
    annotation_fields,
    category_fields,
    detection_fields,
    image_fields,
    struct_of,
)
from cvbench.io.scan import POWERS, Column, Form, Places, Rows
from cvbench.io.source import Document, list_of
from cvbench.kernels.points import extents
from cvbench.kernels.scanning import (
    INTEGER,
    NUMBERS,
    POLYGONS,
    RUNS,
    SPAN,
    STRING,
    copy_polygons,
    copy_runs,
    copy_strings,
    masks_at,
)

KINDS = {"bbox": (NUMBERS, 4), "segmentation": (SPAN, 0)} | dict.fromkeys(("score", "area", "crowdIndex"), (NUMBERS, 0))
"""How fields are read, and how long lists are; those of keypoints the options tell, all others are integers."""


def scanned_dataset(document: Document, options: GroundTruthOptions) -> Dataset | None:
    """A ground truth; see `cvbench.io.read_ground_truth`."""
    try:
        return _dataset(document, options)
    except (Refused, InputError):
        return None


def scanned_detections(document: Document, gt: GroundTruth, options: DetectionOptions) -> Part | None:
    """Detections of `gt`'s images; see `cvbench.io.read_detections`."""
    if options.scores or options.box_masks or gt.image_ids.dtype.kind != "i":
        return None
    fields = detection_fields(options)
    form = _form(fields, options.parts)
    images, categories = Places(gt.image_ids), Places(gt.category_ids)
    if form is None:
        return None
    try:
        stack = PartStack()
        if not document.scan_list(form, lambda rows: _part(rows, fields, images, categories, options), stack.push):
            return None
        return stack.joined()
    except (Refused, InputError):
        return None


def _form(fields: Sequence[Field], parts: Parts) -> Form | None:
    """How to scan records with these fields; None where lists may have any length."""
    kinds = KINDS | {name: (NUMBERS, 3 * (joints or 0)) for name, joints in parts}
    if any(joints is None and name in {field.name for field in fields} for name, joints in parts):
        return None
    return Form([Column(field.name, *kinds.get(field.name, (INTEGER, 0))) for field in fields])


def _part(rows: Rows, fields: Sequence[Field], images: Places, categories: Places, options: DetectionOptions) -> Part:
    for field in fields:
        require(not field.required or rows.seen(field.name).all())
    image, category = images.of(rows.integers("image_id")), categories.of(rows.integers("category_id"))
    require((image >= 0).all())
    boxes = masks = points = around = None
    if "bbox" in rows.form.places:
        boxes = _boxes(rows)
    if options.shape == "mask":
        masks = flat_masks(rows).decoded(None if options.sizes is None else options.sizes[image])
    if options.shape == "keypoints":
        points = _points(rows, options.parts)
        around = np.empty((rows.n, 4))
        extents(points, options.parts[0][1] or 0, around)  # while they are in the cache
    unknown = frozenset(rows.integers("category_id")[category < 0].tolist())
    score, none = rows.numbers("score").copy(), np.zeros(0, np.int64)
    return Part(image, category, score, boxes, masks, points, unknown, 0, None, none, around)


class Stack:
    """Joins arrays as they come, in one made for as many rows as there will probably be.

    A list of arrays takes 200 MB more for 4 million boxes, and joining it touches all memory twice.
    """

    def __init__(self) -> None:
        self._held: NDArray[Any] | None = None
        self._n = 0

    def push(self, rows: NDArray[Any], share: float) -> None:
        """Append `rows`; with them, there is this `share` of all that will come."""
        n = self._n + len(rows)
        if self._held is None or len(self._held) < n:
            longer = np.empty((n + int(n / share * 1.02), *rows.shape[1:]), rows.dtype)
            if self._held is not None:
                longer[: self._n] = self._held[: self._n]
            self._held = longer
        self._held[self._n : n] = rows
        self._n = n

    def joined(self) -> NDArray[Any]:
        """All rows."""
        assert self._held is not None, "there is no list without records"
        return self._held[: self._n]


class PartStack:
    """Joins parts, all of which have the same columns."""

    def __init__(self) -> None:
        self._stacks: defaultdict[str, Stack] = defaultdict(Stack)
        self._unknown: set[int] = set()

    def push(self, part: Part, share: float) -> None:
        """Append the rows of `part`; with them, there is this `share` of all that will come."""
        columns = {name: getattr(part, name) for name in ("image", "category", "score", "boxes", "points", "extents")}
        if part.masks is not None:
            columns |= {"counts": part.masks.counts, "runs": np.diff(part.masks.offsets), "sizes": part.masks.sizes}
        for name, column in columns.items():
            if column is not None:
                self._stacks[name].push(column, share)
        self._unknown |= part.unknown

    def joined(self) -> Part:
        """All parts, one after another."""
        columns: dict[str, Any] = {name: stack.joined() for name, stack in self._stacks.items()}
        masks = None
        if "counts" in columns:
            masks = Masks(columns["counts"], offsets_of(columns["runs"]), columns["sizes"])
        return Part(
            columns["image"],
            columns["category"],
            columns["score"],
            columns.get("boxes"),
            masks,
            columns.get("points"),
            frozenset(self._unknown),
            0,
            None,
            np.zeros(0, np.int64),
            columns.get("extents"),
        )


def _boxes(rows: Rows) -> Float:
    """Boxes, NaN where a record has none."""
    seen = rows.seen("bbox")
    if not seen.any():
        return np.full((rows.n, 4), np.nan)
    boxes: Float = rows.numbers("bbox").copy()
    if seen.all():
        return checked_boxes(boxes)
    checked_boxes(boxes[seen])
    boxes[~seen] = np.nan
    return boxes


def _points(rows: Rows, parts: Parts) -> Float:
    """Keypoints (N, J, 3), those of all parts one after another."""
    points: Float = np.concatenate([rows.numbers(name).reshape(rows.n, -1, 3) for name, _ in parts], axis=1)
    return points


# Ground truth --------------------------------------------------------------------------------------------------------


def _dataset(document: Document, options: GroundTruthOptions) -> Dataset | None:
    of_images, of_annotations = image_fields(options), annotation_fields(options)
    forms = {"images": _form(of_images, ()), "annotations": _form(of_annotations, options.parts)}
    if forms["images"] is None or forms["annotations"] is None:
        return None
    found = document.scan_object(
        {
            "images": (forms["images"], lambda rows: _columns(rows, of_images)),
            "annotations": (forms["annotations"], lambda rows: _columns(rows, of_annotations)),
        }
    )
    if found is None:
        return None
    lists, rest = found
    try:
        form = list_of(struct_of("Category", category_fields()))
        category_ids, category_names = category_columns(msgspec.json.decode(rest["categories"], type=form))
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    images, rows = _stacked(lists["images"]), _stacked(lists["annotations"])
    order = np.argsort(images["id"], kind="stable")
    image_ids = images["id"][order]
    require((np.diff(image_ids) > 0).all())
    image, category = Places(image_ids).of(rows["image_id"]), Places(category_ids).of(rows["category_id"])
    masks = sizes = None
    if options.iou_type in ("segm", "boundary"):
        sizes = np.stack([images["height"], images["width"]], axis=1)[order]
        require((sizes > 0).all() and (image >= 0).all())
        masks = _decoded([part["segmentation"] for part in lists["annotations"]], sizes[image])
    crowd, missing_crowd = _flags(rows, "iscrowd")
    area, missing_area = _areas(rows, options)
    points = None
    if options.iou_type == "keypoints":
        points = np.concatenate([rows[name].reshape(len(image), -1, 3) for name, _ in options.parts], axis=1)
    labelled = rows.get("num_keypoints")
    if labelled is not None:
        require((labelled[rows["seen num_keypoints"]] >= 0).all())
        labelled = np.where(rows["seen num_keypoints"], labelled, -1)
    return Dataset(
        image_ids=image_ids,
        sizes=sizes,
        crowd_index=images["crowdIndex"][order] if options.crowd_index else None,
        category_ids=category_ids,
        category_names=category_names,
        id=rows["id"],
        image=image,
        category=category,
        crowd=crowd,
        missing_crowd=missing_crowd,
        ignore=_flags(rows, "ignore")[0],
        area=area,
        missing_area=missing_area,
        boxes=checked_boxes(rows["bbox"]) if options.iou_type in ("bbox", "keypoints") else None,
        masks=masks,
        points=points,
        labelled=labelled,
    )


Table = dict[str, Any]
"""Columns by the names of fields, and under ``seen`` and a name whether the records have the field."""


def _columns(rows: Rows, fields: Sequence[Field]) -> Table:
    """All columns of the rows."""
    columns: Table = {}
    for field in fields:
        seen = columns[f"seen {field.name}"] = rows.seen(field.name)
        require(not field.required or seen.all())
        columns[field.name] = flat_masks(rows) if field.name == "segmentation" else rows.column(field.name).copy()
    return columns


def _stacked(parts: Sequence[Table]) -> Table:
    """The columns of all parts, one after another, but for masks."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "segmentation"}


def _flags(rows: Table, name: str) -> tuple[Bool, int]:
    """0/1 values, 0 where there is none, and how often there is none."""
    seen = rows[f"seen {name}"]
    values = np.where(seen, rows[name], 0)
    require(((values == 0) | (values == 1)).all())
    return values == 1, int(np.count_nonzero(~seen))


def _areas(rows: Table, options: GroundTruthOptions) -> tuple[Float, int]:
    """Areas, those of boxes where there are none and these stand for them, and how often there are none."""
    if options.missing_area == "unused":
        return np.full(len(rows["id"]), np.nan), 0
    seen = rows["seen area"]
    if seen.all():
        return checked_areas(rows["area"]), 0
    require(rows["seen bbox"][~seen].all())
    areas = np.where(seen, rows["area"], box_areas(np.where(seen[:, None], 0, rows["bbox"])))
    checked_boxes(rows["bbox"][~seen])
    return checked_areas(areas), int(np.count_nonzero(~seen))


# Masks ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FlatMasks:
    """Masks as they were written, N of them, of all kinds.

    Attributes
    ----------
    kind : (N,) int64
        `POLYGONS`, `STRING` or `RUNS`.
    sizes : (N, 2) int64
        Height and width in pixels of the masks that are run lengths.
    values, offsets
        By kind: characters, run lengths or coordinates of all masks of this kind, and where those of each start.
    parts : (P + 1,) int64
        Where each polygon starts; for polygons, `offsets` count these.
    """

    kind: Int
    sizes: Int
    values: dict[int, NDArray[Any]]
    offsets: dict[int, Int]
    parts: Int

    def decoded(self, sizes: Int | None) -> Masks:
        """Run lengths.

        Parameters
        ----------
        sizes : (N, 2) int64 or None
            Height and width of the image of each mask; None: the masks' own.

        Raises
        ------
        Refused
            A mask's size is not that of its image, or not known.
        InputError
            Masks that are none.
        """
        from cvbench.metrics import masks as codec

        coded = self.kind != POLYGONS
        if sizes is None:
            require(coded.all() and (self.sizes > 0).all())
            sizes = self.sizes
        require((self.sizes[coded] == sizes[coded]).all())
        found, order = [], []
        for kind in self.values:
            rows = np.flatnonzero(self.kind == kind)
            values, offsets, own = self.values[kind], self.offsets[kind], sizes[rows]
            if kind == STRING:
                found.append(codec.masks_from_flat_strings(values, offsets, own))
            elif kind == RUNS:
                found.append(codec.masks_from_flat_counts(values, offsets, own))
            else:
                found.append(codec.masks_from_flat_polygons(values, self.parts, offsets, own))
            order.append(rows)
        return found[0] if len(found) == 1 else joined_masks(found).take(np.argsort(np.concatenate(order)))


def flat_masks(rows: Rows) -> FlatMasks:
    """The masks of all rows, which must have one."""
    spans = rows.spans("segmentation")
    kind, sizes, places = np.empty(rows.n, np.int64), np.zeros((rows.n, 2), np.int64), np.empty((rows.n, 2), np.int64)
    require(masks_at(rows.text, np.ascontiguousarray(spans[:, 0]), kind, sizes, places))
    values: dict[int, NDArray[Any]] = {}
    offsets: dict[int, Int] = {}
    parts = np.zeros(1, np.int64)
    for one in np.unique(kind).tolist():
        own = places[kind == one]
        size = int((own[:, 1] - own[:, 0]).sum())
        offsets[one] = np.empty(len(own) + 1, np.int64)
        if one == STRING:
            text = np.empty(size, np.uint8)
            require(copy_strings(rows.text, own, text, offsets[one]))
            values[one] = text[: offsets[one][-1]]
        elif one == RUNS:
            runs = np.empty(size, np.int64)
            require(copy_runs(rows.text, own, runs, offsets[one]))
            values[one] = runs[: offsets[one][-1]].copy()
        else:
            numbers, parts = np.empty(size), np.empty(size, np.int64)
            n = copy_polygons(rows.text, own, POWERS, numbers, parts, offsets[one])
            require(n >= 0)
            parts = parts[: n + 1].copy()
            values[one] = numbers[: parts[-1]].copy()
    return FlatMasks(kind, sizes, values, offsets, parts)


def _decoded(parts: Sequence[FlatMasks], sizes: Int) -> Masks:
    """The masks of all parts, one after another."""
    ends = np.cumsum([len(part.kind) for part in parts])
    return joined_masks([part.decoded(own) for part, own in zip(parts, np.split(sizes, ends[:-1]), strict=True)])
