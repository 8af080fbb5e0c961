"""Tasks on COCO files: objects with boxes, masks or keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from cvbench.metrics.sigmas import sigmas_of
from cvbench.tasks import texts
from cvbench.tasks.task import Parameter, Task


def _sigmas(text: str) -> tuple[float, ...]:
    """Numbers, or the name of a set."""
    return sigmas_of(text) if text[:1].isalpha() else texts.numbers(text)


def _coco_parameters(iou_type: str) -> tuple[Parameter, ...]:
    keypoints, masks = iou_type == "keypoints", iou_type in ("segm", "boundary")
    areas = "all:0:1e10,small:0:1024,medium:1024:9216,large:9216:1e10"
    similarity = "OKS" if keypoints else "IoU"
    parameters = [
        Parameter(
            "iou_thresholds", f"{similarity} values from which on a match counts", "0.5:0.95:0.05", texts.numbers
        ),
        Parameter("recall_thresholds", "recalls at which precision is read, rising", "0:1:0.01", texts.numbers),
        Parameter(
            "max_dets",
            "caps on detections per image and category; AP is taken at the largest",
            "20" if keypoints else "1,10,100",
            texts.integers,
        ),
        Parameter(
            "areas",
            "area ranges, label:low:high in square pixels, ends included; AP is taken in the first",
            areas.replace("small:0:1024,", "") if keypoints else areas,
            texts.areas,
        ),
        Parameter("class_agnostic", "match regardless of category", "no", texts.yes_or_no),
        Parameter("categories", "score only these categories (ids or names)", "all", texts.names),
        Parameter("images", "score only these images (ids)", "all", texts.names),
        Parameter(
            "id_zero",
            "match, or unmatched: pycocotools takes a match with a ground truth of id 0 for none",
            "match",
            texts.choice("match", "unmatched"),
        ),
        Parameter(
            "explicit_ignore",
            "honour 'ignore' marks of the ground truth; pycocotools overwrites them, boundary-iou-api does not",
            "yes" if iou_type == "boundary" else "no",
            texts.yes_or_no,
        ),
        Parameter(
            "missing_area",
            "refuse a ground truth without area, or take that of its box",
            "refuse",
            texts.choice("refuse", "box"),
        ),
    ]
    if iou_type == "boundary":
        parameters.append(
            Parameter("dilation_ratio", "width of the band as a fraction of the image diagonal", "0.02", texts.number)
        )
    if keypoints:
        parameters += [
            Parameter(
                "sigmas",
                "spread of each keypoint as a fraction of the object's scale: numbers, or a set (crowdpose14, halpe26)",
                "coco17",
                _sigmas,
            ),
            Parameter(
                "scale_area",
                "area of a ground truth in OKS and area ranges: as annotated, or 0.53 times that of its box",
                "annotated",
                texts.choice("annotated", "box053"),
            ),
            Parameter(
                "ignore_rule",
                "ground truths to ignore: num_keypoints is 0, or no keypoint is labelled (xtcocotools)",
                "num_keypoints",
                texts.choice("num_keypoints", "labelled"),
            ),
            Parameter(
                "zero_keypoints",
                "detections without a third value above 0: keep, or drop (xtcocotools)",
                "keep",
                texts.choice("keep", "drop"),
            ),
        ]
    if masks:
        parameters.append(
            Parameter(
                "box_masks", "let a detection without mask fill its box, as pycocotools does", "no", texts.yes_or_no
            )
        )
    if iou_type != "bbox":
        own = "keypoints" if keypoints else "mask"
        parameters.append(
            Parameter(
                "detection_area",
                f"area of a detection: box, {own}, or auto: box where the file has boxes, as pycocotools has it",
                "auto",
                texts.choice("auto", "box", own),
            )
        )
    return tuple(parameters)


COCO_AREAS = (("all", 0.0, 1e10), ("small", 0.0, 1024.0), ("medium", 1024.0, 9216.0), ("large", 9216.0, 1e10))
AREA_LETTERS = {"small": "s", "medium": "m", "large": "l"}


def _coco_figures(iou_type: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """What the figures are under these parameters."""
    keypoints = iou_type == "keypoints"
    similarity = "OKS" if keypoints else "IoU"
    official_areas = (COCO_AREAS[0], *COCO_AREAS[2:]) if keypoints else COCO_AREAS
    first, *others = [area[0] for area in parameters.get("areas", official_areas)]
    caps = sorted(parameters.get("max_dets", (20,) if keypoints else (1, 10, 100)))
    over = f"mean over {similarity} " + ("as given" if "iou_thresholds" in parameters else "0.50:0.95")
    scope = f"{over}, {'all areas' if first == 'all' else f'{first} objects'}, {_detections(caps[-1])}"
    by_area = [(AREA_LETTERS.get(label, f"_{label}"), label) for label in others]
    figures = {
        "AP": f"average precision, {scope}",
        "AP50": f"average precision at {similarity} 0.50",
        "AP75": f"average precision at {similarity} 0.75",
        **{f"AP{suffix}": f"average precision, {label} objects" for suffix, label in by_area},
    }
    if keypoints:
        figures["AR"] = f"average recall, {scope}"
        figures["AR50"] = "average recall at OKS 0.50"
        figures["AR75"] = "average recall at OKS 0.75"
    else:
        figures |= {f"AR{cap}": f"average recall, {_detections(cap)} per image and category" for cap in caps}
    return figures | {f"AR{suffix}": f"average recall, {label} objects" for suffix, label in by_area}


def _detections(cap: int) -> str:
    return f"{cap:,} detection{'s' if cap != 1 else ''}"


def _of_benchmark(parameters: tuple[Parameter, ...], defaults: Mapping[str, str]) -> tuple[Parameter, ...]:
    """The parameters with the defaults of another benchmark."""
    return tuple(replace(rule, default_text=defaults.get(rule.name, rule.default_text)) for rule in parameters)


_LEVELS = {"easy": "below 0.2", "medium": "from 0.2, below 0.8", "hard": "from 0.8 on"}


def _crowdpose_figures(parameters: Mapping[str, Any]) -> dict[str, str]:
    figures = _coco_figures("keypoints", {"areas": COCO_AREAS[:1], **parameters})
    return figures | {
        f"AP_{level}": f"average precision, {level} images: crowdIndex {limits}" for level, limits in _LEVELS.items()
    }


_PARTS = {
    "body": "17 joints of the body",
    "foot": "6 joints of the feet",
    "face": "68 points of the face",
    "lefthand": "21 joints of the left hand",
    "righthand": "21 joints of the right hand",
}


def _wholebody_figures(parameters: Mapping[str, Any]) -> dict[str, str]:
    figures = _coco_figures("keypoints", parameters)
    of_parts = {"AP": "average precision", "AP50": figures["AP50"], "AP75": figures["AP75"], "AR": "average recall"}
    for part, joints in _PARTS.items():
        figures |= {f"{name}_{part}": f"{meaning}, {joints}" for name, meaning in of_parts.items()}
    return figures


def _coco(iou_type: str, summary: str, reference: str, pred: str) -> Task:
    return Task(
        name=f"coco.{iou_type}",
        version=1,
        summary=summary,
        reference=reference,
        family="coco",
        inputs=("COCO ground truth: JSON with images, annotations, categories", pred),
        headline=("AP", "AP50", "AP75"),
        describe=partial(_coco_figures, iou_type),
        parameters=_coco_parameters(iou_type),
        settings={"task": f"coco.{iou_type}", "iou_type": iou_type, "benchmark": "coco"},
        plot="precision_recall",
    )


TASKS = (
    _coco(
        "bbox",
        "average precision of boxes",
        "pycocotools 2.0.11, equal to the last bit",
        "COCO results: JSON list of image_id, category_id, bbox [x, y, width, height], score",
    ),
    _coco(
        "segm",
        "average precision of instance masks",
        "pycocotools 2.0.11, equal to the last bit",
        "COCO results: JSON list of image_id, category_id, segmentation (RLE or polygons), score",
    ),
    _coco(
        "boundary",
        "average precision of instance masks by the smaller of mask IoU and boundary IoU",
        "boundary-iou-api 37d25586 on pycocotools 2.0.11, equal to the last bit",
        "COCO results: JSON list of image_id, category_id, segmentation (RLE or polygons), score",
    ),
    _coco(
        "keypoints",
        "average precision of keypoints by object keypoint similarity",
        "pycocotools 2.0.11, equal to the last bit",
        "COCO results: JSON list of image_id, category_id, keypoints [x, y, v, ...], score",
    ),
    Task(
        name="coco.wholebody",
        version=1,
        summary="average precision of keypoints of the whole body, and of body, feet, face and hands",
        reference="xtcocotools 1.14.3, keypoints_wholebody, keypoints_body and so on, equal to the last bit",
        family="coco",
        inputs=(
            "COCO-WholeBody ground truth: keypoints, foot_kpts, face_kpts, lefthand_kpts and righthand_kpts",
            "JSON list of image_id, category_id, these five and score; of parts, wholebody_score, foot_score, ...",
        ),
        headline=("AP", "AP_body", "AP_foot", "AP_face", "AP_lefthand", "AP_righthand"),
        describe=_wholebody_figures,
        parameters=_of_benchmark(
            _coco_parameters("keypoints"),
            {"sigmas": "wholebody133", "ignore_rule": "labelled", "zero_keypoints": "drop"},
        ),
        settings={"task": "coco.wholebody", "iou_type": "keypoints", "benchmark": "wholebody"},
        breakdown="per_part",
        plot="precision_recall",
    ),
    Task(
        name="crowdpose.keypoints",
        version=1,
        summary="average precision of keypoints in crowds, and in easy, medium and hard images",
        reference="xtcocotools 1.14.3, keypoints_crowd: equal to the last bit, but for rounding easy, medium and hard",
        family="coco",
        inputs=(
            "CrowdPose ground truth: COCO's JSON with 14 keypoints, and crowdIndex in images",
            "COCO results: JSON list of image_id, category_id, keypoints [x, y, v, ...], score",
        ),
        headline=("AP", "AP_easy", "AP_medium", "AP_hard"),
        describe=_crowdpose_figures,
        parameters=_of_benchmark(
            _coco_parameters("keypoints"),
            {"sigmas": "crowdpose14", "scale_area": "box053", "zero_keypoints": "drop", "areas": "all:0:1e10"},
        ),
        settings={"task": "crowdpose.keypoints", "iou_type": "keypoints", "benchmark": "crowdpose"},
        breakdown="per_level",
        plot="precision_recall",
    ),
)
