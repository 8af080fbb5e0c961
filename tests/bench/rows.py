"""The rows of the speed table, as data: what is computed, of how much, and by whom.

A new row is an entry here, a function in `data` that makes what it is about, and a function for each engine. Nothing is
imported until a process needs it, so that what an engine takes to import can be measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SIZES = {"50k": 50_000, "500k": 500_000, "4m": 4_000_000}
"""Detections. Rows about something else have as much at these sizes as takes about as long."""

SMALL, MIDDLE = ("50k",), ("50k", "500k")


@dataclass(frozen=True)
class Engine:
    """Who computes a row.

    Attributes
    ----------
    make
        ``module:function``: from the row's `argument` (where it has one), its data and a number of threads to `Stages`.
    imports
        Modules that whoever uses this engine imports; timed.
    package
        The distribution whose version is told; None: code of this bench.
    sizes
        Those that it gets; it is too slow for others.
    tolerance, reason
        By how much its figures may differ, relatively, and why.
    peer
        False: it does less than the others, has no figures and is shown for comparison only.
    """

    make: str
    imports: tuple[str, ...] = ("numpy",)
    package: str | None = None
    sizes: tuple[str, ...] = tuple(SIZES)
    tolerance: float = 0.0
    reason: str = ""
    peer: bool = True


@dataclass(frozen=True)
class Row:
    """What is computed.

    Attributes
    ----------
    title
        What the table calls it.
    data, kind
        ``module:function``: from `kind`, how many and a folder to what engines get. What it writes to the folder it
        writes once, before anything is timed.
    unit, sizes
        How many of what at each size.
    engines
        By name; figures of all have to be those of the first one, which is cvbench.
    argument
        Given to engines that serve several rows.
    goals
        Least ratio of the fastest peer to cvbench, by size.
    """

    title: str
    data: str
    kind: str
    unit: str
    sizes: Mapping[str, int]
    engines: Mapping[str, Engine]
    argument: str | None = None
    goals: Mapping[str, float] = field(default_factory=dict)


def _only(sizes: tuple[str, ...], numbers: tuple[int, ...]) -> dict[str, int]:
    return dict(zip(sizes, numbers, strict=True))


def _coco_engines() -> dict[str, Engine]:
    at = "detection_engines"
    term = "leaves out a term of 2^-52 in the denominator of precision"
    return {
        "cvbench": Engine(f"{at}:cvbench", ("cvbench.io", "cvbench.metrics.detection"), "cvbench"),
        "ultrafast-pycocotools": Engine(f"{at}:ultrafast", ("ultrafast_pycocotools",), "ultrafast-pycocotools"),
        "hotcoco": Engine(f"{at}:hotcoco", ("hotcoco",), "hotcoco"),
        "faster-coco-eval": Engine(
            f"{at}:faster", ("faster_coco_eval",), "faster-coco-eval", SMALL, tolerance=1e-12, reason=term
        ),
        "pycocotools": Engine(f"{at}:pycocotools", ("pycocotools.coco", "pycocotools.cocoeval"), "pycocotools", SMALL),
    }


_COCO = _coco_engines()
# wants a box in every record, which results with masks and keypoints do not have
_BOXES = {**_COCO, "vernier": Engine("detection_engines:vernier", ("vernier.instance",), "vernier", SMALL)}

_SUMS = {"tolerance": 1e-12, "reason": "sums in another order"}
_SINGLE = {"tolerance": 1e-6, "reason": "divides in single precision"}

_PANOPTIC = {
    "cvbench": Engine("map_engines:panoptic_cvbench", ("cvbench.metrics.panoptic_quality",), "cvbench"),
    "vernier": Engine("map_engines:panoptic_vernier", ("vernier.panoptic",), "vernier", **_SUMS),
    "two np.unique": Engine("map_engines:panoptic_two_sorts", sizes=MIDDLE, **_SUMS),
}
# 2 s for an image
_PANOPTIC_FEW = {
    "cvbench": _PANOPTIC["cvbench"],
    "torchmetrics": Engine(
        "map_engines:panoptic_torchmetrics", ("torch", "torchmetrics.detection"), "torchmetrics", SMALL, **_SINGLE
    ),
}
_PANOPTIC_FILES = {
    "cvbench": Engine("map_engines:panoptic_cvbench_files", ("cvbench.scoring",), "cvbench"),
    "hotcoco": Engine("map_engines:panoptic_hotcoco_files", ("hotcoco.panoptic",), "hotcoco", **_SUMS),
    "vernier": Engine("map_engines:panoptic_vernier_files", ("vernier.panoptic", "PIL.Image"), "vernier", **_SUMS),
    "two np.unique": Engine("map_engines:panoptic_two_sorts_files", ("numpy", "PIL.Image"), sizes=SMALL, **_SUMS),
    "decoding alone": Engine("map_engines:decoding", ("numpy", "PIL.Image"), peer=False),
}
_LABELS = {
    "cvbench": Engine("map_engines:semantic_cvbench", ("cvbench.metrics.mean_iou",), "cvbench"),
    "hotcoco": Engine("map_engines:semantic_hotcoco", ("hotcoco.semantic",), "hotcoco", **_SUMS),
    "vernier": Engine("map_engines:semantic_vernier", ("vernier.semantic",), "vernier", **_SUMS),
    "np.bincount": Engine("map_engines:semantic_bincount", sizes=MIDDLE, **_SUMS),
    "torchmetrics": Engine(
        "map_engines:semantic_torchmetrics",
        ("torch", "torchmetrics.classification"),
        "torchmetrics",
        SMALL,
        **_SINGLE,
    ),
}
_LABEL_FILES = {
    "cvbench": Engine("map_engines:semantic_cvbench_files", ("cvbench.scoring",), "cvbench"),
    "hotcoco": Engine("map_engines:semantic_hotcoco_files", ("hotcoco.semantic",), "hotcoco", **_SUMS),
    "vernier": Engine("map_engines:semantic_vernier_files", ("vernier.semantic",), "vernier", **_SUMS),
    "np.bincount": Engine("map_engines:semantic_bincount_files", ("numpy", "PIL.Image"), sizes=SMALL, **_SUMS),
    "decoding alone": Engine("map_engines:decoding", ("numpy", "PIL.Image"), peer=False),
}
_PCK = {
    "cvbench": Engine("point_engines:pck_cvbench", ("cvbench.metrics.keypoints",), "cvbench"),
    "whole arrays, as mmpose": Engine("point_engines:pck_whole_arrays"),
    "loop over people": Engine("point_engines:pck_loop_over_people", sizes=SMALL),
    "loop over joints": Engine("point_engines:pck_loop_over_joints", sizes=SMALL),
}
_POSES = {
    "cvbench": Engine("point_engines:mpjpe_cvbench", ("cvbench.metrics.pose3d",), "cvbench"),
    "poses one by one, as mmpose": Engine(
        "point_engines:mpjpe_one_by_one", tolerance=1e-9, reason="the last bits of singular vectors"
    ),
}
_HEATMAPS = {
    "cvbench": Engine("point_engines:heatmaps_cvbench", ("cvbench.metrics.heatmaps",), "cvbench"),
    "loops, as HRNet": Engine(
        "point_engines:heatmaps_in_a_loop", tolerance=1e-6, reason="computes some of it in single precision"
    ),
}


def _coco(title: str, kind: str, argument: str, goals: Mapping[str, float], sizes: Mapping[str, int] = SIZES) -> Row:
    engines = _BOXES if kind == "boxes" else _COCO
    return Row(title, "data:detection_files", kind, "detections", sizes, engines, argument, goals)


def _maps(title: str, data: str, kind: str, engines: Mapping[str, Engine], goal: float | None, *numbers: int) -> Row:
    sizes = dict(zip(SIZES, numbers, strict=False))
    goals = {} if goal is None else dict.fromkeys(MIDDLE, goal)
    return Row(title, f"data:{data}", kind, "images", sizes, engines, goals=goals)


ROWS: dict[str, Row] = {
    "boxes": _coco("boxes, JSON", "boxes", "bbox", {"500k": 2, "4m": 2}),
    "masks": _coco("masks, run lengths, JSON", "masks", "segm", {"500k": 1.5}),
    "polygons": _coco("masks, ground truth as polygons, JSON", "polygons", "segm", {"500k": 1.5}),
    "keypoints": _coco("17 keypoints, JSON", "keypoints", "keypoints", {"500k": 1.5}, _only(MIDDLE, (50_000, 500_000))),
    "pq": _maps("PQ in memory, 640 × 480", "panoptic_maps", "scene", _PANOPTIC, 2, 40, 400),
    "pq-few": _maps("PQ in memory, few images", "panoptic_maps", "scene", _PANOPTIC_FEW, None, 2),
    "pq-noise": _maps("PQ in memory, noise", "panoptic_maps", "noise", _PANOPTIC, None, 8),
    "pq-files": _maps("PQ from JSON and PNG, 640 × 480", "panoptic_files", "scene", _PANOPTIC_FILES, 1.5, 40, 400),
    "miou": _maps("mIoU in memory, 2048 × 1024", "label_maps", "scene", _LABELS, None, 20, 200),
    "miou-noise": _maps("mIoU in memory, noise", "label_maps", "noise", _LABELS, None, 8),
    "miou-files": _maps("mIoU from PNG, 2048 × 1024", "label_files", "scene", _LABEL_FILES, None, 20, 100),
    "pck": Row("PCK", "data:people", "2-D", "people", _only(MIDDLE, (50_000, 500_000)), _PCK, "one"),
    "pck-curve": Row("PCK at 51 thresholds", "data:people", "2-D", "people", _only(SMALL, (50_000,)), _PCK, "51"),
    "mpjpe": Row("MPJPE, PA-MPJPE, N-MPJPE", "data:people", "3-D", "poses", _only(SMALL, (5_000,)), _POSES),
    **{
        f"heatmaps-{method}": Row(
            f"heatmaps {action}, {method}", "data:heatmaps", "", "people", _only(SMALL, (256,)), _HEATMAPS, method
        )
        for action, methods in (("made", ("msra", "udp", "unbiased")), ("read", ("quarter", "dark")))
        for method in methods
    },
}
