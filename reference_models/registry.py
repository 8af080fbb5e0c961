"""Which models there are; `cvbench.models` finds this table through its entry point."""

from __future__ import annotations

MODELS = {
    "centernet": "reference_models.detection.centernet",
    "cornernet": "reference_models.detection.cornernet",
    "cpm": "reference_models.pose.cpm",
    "deeplabv3": "reference_models.semantic.deeplabv3",
    "deeppose": "reference_models.pose.deeppose",
    "faster_rcnn": "reference_models.detection.faster_rcnn",
    "fcn": "reference_models.semantic.fcn",
    "hourglass": "reference_models.pose.hourglass",
    "mask_rcnn": "reference_models.instance.mask_rcnn",
    "panoptic_fpn": "reference_models.panoptic.panoptic_fpn",
    "retinanet": "reference_models.detection.retinanet",
    "ssd": "reference_models.detection.ssd",
    "unet": "reference_models.semantic.unet",
    "upsnet": "reference_models.panoptic.upsnet",
    "yolact": "reference_models.instance.yolact",
    "yolo": "reference_models.detection.yolo",
}
"""The module of each model, by name: a file of the name in the folder of the field."""
