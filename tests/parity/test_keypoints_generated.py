"""PCK, PCKh, PDJ, PCP, AUC and EPE on generated instances against slow twins of the evaluators they follow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.columns import Float
from cvbench.metrics.endpoint_error import EPE
from cvbench.metrics.keypoints import PCK
from cvbench.metrics.limbs import PCP
from cvbench.metrics.mpii import JOINTS, PROTOCOLS, PCKh
from cvbench.result import Result
from keypoint_cases import Instances, KeypointKnobs, Pair, keypoint_images, keypoint_knobs, together
from naive import keypoints as naive

ROUNDING = {"rtol": 1e-12, "atol": 0}
"""For means: twins add floats in the order of joints, cvbench adds exactly. Rates of joints are equal to the bit."""

SINGLE = {"rtol": 1e-6, "atol": 5e-5}
"""For mean distances in pixels: mmpose has rounded coordinates below 256 to single precision, by up to 8e-6."""


def scored(metric: Any, images: list[Pair]) -> Result:
    for gt, pred in images:
        metric.update(gt, pred)
    result: Result = metric.compute()
    return result


def column(result: Result, table: str, figure: str) -> list[float]:
    return [float(row[figure]) for row in result.tables[table]]


@given(knobs=keypoint_knobs(), threshold=st.sampled_from((0.05, 0.1, 0.2, 0.5, 0.7, 1.0)))
def test_mmpose(knobs: KeypointKnobs, threshold: float) -> None:
    images = keypoint_images(knobs)
    every, figure = together(images), f"PCK@{threshold:g}"
    for rules, sizes in (
        ({}, np.max(every.boxes[:, 2:] - every.boxes[:, :2], axis=1, initial=0.0)),
        ({"normalizer": "size"}, every.size),
    ):
        result = scored(PCK("mmpose", thresholds=threshold, **rules), images)
        by_joint, mean, number = naive.mmpose_pck(every.pred, every.gt, every.visible, threshold, sizes)
        np.testing.assert_array_equal(column(result, "per_joint", figure) or by_joint, by_joint)
        np.testing.assert_allclose(result.values[figure], mean, **ROUNDING)
        assert sum(row["instances"] > 0 for row in result.tables["per_joint"]) == number


@given(knobs=keypoint_knobs(), size=st.sampled_from((5.0, 30.0)), steps=st.sampled_from((4, 20)))
def test_the_area_of_mmpose(knobs: KeypointKnobs, size: float, steps: int) -> None:
    images = keypoint_images(knobs)
    every = together(images)
    curve = np.arange(steps) / steps
    result = scored(PCK("mmpose-auc", normalizer=f"fixed:{size}", curve=curve), images)
    expected = naive.mmpose_auc(every.pred, every.gt, every.visible, size, steps)
    np.testing.assert_allclose(result.values["AUC"], expected, **ROUNDING)
    assert list(result.values) == ["AUC"]


@given(knobs=keypoint_knobs())
def test_the_mean_distance_of_mmpose(knobs: KeypointKnobs) -> None:
    images = keypoint_images(knobs)
    every = together(images)
    expected = naive.mmpose_epe(every.pred, every.gt, every.visible)
    np.testing.assert_allclose(scored(EPE(), images).values["EPE"], expected, **SINGLE)


@given(knobs=keypoint_knobs(15), small=st.booleans())
def test_jhmdb(knobs: KeypointKnobs, small: bool) -> None:
    images = [({**gt, "keypoints": np.nan_to_num(gt["keypoints"])}, pred) for gt, pred in keypoint_images(knobs)]
    for gt, _ in images if small else ():
        gt["keypoints"][:, 5] = gt["keypoints"][:, 4] + [0.5, 0]
    every = together(images)
    result = scored(PCK("jhmdb-torso"), images)
    torso = naive.jhmdb_torso(every.pred, every.gt)
    by_joint, mean, _ = naive.mmpose_pck(every.pred, every.gt, every.visible, 0.2, torso)
    np.testing.assert_allclose(result.values["PCK@0.2"], mean, **ROUNDING)
    for part, rate in naive.parts(by_joint, naive.JHMDB).items():
        if not math.isnan(rate):
            np.testing.assert_allclose(result.values[part], rate, **ROUNDING, err_msg=part)
    short = np.linalg.norm(every.gt[:, 4] - every.gt[:, 5], axis=1) < 1
    assert result.counts["predicted_sizes"] == short.sum()
    assert short.all() or not small


TWINS: dict[str, Callable[..., dict[str, float]]] = {
    "matlab": naive.mpii_matlab,
    "hrnet": naive.mpii_hrnet,
    "mmpose": naive.mpii_mmpose,
    "pytorch-pose": naive.mpii_pytorch_pose,
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(data=st.data())
def test_mpii(protocol: str, data: st.DataObject) -> None:
    images = keypoint_images(data.draw(keypoint_knobs(len(JOINTS), missing=protocol == "matlab")))
    every = together(images)
    expected = TWINS[protocol](every.pred, every.gt, every.visible, naive.head_sizes(every.head_boxes))
    values = scored(PCKh(protocol), images).values
    assert values.keys() >= expected.keys()
    for name, figure in expected.items():
        if name.startswith("PCKh") or not math.isnan(figure):  # a part lacks a joint that nobody has
            np.testing.assert_allclose(values[name], figure, **ROUNDING, err_msg=name)


def all_visible(knobs: KeypointKnobs) -> tuple[list[Pair], Instances]:
    """As the evaluator of LSP and FLIC has them: every joint of every person counts."""
    images = keypoint_images(KeypointKnobs(**{**vars(knobs), "hidden": 0.0}))
    return images, together(images)


def torsos(every: Instances, ends: tuple[int, int]) -> Float:
    return np.linalg.norm(every.gt[:, ends[0]] - every.gt[:, ends[1]], axis=1)


@pytest.mark.parametrize(
    ("preset", "ends", "mirror"),
    [("lsp", naive.LSP_TORSO, naive.LSP_MIRROR), ("flic", naive.FLIC_TORSO, naive.FLIC_MIRROR)],
)
@given(data=st.data())
def test_pck_and_pdj_over_the_torso(
    preset: str, ends: tuple[int, int], mirror: tuple[int, ...], data: st.DataObject
) -> None:
    images, every = all_visible(data.draw(keypoint_knobs(len(mirror))))
    if not len(every.gt) or (torsos(every, ends) == 0).any():
        return
    shown, mean, area = naive.lsp_pck(every.pred, every.gt, ends, mirror)
    result = scored(PCK(preset), images)
    # the parts of the preset stand in the order in which the joints first do
    np.testing.assert_allclose(column(result, "per_part", "PCK@0.2"), shown, **ROUNDING)
    np.testing.assert_allclose([result.values[name] for name in ("PCK@0.2", "AUC")], [mean, area], **ROUNDING)
    result = scored(PCK(f"{preset}-pdj"), images)
    for threshold in (0.1, 0.2, 0.3, 0.4):
        expected = naive.pdj(every.pred, every.gt, ends, mirror, threshold)
        np.testing.assert_allclose(column(result, "per_part", f"PCK@{threshold}"), expected, **ROUNDING)


@pytest.mark.parametrize(("preset", "joints"), [("lsp", 14), ("flic", 10)])
@given(data=st.data())
def test_strict_pcp(preset: str, joints: int, data: st.DataObject) -> None:
    images, every = all_visible(data.draw(keypoint_knobs(joints)))
    by_limb, mean = naive.strict_pcp(naive.sticks(every.pred), naive.sticks(every.gt))
    result = scored(PCP(preset), images)
    np.testing.assert_array_equal(column(result, "per_limb", "PCP@0.5"), by_limb)
    np.testing.assert_array_equal(result.values["PCP@0.5"], mean)


@given(knobs=keypoint_knobs(14), lost=st.booleans())
def test_loose_pcp(knobs: KeypointKnobs, lost: bool) -> None:
    images, every = all_visible(knobs)
    if (np.linalg.norm(np.diff(naive.sticks(every.gt), axis=2), axis=-1) == 0).any():
        return
    for gt, pred in images[: int(lost)]:
        pred["keypoints"][: len(gt["keypoints"]) // 2 + 1] = np.nan
    every = together(images)
    by_limb, mean = naive.loose_pcp(naive.sticks(every.pred), naive.sticks(every.gt))
    result = scored(PCP("lsp", rule="loose", missing="miss", zero_size="refuse"), images)
    np.testing.assert_array_equal(column(result, "per_limb", "PCP@0.5"), by_limb)
    np.testing.assert_array_equal(result.values["PCP@0.5"], mean)
    assert result.counts["instances_not_detected"] == np.isnan(every.pred).all(axis=(1, 2)).sum()
