"""The tasks: one table, data rather than code.

A task is a metric with the rules of one benchmark under a name that stays, ``coco.bbox``, and a version that rises with
every change that changes a score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from cvbench.errors import InputError, did_you_mean


@dataclass(frozen=True)
class Parameter:
    """A rule that the user may change: ``-p name=text`` in the shell, ``name=value`` in Python.

    Attributes
    ----------
    name
    help
        What it changes, in a line.
    default_text
        The default as one would write it in the shell.
    parse
        From the shell's text to the value; raises ValueError with what was expected.
    """

    name: str
    help: str
    default_text: str
    parse: Callable[[str], Any]


@dataclass(frozen=True)
class Task:
    """A benchmark's way of scoring.

    Attributes
    ----------
    name, version
    summary
        What is scored, in a line.
    reference
        The evaluator whose figures these are.
    family
        Who reads the input and counts, see `cvbench.scoring`.
    inputs
        What the ground truth and the predictions are.
    headline
        The figures of a one-line answer.
    describe
        From parameters to what each figure then is, by name, in the order of results.
    parameters
        What may be changed.
    settings
        What the family has to know: not for the user to change.
    """

    name: str
    version: int
    summary: str
    reference: str
    family: str
    inputs: tuple[str, str]
    headline: tuple[str, ...]
    describe: Callable[[Mapping[str, Any]], dict[str, str]]
    parameters: tuple[Parameter, ...]
    settings: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Name and version, as results carry it."""
        return f"{self.name}@{self.version}"

    def parse(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Values of the parameters given as text.

        Raises
        ------
        InputError
            If a parameter is unknown or its text is not what it expects.
        """
        self.check_names(texts)
        by_name = {parameter.name: parameter for parameter in self.parameters}
        values = {}
        for name, text in texts.items():
            try:
                values[name] = by_name[name].parse(text)
            except ValueError as error:
                raise InputError(f"{name}={text}: {error}") from None
        return values

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse parameters that the task does not have."""
        known = [parameter.name for parameter in self.parameters]
        for name in names:
            if name not in known:
                raise InputError(f"{self.name} has no parameter {name!r}{did_you_mean(name, known)}")


def find(name: str) -> Task:
    """The task of this name, with or without its version.

    Raises
    ------
    InputError
        If there is none, or it has another version by now.
    """
    base, _, version = name.partition("@")
    if base not in TASKS:
        raise InputError(f"there is no task {base!r}{did_you_mean(base, TASKS)}")
    task = TASKS[base]
    if version and version != str(task.version):
        raise InputError(f"{base} is at version {task.version}, not {version}: its figures are not those of {name}")
    return task


MOST_NUMBERS = 100_000
"""More thresholds or recall points than anybody wants; a step with a slip of the pen would ask for all memory."""


def _numbers(text: str) -> tuple[float, ...]:
    """``0.5,0.75``, or ``0.5:0.95:0.05`` for evenly spaced ones with both ends."""
    if ":" not in text:
        return tuple(_number(part) for part in text.split(","))
    first, last, step = _split(text, ":", 3, "first:last:step")
    low, high, width = _number(first), _number(last), _number(step)
    count = round((high - low) / width) if width else -1
    if count > MOST_NUMBERS:
        raise ValueError(f"expected {MOST_NUMBERS:,} numbers or fewer, found {count + 1:,}")
    if count < 0 or abs(low + count * width - high) > 1e-9 * max(abs(high), 1):
        raise ValueError(f"expected first:last:step where steps of {step} lead from {first} to {last}")
    import numpy as np

    return tuple(np.linspace(low, high, count + 1).tolist())


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"expected a number, found {text!r}") from None


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"expected an integer, found {text!r}") from None


def _integers(text: str) -> tuple[int, ...]:
    return tuple(_integer(part) for part in text.split(","))


def _yes_or_no(text: str) -> bool:
    words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text.lower() not in words:
        raise ValueError("expected yes or no")
    return words[text.lower()]


def _names(text: str) -> tuple[int | str, ...]:
    """Ids or names: what looks like an integer is one."""
    return tuple(int(part) if part.lstrip("-").isdigit() else part for part in text.split(","))


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return text

    return parse


def _pairs(text: str) -> tuple[tuple[int, int], ...]:
    pairs = [_split(part, ":", 2, "old:new, two labels") for part in text.split(",")]
    return tuple((_integer(old), _integer(new)) for old, new in pairs)


def _texts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _labels(text: str) -> tuple[int, ...]:
    return () if text == "none" else _integers(text)


def _areas(text: str) -> tuple[tuple[str, float, float], ...]:
    areas = []
    for part in text.split(","):
        label, low, high = _split(part, ":", 3, "label:low:high, in square pixels")
        areas.append((label, _number(low), _number(high)))
    return tuple(areas)


def _split(text: str, separator: str, parts: int, form: str) -> list[str]:
    found = text.split(separator)
    if len(found) != parts:
        raise ValueError(f"expected {form}, found {text!r}")
    return found


def _coco_parameters(iou_type: str) -> tuple[Parameter, ...]:
    keypoints, masks = iou_type == "keypoints", iou_type in ("segm", "boundary")
    areas = "all:0:1e10,small:0:1024,medium:1024:9216,large:9216:1e10"
    similarity = "OKS" if keypoints else "IoU"
    parameters = [
        Parameter("iou_thresholds", f"{similarity} values from which on a match counts", "0.5:0.95:0.05", _numbers),
        Parameter("recall_thresholds", "recalls at which precision is read, rising", "0:1:0.01", _numbers),
        Parameter(
            "max_dets",
            "caps on detections per image and category; AP is taken at the largest",
            "20" if keypoints else "1,10,100",
            _integers,
        ),
        Parameter(
            "areas",
            "area ranges, label:low:high in square pixels, ends included; AP is taken in the first",
            areas.replace("small:0:1024,", "") if keypoints else areas,
            _areas,
        ),
        Parameter("class_agnostic", "match regardless of category", "no", _yes_or_no),
        Parameter("categories", "score only these categories (ids or names)", "all", _names),
        Parameter("images", "score only these images (ids)", "all", _names),
        Parameter(
            "id_zero",
            "match, or unmatched: pycocotools takes a match with a ground truth of id 0 for none",
            "match",
            _choice("match", "unmatched"),
        ),
        Parameter(
            "explicit_ignore",
            "honour 'ignore' marks of the ground truth; pycocotools overwrites them, boundary-iou-api does not",
            "yes" if iou_type == "boundary" else "no",
            _yes_or_no,
        ),
        Parameter(
            "missing_area",
            "refuse a ground truth without area, or take that of its box",
            "refuse",
            _choice("refuse", "box"),
        ),
    ]
    if iou_type == "boundary":
        parameters.append(
            Parameter("dilation_ratio", "width of the band as a fraction of the image diagonal", "0.02", _number)
        )
    if keypoints:
        parameters.append(
            Parameter(
                "sigmas", "spread of each keypoint as a fraction of the object's scale", "those of COCO's 17", _numbers
            )
        )
    if masks:
        parameters.append(
            Parameter("box_masks", "let a detection without mask fill its box, as pycocotools does", "no", _yes_or_no)
        )
    if iou_type != "bbox":
        own = "keypoints" if keypoints else "mask"
        parameters.append(
            Parameter(
                "detection_area",
                f"area of a detection: box, {own}, or auto: box where the file has boxes, as pycocotools has it",
                "auto",
                _choice("auto", "box", own),
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
        settings={"iou_type": iou_type},
    )


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
            "area", "area of a ground truth: as the JSON states it, or of its map", "json", _choice("json", "png")
        ),
    ]
    if folders:
        files.append(Parameter("gt_suffix", "folders: end of the ground truth's names", "_gtFine_instanceIds", str))
        files.append(Parameter("pred_suffix", "folders: end of the predictions' names", "nothing", str))
    boundary = Parameter("boundary", "match by the smaller of mask IoU and boundary IoU", "no", _yes_or_no)
    return Task(
        name=name,
        version=1,
        summary=summary,
        reference=reference,
        family="panoptic",
        inputs=inputs,
        headline=("PQ", "SQ", "RQ"),
        describe=_panoptic_figures,
        parameters=(*files, boundary, Parameter("dilation_ratio", _DILATION, repr(dilation_ratio), _number)),
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
            "match", "folders: files match by stem, or by their path in the folder", "stem", _choice("stem", "path")
        ),
    )


_SEMANTIC_PARAMETERS = (
    Parameter(
        "preset",
        "rules of another evaluator for absent classes and ignored labels",
        "none",
        _choice("mmseg", "detectron2", "cityscapes", "torchmetrics"),
    ),
    Parameter(
        "num_classes", "labels 0 to num_classes - 1 are the classes", "none; needed unless others tell", _integer
    ),
    Parameter("class_ids", "labels that are classes", "0,1,... num_classes - 1", _integers),
    Parameter("names", "names of the classes, in order; they tell num_classes, too", "labels", _texts),
    Parameter("ignore_index", "labels whose pixels are not looked at, or none", "none", _labels),
    Parameter("exclude", "classes left out of the means; their pixels count for the others", "none", _labels),
    Parameter("reduce_zero_label", "0 becomes 255, and 1 to 254 one less, in the ground truth", "no", _yes_or_no),
    Parameter("label_map", "old:new labels of the ground truth, after reduce_zero_label", "none", _pairs),
    Parameter(
        "pred_only",
        "a class predicted but nowhere in the ground truth: IoU 0, or left out",
        "zero",
        _choice("zero", "skip"),
    ),
    Parameter("absent", "a class in neither: left out, or IoU 0", "skip", _choice("skip", "zero")),
    Parameter(
        "aggregate", "add up pixels over the dataset, or take figures by image", "dataset", _choice("dataset", "image")
    ),
    Parameter("boundary", "also boundary IoU and boundary F", "no", _yes_or_no),
    Parameter("dilation_ratio", _DILATION, "0.02", _number),
    Parameter(
        "boundary_tolerance", "how far outlines may be apart, in diagonals; from 1 on, in pixels", "0.008", _number
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

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
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
}
"""All tasks by name."""
