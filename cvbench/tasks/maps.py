"""Tasks on pairs of maps: panoptic and semantic segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvbench.tasks import texts
from cvbench.tasks.task import Parameter, Task

_DILATION = "width of the boundary band as a fraction of the image diagonal"

_PANOPTIC_FIGURES = {
    "PQ": "panoptic quality, mean over categories",
    "SQ": "segmentation quality: mean IoU of matches, mean over categories",
    "RQ": "recognition quality: F1 of segments, mean over categories",
    **{
        f"{name}_{kind}": f"{meaning}, {kind}"
        for kind in ("things", "stuff")
        for name, meaning in (("PQ", "panoptic quality"), ("SQ", "segmentation quality"), ("RQ", "recognition quality"))
    },
    "PQ_dagger_porzi": "PQ of things, and of stuff the mean IoU over images, without threshold",
    "PQ_dagger_kitti": "PQ of things, and of stuff the IoU over the data set",
}


def _panoptic_figures(_: Mapping[str, Any]) -> dict[str, str]:
    return dict(_PANOPTIC_FIGURES)


def _panoptic(
    name: str, summary: str, reference: str, inputs: tuple[str, str], dilation_ratio: float, folders: bool
) -> Task:
    files = [
        Parameter("gt_folder", "folder of the ground truth's maps", "the JSON file's path without .json", str),
        Parameter("pred_folder", "folder of the predicted maps", "the JSON file's path without .json", str),
        Parameter(
            "area", "area of a ground truth: as the JSON states it, or of its map", "json", texts.choice("json", "png")
        ),
    ]
    if folders:
        files.append(Parameter("gt_suffix", "folders: end of the ground truth's names", "_gtFine_instanceIds", str))
        files.append(Parameter("pred_suffix", "folders: end of the predictions' names", "nothing", str))
    boundary = Parameter("boundary", "match by the smaller of mask IoU and boundary IoU", "no", texts.yes_or_no)
    return Task(
        name=name,
        version=1,
        summary=summary,
        reference=reference,
        family="panoptic",
        inputs=inputs,
        headline=("PQ", "SQ", "RQ"),
        describe=_panoptic_figures,
        parameters=(*files, boundary, Parameter("dilation_ratio", _DILATION, repr(dilation_ratio), texts.number)),
        settings={"task": name, "version": 1, "dilation_ratio": dilation_ratio, "folders": folders},
    )


def _semantic_figures(parameters: Mapping[str, Any]) -> dict[str, str]:
    by_image = parameters.get("aggregate") == "image" or parameters.get("preset") == "torchmetrics"
    over = "mean over images and classes" if by_image else "mean over classes"
    figures = {
        "mIoU": f"intersection over union, {over}",
        "fwIoU": "the same, classes weighted by their pixels",
        "aAcc": "pixels that are right",
        "mAcc": f"recall of pixels, {over}",
        "mDice": f"Dice, or F1, {over}",
        "mPrecision": f"precision of pixels, {over}",
    }
    if parameters.get("boundary"):
        figures["mBoundaryIoU"] = f"IoU of boundary bands, {over}"
        figures["mBoundaryF"] = "F of outlines by image (DAVIS), mean over images, then classes"
    return figures


def _map_parameters(gt_suffix: str) -> tuple[Parameter, ...]:
    return (
        Parameter("gt_suffix", "folders: end of the ground truth's names, taken off", gt_suffix or "nothing", str),
        Parameter("pred_suffix", "folders: end of the predictions' names, taken off", "nothing", str),
        Parameter(
            "match",
            "folders: files match by stem, or by their path in the folder",
            "stem",
            texts.choice("stem", "path"),
        ),
    )


_SEMANTIC_PARAMETERS = (
    Parameter(
        "preset",
        "rules of another evaluator for absent classes and ignored labels",
        "none",
        texts.choice("mmseg", "detectron2", "cityscapes", "torchmetrics"),
    ),
    Parameter(
        "num_classes", "labels 0 to num_classes - 1 are the classes", "none; needed unless others tell", texts.integer
    ),
    Parameter("class_ids", "labels that are classes", "0,1,... num_classes - 1", texts.integers),
    Parameter("names", "names of the classes, in order; they tell num_classes, too", "labels", texts.words),
    Parameter("ignore_index", "labels whose pixels are not looked at, or none", "none", texts.labels),
    Parameter("exclude", "classes left out of the means; their pixels count for the others", "none", texts.labels),
    Parameter("reduce_zero_label", "0 becomes 255, and 1 to 254 one less, in the ground truth", "no", texts.yes_or_no),
    Parameter("label_map", "old:new labels of the ground truth, after reduce_zero_label", "none", texts.pairs),
    Parameter(
        "pred_only",
        "a class predicted but nowhere in the ground truth: IoU 0, or left out",
        "zero",
        texts.choice("zero", "skip"),
    ),
    Parameter("absent", "a class in neither: left out, or IoU 0", "skip", texts.choice("skip", "zero")),
    Parameter(
        "aggregate",
        "add up pixels over the dataset, or take figures by image",
        "dataset",
        texts.choice("dataset", "image"),
    ),
    Parameter("boundary", "also boundary IoU and boundary F", "no", texts.yes_or_no),
    Parameter("dilation_ratio", _DILATION, "0.02", texts.number),
    Parameter(
        "boundary_tolerance", "how far outlines may be apart, in diagonals; from 1 on, in pixels", "0.008", texts.number
    ),
)

_CITYSCAPES_FIGURES = {
    "mIoU": "intersection over union, mean over classes",
    "iIoU": "the same, pixels of an instance weighted by average size over its size",
    "mIoU_category": "IoU, mean over categories (flat, human, vehicle, ...)",
    "iIoU_category": "iIoU, mean over categories",
}


def _cityscapes_figures(_: Mapping[str, Any]) -> dict[str, str]:
    return dict(_CITYSCAPES_FIGURES)


_PANOPTIC_FILES = "COCO panoptic JSON: annotations of image_id, file_name, segments_info; beside it a folder of PNG"
_LABEL_MAPS = "a folder of PNG or .npy label maps, an .npy stack or an .npz file"


TASKS = (
    _panoptic(
        "coco.panoptic",
        "panoptic quality of segments",
        "panopticapi 7bb4655: equal counts, IoU sums to 1e-12 (boundary: boundary-iou-api 37d25586)",
        (_PANOPTIC_FILES, _PANOPTIC_FILES),
        0.02,
        folders=False,
    ),
    _panoptic(
        "cityscapes.panoptic",
        "panoptic quality of segments, from panoptic JSON or from maps of instance ids",
        "cityscapesScripts 2.3.0, the rules of panopticapi",
        (
            f"{_PANOPTIC_FILES}; or a folder of *_gtFine_instanceIds.png",
            "the same; in a folder of instance ids, 1000 times the label plus a number, or the label",
        ),
        0.005,
        folders=True,
    ),
    Task(
        name="semantic.miou",
        version=1,
        summary="intersection over union of label maps",
        reference="mmseg, detectron2, cityscapesScripts, torchmetrics, each by its preset",
        family="semantic",
        inputs=(_LABEL_MAPS, f"{_LABEL_MAPS}, matched by name"),
        headline=("mIoU", "fwIoU", "aAcc"),
        describe=_semantic_figures,
        parameters=(*_SEMANTIC_PARAMETERS, *_map_parameters("")),
        settings={"task": "semantic.miou", "gt_suffix": ""},
    ),
    Task(
        name="cityscapes.semantic",
        version=1,
        summary="IoU and instance-weighted IoU of label maps, by class and by category",
        reference="cityscapesScripts 2.3.0, evalPixelLevelSemanticLabeling",
        family="cityscapes",
        inputs=("a folder of *_gtFine_instanceIds.png", "a folder of PNG maps of label ids, matched by name"),
        headline=("mIoU", "iIoU"),
        describe=_cityscapes_figures,
        parameters=_map_parameters("_gtFine_instanceIds"),
        settings={"task": "cityscapes.semantic", "gt_suffix": "_gtFine_instanceIds"},
    ),
)
