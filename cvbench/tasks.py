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
    )
}
"""All tasks by name."""
