"""The rows of the speed table, as data: what is computed, of how much, and by whom.

A row is made of an entry here, a function that makes its data, and one function for each engine. Nothing is imported
until a process needs it, so that what an engine takes to import can be measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SIZES = {"50k": 50_000, "500k": 500_000, "4m": 4_000_000}
"""Detections. The sizes of other rows stand beside these: so much takes about as long, or is as much as people have."""


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
    """

    make: str
    imports: tuple[str, ...]
    package: str | None
    sizes: tuple[str, ...] = tuple(SIZES)
    tolerance: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """What is computed.

    Attributes
    ----------
    title
        What the table calls it.
    data
        ``module:function``: from `kind`, how many and the paths to what engines get. With paths it writes the files that
        are missing, before anything is timed, and engines get the paths; without, engines get what it returns.
    paths
        Names of files or folders; ``{}`` stands for how many.
    sizes
        How many of `unit` at each size.
    engines
        By name; the first is the reference for the figures of all.
    goals
        Least ratio of the fastest peer to cvbench, by size.
    """

    title: str
    data: str
    kind: str
    unit: str
    sizes: Mapping[str, int]
    engines: Mapping[str, Engine]
    paths: tuple[str, ...] = ()
    argument: str | None = None
    goals: Mapping[str, float] = field(default_factory=dict)

    def paths_in(self, folder: Path, size: str) -> tuple[Path, ...]:
        """Where the data are."""
        return tuple(folder / path.format(self.sizes[size]) for path in self.paths)


def _coco(cvbench: str = "cvbench") -> dict[str, Engine]:
    at = "detection_engines"
    ulp = "leaves out a term of 2^-52 in the denominator of precision"
    return {
        cvbench: Engine(f"{at}:cvbench", ("cvbench.io", "cvbench.metrics.detection"), "cvbench"),
        "ultrafast-pycocotools": Engine(f"{at}:ultrafast", ("ultrafast_pycocotools",), "ultrafast-pycocotools"),
        "hotcoco": Engine(f"{at}:hotcoco", ("hotcoco",), "hotcoco"),
        "faster-coco-eval": Engine(
            f"{at}:faster", ("faster_coco_eval",), "faster-coco-eval", ("50k",), tolerance=1e-12, reason=ulp
        ),
        "vernier": Engine(f"{at}:vernier", ("vernier.instance",), "vernier", ("50k",)),
        "pycocotools": Engine(
            f"{at}:pycocotools", ("pycocotools.coco", "pycocotools.cocoeval"), "pycocotools", ("50k",)
        ),
    }


ROWS: dict[str, Row] = {
    "boxes": Row(
        "boxes, JSON to 12 figures",
        "workload:detection_files",
        "boxes",
        "detections",
        SIZES,
        _coco(),
        ("boxes-{}-gt.json", "boxes-{}-dt.json"),
        "bbox",
        {"500k": 2, "4m": 2},
    ),
    "masks": Row(
        "masks as run lengths, JSON to 12 figures",
        "workload:detection_files",
        "masks",
        "detections",
        SIZES,
        _coco(),
        ("masks-{}-gt.json", "masks-{}-dt.json"),
        "segm",
        {"500k": 1.5},
    ),
    "polygons": Row(
        "masks, ground truth as polygons, JSON to 12 figures",
        "workload:detection_files",
        "polygons",
        "detections",
        SIZES,
        _coco(),
        ("polygons-{}-gt.json", "masks-{}-dt.json"),
        "segm",
        {"500k": 1.5},
    ),
    "keypoints": Row(
        "17 keypoints, JSON to 10 figures",
        "workload:detection_files",
        "keypoints",
        "detections",
        {size: SIZES[size] for size in ("50k", "500k")},
        _coco(),
        ("keypoints-{}-gt.json", "keypoints-{}-dt.json"),
        "keypoints",
        {"500k": 1.5},
    ),
}
