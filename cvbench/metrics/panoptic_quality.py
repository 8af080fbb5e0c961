"""Panoptic quality for training loops: id maps with tables of segments, or maps of classes and instances.

An image is one of these, and the ground truth and the prediction need not be of one form:

- ``{"map": ids, "segments": [{"id": 7, "category_id": 1}, ...]}``: ids (H, W), where 0 is void, or (H, W, 3) uint8 as
  in COCO's PNG files, where an id is R + 256 G + 65536 B. Ground-truth segments may have ``iscrowd`` and ``area``;
  further keys are not read. Every id of a predicted map is listed and every listed one is there; ground truths may
  differ in this, which is counted.
- ``{"classes": labels, "instances": numbers}``, both (H, W), or one array (H, W, 2) of the two. Pixels of one class and
  instance are a segment; instances of stuff are not told apart. Pixels of the ground truth whose class is no category
  are void.

Maps are NumPy arrays, torch tensors on any device, or lists, of any integer type. They are reduced to their overlaps at
once and never kept or changed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cvbench.columns import Int, Overlaps, Segments, offsets_of
from cvbench.errors import InputError
from cvbench.kernels import map_ranges
from cvbench.metrics.base import Image, Metric, to_numpy
from cvbench.metrics.boundary import region_bands
from cvbench.metrics.overlaps import Rgb, count_overlaps
from cvbench.metrics.panoptic import VOID, PanopticParams, PanopticState, count, listed_problems, result_of
from cvbench.result import Result

TASK = "coco.panoptic@1"

PanopticImage = Mapping[str, Any] | NDArray[Any]
Categories = Mapping[int, str] | Mapping[int, Mapping[str, Any]] | Sequence[Mapping[str, Any]]

INSTANCES = 1 << 32
"""A segment's id is its class times this, plus its instance and 1."""

RANGES = {"classes": (-(1 << 31) + 1, (1 << 31) - 1), "instances": (0, INSTANCES - 2)}
"""The lowest and the highest class and instance of which such ids are distinct, not 0, and fit into 64 bits."""


class PanopticQuality(Metric[PanopticState]):
    """Panoptic quality of images as they come.

    Parameters
    ----------
    categories
        COCO's list of ``{"id", "name", "isthing"}``, or a mapping from id to such a dict, or from id to name.
    things
        Ids of the categories that have instances; needed where the categories do not say ``isthing``.
    void
        Classes that a prediction may hold though they are no categories: nothing is claimed there. Other unknown
        classes are refused.
    area : {"png", "json"}
        Where the area of a ground truth comes from: its pixels, or the ``area`` of its segment, as panopticapi has it.
    boundary, dilation_ratio
        See `cvbench.metrics.panoptic.PanopticParams`.
    threads
        Threads that count the images of a batch; None for all processors.

    Examples
    --------
    >>> metric = PanopticQuality({1: "person", 2: "sky"}, things=[1])
    >>> gt = {"map": [[7, 7, 9], [7, 9, 9]], "segments": [{"id": 7, "category_id": 1}, {"id": 9, "category_id": 2}]}
    >>> pred = {"classes": [[1, 1, 2], [1, 1, 2]], "instances": [[3, 3, 0], [3, 3, 0]]}
    >>> result = metric.update(gt, pred).compute()
    >>> round(result.values["PQ_things"], 3), round(result.values["PQ_stuff"], 3)
    (0.75, 0.667)

    See Also
    --------
    cvbench.metrics.panoptic : conventions, what is undefined, references.
    """

    def __init__(
        self,
        categories: Categories,
        *,
        things: Iterable[int] | None = None,
        void: int | Iterable[int] = (),
        area: Literal["json", "png"] = "png",
        boundary: bool = False,
        dilation_ratio: float = 0.02,
        threads: int | None = None,
    ) -> None:
        self.params = PanopticParams(area, boundary, dilation_ratio)
        self.categories, self.things = _read_categories(categories, things)
        self.void = sorted({_integer(value, "void") for value in (void if isinstance(void, Iterable) else [void])})
        for label in self.void:
            if label in self.categories:
                raise InputError(f"void names {label}, which is the category {self.categories[label]!r}")
        self.threads = threads
        super().__init__()

    def update(
        self,
        gt: PanopticImage | Sequence[PanopticImage],
        pred: PanopticImage | Sequence[PanopticImage],
        image_id: int | str | Sequence[int | str] | None = None,
    ) -> PanopticQuality:
        """Add an image, or a batch of images: a list of them, or one array (B, H, W, 2).

        Parameters
        ----------
        gt, pred
            See `cvbench.metrics.panoptic_quality`.
        image_id
            The id of the image, or those of a batch; else the ``image_id`` of the ground truth's dict.

        Raises
        ------
        InputError
            If something is missing, of another shape or type than expected, or names an unknown category; if the map
            and the segments of a prediction do not hold the same ids. The message says where. Nothing of the batch is
            then added.
        """
        truths, found = _images(gt, "gt"), _images(pred, "pred")
        if len(truths) != len(found):
            raise InputError(f"there are {len(truths)} images in gt and {len(found)} in pred; expected as many")
        single = len(truths) == 1 and not isinstance(gt, (list, tuple))
        places = [""] if single else [f"[{i}]" for i in range(len(truths))]
        ids = _image_ids(truths, image_id, single)
        arrays: list[dict[str, NDArray[Any]]] = [{} for _ in truths]

        def reduce(start: int, stop: int) -> None:
            for i in range(start, stop):
                arrays[i] = self._reduce(truths[i], found[i], places[i])

        map_ranges(reduce, len(truths), self.threads)
        self._add(ids, arrays)
        return self

    def compute(self, weights: NDArray[Any] | Mapping[Any, int] | None = None) -> Result:
        """Score all images so far; more may follow.

        Parameters
        ----------
        weights
            How many times each image counts: integers along ``metric.state.image_ids``, or a mapping from image id;
            None: once.
        """
        return result_of(self.state, TASK, self.categories, weights=weights)

    def _reduce(self, gt: PanopticImage, pred: PanopticImage, place: str) -> dict[str, NDArray[Any]]:
        """What counting needs of an image: its segments and its overlaps."""
        truth, guess = self._side(gt, f"gt{place}", True), self._side(pred, f"pred{place}", False)
        bands = None
        if self.params.boundary:
            ratio = self.params.dilation_ratio
            bands = region_bands(truth.ids, ratio), region_bands(guess.ids, ratio)
        overlaps = count_overlaps(truth.ids, guess.ids, bands=bands, where=f"pred{place}.map")
        truth, overlaps = self._settled(truth, overlaps, "gt")
        guess, overlaps = self._settled(guess, overlaps, "pred")
        problems = listed_problems(overlaps.pred, overlaps.pixels, guess.id)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise InputError(problems[0] + more, where=guess.where)
        arrays: dict[str, NDArray[Any]] = {
            "gt_id": truth.id,
            "gt_category": truth.category,
            "gt_area": truth.area,
            "gt_crowd": truth.crowd,
            "pred_id": guess.id,
            "pred_category": guess.category,
            "gt": overlaps.gt,
            "pred": overlaps.pred,
            "pixels": overlaps.pixels,
        }
        return arrays if overlaps.bands is None else arrays | {"bands": overlaps.bands}

    def _side(self, image: Any, where: str, true: bool) -> _Side:
        """The ground truth or the prediction, checked as far as it goes without the pixels of its segments."""
        if not isinstance(image, Mapping):
            array = to_numpy(image)
            if array.ndim != 3 or array.shape[2] != 2:
                raise InputError(f"has shape {array.shape}; expected {FORMS}", where=where)
            image = {"classes": array[..., 0], "instances": array[..., 1]}
        if "classes" in image:
            return self._labelled(image, where)
        for name in ("map", "segments"):
            if name not in image:
                raise InputError(f"has no {name!r}; it has {', '.join(map(str, image))}; expected {FORMS}", where=where)
        ids = image["map"] if isinstance(image["map"], Rgb) else to_numpy(image["map"])
        if not isinstance(ids, Rgb) and ids.ndim == 3 and ids.shape[2] == 3 and ids.dtype == np.uint8:
            ids = Rgb(ids)
        if len(ids.shape) != 2:
            raise InputError(f"has shape {ids.shape}; expected (H, W), or (H, W, 3) uint8", where=f"{where}.map")
        segments = image["segments"]
        if not isinstance(segments, (list, tuple)) or not all(isinstance(segment, Mapping) for segment in segments):
            raise InputError("expected a list of dicts with id and category_id", where=f"{where}.segments")
        places = [f"{where}.segments[{i}]" for i in range(len(segments))]
        numbers = np.array(list(map(self._numbers, segments, places)), np.int64).reshape(-1, 2)
        values, times = np.unique(numbers[:, 0], return_counts=True)
        if (times > 1).any():
            raise InputError(f"id {values[times > 1][0]} is listed more than once", where=f"{where}.segments")
        # only ground truths are asked for these
        area = list(map(self._area, segments, places)) if true else [math.nan] * len(places)
        crowd = list(map(_crowd, segments, places)) if true else [False] * len(places)
        number, category = (np.ascontiguousarray(column) for column in numbers.T)
        return _Side(where, ids, True, number, category, np.array(area, np.float64), np.array(crowd, np.bool_))

    def _numbers(self, segment: Mapping[str, Any], where: str) -> tuple[int, int]:
        """Id and category."""
        for name in ("id", "category_id"):
            if name not in segment:
                raise InputError(f"has no {name!r}; it has {', '.join(map(str, segment))}", where=where)
        number = _integer(segment["id"], f"{where}.id")
        category = _integer(segment["category_id"], f"{where}.category_id")
        if number == VOID:
            raise InputError("is 0, which is void; number segments from 1 on", where=f"{where}.id")
        if category not in self.categories:
            raise InputError(f"is {category}; expected {_some(self.categories)}", where=f"{where}.category_id")
        return number, category

    def _area(self, segment: Mapping[str, Any], where: str) -> float:
        """The stated area, or NaN."""
        if "area" not in segment:
            if self.params.area == "json":
                raise InputError("has no 'area', which area=json takes; area=png takes the map", where=where)
            return math.nan
        area = to_numpy(segment["area"])
        if area.dtype.kind not in "iuf" or area.ndim or not 0 <= area < math.inf:
            raise InputError(f"is {segment['area']!r}; expected pixels, 0 or more", where=f"{where}.area")
        return float(area)

    def _labelled(self, image: Mapping[str, Any], where: str) -> _Side:
        """Classes and instances as one map of ids; whose they are shows once the pixels are counted."""
        if "instances" not in image:
            raise InputError(f"has no 'instances'; expected {FORMS}", where=where)
        maps = [to_numpy(image[name]) for name in RANGES]
        for (name, (low, high)), values in zip(RANGES.items(), maps, strict=True):
            if values.dtype.kind not in "iub":
                raise InputError(f"holds {values.dtype}; expected integers", where=f"{where}.{name}")
            if values.ndim != 2 or values.shape != maps[0].shape:
                raise InputError(f"has shape {values.shape}; expected two equal (H, W)", where=f"{where}.{name}")
            for extreme in (values.min(), values.max()) if values.size else ():
                if not low <= extreme <= high:
                    raise InputError(f"holds {extreme}; expected {low} to {high}", where=f"{where}.{name}")
        classes, instances = maps
        if self.params.boundary:  # bands run around regions, so that all stuff of a class has to be one already
            instances = np.where(np.isin(classes, sorted(self.things)), instances, 0)
        ids = classes.astype(np.int64) * INSTANCES
        ids += instances.astype(np.int64, copy=False)
        ids += 1
        nothing = np.zeros(0, np.int64)
        return _Side(where, ids, False, nothing, nothing, np.zeros(0), np.zeros(0, np.bool_))

    def _settled(self, side: _Side, overlaps: Overlaps, name: Literal["gt", "pred"]) -> tuple[_Side, Overlaps]:
        """Void, stuff and the list of segments of a map of classes and instances, from the rows of its overlaps."""
        if side.listed:
            return side, overlaps
        ids: Int = getattr(overlaps, name)
        labels, instances = np.divmod(ids - 1, INSTANCES)
        known = np.isin(labels, sorted(self.categories))
        stray = ~known & ~np.isin(labels, self.void)
        if name == "pred" and stray.any():
            label = labels[stray][0]
            pixels = overlaps.pixels[labels == label].sum()
            expected = f"expected {_some(self.categories)}, or name it in void"
            raise InputError(f"class {label} in {pixels:,} pixels is no category; {expected}", where=side.where)
        instances[~np.isin(labels, sorted(self.things))] = 0
        ids = np.where(known, labels * INSTANCES + instances + 1, VOID)
        values, at = np.unique(ids, return_inverse=True)
        area = np.bincount(at, overlaps.pixels, len(values))[values != VOID]
        values = values[values != VOID]
        crowd = np.zeros(len(values), np.bool_)
        settled = replace(side, id=values, category=(values - 1) // INSTANCES, area=area, crowd=crowd)
        return settled, regrouped(replace(overlaps, **{name: ids}))

    def _count(self, images: list[Image]) -> PanopticState:
        images = sorted(images, key=lambda image: image.id)
        parts = [image.arrays for image in images]
        ids = np.array(sorted(self.categories), np.int64)
        gt = Segments(
            image_ids=np.array([image.id for image in images]) if images else np.zeros(0, np.int64),
            category_ids=ids,
            category_names=tuple(self.categories[category] for category in ids.tolist()),
            things=np.isin(ids, sorted(self.things)),
            offsets=_lengths(parts, "gt_id"),
            id=_joined(parts, "gt_id", np.int64),
            category=np.searchsorted(ids, _joined(parts, "gt_category", np.int64)),
            area=_joined(parts, "gt_area", np.float64),
            crowd=_joined(parts, "gt_crowd", np.bool_),
        )
        found = _joined(parts, "pred_id", np.int64)
        pred = replace(
            gt,
            offsets=_lengths(parts, "pred_id"),
            id=found,
            category=np.searchsorted(ids, _joined(parts, "pred_category", np.int64)),
            area=np.full(len(found), math.nan),
            crowd=np.zeros(len(found), np.bool_),
        )
        overlaps = Overlaps(
            offsets=_lengths(parts, "pixels"),
            gt=_joined(parts, "gt", np.int64),
            pred=_joined(parts, "pred", np.int64),
            pixels=_joined(parts, "pixels", np.int64),
            bands=_joined(parts, "bands", np.int64, (3,)) if self.params.boundary else None,
        )
        state = count(gt, pred, overlaps, self.params)
        return replace(state, digests=np.array([image.digest for image in images], np.int64))


def panoptic_quality(
    gt: PanopticImage | Sequence[PanopticImage],
    pred: PanopticImage | Sequence[PanopticImage],
    categories: Categories,
    **options: Any,
) -> Result:
    """Panoptic quality of an image, or of a list of images.

    Parameters
    ----------
    gt, pred
        See `cvbench.metrics.panoptic_quality`.
    categories, **options
        As `PanopticQuality` takes them.

    Returns
    -------
    Result
        What `PanopticQuality` computes after seeing these images.

    Examples
    --------
    >>> gt = [[[1, 5], [1, 5], [2, 0]]]
    >>> panoptic_quality(np.array(gt), np.array(gt), {1: "person", 2: "sky"}, things=[1]).values["PQ"]
    1.0
    """
    return PanopticQuality(categories, **options).update(gt, pred).compute()


FORMS = 'a dict of "map" and "segments", a dict of "classes" and "instances", or an array (H, W, 2) of these two'


@dataclass(frozen=True, slots=True)
class _Side:
    """The ground truth or the prediction of an image.

    Attributes
    ----------
    where
    ids
        The map.
    listed
        Whether the segments were given with the map; else they follow from it.
    id, category, area, crowd
        See `cvbench.columns.Segments`, but categories are ids.
    """

    where: str
    ids: Any
    listed: bool
    id: Int
    category: Int
    area: NDArray[np.float64]
    crowd: NDArray[np.bool_]


def _read_categories(categories: Any, things: Iterable[int] | None) -> tuple[dict[int, str], frozenset[int]]:
    """Names by id, and the ids of things."""
    if isinstance(categories, Mapping):
        records = list(categories.items())
    elif isinstance(categories, (list, tuple)) and all(isinstance(one, Mapping) and "id" in one for one in categories):
        records = [(record["id"], record) for record in categories]
    else:
        raise InputError("categories: expected a list of {id, name, isthing}, or a mapping from id to name")
    names: dict[int, str] = {}
    said: dict[int, Any] = {}
    for key, value in records:
        number = _integer(key, "categories")
        if number in names:
            raise InputError(f"categories: id {number} comes more than once")
        record = value if isinstance(value, Mapping) else {"name": value}
        names[number] = str(record.get("name", number))
        if "isthing" in record:
            said[number] = record["isthing"]
    if not names:
        raise InputError("categories: there are none; expected at least one")
    return names, _read_things(names, said, things)


def _read_things(names: dict[int, str], said: dict[int, Any], things: Iterable[int] | None) -> frozenset[int]:
    """The ids of things, by what categories say or by the ids that the caller gives."""
    for number, value in said.items():
        if value not in (0, 1):
            raise InputError(f"categories: isthing of {number} is {value!r}; expected 0 or 1")
    if things is None:
        silent = [number for number in names if number not in said]
        if silent:
            raise InputError(f"nothing says whether category {silent[0]} is a thing; give isthing, or things=[ids]")
        return frozenset(number for number, value in said.items() if value)
    chosen = frozenset(_integer(number, "things") for number in things)
    if not chosen <= set(names):
        raise InputError(f"things names {min(chosen - set(names))}; expected {_some(names)}")
    for number, value in said.items():
        if (number in chosen) != bool(value):
            raise InputError(f"isthing of category {number} is {value!r}, and things says otherwise")
    return chosen


def _images(value: Any, where: str) -> list[Any]:
    """The images of a batch, or of one."""
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, (list, tuple)):
        for i, image in enumerate(value):
            if not isinstance(image, Mapping) and not hasattr(image, "ndim"):
                raise InputError(f"is a {type(image).__name__}; expected {FORMS}", where=f"{where}[{i}]")
        return list(value)
    array = to_numpy(value)
    return list(array) if array.ndim == 4 else [array]


def _image_ids(truths: list[Any], given: Any, single: bool) -> list[int | str | None]:
    if given is None:
        given = [image.get("image_id") if isinstance(image, Mapping) else None for image in truths]
    elif single:
        given = [given]
    if isinstance(given, str) or len(given) != len(truths):
        raise InputError(f"image_id is {given!r} for {len(truths)} images; expected one for each")
    return [number if number is None or isinstance(number, str) else _integer(number, "image_id") for number in given]


def _crowd(segment: Mapping[str, Any], where: str) -> bool:
    crowd = _integer(segment.get("iscrowd", 0), f"{where}.iscrowd")
    if crowd not in (0, 1):
        raise InputError(f"is {crowd}; expected 0 or 1", where=f"{where}.iscrowd")
    return crowd == 1


def _integer(value: Any, where: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise InputError(f"is {value!r}; expected an integer", where=where) from None


def _some(categories: Mapping[int, str]) -> str:
    """The first few categories, for a message."""
    ids = [str(number) for number in categories]
    return "one of " + ", ".join(ids[:8]) + (", …" if len(ids) > 8 else "")


def regrouped(overlaps: Overlaps) -> Overlaps:
    """One row per pair, ascending, after values were renamed in the rows of one image."""
    order = np.lexsort((overlaps.pred, overlaps.gt))
    gt, pred = overlaps.gt[order], overlaps.pred[order]
    starts = np.flatnonzero(np.append(True, (gt[1:] != gt[:-1]) | (pred[1:] != pred[:-1]))[: len(order)])
    bands = None if overlaps.bands is None else np.add.reduceat(overlaps.bands[order], starts)
    pixels = np.add.reduceat(overlaps.pixels[order], starts)
    return Overlaps(np.array([0, len(starts)], np.int64), gt[starts], pred[starts], pixels, bands)


def _joined(parts: list[dict[str, NDArray[Any]]], name: str, dtype: type, tail: tuple[int, ...] = ()) -> NDArray[Any]:
    return np.concatenate([part[name] for part in parts]) if parts else np.zeros((0, *tail), dtype)


def _lengths(parts: list[dict[str, NDArray[Any]]], name: str) -> Int:
    return offsets_of(np.array([len(part[name]) for part in parts], np.int64))
