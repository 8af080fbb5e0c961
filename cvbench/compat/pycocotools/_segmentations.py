"""Bringing the segmentations of many annotations to compressed form at once."""

from __future__ import annotations

from typing import Any

from cvbench.compat.pycocotools import _mask
from cvbench.compat.pycocotools.coco import COCO
from cvbench.errors import InputError
from cvbench.metrics.masks import masks_from_polygons

Annotation = dict[str, Any]


def to_rle(annotations: list[Annotation], coco: Any) -> None:
    """Replace every annotation's ``segmentation`` by what ``coco.annToRLE`` gives for it."""
    if getattr(coco.annToRLE, "__func__", None) is COCO.annToRLE:
        annotations = _convert_polygons(annotations, coco)
    for annotation in annotations:
        annotation["segmentation"] = coco.annToRLE(annotation)


def _convert_polygons(annotations: list[Annotation], coco: COCO) -> list[Annotation]:
    """Convert those made of polygons together, which is faster by far than one by one; returns the others."""
    sizes = []
    for annotation in annotations:
        image = coco.imgs[annotation["image_id"]]
        sizes.append((image["height"], image["width"]))
    rows = [row for row, annotation in enumerate(annotations) if type(annotation["segmentation"]) is list]
    try:
        masks = masks_from_polygons([annotations[row]["segmentation"] for row in rows], [sizes[row] for row in rows])
    except InputError:
        return annotations  # some are odd: one by one they give what they give in the original, be it an exception
    for row, rle in zip(rows, _mask.to_dicts(masks), strict=True):
        annotations[row]["segmentation"] = rle
    return [annotation for annotation in annotations if type(annotation["segmentation"]["counts"]) is list]
