"""All metrics of paired keypoints in one table: how each is computed from columns, for those who choose by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cvbench.columns import Keypoints
from cvbench.metrics import endpoint_error, hit_rates, keypoints, landmarks, limbs, mpii, pose3d
from cvbench.metrics.instances import Trouble
from cvbench.metrics.keypoints import PckParams
from cvbench.result import Result


@dataclass(frozen=True)
class PairedMetric:
    """How a metric of paired keypoints is computed.

    Attributes
    ----------
    rules
        From keyword arguments to the metric's params.
    problems
        From columns and params to what keeps instances from being scored.
    count
        From columns, params, names of keypoints and threads to a state.
    result
        From a state, the task's name and version, and further pairs of the signature to a result; takes counts, notes
        and inputs, too.
    figures
        From params to what each figure is, by name, in the order of results.
    dims
        Coordinates of a keypoint.
    """

    rules: Callable[..., Any]
    problems: Callable[[Keypoints, Any], Iterable[Trouble]]
    count: Callable[[Keypoints, Any, Sequence[str], int | None], Any]
    result: Callable[..., Result]
    figures: Callable[[Any], dict[str, str]]
    dims: int = 2


def _hits(rules: Callable[..., Any], module: Any, figure: str) -> PairedMetric:
    figures = partial(hit_rates.figures, figure=figure)
    result = module.result_of if module is not keypoints else partial(module.result_of, figure=figure)
    return PairedMetric(rules, module.problems, module.count, result, figures)


METRICS = {
    "pck": _hits(PckParams.of, keypoints, "PCK"),
    "pdj": _hits(partial(keypoints.pdj_params, preset=None), keypoints, "PDJ"),
    "auc": _hits(partial(PckParams.of, "mmpose-auc"), keypoints, "PCK"),
    "pckh": _hits(mpii.params_of, mpii, "PCKh"),
    "pcp": _hits(limbs.PcpParams.of, limbs, "PCP"),
    "epe": PairedMetric(
        endpoint_error.EpeParams,
        endpoint_error.problems,
        endpoint_error.count,
        endpoint_error.result_of,
        lambda _: {"EPE": "mean distance of predicted from annotated keypoints, in pixels"},
    ),
    "nme": PairedMetric(
        landmarks.NmeParams.of, landmarks.problems, landmarks.count, landmarks.result_of, landmarks.figures
    ),
    "mpjpe": PairedMetric(
        pose3d.PoseParams.of, pose3d.problems, pose3d.count, pose3d.result_of, pose3d.figures, dims=3
    ),
}
"""All of them by the name that the settings of tasks have."""
