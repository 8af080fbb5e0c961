"""What rows are about: ``function(kind, n, folder)`` gives the data of n items.

Data in files are written once and given by their paths; nothing heavy is imported for these, so that it cannot be
taken for what an engine imports.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cvbench.columns import Keypoints
    from map_workload import PanopticImage
    from workload import Kind as Shapes

PANOPTIC_SIZE, SEMANTIC_SIZE, CLASSES = (480, 640), (1024, 2048), 19
Pair = tuple[Path, Path]


def detection_files(kind: Shapes, n: int, folder: Path) -> Pair:
    """COCO JSON of ground truth and results with n detections."""
    # predictions are run lengths, too, where the ground truth is polygons
    paths = folder / f"{kind}-{n}-gt.json", folder / f"{'masks' if kind == 'polygons' else kind}-{n}-dt.json"
    if not all(path.exists() for path in paths):
        from workload import Size, write_files

        folder.mkdir(parents=True, exist_ok=True)
        write_files(kind, Size.of(n, kind), *paths)
    return paths


def panoptic_files(kind: str, n: int, folder: Path) -> Pair:
    """COCO's panoptic JSON of n images, folders of PNG beside it."""
    paths = folder / f"panoptic-{kind}-{n}-gt.json", folder / f"panoptic-{kind}-{n}-pred.json"
    if not all(path.exists() for path in paths):
        from map_workload import panoptic_images, write_panoptic

        for path, images in zip(paths, panoptic_images(kind, n, *PANOPTIC_SIZE), strict=True):
            write_panoptic(path, images)
    return paths


def label_files(kind: str, n: int, folder: Path) -> Pair:
    """Folders of n label maps in PNG."""
    paths = folder / f"labels-{kind}-{n}-gt", folder / f"labels-{kind}-{n}-pred"
    if not all(path.exists() for path in paths):
        from map_workload import label_maps, write_label_maps

        for path, maps in zip(paths, label_maps(kind, n, *SEMANTIC_SIZE, CLASSES), strict=True):
            write_label_maps(path, maps)
    return paths


def panoptic_maps(kind: str, n: int, folder: Path) -> tuple[list[PanopticImage], list[PanopticImage]]:
    """Ground truth and predictions of n images in memory: few different ones, again and again."""
    from map_workload import DISTINCT, read_panoptic, repeated

    gt, pred = (list(read_panoptic(path)) for path in panoptic_files(kind, DISTINCT, folder))
    return repeated(gt, n), repeated(pred, n)


def label_maps(kind: str, n: int, folder: Path) -> tuple[list[Any], list[Any]]:
    """Ground truth and predictions of n label maps in memory: few different ones, again and again."""
    from map_workload import DISTINCT, read_label_maps, repeated

    gt, pred = (list(read_label_maps(path)) for path in label_files(kind, DISTINCT, folder))
    return repeated(gt, n), repeated(pred, n)


def people(kind: str, n: int, folder: Path) -> Keypoints:
    """n people in memory, in the plane or in space."""
    from point_workload import people, poses

    return poses(n) if kind == "3-D" else people(n)


def heatmaps(kind: str, n: int, folder: Path) -> tuple[Any, Any]:
    """Keypoints of n people, and what a network might say of them, in memory."""
    from point_workload import heatmaps

    return heatmaps(n)
