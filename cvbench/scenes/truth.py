"""The annotations of samples in the forms that evaluators read.

Ids are the same in all forms: an image has its index as its id, a thing 1000 times that plus its instance.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from cvbench.errors import InputError, did_you_mean
from cvbench.metrics.masks import rle_area, rle_boxes, rle_encode, rle_to_strings
from cvbench.scenes.composition import WORLD
from cvbench.scenes.rendering import Sample
from cvbench.scenes.splits import dataset
from cvbench.scenes.vocabulary import BONES, CATEGORIES, IDS, JOINTS, LANDMARKS, SIZE, STUFF_SEGMENT, THINGS

Document = Literal["instances", "person_keypoints", "face_landmarks", "panoptic"]
Maps = Literal["labels", "segments"]
Record = dict[str, Any]

DOCUMENTS: tuple[Document, ...] = ("instances", "person_keypoints", "face_landmarks", "panoptic")
MAPS: tuple[Maps, ...] = ("labels", "segments")


@overload
def ground_truth(split: str, kind: Document, limit: int | None = None) -> Record: ...
@overload
def ground_truth(split: str, kind: Literal["labels"], limit: int | None = None) -> NDArray[np.uint8]: ...
@overload
def ground_truth(split: str, kind: Literal["segments"], limit: int | None = None) -> NDArray[np.int32]: ...
def ground_truth(split: str, kind: Document | Maps, limit: int | None = None) -> Any:
    """Annotations of a split in one form.

    Parameters
    ----------
    split : {"train", "val"}
    kind
        Documents as COCO has them: ``instances`` (all things: boxes and run-length masks), ``person_keypoints`` (14
        joints), ``face_landmarks`` (5 landmarks of faces of which all are within the image, no crowds), ``panoptic``.
        Maps: ``labels`` (category id - 1, void 255) and ``segments`` (ids of panoptic segments, void 0).
    limit
        Only the first so many images.

    Returns
    -------
    dict, or array (I, 128, 128)
        Labels are uint8, ids of segments int32.

    Raises
    ------
    InputError
        An unknown split or kind, or an impossible limit.

    Examples
    --------
    >>> from cvbench import scenes, score
    >>> gt = scenes.ground_truth("val", "instances", limit=2)
    >>> found = [{**thing, "score": 1.0} for thing in gt["annotations"]]
    >>> score("coco.segm", gt, found).values["AP"]
    1.0
    """
    if kind in MAPS:
        return np.stack([getattr(sample, kind) for sample in dataset(split, limit)])
    if kind not in DOCUMENTS:
        raise InputError(f"unknown kind {kind!r}{did_you_mean(kind, (*DOCUMENTS, *MAPS))}")
    samples = dataset(split, limit)
    records = (records_of(kind, image, sample) for image, sample in enumerate(samples))
    return document(split, kind, len(samples), records)


def document(split: str, kind: Document, images: int, records: Iterable[list[Record]]) -> Record:
    """The document of all images, given the annotations of each."""
    return {
        "info": {"description": f"cvbench scenes, {split}", "version": f"{WORLD}"},
        "images": [
            {"id": image, "file_name": file_name(image), "height": SIZE, "width": SIZE} for image in range(images)
        ],
        "categories": _categories(kind),
        "annotations": [record for of_image in records for record in of_image],
    }


def file_name(image: int) -> str:
    """The name of an image, and of its maps."""
    return f"{image:06d}.png"


def _categories(kind: Document) -> list[Record]:
    if kind == "person_keypoints":
        skeleton = [[a + 1, b + 1] for a, b in BONES]  # from 1 on, as COCO counts joints
        return [{"id": IDS["person"], "name": "person", "keypoints": list(JOINTS), "skeleton": skeleton}]
    if kind == "face_landmarks":
        return [{"id": IDS["face"], "name": "face", "keypoints": list(LANDMARKS), "skeleton": []}]
    things = [{"id": IDS[name], "name": name, "supercategory": "thing"} for name in THINGS]
    if kind == "instances":
        return things
    stuff = [{"id": k, "name": name, "supercategory": "stuff"} for k, name in CATEGORIES.items() if name not in THINGS]
    return [{**category, "isthing": int(category["supercategory"] == "thing")} for category in (*things, *stuff)]


def records_of(kind: Document, image: int, sample: Sample) -> list[Record]:
    """The annotations of one image."""
    if kind == "panoptic":
        return [{"image_id": image, "file_name": file_name(image), "segments_info": _segments(sample)}]
    things = _instances(image, sample)
    if kind == "person_keypoints":
        return _with_keypoints(things, sample.keypoints, sample.categories == IDS["person"])
    if kind == "face_landmarks":
        whole = (sample.landmarks[:, :, 2] > 0).all(axis=1)
        return _with_keypoints(things, sample.landmarks, (sample.categories == IDS["face"]) & whole)
    return things


def _instances(image: int, sample: Sample) -> list[Record]:
    masks = (string.decode("ascii") for string in rle_to_strings(sample.masks))
    columns = zip(
        *(sample.categories.tolist(), sample.crowd.tolist(), sample.boxes.tolist(), sample.area.tolist(), masks),
        strict=True,
    )
    return [
        {
            "id": 1000 * image + instance,
            "image_id": image,
            "category_id": category,
            "bbox": box,
            "area": area,
            "segmentation": {"size": [SIZE, SIZE], "counts": mask},
            "iscrowd": int(crowd),
        }
        for instance, (category, crowd, box, area, mask) in enumerate(columns, 1)
    ]


def _with_keypoints(things: list[Record], keypoints: NDArray[np.float64], chosen: NDArray[np.bool_]) -> list[Record]:
    return [
        {**things[n], "num_keypoints": int((keypoints[n, :, 2] > 0).sum()), "keypoints": keypoints[n].ravel().tolist()}
        for n in np.flatnonzero(chosen).tolist()
    ]


def _segments(sample: Sample) -> list[Record]:
    """The segments of one image, things before stuff."""
    segments = sample.segments
    ids = np.unique(segments[segments > 0])
    masks = rle_encode(segments == ids[:, None, None])
    columns = zip(ids.tolist(), rle_boxes(masks).tolist(), rle_area(masks).astype(int).tolist(), strict=True)
    return [
        {
            "id": segment,
            "category_id": _category(sample, segment),
            "area": area,
            "bbox": [int(side) for side in box],
            "iscrowd": int(segment <= len(sample) and sample.crowd[segment - 1]),
        }
        for segment, box, area in columns
    ]


def _category(sample: Sample, segment: int) -> int:
    return segment - STUFF_SEGMENT if segment > STUFF_SEGMENT else int(sample.categories[segment - 1])
