"""Readers: from files, or data of the same form in memory, to columns."""

from cvbench.io.coco import Reading, check_detections, check_ground_truth, read_detections, read_ground_truth
from cvbench.io.fields import DetectionArea, IouType, MissingArea
from cvbench.io.problems import Problem
from cvbench.io.source import Source

__all__ = [
    "DetectionArea",
    "IouType",
    "MissingArea",
    "Problem",
    "Reading",
    "Source",
    "check_detections",
    "check_ground_truth",
    "read_detections",
    "read_ground_truth",
]
