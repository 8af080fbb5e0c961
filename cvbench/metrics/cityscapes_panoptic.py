"""Segments of Cityscapes' maps of instance ids, as the benchmark's own conversion to panoptic files finds them.

An id of 1000 or more is an instance, 1000 times the label plus a number. A smaller one is the label itself: one segment
of stuff, or a group of things, which is a crowd in the ground truth. Labels that are not evaluated are void.

Reference: cityscapesScripts, ``preparation/createPanopticImgs.py``, with label ids for categories.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Bool, Int, Overlaps, Segments, image_of_rows, offsets_of
from cvbench.metrics.cityscapes import INSTANCE, LABELS
from cvbench.metrics.panoptic_quality import regrouped

_CATEGORIES = tuple(label for label in LABELS if label.evaluated)


def instance_problems(overlaps: Overlaps) -> tuple[list[str], list[str]]:
    """What is wrong with the ids of the ground truth, and with those of the predictions, in sentences.

    Parameters
    ----------
    overlaps
        Of one image.

    Returns
    -------
    gt, pred : list of str
        One sentence for each id that is neither a label nor an instance, with its pixels. An evaluated label without
        instances has none; what is not evaluated is void, whatever its number.
    """
    sides = []
    for ids in (overlaps.gt, overlaps.pred):
        strange = ~_is_label(ids) & ~_is_instance(ids)
        values, place = np.unique(ids[strange], return_inverse=True)
        pixels = np.zeros(len(values), np.int64)
        np.add.at(pixels, place, overlaps.pixels[strange])
        sides.append(
            [
                f"has the id {value} in {n:,} pixels; expected a label of 0 to 33, or 1000 times one with instances "
                "plus a number"
                for value, n in zip(values.tolist(), pixels.tolist(), strict=True)
            ]
        )
    return sides[0], sides[1]


def _is_label(ids: Int) -> Bool:
    return (ids >= 0) & (ids < len(LABELS))


def _is_instance(ids: Int) -> Bool:
    label = np.clip(ids // INSTANCE, 0, len(LABELS) - 1)
    allowed: Bool = np.array([one.instances or not one.evaluated for one in LABELS])[label]
    return (ids >= INSTANCE) & (ids // INSTANCE < len(LABELS)) & allowed


def without_void(overlaps: Overlaps) -> Overlaps:
    """The overlaps of one image with id 0 for all labels that are not evaluated."""
    evaluated = np.array([label.evaluated for label in LABELS])
    gt, pred = (np.where(evaluated[_label_of(ids)], ids, 0) for ids in (overlaps.gt, overlaps.pred))
    return regrouped(Overlaps(overlaps.offsets, gt, pred, overlaps.pixels, overlaps.bands))


def _label_of(ids: Int) -> Int:
    return np.where(ids < INSTANCE, ids, ids // INSTANCE)


def segments_of(overlaps: Overlaps, image_ids: NDArray[Any]) -> tuple[Segments, Segments]:
    """The segments of ground truth and predictions.

    Parameters
    ----------
    overlaps
        Of I images, each from `without_void`.
    image_ids : (I,) int64 or str, ascending

    Returns
    -------
    gt, pred : Segments
        Categories are the 19 evaluated labels under their ids; areas are those of the maps.
    """
    image = image_of_rows(overlaps.offsets)
    return _segments(image, overlaps.gt, overlaps.pixels, image_ids, True), _segments(
        image, overlaps.pred, overlaps.pixels, image_ids, False
    )


def _segments(image: Int, ids: Int, pixels: Int, image_ids: NDArray[Any], truth: bool) -> Segments:
    category_ids = np.array([label.id for label in _CATEGORIES], np.int64)
    things = np.array([label.instances for label in _CATEGORIES])
    rows, place = np.unique(np.stack([image, ids], axis=1)[ids != 0], axis=0, return_inverse=True)
    area = np.zeros(len(rows), np.int64)
    np.add.at(area, place.ravel(), pixels[ids != 0])
    category = np.searchsorted(category_ids, _label_of(rows[:, 1]))
    return Segments(
        image_ids=image_ids,
        category_ids=category_ids,
        category_names=tuple(label.name for label in _CATEGORIES),
        things=things,
        offsets=offsets_of(np.bincount(rows[:, 0], minlength=len(image_ids))),
        id=np.ascontiguousarray(rows[:, 1]),
        category=category,
        area=area.astype(np.float64),
        crowd=things[category] & (rows[:, 1] < INSTANCE) & truth,
    )
