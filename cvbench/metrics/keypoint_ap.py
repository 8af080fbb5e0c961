"""Keypoint AP of CrowdPose and COCO-WholeBody for training loops: one dict of arrays per image.

Dicts are those of `cvbench.metrics.detection_ap` with ``keypoints``, and with what the benchmarks have beyond COCO.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from cvbench.columns import Detections, GroundTruth
from cvbench.metrics import crowdpose, wholebody
from cvbench.metrics.base import Image
from cvbench.metrics.detection import DetectionState
from cvbench.metrics.detection_ap import BoxFormat, DetectionAP, own_area
from cvbench.metrics.image_dicts import Side
from cvbench.result import Result


class _KeypointAP(DetectionAP):
    """What is shared: the rules of a benchmark instead of COCO's, with changes to them."""

    RULES: ClassVar[Mapping[str, Any]]

    def __init__(
        self,
        *,
        box_format: BoxFormat = "xyxy",
        categories: Mapping[int, str] | None = None,
        detection_area: Literal["auto", "box", "keypoints"] = "auto",
        threads: int | None = None,
        **rules: Any,
    ) -> None:
        super().__init__(
            "keypoints",
            box_format=box_format,
            categories=categories,
            detection_area=detection_area,
            threads=threads,
            **{**self.RULES, **rules},
        )


class CrowdPoseAP(_KeypointAP):
    """Average precision of 14 keypoints in crowds, and in easy, medium and hard images.

    The ground truth of an image needs ``crowd_index``, a number, beside ``boxes``, ``labels`` and ``keypoints``
    (N, 14, 3); an ``area`` is not read. ``num_keypoints`` should be given: CrowdPose counts visible joints only, and
    people without any are ignored.

    Parameters
    ----------
    box_format, categories, detection_area, threads
        As `cvbench.metrics.detection_ap.DetectionAP` takes them.
    **rules
        Changes to CrowdPose's rules, `cvbench.metrics.crowdpose.RULES`.

    Examples
    --------
    >>> points = np.full((1, 14, 3), 20.0)
    >>> gt = {"boxes": [[10, 10, 50, 50]], "labels": [1], "keypoints": points, "crowd_index": 0.1}
    >>> metric = CrowdPoseAP().update(gt, {"labels": [1], "keypoints": points, "scores": [0.9]})
    >>> values = metric.compute().values
    >>> round(values["AP_easy"], 3), values["AP_hard"]
    (1.0, nan)

    See Also
    --------
    cvbench.metrics.crowdpose : conventions, what is undefined, references.
    """

    RULES = crowdpose.RULES

    def _ground_truth(self, side: Side) -> dict[str, Any]:
        index = side.of_image("crowd_index")
        return super()._ground_truth(side) | {"crowd_index": list(index[:, None])}

    def _count(self, images: list[Image]) -> DetectionState:
        state = super()._count(images)
        by_id = {image.id: image.arrays["crowd_index"][0] for image in images}
        index = np.array([by_id[number] for number in state.image_ids.tolist()], np.float64)
        return crowdpose.CrowdPoseState(**vars(state), crowd_index=index)

    def _result_of(self, state: Any, *arguments: Any, **options: Any) -> Result:
        return crowdpose.result_of(state, *arguments, **options)


class WholeBodyAP(_KeypointAP):
    """Average precision of the 133 keypoints of the whole body, and of body, feet, face and hands by themselves.

    ``keypoints`` are (N, 133, 3): body, foot, face, left hand, right hand, one after another. Predictions may have
    ``part_scores`` (N, 5), in the order of `cvbench.metrics.wholebody.PART_SCORES`; without them ``scores`` rank all
    parts.

    Parameters
    ----------
    box_format, categories, detection_area, threads
        As `cvbench.metrics.detection_ap.DetectionAP` takes them; the keypoints of which the area of a detection is
        taken are those of the body.
    **rules
        Changes to COCO-WholeBody's rules, `cvbench.metrics.wholebody.RULES`.

    Examples
    --------
    >>> points = np.full((1, 133, 3), 20.0)
    >>> gt = {"boxes": [[10, 10, 50, 50]], "labels": [1], "keypoints": points, "area": [900.0]}
    >>> metric = WholeBodyAP().update(gt, {"labels": [1], "keypoints": points, "scores": [0.9]})
    >>> round(metric.compute().values["AP_foot"], 3)
    1.0

    See Also
    --------
    cvbench.metrics.wholebody : conventions, what is undefined, references.
    """

    RULES = wholebody.RULES

    def _layout(self, side: str) -> dict[str, tuple[type, tuple[int, ...]]]:
        columns = super()._layout(side)
        return columns if side == "gt" else columns | {"part_scores": (np.float64, (len(wholebody.PART_SCORES),))}

    def _detections(self, side: Side) -> dict[str, Any]:
        objects = super()._detections(side)
        if self.detection_area == "keypoints":
            objects["area"] = own_area({"keypoints": objects["keypoints"][:, wholebody.PARTS[0].joints]})
        parts = len(wholebody.PART_SCORES)
        objects["part_scores"] = side.column(
            "part_scores", np.float64, (parts,), lambda: np.repeat(objects["scores"][:, None], parts, axis=1)
        )
        return objects

    def _matched(self, gt: GroundTruth, dt: Detections) -> DetectionState:
        return wholebody.count(gt, dt, self.params, self.threads)

    def _result_of(self, state: Any, *arguments: Any, **options: Any) -> Result:
        return wholebody.result_of(state, *arguments, **options)
