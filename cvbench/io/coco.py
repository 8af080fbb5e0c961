"""COCO files: a ground truth (instances, person_keypoints) and result lists, into columns.

Conventions
-----------
- A *ground truth* is an object with ``images``, ``categories`` and ``annotations``; *detections* are a list of records.
  Either is a path to JSON or gzipped JSON, or the data themselves. What a task does not need is not read: ``info``,
  ``licenses`` and segmentations of boxes may hold anything.
- Boxes are ``[x, y, width, height]`` in pixels, areas square pixels, scores any finite numbers.
- Image ids are integers or strings, of one type throughout; category and annotation ids are integers.
- A record is read, or counted and noted, or the input is refused with the place and the reason: ``docs/inputs.md``.

The records are decoded to typed structs, which become columns, and what the types cannot say is checked on the columns.
If any of this fails, `cvbench.io.diagnosis` looks again, slowly, for every problem.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Generic, TypeVar, get_args

import msgspec
import numpy as np

from cvbench.columns import Detections, Float, GroundTruth, Int, take_rows
from cvbench.errors import FormatError, InputError
from cvbench.io.columnar import ColumnFile, column_file
from cvbench.io.diagnosis import detection_problems, ground_truth_problems
from cvbench.io.extract import (
    Dataset,
    Part,
    Refused,
    area_column,
    box_areas,
    box_column,
    by_image,
    category_columns,
    flag_column,
    id_column,
    index_column,
    index_of,
    joined_parts,
    keypoint_boxes,
    keypoint_column,
    labelled_column,
    mask_areas,
    mask_boxes,
    mask_column,
    number_column,
    require,
    require_64_bits,
    score_columns,
    size_column,
    some_boxes,
    zero_sizes,
)
from cvbench.io.fields import (
    DetectionArea,
    DetectionOptions,
    GroundTruthOptions,
    IouType,
    MissingArea,
    Parts,
    annotation_fields,
    category_fields,
    detection_fields,
    image_fields,
    struct_of,
)
from cvbench.io.problems import Problem, refuse, suggestion
from cvbench.io.source import Document, Source, list_of

Columns = TypeVar("Columns", GroundTruth, Detections)
GroundTruthInput = str | os.PathLike[str] | Mapping[str, Any]
DetectionInput = str | os.PathLike[str] | Sequence[Any]
Joints = int | Mapping[str, int] | None

AREAS: dict[str, tuple[str, ...]] = {
    "bbox": ("auto", "box"),
    "segm": ("auto", "box", "mask"),
    "boundary": ("auto", "box", "mask"),
    "keypoints": ("auto", "box", "keypoints"),
}
"""The choices of `detection_area` that each kind of task has."""

RELAXED = "{} is not strict JSON (NaN, Infinity, a byte-order mark or UTF-16); nothing that is read is affected"
AREA_BY_BOX = (
    "areas of detections are width x height of their boxes, as in pycocotools; detection_area={0} takes the {0}"
)


@dataclass(frozen=True)
class Reading(Generic[Columns]):
    """What was read, and how.

    Attributes
    ----------
    columns : GroundTruth or Detections
    source : Source
        Path, hash and size of the input.
    counts : dict of str to int
        How many records were read, dropped or completed, 0 where none were.
    notes : list of str
        In words, whatever was dropped or completed.
    image_sizes : (I, 2) int64 or None
        Height and width of the ground truth's images in pixels; None unless masks were read.
    detection_area : {"box", "mask", "keypoints"} or None
        Where the areas of detections came from; None for a ground truth.
    crowd_index : (I,) float64 or None
        How much people overlap in each of the ground truth's images; None unless it was asked for.
    """

    columns: Columns
    source: Source
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    image_sizes: Int | None = None
    detection_area: str | None = None
    crowd_index: Float | None = None

    def count(self, key: str, n: int | np.integer[Any], note: str = "") -> None:
        """Put `n` under `key`, and the `note` with the number in front where there is something to note."""
        self.counts[key] = int(n)
        if n and note:
            self.notes.append(f"{int(n):,} {note}")


def read_ground_truth(
    source: GroundTruthInput,
    iou_type: IouType,
    *,
    missing_area: MissingArea = "refuse",
    keypoints: Joints = 17,
    crowd_index: bool = False,
    task: str | None = None,
) -> Reading[GroundTruth]:
    """Read annotated objects.

    Parameters
    ----------
    source
        Path to the JSON (or gzipped JSON) file, or its content.
    iou_type : {"bbox", "segm", "boundary", "keypoints"}
        What is to be compared, hence what is read.
    missing_area : {"refuse", "box", "unused"}
        What to do about an annotation without ``area``: refuse it, or take width times height of its box. Keypoints:
        "unused" reads no areas, for rules that take their own; in the columns they are NaN.
    keypoints
        The number of keypoints that every object has; None for however many the first one has. Or, for objects in
        parts, the fields that hold them and the number in each: their keypoints stand one after another in the columns,
        and ``num_keypoints`` is not read.
    crowd_index
        Read how much people overlap in each image, its ``crowdIndex``.
    task
        Whose files messages take these for; None: those of the ``coco`` task of the iou_type.

    Returns
    -------
    Reading of GroundTruth
        Counts: ``images``, ``categories``, ``annotations``, ``crowd``, ``explicit_ignore``, ``id_zero``,
        ``missing_iscrowd``, ``missing_area``, ``duplicate_category_names``; of boxes ``zero_size_annotations``; of
        keypoints ``missing_num_keypoints``, ``num_keypoints_differ``.

    Raises
    ------
    FormatError
        The input is not such a ground truth; the message names the first problem's place.
    InputError
        An argument is none of the above.

    Examples
    --------
    >>> reading = read_ground_truth({"images": [{"id": 7}], "categories": [], "annotations": []}, "bbox")
    >>> reading.columns.image_ids.tolist(), reading.counts["annotations"]
    ([7], 0)
    """
    _check_arguments(iou_type, keypoints, missing_area)
    document = Document(source, "gt")
    options = GroundTruthOptions(iou_type, missing_area, _parts(keypoints), crowd_index)
    result = _ground_truth(document, options)
    if isinstance(result, Reading):
        return result
    raise refuse(result, _listing(document, task or f"coco.{iou_type}", "check_ground_truth"))


def check_ground_truth(
    source: GroundTruthInput,
    iou_type: IouType,
    *,
    missing_area: MissingArea = "refuse",
    keypoints: Joints = 17,
    crowd_index: bool = False,
) -> list[Problem]:
    """Every problem for which `read_ground_truth` would refuse `source`; parameters as there."""
    _check_arguments(iou_type, keypoints, missing_area)
    try:
        options = GroundTruthOptions(iou_type, missing_area, _parts(keypoints), crowd_index)
        result = _ground_truth(Document(source, "gt"), options)
    except FormatError as error:
        return [Problem(error.where, error.message)]
    return [] if isinstance(result, Reading) else result


def read_detections(
    source: DetectionInput,
    gt: GroundTruth,
    iou_type: IouType,
    *,
    sizes: Int | None = None,
    box_masks: bool = False,
    detection_area: DetectionArea = "auto",
    keypoints: Joints = 17,
    part_scores: Sequence[str] = (),
    task: str | None = None,
) -> Reading[Detections]:
    """Read scored objects, detections of `gt`'s images.

    Where boxes are compared and the records have none, boxes are those around their masks (run lengths, not polygons)
    or else around their keypoints, as in pycocotools; this is noted.

    Parameters
    ----------
    source
        Path to the JSON (or gzipped JSON) file, or its content: a list of records. Or path to a file of columns,
        Parquet or ``.npz``: `cvbench.io.columnar`.
    gt
        The ground truth, which says what images and categories there are.
    iou_type : {"bbox", "segm", "boundary", "keypoints"}
        What is to be compared, hence what is read.
    sizes : (I, 2) array of int64
        Height and width of the images, as `read_ground_truth` gives them; needed for masks.
    box_masks
        Masks: take the filled box of a record without ``segmentation``. pycocotools does so unasked.
    detection_area : {"auto", "box", "mask", "keypoints"}
        Where a detection's area comes from, which decides whether an unmatched detection belongs to an area range.
        "box": width times height; "mask": pixels of the mask; "keypoints": width times height of the extent of all
        keypoints, in objects of several parts of those of the first part. "auto" is pycocotools' choice: the box if the
        records have (non-empty) boxes, whatever is compared, otherwise the mask or the keypoints.
    keypoints
        The number of keypoints of every detection; None for as many as `gt` has. Or parts, as in `read_ground_truth`.
    part_scores
        Fields with further scores; where a record lacks one, its ``score`` is taken, which is counted and noted.
    task
        Whose files messages take these for; None: those of the ``coco`` task of the iou_type.

    Returns
    -------
    Reading of Detections
        Counts: ``detections`` (records in the file), ``dropped_unknown_category``,
        ``images_without_detections``; of boxes ``zero_size_detections``; of masks ``box_masks``; of each field of
        `part_scores` ``missing_`` and its name.

    Raises
    ------
    FormatError
        The input is not such a list; the message names the first problem's place.
    InputError
        An argument is none of the above.

    Examples
    --------
    >>> gt = read_ground_truth({"images": [{"id": 7}], "categories": [{"id": 1}], "annotations": []}, "bbox")
    >>> records = [{"image_id": 7, "category_id": 1, "bbox": [0, 0, 20, 10], "score": 0.5}]
    >>> read_detections(records, gt.columns, "bbox").columns.area.tolist()
    [200.0]
    """
    options = _options(iou_type, sizes, box_masks, detection_area, keypoints, gt, part_scores)
    if iou_type in ("segm", "boundary") and sizes is None:
        raise InputError("masks need the sizes of their images; pass sizes=reading.image_sizes of the ground truth")
    document = column_file(source) or Document(source, "pred")
    result = _detections(document, gt, options)
    if isinstance(result, Reading):
        return result
    raise refuse(result, _listing(document, task or f"coco.{iou_type}", "check_detections"))


def check_detections(
    source: DetectionInput,
    gt: GroundTruth | None,
    iou_type: IouType,
    *,
    sizes: Int | None = None,
    box_masks: bool = False,
    detection_area: DetectionArea = "auto",
    keypoints: Joints = 17,
    part_scores: Sequence[str] = (),
) -> list[Problem]:
    """Every problem for which `read_detections` would refuse `source`; parameters as there.

    Without a `gt`, records are checked by themselves; without `sizes`, masks by their form alone.
    """
    options = _options(iou_type, sizes, box_masks, detection_area, keypoints, gt, part_scores)
    try:
        document = column_file(source) or Document(source, "pred")
        if gt is None or (sizes is None and iou_type in ("segm", "boundary")):
            options = _with_box_source(document, options)
            return list(_detection_problems(document, gt, options))
        result = _detections(document, gt, options)
    except FormatError as error:
        return [Problem(error.where, error.message)]
    return [] if isinstance(result, Reading) else result


# Ground truth --------------------------------------------------------------------------------------------------------


def _ground_truth(document: Document, options: GroundTruthOptions) -> Reading[GroundTruth] | list[Problem]:
    try:
        return _ground_truth_columns(document, options)
    except Refused:
        return _found(ground_truth_problems(document.tree(), document.name, options))


def _ground_truth_columns(document: Document, options: GroundTruthOptions) -> Reading[GroundTruth]:
    data = None
    if document.is_large:
        from cvbench.io.coco_scan import scanned_dataset  # brings numba, which small files do without

        data = scanned_dataset(document, options)
    data = data or _decoded_dataset(document, options)
    n = len(data.id)
    require(len(np.unique(data.id)) == n)
    require((data.image >= 0).all() and (data.category >= 0).all())
    id_zero = data.id == 0
    labelled = data.labelled
    if labelled is not None and data.points is not None:
        visible = np.count_nonzero(data.points[:, :, 2] > 0, axis=1)
        require((labelled <= data.points.shape[1]).all())
        missing_labelled = np.count_nonzero(labelled < 0)
        different = np.count_nonzero((labelled >= 0) & (labelled != visible))
        labelled = np.where(labelled < 0, visible, labelled)

    rows, offsets = by_image(data.image, len(data.image_ids))
    columns = GroundTruth(
        image_ids=data.image_ids,
        category_ids=data.category_ids,
        category_names=data.category_names,
        offsets=offsets,
        category=data.category,
        area=data.area,
        crowd=data.crowd,
        ignore=data.ignore,
        id_zero=id_zero,
        boxes=data.boxes,
        masks=data.masks,
        keypoints=data.points,
        num_keypoints=labelled,
    )
    columns = columns if rows is None else take_rows(columns, rows, offsets)
    reading = Reading(columns, document.source, image_sizes=data.sizes, crowd_index=data.crowd_index)

    several = f"of {n:,} annotations"
    reading.count("images", len(data.image_ids))
    reading.count("categories", len(data.category_ids))
    reading.count("annotations", n)
    reading.count("crowd", np.count_nonzero(data.crowd))
    reading.count("missing_iscrowd", data.missing_crowd, f"{several} have no iscrowd: taken for 0")
    reading.count("explicit_ignore", np.count_nonzero(data.ignore))
    reading.count("id_zero", np.count_nonzero(id_zero))
    reading.count("missing_area", data.missing_area, f"{several} have no area: width x height of the box is taken")
    if options.iou_type == "bbox" and data.boxes is not None:
        reading.count("zero_size_annotations", zero_sizes(data.boxes))
    if labelled is not None:
        counted = f"{several} have no num_keypoints: labelled keypoints are counted"
        reading.count("missing_num_keypoints", missing_labelled, counted)
        taken = f"{several} have a num_keypoints that is not the number of their labelled keypoints: it is taken"
        reading.count("num_keypoints_differ", different, taken)
    names = data.category_names
    same = f"of {len(names):,} categories have the name of another one"
    reading.count("duplicate_category_names", len(names) - len(set(names)), same)
    if document.relaxed:
        reading.notes.append(RELAXED.format(document.name))
    return reading


def _decoded_dataset(document: Document, options: GroundTruthOptions) -> Dataset:
    iou_type = options.iou_type
    forms = {
        "images": struct_of("Image", image_fields(options)),
        "categories": struct_of("Category", category_fields()),
        "annotations": struct_of("Annotation", annotation_fields(options)),
    }
    data: Any = document.decode(msgspec.defstruct("Dataset", [(key, list_of(form)) for key, form in forms.items()]))
    require(data is not None)
    image_ids, image_order = id_column(data.images)
    category_ids, category_names = category_columns(data.categories)
    records = data.annotations
    ids = list(map(attrgetter("id"), records))
    require_64_bits(ids)
    image = index_column(records, "image_id", index_of(image_ids))
    crowd, missing_crowd = flag_column(records, "iscrowd")
    area, missing_area = np.full(len(records), np.nan), 0
    if options.missing_area != "unused":
        area, missing_area = area_column(records, options.missing_area == "box")
    masks = sizes = None
    if iou_type in ("segm", "boundary"):
        sizes = size_column(data.images)[image_order]
        require((image >= 0).all())
        masks = mask_column(records, sizes[image], None)
    in_parts = iou_type == "keypoints" and len(options.parts) > 1
    return Dataset(
        image_ids=image_ids,
        sizes=sizes,
        crowd_index=number_column(data.images, "crowdIndex")[image_order] if options.crowd_index else None,
        category_ids=category_ids,
        category_names=category_names,
        id=np.array(ids, np.int64),
        image=image,
        category=index_column(records, "category_id", index_of(category_ids)),
        crowd=crowd,
        missing_crowd=missing_crowd,
        ignore=flag_column(records, "ignore")[0],
        area=area,
        missing_area=missing_area,
        boxes=box_column(records) if iou_type in ("bbox", "keypoints") else None,
        masks=masks,
        points=keypoint_column(records, options.parts) if iou_type == "keypoints" else None,
        labelled=labelled_column(records) if iou_type == "keypoints" and not in_parts else None,
    )


# Detections ----------------------------------------------------------------------------------------------------------


def _detections(
    document: Document | ColumnFile, gt: GroundTruth, options: DetectionOptions
) -> Reading[Detections] | list[Problem]:
    try:
        return _detection_columns(document, gt, options)
    except Refused:
        other = _with_box_source(document, options)
        if other != options:
            return _detections(document, gt, other)
        return _found(_detection_problems(document, gt, options))


def _detection_problems(
    document: Document | ColumnFile, gt: GroundTruth | None, options: DetectionOptions
) -> Iterator[Problem]:
    if isinstance(document, ColumnFile):
        return document.problems(gt, options)
    return detection_problems(document.tree(), document.name, gt, options)


def _detection_columns(
    document: Document | ColumnFile, gt: GroundTruth, options: DetectionOptions
) -> Reading[Detections]:
    found = document.part(gt, options) if isinstance(document, ColumnFile) else _decoded(document, gt, options)
    boxes, area, area_from = _areas(found, options)

    unknown = found.category < 0
    known = np.flatnonzero(~unknown) if unknown.any() else None
    kept = found.image if known is None else found.image[known]
    order, offsets = by_image(kept, len(gt.image_ids))
    rows = known if order is None else order if known is None else known[order]
    masks, points = (None, None) if options.iou_type == "bbox" else (found.masks, found.points)
    columns = Detections(offsets, found.category, found.score, area, boxes, masks, points, found.scores)
    columns = columns if rows is None else take_rows(columns, rows, offsets)

    n, dropped = len(unknown), len(unknown) - len(kept)
    reading = Reading(columns, document.source, detection_area=area_from)
    reading.count("detections", n)
    if n == 0:
        reading.notes.append("there are no detections")
    listed = ", ".join(map(str, sorted(found.unknown)[:5])) + (", ..." if len(found.unknown) > 5 else "")
    lacking = f"of {n:,} detections have a category that the ground truth lacks ({listed}) and are dropped"
    reading.count("dropped_unknown_category", dropped, lacking)
    reading.count("images_without_detections", np.count_nonzero(np.diff(offsets) == 0))
    if boxes is not None:
        reading.count("zero_size_detections", zero_sizes(boxes))
    if masks is not None:
        reading.count("box_masks", found.box_masks, f"of {n:,} detections have no mask: the filled box is taken")
    lacking_scores: dict[int, list[str]] = {}
    for name, missing in zip(options.scores, found.missing_scores.tolist(), strict=True):
        reading.count(f"missing_{name}", missing)
        lacking_scores.setdefault(missing, []).append(name)
    for missing, fields in lacking_scores.items():
        if missing:
            said = f"{missing:,} of {n:,} detections have no {', '.join(fields)}: their score is taken"
            reading.notes.append(said)
    if options.iou_type != "bbox" and options.area == "auto" and area_from == "box":
        reading.notes.append(AREA_BY_BOX.format(options.shape))
    if options.box_from != "box":
        shape = "masks, areas those of the masks" if options.box_from == "mask" else "keypoints"
        reading.notes.append(f"no detection has a box: boxes are those around the {shape}, as in pycocotools")
    if document.relaxed:
        reading.notes.append(RELAXED.format(document.name))
    return reading


def _decoded(document: Document, gt: GroundTruth, options: DetectionOptions) -> Part:
    if document.is_large:
        from cvbench.io.coco_scan import scanned_detections  # brings numba, which small files do without

        part = scanned_detections(document, gt, options)
        if part is not None:
            return part
    images, categories = index_of(gt.image_ids), index_of(gt.category_ids)
    parts = document.decode_list(
        struct_of("Detection", detection_fields(options)), lambda records: _part(records, images, categories, options)
    )
    if parts is None:
        raise Refused
    return joined_parts(parts)


def _part(
    records: Sequence[Any], images: dict[Any, int], categories: dict[Any, int], options: DetectionOptions
) -> Part:
    image = index_column(records, "image_id", images)
    require((image >= 0).all())
    category = index_column(records, "category_id", categories)
    strange = np.flatnonzero(category < 0).tolist()
    score = number_column(records, "score")
    boxes = masks = points = None
    filled = 0
    if options.mixed_boxes or options.box_masks:
        boxes = some_boxes(records)
    elif options.iou_type == "bbox" or options.area == "box":
        boxes = box_column(records)
    if options.shape == "mask":
        masks = mask_column(records, None if options.sizes is None else options.sizes[image], boxes)
        filled = sum(record.segmentation is None for record in records)
    if options.shape == "keypoints":
        points = keypoint_column(records, options.parts)
    scores, missing = score_columns(records, options.scores, score) if options.scores else (None, np.zeros(0, np.int64))
    unknown = frozenset(records[row].category_id for row in strange)
    require_64_bits(unknown)
    return Part(image, category, score, boxes, masks, points, unknown, filled, scores, missing)


def _areas(found: Part, options: DetectionOptions) -> tuple[Float | None, Float, str]:
    """The boxes that are compared (None where boxes are not), the areas, and where these come from."""
    n = len(found.image)
    boxed = 0 if found.boxes is None else np.count_nonzero(~np.isnan(found.boxes[:, 0]))
    require(not options.mixed_boxes or boxed in (0, n))
    require(options.box_from == "box" or boxed == 0)
    compared = options.iou_type == "bbox"
    by_box = options.shape == "box" or options.area == "box" or (options.area == "auto" and 0 < boxed == n)
    if by_box and found.boxes is not None:
        return found.boxes if compared else None, box_areas(found.boxes), "box"
    if found.masks is not None:
        return mask_boxes(found.masks) if compared else None, mask_areas(found.masks), "mask"
    assert found.points is not None, "there is always a shape"
    first = found.points if len(options.parts) == 1 else found.points[:, : options.parts[0][1]]
    extents = keypoint_boxes(first) if found.extents is None else found.extents
    return extents if compared else None, box_areas(extents), "keypoints"


class _Probe(msgspec.Struct):
    """What a record of detections has, whatever it looks like."""

    bbox: Any = None
    segmentation: Any = None
    keypoints: Any = None


def _with_box_source(document: Document | ColumnFile, options: DetectionOptions) -> DetectionOptions:
    """The options with the source of boxes that the first record suggests, in the order in which pycocotools looks.

    Unchanged where boxes are not compared, where the source was chosen already, and where any record has a box.
    """
    if options.iou_type != "bbox" or options.box_from != "box":
        return options
    if isinstance(document, ColumnFile):
        return replace(options, box_from=document.box_source or "box")
    records = document.decode(list[_Probe])
    if not records or any(record.bbox for record in records):
        return options
    if records[0].segmentation is None and records[0].keypoints is None:
        return options
    return replace(options, box_from="keypoints" if records[0].segmentation is None else "mask")


# Both ----------------------------------------------------------------------------------------------------------------


def _found(problems: Iterator[Problem]) -> list[Problem]:
    found = list(problems)
    assert found, "the fast reader refused what the slow one finds nothing wrong with"
    return found


def _options(
    iou_type: IouType,
    sizes: Int | None,
    box_masks: bool,
    area: DetectionArea,
    keypoints: Joints,
    gt: GroundTruth | None,
    scores: Sequence[str],
) -> DetectionOptions:
    _check_arguments(iou_type, keypoints, area=area)
    if box_masks and iou_type not in ("segm", "boundary"):
        raise InputError(f"box_masks is for masks; iou_type is {iou_type!r}")
    if iou_type == "bbox":
        sizes = None
    if iou_type != "keypoints":
        keypoints = None
    elif keypoints is None and gt is not None and gt.keypoints is not None and len(gt):
        keypoints = gt.keypoints.shape[1]
    return DetectionOptions(iou_type, sizes, box_masks, area, _parts(keypoints), tuple(scores))


def _parts(keypoints: Joints) -> Parts:
    return tuple(keypoints.items()) if isinstance(keypoints, Mapping) else (("keypoints", keypoints),)


def _check_arguments(iou_type: str, keypoints: Joints, missing_area: str = "refuse", area: str = "auto") -> None:
    _check_choice("iou_type", iou_type, get_args(IouType))
    _check_choice("missing_area", missing_area, get_args(MissingArea))
    _check_choice(f"detection_area of {iou_type}", area, AREAS[iou_type])
    if missing_area == "unused" and iou_type != "keypoints":
        raise InputError(f"missing_area=unused is for keypoints; iou_type is {iou_type!r}")
    if not keypoints and keypoints is not None:
        raise InputError(f"keypoints is {keypoints}, expected a number of keypoints from 1, or None")
    for name, joints in _parts(keypoints):
        if joints is not None and joints < 1:
            raise InputError(f"{name} is {joints}, expected a number of keypoints from 1, or None")


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        near = suggestion(str(value), choices)
        hint = f"; did you mean {near!r}?" if near else ""
        raise InputError(f"{name} is {value!r}, expected one of {', '.join(choices)}{hint}")


def _listing(document: Document | ColumnFile, task: str, function: str) -> str:
    """What lists all problems of the document."""
    if document.path is None:
        return f"cvbench.io.{function}"
    files = f"GT {document.name}" if function == "check_detections" else document.name
    return f"cvbench check {task} {files}"
