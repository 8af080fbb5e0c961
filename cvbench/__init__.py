"""cvbench: scores for computer vision that can be compared.

Names resolve on first use: ``import cvbench`` loads neither NumPy nor Numba, and not even `typing`.
"""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "cvbench.columns": (
        "Detections",
        "GroundTruth",
        "Masks",
    ),
    "cvbench.cost.operators": ("register_formula",),
    "cvbench.cost.spec": ("CountSpec",),
    "cvbench.errors": (
        "CvbenchError",
        "FormatError",
        "InputError",
        "MismatchError",
        "MissingDependency",
    ),
    "cvbench.intervals": (
        "Interval",
        "bootstrap",
    ),
    "cvbench.kernels.caching": ("CacheWarning",),
    "cvbench.metrics.boundary": (
        "boundary_f",
        "region_bands",
    ),
    "cvbench.metrics.detection": (
        "COCO_SIGMAS",
        "DetectionParams",
    ),
    "cvbench.metrics.detection_ap": (
        "DetectionAP",
        "detection_ap",
    ),
    "cvbench.metrics.endpoint_error": (
        "EPE",
        "epe",
    ),
    "cvbench.metrics.heatmaps": (
        "decode_heatmaps",
        "encode_heatmaps",
    ),
    "cvbench.metrics.instances": ("Normalizer",),
    "cvbench.metrics.keypoint_ap": (
        "CrowdPoseAP",
        "WholeBodyAP",
    ),
    "cvbench.metrics.keypoints": (
        "PCK",
        "PckParams",
        "pck",
    ),
    "cvbench.metrics.landmarks": (
        "NME",
        "NmeParams",
        "nme",
    ),
    "cvbench.metrics.limbs": (
        "PCP",
        "PcpParams",
        "pcp",
    ),
    "cvbench.metrics.masks": (
        "boundary_iou",
        "mask_boundary",
        "mask_iou",
        "masks_from_boxes",
        "masks_from_counts",
        "masks_from_polygons",
        "masks_from_strings",
        "rle_area",
        "rle_boxes",
        "rle_decode",
        "rle_encode",
        "rle_merge",
        "rle_to_strings",
    ),
    "cvbench.metrics.mean_iou": (
        "CityscapesIoU",
        "ConfusionMatrix",
        "MeanIoU",
        "confusion_matrix",
        "mean_iou",
    ),
    "cvbench.metrics.mpii": (
        "PCKh",
        "pckh",
    ),
    "cvbench.metrics.panoptic": ("PanopticParams",),
    "cvbench.metrics.panoptic_quality": (
        "PanopticQuality",
        "panoptic_quality",
    ),
    "cvbench.metrics.pose3d": (
        "MPJPE",
        "PoseParams",
        "mpjpe",
        "procrustes_align",
    ),
    "cvbench.metrics.precision_recall": (
        "average_precision",
        "greedy_match",
        "precision_recall_curve",
    ),
    "cvbench.metrics.semantic": ("SemanticParams",),
    "cvbench.metrics.sigmas": ("SIGMAS",),
    "cvbench.metrics.similarity": (
        "box_iou",
        "oks",
    ),
    "cvbench.profiling": ("profile",),
    "cvbench.pareto": (
        "hypervolume",
        "pareto_front",
    ),
    "cvbench.records": ("RunRecord",),
    "cvbench.result": (
        "Provenance",
        "Result",
        "Signature",
        "comparable",
    ),
    "cvbench.scoring": (
        "check",
        "score",
    ),
    "cvbench.tasks": ("TASKS",),
    "cvbench.warming": (
        "Warmup",
        "warmup",
    ),
}
"""Where each public name lives; ``__init__.pyi`` says the same to type checkers."""

_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605  # ruff wants a literal; the table is the one place for a name


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("cvbench")
    if name not in _HOME:
        raise AttributeError(f"module 'cvbench' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
