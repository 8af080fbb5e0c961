"""The rows of the speed table, as data: what is computed, of how much, and by whom.

A new row is an entry here, a function in `data` that makes what it is about, and a function for each engine. Nothing is
imported until a process needs it, so that what an engine takes to import can be measured.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

SIZES = {"50k": 50_000, "500k": 500_000, "4m": 4_000_000}
"""Detections. Rows about something else have as much at these sizes as takes about as long."""

Cell = tuple[str, str, int]
"""Row, size, threads: what is measured in one go."""

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
    sizes, threads
        Those that it gets: it is too slow for others, or uses no more.
    most
        Fresh processes, at most; of engines that are far from the fastest. Where their first round is long, it is the
        only one.
    tolerance, reason
        By how much its figures may differ, relatively, and why.
    peer
        False: it does less than the others, has no figures and is shown for comparison only.
    """

    make: str
    imports: tuple[str, ...] = ("numpy",)
    package: str | None = None
    sizes: tuple[str, ...] = tuple(SIZES)
    threads: tuple[int, ...] = (1, 2)
    most: int | None = None
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
    threads
        Numbers of threads to measure with, by size; of sizes that are not listed, 1 and 2.
    compiles
        How often to measure what the first round ever takes longer; the goal for it, in seconds, is `compile_goal`.
    shell
        Engines are commands: `make` gives one from the data and a number of threads, and its whole process is timed.
    """

    title: str
    data: str
    kind: str
    unit: str
    sizes: Mapping[str, int]
    engines: Mapping[str, Engine]
    argument: str | None = None
    goals: Mapping[str, float] = field(default_factory=dict)
    threads: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    compiles: int = 0
    compile_goal: float | None = None
    shell: bool = False

    def engines_at(self, size: str, threads: int) -> list[str]:
        """Those that compute the row at this size and with so many threads."""
        return [name for name, who in self.engines.items() if size in who.sizes and threads in who.threads]


def cells(sizes: Collection[str] = tuple(SIZES)) -> list[Cell]:
    """All cells of these sizes, small ones first."""
    return [
        (name, size, threads)
        for size in SIZES
        if size in sizes
        for name, row in ROWS.items()
        if size in row.sizes
        for threads in row.threads.get(size, (1, 2))
    ]


def _coco_engines() -> dict[str, Engine]:
    at = "detection_engines"
    term = "leaves out a term of 2^-52 in the denominator of precision"
    return {
        "cvbench": Engine(f"{at}:cvbench", ("cvbench.io", "cvbench.metrics.detection"), "cvbench"),
        "ultrafast-pycocotools": Engine(f"{at}:ultrafast", ("ultrafast_pycocotools",), "ultrafast-pycocotools"),
        "hotcoco": Engine(f"{at}:hotcoco", ("hotcoco",), "hotcoco"),
        "faster-coco-eval": Engine(
            f"{at}:faster", ("faster_coco_eval",), "faster-coco-eval", SMALL, (1,), 3, tolerance=1e-12, reason=term
        ),
        "pycocotools": Engine(
            f"{at}:pycocotools", ("pycocotools.coco", "pycocotools.cocoeval"), "pycocotools", SMALL, (1,), 2
        ),
    }


_COCO = _coco_engines()
# wants a box in every record, which results with masks and keypoints do not have
_BOXES = {**_COCO, "vernier": Engine("detection_engines:vernier", ("vernier.instance",), "vernier", SMALL)}
_ULTRAFAST = _COCO["ultrafast-pycocotools"]
_OF_SHAPES = {
    "boxes": _BOXES,
    "masks": {**_COCO, "ultrafast-pycocotools": replace(_ULTRAFAST, sizes=MIDDLE, most=3)},
    # the slow ones are in the row of masks
    "polygons": {name: _COCO[name] for name in ("cvbench", "hotcoco")},
    "keypoints": {**_COCO, "ultrafast-pycocotools": replace(_ULTRAFAST, sizes=SMALL)},
}

_SUMS: dict[str, Any] = {"tolerance": 1e-12, "reason": "sums in another order"}
_ALONE: dict[str, Any] = {"threads": (1,)}
_SINGLE: dict[str, Any] = {"tolerance": 1e-6, "reason": "divides in single precision"}

_PANOPTIC = {
    "cvbench": Engine("map_engines:panoptic_cvbench", ("cvbench.metrics.panoptic_quality",), "cvbench"),
    "vernier": Engine("map_engines:panoptic_vernier", ("vernier.panoptic",), "vernier", **_SUMS),
    "two np.unique": Engine("map_engines:panoptic_two_sorts", sizes=SMALL, **_ALONE, **_SUMS),
}
_TORCH = ("torch", "torchvision_operators")
"""What torchmetrics needs before it: it imports torchvision wherever there is one."""

# 2 s for an image
_PANOPTIC_FEW = {
    "cvbench": _PANOPTIC["cvbench"],
    "torchmetrics": Engine(
        "map_engines:panoptic_torchmetrics",
        (*_TORCH, "torchmetrics.detection"),
        "torchmetrics",
        SMALL,
        most=2,
        **_SINGLE,
    ),
}
_PANOPTIC_FILES = {
    "cvbench": Engine("map_engines:panoptic_cvbench_files", ("cvbench.scoring",), "cvbench"),
    "hotcoco": Engine("map_engines:panoptic_hotcoco_files", ("hotcoco.panoptic",), "hotcoco", **_SUMS),
    "vernier": Engine("map_engines:panoptic_vernier_files", ("vernier.panoptic", "PIL.Image"), "vernier", **_SUMS),
    "two np.unique": Engine(
        "map_engines:panoptic_two_sorts_files", ("numpy", "PIL.Image"), sizes=SMALL, **_ALONE, **_SUMS
    ),
    "decoding alone": Engine("map_engines:decoding", ("numpy", "PIL.Image"), peer=False),
}
_LABELS = {
    "cvbench": Engine("map_engines:semantic_cvbench", ("cvbench.metrics.mean_iou",), "cvbench"),
    "hotcoco": Engine("map_engines:semantic_hotcoco", ("hotcoco.semantic",), "hotcoco", **_SUMS),
    "vernier": Engine("map_engines:semantic_vernier", ("vernier.semantic",), "vernier", **_SUMS),
    "np.bincount": Engine("map_engines:semantic_bincount", sizes=MIDDLE, **_ALONE, **_SUMS),
    "torchmetrics": Engine(
        "map_engines:semantic_torchmetrics",
        (*_TORCH, "torchmetrics.classification"),
        "torchmetrics",
        SMALL,
        **_SINGLE,
    ),
}
_LABEL_FILES = {
    "cvbench": Engine("map_engines:semantic_cvbench_files", ("cvbench.scoring",), "cvbench"),
    "hotcoco": Engine("map_engines:semantic_hotcoco_files", ("hotcoco.semantic",), "hotcoco", **_SUMS),
    "vernier": Engine("map_engines:semantic_vernier_files", ("vernier.semantic",), "vernier", **_SUMS),
    "np.bincount": Engine(
        "map_engines:semantic_bincount_files", ("numpy", "PIL.Image"), sizes=SMALL, **_ALONE, **_SUMS
    ),
    "decoding alone": Engine("map_engines:decoding", ("numpy", "PIL.Image"), peer=False),
}
_PCK = {
    "cvbench": Engine("point_engines:pck_cvbench", ("cvbench.metrics.keypoints",), "cvbench"),
    "whole arrays, as mmpose": Engine("point_engines:pck_whole_arrays", **_ALONE),
    "loop over people": Engine("point_engines:pck_loop_over_people", sizes=SMALL, most=3, **_ALONE),
    "loop over joints": Engine("point_engines:pck_loop_over_joints", sizes=SMALL, most=3, **_ALONE),
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
_LOOP_IMPORTS = (*_TORCH, "torchvision", "torchmetrics.detection")
_ROUNDED: dict[str, Any] = {"tolerance": 2.0**-23, "reason": "gives figures in single precision"}
_LOOP = {
    "cvbench": Engine("loop_engines:cvbench", ("torch", "cvbench.metrics.detection_ap"), "cvbench"),
    "torchmetrics, faster-coco-eval": Engine(
        "loop_engines:with_faster_coco_eval",
        (*_LOOP_IMPORTS, "faster_coco_eval"),
        "torchmetrics",
        SMALL,
        most=3,
        **_ROUNDED,
    ),
    "torchmetrics, pycocotools": Engine(
        "loop_engines:with_pycocotools", (*_LOOP_IMPORTS, "pycocotools"), "torchmetrics", SMALL, most=2, **_ROUNDED
    ),
}


_SHELL = {
    "cvbench": Engine("shell_engines:cvbench", ("cvbench",), "cvbench"),
    "ultrafast-pycocotools": Engine("shell_engines:ultrafast", ("ultrafast_pycocotools",), "ultrafast-pycocotools"),
    "hotcoco": Engine("shell_engines:hotcoco", ("hotcoco",), "hotcoco"),
}

_ONE = dict.fromkeys(SIZES, (1,))
"""Engines whose peers have one thread only."""


def _coco(title: str, kind: str, argument: str, goals: Mapping[str, float], n: int = 3, **more: Any) -> Row:
    sizes = dict(list(SIZES.items())[:n])
    return Row(title, "data:detection_files", kind, "detections", sizes, _OF_SHAPES[kind], argument, goals, **more)


def _maps(title: str, data: str, kind: str, engines: Mapping[str, Engine], *numbers: int, **more: Any) -> Row:
    return Row(title, f"data:{data}", kind, "images", dict(zip(SIZES, numbers, strict=False)), engines, **more)


def _people(title: str, kind: str, unit: str, engines: Mapping[str, Engine], *numbers: int, **more: Any) -> Row:
    sizes = dict(zip(SIZES, numbers, strict=False))
    return Row(title, "data:people", kind, unit, sizes, engines, threads=_ONE, **more)


ROWS: dict[str, Row] = {
    "boxes": _coco("boxes, JSON", "boxes", "bbox", {"500k": 2, "4m": 2}, compiles=3, compile_goal=6),
    "shell": Row(
        "boxes, JSON, whole process from the shell",
        "data:detection_files",
        "boxes",
        "detections",
        SIZES,
        _SHELL,
        goals={"500k": 0.8, "4m": 1.5},
        threads={"4m": (2,)},
        shell=True,
    ),
    "masks": _coco("masks as run lengths, JSON", "masks", "segm", {"500k": 1.5}, threads={"4m": (2,)}, compiles=1),
    "polygons": _coco(
        "masks, ground truth as polygons, JSON", "polygons", "segm", {"500k": 1.5}, 2, threads={"500k": (2,)}
    ),
    "keypoints": _coco("17 keypoints, JSON", "keypoints", "keypoints", {"500k": 1.5}, 2, compiles=1),
    "loop": Row(
        "boxes in a training loop, 16 images to a batch (load: `update`)",
        "loop_engines:batches",
        "16",
        "detections",
        {size: SIZES[size] for size in MIDDLE},
        _LOOP,
        threads=_ONE,
    ),
    "pq": _maps(
        "PQ in memory, 640 × 480", "panoptic_maps", "scene", _PANOPTIC, 40, 400, goals={"50k": 2, "500k": 2}, compiles=1
    ),
    "pq-few": _maps("PQ in memory, two images", "panoptic_maps", "scene", _PANOPTIC_FEW, 2, threads=_ONE),
    "pq-noise": _maps("PQ in memory, noise", "panoptic_maps", "noise", _PANOPTIC, 8, threads=_ONE),
    "pq-files": _maps(
        "PQ from JSON and PNG, 640 × 480",
        "panoptic_files",
        "scene",
        _PANOPTIC_FILES,
        40,
        400,
        goals={"50k": 1.5, "500k": 1.5},
    ),
    "miou": _maps("mIoU in memory, 2048 × 1024", "label_maps", "scene", _LABELS, 20, 200, compiles=1),
    "miou-noise": _maps("mIoU in memory, noise", "label_maps", "noise", _LABELS, 8, threads=_ONE),
    "miou-files": _maps("mIoU from PNG, 2048 × 1024", "label_files", "scene", _LABEL_FILES, 20, 100),
    "pck": _people("PCK", "2-D", "people", _PCK, 50_000, 500_000, argument="one"),
    "pck-curve": _people("PCK at 51 thresholds", "2-D", "people", _PCK, 50_000, argument="51"),
    "mpjpe": _people("MPJPE, PA-MPJPE, N-MPJPE", "3-D", "poses", _POSES, 5_000),
    **{
        f"heatmaps-{method}": Row(
            f"heatmaps {action}, {method}",
            "data:heatmaps",
            "",
            "people",
            {"50k": 256},
            _HEATMAPS,
            method,
            threads=_ONE,
        )
        for action, methods in (("made", ("msra", "udp", "unbiased")), ("read", ("quarter", "dark")))
        for method in methods
    },
}
