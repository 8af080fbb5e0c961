"""Tasks on paired keypoints: poses, hands and faces, in two and three dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from cvbench.tasks import texts
from cvbench.tasks.task import Parameter, Task

_KEYPOINTS = "keypoints of people: COCO-style JSON, MPII .mat or .h5, .csv, .npy or .npz"
_PREDICTIONS = "keypoints of the same instances, paired by id or by row: JSON, .mat, .h5, .csv, .npy or .npz"


def _figures(metric: str, example: str | None, parameters: Mapping[str, Any]) -> dict[str, str]:
    """What the figures are; of a preset as an example where rules are needed and none are given."""
    from cvbench.metrics.paired import METRICS  # loads Numba

    given = {**parameters} if parameters or example is None else {"preset": example}
    return METRICS[metric].figures(METRICS[metric].rules(**given))


def _normalizer(default: str) -> Parameter:
    kinds = "bbox, bbox_diagonal, bbox_area, head, size, extent_diagonal, joints:9-2, joints:0+1-4, fixed:30, none"
    return Parameter("normalizer", f"what distances are divided by: {kinds}", default, str)


def _hits(columns: str, defaults: str = "", *more: str) -> tuple[Parameter, ...]:
    """The rules of all rates of hits; `defaults` says whose they are where they are not always the same."""
    return (
        Parameter("strict", "whether a distance equal to the threshold is a miss", defaults or "no", texts.yes_or_no),
        Parameter(
            "mean",
            f"over all {columns} at once (pooled), over the rates of {columns}, or over instances",
            defaults or "pooled",
            texts.choice("pooled", columns, "instances"),
        ),
        _counted(columns, defaults or "all"),
        Parameter(
            "parts",
            f"{columns} with a figure together: Wrist=10+15, or Arms=pooled(10+11)",
            defaults or "none",
            texts.unless("none", (), texts.words),
        ),
        _missing(defaults),
        _zero_size(defaults, *more),
    )


_all_or_some = texts.unless("all", None, texts.integers)


def _missing(defaults: str = "") -> Parameter:
    return Parameter(
        "missing",
        "a keypoint that is not predicted is refused, or a miss",
        defaults or "refuse",
        texts.choice("refuse", "miss"),
    )


def _counted(what: str, default: str = "all") -> Parameter:
    return Parameter("counted", f"indices of the {what} that means are over", default, _all_or_some)


def _zero_size(defaults: str = "", *more: str) -> Parameter:
    return Parameter(
        "zero_size",
        "a size that is not above 0 is refused, or left out" + (", or a miss" if more else ""),
        defaults or "refuse",
        texts.choice("refuse", "skip", *more),
    )


def _thresholds(default: str) -> Parameter:
    return Parameter("thresholds", "on normalised distances; parts are taken at the first", default, texts.numbers)


def _curve(default: str) -> tuple[Parameter, Parameter]:
    return (
        Parameter(
            "curve", "rising thresholds of the curve and its AUC", default, texts.unless("none", (), texts.numbers)
        ),
        Parameter(
            "auc", "area by the trapezoid rule, or mean of the points", "trapezoid", texts.choice("trapezoid", "mean")
        ),
    )


def _precise(defaults: str = "") -> tuple[Parameter, Parameter]:
    return (
        Parameter("shift", "added to predicted coordinates, in pixels", defaults or "0", texts.number),
        Parameter("single", "compute in single precision, as mmpose does", defaults or "no", texts.yes_or_no),
    )


def _with(parameters: tuple[Parameter, ...], **defaults: str) -> tuple[Parameter, ...]:
    """The parameters, some with other defaults."""
    return tuple(replace(rule, default_text=defaults.get(rule.name, rule.default_text)) for rule in parameters)


def _preset(help_text: str, *choices: str) -> Parameter:
    return Parameter("preset", help_text, "none", texts.unless("none", None, texts.choice(*choices)))


def _task(
    name: str,
    metric: str,
    summary: str,
    reference: str,
    headline: tuple[str, ...],
    parameters: tuple[Parameter, ...],
    inputs: tuple[str, str] = (_KEYPOINTS, _PREDICTIONS),
    breakdown: str = "per_joint",
    plot: str | None = "thresholds",
    example: str | None = None,
    version: int = 1,
) -> Task:
    return Task(
        name=name,
        version=version,
        summary=summary,
        reference=reference,
        family="points",
        inputs=inputs,
        headline=headline,
        describe=partial(_figures, metric, example),
        parameters=parameters,
        settings={"task": name, "version": version, "metric": metric},
        breakdown=breakdown,
        plot=plot,
    )


_PCK_PRESETS = ("mmpose", "jhmdb", "jhmdb-torso", "lsp", "flic", "flic-11")
_FACES = (
    "300w", "300w-pupil", "wflw", "wflw-pupil", "cofw", "cofw-pupil",
    "aflw", "aflw-bbox", "lapa", "menpo", "menpo-profile", "horse10",
)  # fmt: skip

TASKS = (
    _task(
        "pose.pck",
        "pck",
        "share of keypoints that are right: within a share of the size of the person",
        "mmpose 759b39c PCKAccuracy and JhmdbPCKAccuracy, eval_pose eval_pck, each by its preset",
        (),
        (
            _preset("rules of another evaluator", *_PCK_PRESETS),
            _normalizer("bbox"),
            _thresholds("0.2"),
            *_curve("none"),
            *_hits("joints"),
            *_precise(),
            Parameter(
                "torso_fallback",
                "an annotated torso below a pixel gives way to the predicted one",
                "no",
                texts.yes_or_no,
            ),
        ),
    ),
    _task(
        "mpii.pckh",
        "pckh",
        "PCKh of MPII: share of joints within half of the head size",
        "evaluatePCKh.m of MPII, HRNet, mmpose 759b39c, pytorch-pose edc7aec, each by its protocol",
        ("PCKh@0.5", "PCKh@0.1", "AUC"),
        (
            Parameter(
                "protocol", "whose rules to follow", "matlab", texts.choice("matlab", "hrnet", "mmpose", "pytorch-pose")
            ),
            _normalizer("head"),
            _thresholds("0.5,0.1; of hrnet also 0.11"),
            *_curve("0:0.5:0.01"),
            *_hits("joints", "of the protocol"),
            *_precise("of the protocol"),
        ),
        ("MPII .mat (gt_valid) or .h5 (valid), or keypoints with head boxes", f"16 {_PREDICTIONS}"),
    ),
    _task(
        "pose.pdj",
        "pdj",
        "share of detected joints: PCK over the length of the torso",
        "eval_pose eval_pdj by its presets",
        ("PDJ@0.2",),
        (
            _preset("joints and torso of a data set", "lsp", "flic", "flic-11"),
            _normalizer("of the preset"),
            _thresholds("0.2,0.1,0.3,0.4"),
            *_curve("0:0.5:0.01"),
            *_hits("joints"),
            *_precise(),
        ),
        example="lsp",
    ),
    _task(
        "pose.pcp",
        "pcp",
        "share of limbs that are right: both ends within half of the limb's length",
        "eval_pose eval_pcp by its presets; loose: the rule of the BUFFY evaluation",
        ("PCP@0.5",),
        (
            _preset("limbs of a data set", "lsp", "flic"),
            Parameter("limbs", "shin=0-1,torso=2+3-8+9: names and indices of joints", "of the preset", texts.words),
            Parameter("rule", "both ends, or the mean of both", "strict", texts.choice("strict", "loose")),
            _thresholds("0.5"),
            *_curve("none"),
            *_hits("limbs", "", "miss"),
        ),
        breakdown="per_limb",
        example="lsp",
    ),
    _task(
        "pose.auc",
        "auc",
        "area under PCK over thresholds, as used for hands",
        "mmpose 759b39c AUC",
        ("AUC",),
        (
            _normalizer("fixed:30"),
            Parameter("curve", "rising thresholds", "0:0.95:0.05", texts.numbers),
            Parameter(
                "auc", "area by the trapezoid rule, or mean of the points", "mean", texts.choice("trapezoid", "mean")
            ),
            *_with(_hits("joints"), strict="yes", mean="joints", zero_size="skip"),
        ),
    ),
    _task(
        "pose.epe",
        "epe",
        "mean distance of keypoints in pixels",
        "mmpose 759b39c EPE",
        ("EPE",),
        (_counted("joints"),),
        plot=None,
        version=2,
    ),
    _task(
        "landmarks.nme",
        "nme",
        "normalised mean error of landmarks of faces, failure rate, area under the error curve",
        "HRNet-Facial-Landmark-Detection, PIPNet, mmpose 759b39c NME",
        ("NME",),
        (
            _preset("landmarks and size of a data set; or name a normalizer", *_FACES),
            _normalizer("of the preset"),
            Parameter("landmarks", "how many there have to be", "of the preset, else any", texts.integer),
            _counted("landmarks"),
            Parameter("mean", "over faces, or over all their points", "faces", texts.choice("faces", "points")),
            Parameter(
                "failure_thresholds", "errors above which a face fails", "of the preset, else 0.1", texts.numbers
            ),
            Parameter("auc_thresholds", "errors up to which AUC goes", "of the preset, else 0.1", texts.numbers),
            Parameter(
                "curve",
                "exact, or sampled as PIPNet does, which changes FR and AUC",
                "exact",
                texts.choice("exact", "pipnet"),
            ),
            _missing(),
            _zero_size(),
        ),
        ("landmarks of faces: JSON, .csv, .npy or .npz", _PREDICTIONS),
        plot="ced",
        example="wflw",
    ),
    _task(
        "pose.mpjpe",
        "mpjpe",
        "distance of joints in 3-D: MPJPE, PA-MPJPE, N-MPJPE, 3DPCK and its AUC",
        "mmpose 759b39c keypoint_mpjpe, keypoint_3d_pck, keypoint_3d_auc",
        ("MPJPE", "PA-MPJPE", "N-MPJPE"),
        (
            Parameter("root", "joints whose mean is moved to the origin in both poses first", "none", texts.labels),
            Parameter("joints", "the joints that take part", "all", _all_or_some),
            Parameter("fit", "align by all joints, or by the visible ones", "all", texts.choice("all", "visible")),
            Parameter("thresholds", "of 3DPCK, in the unit of the coordinates", "150", texts.numbers),
            Parameter("curve", "rising thresholds whose mean 3DPCK is AUC", "0:150:5", texts.numbers),
        ),
        ("3-D keypoints: .npz, .npy, .csv or JSON", "3-D keypoints of the same instances"),
    ),
)
