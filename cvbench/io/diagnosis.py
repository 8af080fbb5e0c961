"""The slow look at a COCO document that could not be read: every problem of every record, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cvbench.columns import GroundTruth
from cvbench.errors import InputError
from cvbench.io.fields import (
    DetectionOptions,
    Field,
    GroundTruthOptions,
    Parts,
    annotation_fields,
    box_rule,
    category_fields,
    detection_fields,
    id_rule,
    image_fields,
    image_id_rule,
    pixels_rule,
    problems_in,
    rle_rule,
    segmentation_rule,
)
from cvbench.io.problems import Problem, shown

SWAPPED = "are ground truth and predictions swapped?"


def ground_truth_problems(tree: Any, name: str, options: GroundTruthOptions) -> Iterator[Problem]:
    """What keeps `tree` from being a ground truth; nothing where `read_ground_truth` reads it.

    Parameters
    ----------
    tree
        The whole document as plain Python objects.
    name
        What messages call it.
    options
    """
    iou_type, missing_area = options.iou_type, options.missing_area
    if not isinstance(tree, dict):
        yield Problem(name, _not_ground_truth(tree))
        return
    whole = True
    for key in ("images", "categories", "annotations"):
        if not isinstance(tree.get(key), list):
            whole = False
            found = (
                f"found {shown(tree[key])}" if key in tree else f"missing; the file has {', '.join(tree) or 'nothing'}"
            )
            yield Problem(f"{name}.{key}", f"{found}; expected a list")
    if not whole:
        return
    images: dict[object, int] = {}
    yield from _records(tree["images"], f"{name}.images", image_fields(options), images)
    yield from _one_type(tree["images"], f"{name}.images")
    categories: dict[object, int] = {}
    yield from _records(tree["categories"], f"{name}.categories", category_fields(), categories)
    records = tree["annotations"]
    fields = annotation_fields(replace(options, parts=_known_parts(options.parts, records)))
    sizes = {
        _hashable(image.get("id")): (image.get("height"), image.get("width")) for image in _objects(tree["images"])
    }
    for where, record, problems in _each(records, f"{name}.annotations", fields, {}):
        yield from problems
        if record is None:
            continue
        yield from _known_image(record, where, images, "this file")
        category = record.get("category_id")
        if id_rule(category) is None and category not in categories:
            yield Problem(
                f"{where}.category_id",
                f"category {category} is not among the {len(categories):,} categories of this file",
            )
        if missing_area == "box" and iou_type != "bbox" and "area" not in record and "bbox" not in record:
            yield Problem(f"{where}.area", "missing, and there is no bbox to take it from")
        if iou_type in ("segm", "boundary"):
            yield from _mask(record, where, sizes.get(_hashable(record.get("image_id"))))


def detection_problems(tree: Any, name: str, gt: GroundTruth | None, options: DetectionOptions) -> Iterator[Problem]:
    """What keeps `tree` from being detections; nothing where `read_detections` reads it.

    Parameters
    ----------
    tree
        The whole document as plain Python objects.
    name
        What messages call it.
    gt
        Without it, image ids only have to be of one type.
    options
    """
    if not isinstance(tree, list):
        yield Problem(name, _not_results(tree))
        return
    images = None if gt is None else {image: index for index, image in enumerate(gt.image_ids.tolist())}
    if images is None:
        yield from _one_type(tree, name, "image_id")
    options = replace(options, parts=_known_parts(options.parts, tree))
    boxed: tuple[str, bool] | None = None
    for where, record, problems in _each(tree, name, detection_fields(options), None):
        yield from problems
        if record is None:
            continue
        if images is not None:
            yield from _known_image(record, where, images, "the ground truth")
        box = record.get("bbox", []) != []
        if options.mixed_boxes:
            boxed = boxed or (where, box)
            if box != boxed[1]:
                yield Problem(f"{where}.bbox", _mixed(box, boxed[0]))
        yield from _detection_mask(record, where, images, options)


def _detection_mask(
    record: dict[str, Any], where: str, images: dict[Any, int] | None, options: DetectionOptions
) -> Iterator[Problem]:
    """What is wrong with the mask of a detection, or with the box that stands in for it."""
    if options.box_from == "mask":
        size = record["segmentation"]["size"] if rle_rule(record.get("segmentation")) is None else None
        yield from _mask(record, where, size)
    if options.iou_type not in ("segm", "boundary"):
        return
    row = None if images is None else images.get(_hashable(record.get("image_id")))
    size = None if row is None or options.sizes is None else options.sizes[row].tolist()
    yield from _mask(record, where, size)
    if options.box_masks and "segmentation" not in record:
        if record.get("bbox", []) == []:
            yield Problem(f"{where}.segmentation", "missing, and there is no bbox to take it from")
        elif size is not None and box_rule(record["bbox"]) is None:
            yield from _box_mask(record["bbox"], where, size)


def _known_parts(parts: Parts, records: Sequence[Any]) -> Parts:
    """The parts, their numbers of keypoints filled in from the records where any number would do."""
    return tuple((name, _joints_of(name, records) if joints is None else joints) for name, joints in parts)


def _joints_of(name: str, records: Sequence[Any]) -> int | None:
    """The number of keypoints of the first record that has a list of them under this name; None where none has."""
    for record in _objects(records):
        keypoints = record.get(name)
        if isinstance(keypoints, list) and keypoints and len(keypoints) % 3 == 0:
            return len(keypoints) // 3
    return None


def mask_problem(segmentation: Any, size: Sequence[int]) -> str | None:
    """Why a segmentation that has the right form makes no mask of this height and width."""
    from cvbench.metrics import masks as codec  # brings numba, which boxes do without

    sizes = np.array([size], np.int64)
    try:
        if isinstance(segmentation, list):
            codec.masks_from_polygons([segmentation], sizes)
            return None
        counts = segmentation["counts"]
        if segmentation["size"] != list(size):
            found = f"size: found {shown(segmentation['size'])}"
            return f"{found}, expected that of the image, [height, width] = [{size[0]}, {size[1]}]"
        if isinstance(counts, list):
            codec.masks_from_counts([counts], sizes)
        else:
            codec.masks_from_strings([counts], sizes)
    except InputError as error:
        return f"counts: {error.message}" if isinstance(segmentation, dict) else error.message
    return None


# Parts ---------------------------------------------------------------------------------------------------------------


def _each(
    records: Sequence[Any], name: str, fields: Sequence[Field], ids: dict[object, int] | None
) -> Iterator[tuple[str, dict[str, Any] | None, list[Problem]]]:
    """Each record's place, the record (None unless it is an object) and the problems of its fields.

    With `ids`, also ids that an earlier record has; the dict is filled with the ids and the records that have them.
    """
    for index, record in enumerate(records):
        where = f"{name}[{index}]"
        if not isinstance(record, dict):
            expected = ", ".join(field.name for field in fields if field.required)
            yield where, None, [Problem(where, f"found {shown(record)}, expected an object with {expected}")]
            continue
        problems = list(problems_in(record, where, fields))
        if ids is not None and image_id_rule(record.get("id")) is None:
            first = ids.setdefault(record["id"], index)
            if first != index:
                problems.append(
                    Problem(f"{where}.id", f"found {shown(record['id'])} again; {name}[{first}] has the same id")
                )
        yield where, record, problems


def _records(records: Sequence[Any], name: str, fields: Sequence[Field], ids: dict[object, int]) -> Iterator[Problem]:
    for _, _, problems in _each(records, name, fields, ids):
        yield from problems


def _objects(records: Sequence[Any]) -> Iterator[dict[str, Any]]:
    return (record for record in records if isinstance(record, dict))


def _hashable(value: Any) -> Any:
    return value if isinstance(value, (str, int)) else None


def _kind(value: object) -> str:
    return "a string" if isinstance(value, str) else "an integer"


def _one_type(records: Sequence[Any], name: str, key: str = "id") -> Iterator[Problem]:
    """Image ids that are not of the type of the first one."""
    first: tuple[int, object] | None = None
    for index, record in enumerate(records):
        value = record.get(key) if isinstance(record, dict) else None
        if image_id_rule(value) is not None:
            continue
        first = first or (index, value)
        if isinstance(value, str) != isinstance(first[1], str):
            found = f"found {shown(value)}, {_kind(value)}, but {name}[{first[0]}].{key} is {_kind(first[1])}"
            yield Problem(f"{name}[{index}].{key}", f"{found}; image ids must all be of one type")


def _known_image(record: dict[str, Any], where: str, images: dict[Any, int], owner: str) -> Iterator[Problem]:
    image = record.get("image_id")
    if image_id_rule(image) is not None or image in images:
        return
    first = next(iter(images), None)
    if first is not None and isinstance(first, str) != isinstance(image, str):
        found = f"found {shown(image)}, {_kind(image)}, but image ids in {owner} are {_kind(first)[2:].strip()}s"
        message = f"{found} (the first is {shown(first)}); image ids must all be of one type"
    else:
        message = f"image {shown(image)} is not among the {len(images):,} images of {owner}"
        if owner != "this file":
            message += "; do the two files belong to the same set?"
    yield Problem(f"{where}.image_id", message)


def _mask(record: dict[str, Any], where: str, size: Sequence[Any] | None) -> Iterator[Problem]:
    """A segmentation of the right form that does not fit its image; nothing where the size is unknown or unsound."""
    segmentation = record.get("segmentation")
    if size is None or any(pixels_rule(length) is not None for length in size):
        return
    if segmentation is not None and segmentation_rule(segmentation) is None:
        message = mask_problem(segmentation, size)
        if message is not None:
            yield Problem(f"{where}.segmentation", message)


def _box_mask(box: Any, where: str, size: Sequence[int]) -> Iterator[Problem]:
    from cvbench.metrics.masks import masks_from_boxes  # brings numba, which boxes do without

    try:
        masks_from_boxes([box], [size])
    except InputError as error:
        yield Problem(f"{where}.bbox", error.message)


def _mixed(box: bool, first: str) -> str:
    here, there = ("a box", "has none") if box else ("no box", "has one")
    rule = "areas are those of the boxes or those of the shapes, for all alike"
    return f"this record has {here}, but {first} {there}; {rule}: give all a box or none, or choose detection_area"


def _not_ground_truth(tree: Any) -> str:
    expected = "expected an object with images, categories and annotations"
    if isinstance(tree, list):
        if any("score" in record for record in _objects(tree)):
            return f"found a list of results; {SWAPPED} ({expected})"
        return f"found a list, {expected}"
    return f"found {shown(tree)}, {expected}"


def _not_results(tree: Any) -> str:
    expected = "expected a list of results [{image_id, category_id, score, ...}, ...]"
    if isinstance(tree, dict):
        keys = ", ".join(map(str, tree)) or "nothing in it"
        if "annotations" in tree:
            return f"found an object with {keys}, which looks like a ground truth; {SWAPPED} ({expected})"
        return f"found an object with {keys}, {expected}; write the list alone"
    return f"found {shown(tree)}, {expected}"
