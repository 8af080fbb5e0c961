"""NME of landmarks: against slow twins, by hand, and where rules make a difference."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from cvbench import InputError
from cvbench.metrics.landmarks import NME, PRESETS, NmeParams, figures, nme, simpson_weights
from mode import JIT
from naive import landmarks as naive

SEEDS = st.integers(0, 2**32 - 1)
FACE = np.array([[[30.0, 40], [70, 40], [50, 60], [40, 80]]])
EYES = {"normalizer": "joints:0-1"}


def drawn(seed: int, landmarks: int, n: int = 40) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    gt = rng.uniform(0, 200, (n, landmarks, 2))
    pred = gt + rng.normal(0, rng.gamma(3, 3, (n, 1, 1)), gt.shape)
    return gt, pred, rng.random((n, landmarks)) < 0.9


@given(SEEDS, st.sampled_from((0.05, 0.07, 0.08, 0.1, 0.3)))
def test_figures_are_those_of_the_twins(seed: int, threshold: float) -> None:
    gt, pred, visible = drawn(seed, 98)
    visible[:, [60, 72]] = True
    sizes = naive.interocular(gt, 60, 72)
    errors = naive.face_errors(gt, pred, visible, sizes)
    rules = {"failure_thresholds": threshold, "auc_thresholds": threshold}
    truth = {"keypoints": gt, "visible": visible}
    result = nme(truth, pred, "wflw", **rules)
    # sums in another order
    assert result.values["NME"] == pytest.approx(np.mean(errors), rel=1e-13)
    assert result.values[f"FR@{threshold:g}"] == np.mean([error > threshold for error in errors])
    area = np.mean([max(0, 1 - error / threshold) for error in errors])
    assert result.values[f"AUC@{threshold:g}"] == pytest.approx(area, rel=1e-12)
    away = np.where(visible, np.linalg.norm(pred - gt, axis=2) / np.array(sizes)[:, None], np.nan)
    rows = result.tables["per_joint"]
    np.testing.assert_allclose([row["NME"] for row in rows], np.nanmean(away, axis=0), rtol=1e-12)
    assert [row["instances"] for row in rows] == visible.sum(axis=0).tolist()
    cumulative = [np.mean([error <= x for error in errors]) for x in result.arrays["x"]]
    np.testing.assert_allclose(result.arrays["y"], [cumulative], rtol=1e-15)
    assert result.arrays["x"][-1] == threshold
    pooled = nme(truth, pred, "wflw", mean="points", **rules).values
    assert pooled["NME"] == pytest.approx(naive.pooled_error(gt, pred, visible, sizes), rel=1e-12)
    assert pooled | {"NME": 0} == result.values | {"NME": 0}, "the others are about faces"


@given(SEEDS, st.sampled_from((0.05, 0.07, 0.08, 0.1)))
def test_pipnets_rates_and_areas(seed: int, threshold: float) -> None:
    gt, pred, visible = drawn(seed, 68, 100 if JIT else 10)
    errors = naive.face_errors(gt, pred, visible | True, naive.diagonal(gt))
    rules = {"failure_thresholds": threshold, "auc_thresholds": threshold, "curve": "pipnet"}
    values = nme(gt, pred, "menpo", **rules).values
    rate, area = naive.failure_rate_and_area(errors, threshold)
    assert values[f"FR@{threshold:g}"] == pytest.approx(rate, abs=1e-15)
    assert values[f"AUC@{threshold:g}"] == pytest.approx(area, rel=1e-11, abs=1e-15)  # parabolas are fitted there


def test_the_last_sample_of_pipnet_may_lie_beyond_the_threshold() -> None:
    """So is a perfect prediction worth more than 1, and a face with an error of 0.05005 no failure at 0.05."""
    for threshold, area in ((0.05, 1.002), (0.07, 1 + 1 / 700), (0.08, 1), (0.1, 1)):
        rules = {**EYES, "failure_thresholds": threshold, "auc_thresholds": threshold, "curve": "pipnet"}
        assert nme(FACE, FACE, **rules).values[f"AUC@{threshold:g}"] == pytest.approx(area, rel=1e-14)
        off = FACE + np.array([40 * (threshold + 5e-5), 0])
        assert nme(FACE, off, **rules).values[f"FR@{threshold:g}"] == (area == 1)
        assert nme(FACE, off, **rules | {"curve": "exact"}).values[f"FR@{threshold:g}"] == 1


@given(st.integers(2, 12), st.integers(0, 2))
@example(2, 1)
def test_simpsons_weights_integrate_parabolas_where_intervals_pair(points: int, degree: int) -> None:
    x = np.arange(points)
    integral = simpson_weights(points) @ x**degree / 12
    if points % 2 or degree < 2:
        assert integral == pytest.approx((points - 1) ** (degree + 1) / (degree + 1), rel=1e-14)
    assert integral == pytest.approx(naive.simps(x**degree * 1.0, x * 1.0), rel=1e-12)


def test_a_failure_is_an_error_above_the_threshold() -> None:
    pred = FACE + np.array([4, 0])  # a tenth of the distance of the eyes
    assert nme(FACE, pred, **EYES).values == {"NME": 0.1, "FR@0.1": 0, "AUC@0.1": 0}
    assert nme(FACE, FACE + np.array([4 + 1e-9, 0]), **EYES).values["FR@0.1"] == 1


def test_faces_count_alike_and_points_do_not() -> None:
    gt = np.repeat(FACE, 2, axis=0)
    pred = gt + np.array([[[8.0, 0]], [[0, 0]]])
    truth = {"keypoints": gt, "visible": [[1, 1, 1, 1], [1, 1, 0, 0]]}
    assert nme(truth, pred, **EYES).values["NME"] == 0.1
    assert nme(truth, pred, **EYES, mean="points").values["NME"] == pytest.approx(4 * 0.2 / 6)


def test_landmarks_that_are_not_counted_may_still_measure_the_face() -> None:
    pred = FACE + np.array([[4.0, 0], [0, 0], [0, 8], [0, 0]])
    result = nme(FACE, pred, **EYES, counted=(3, 2), failure_thresholds=(), auc_thresholds=())
    assert result.values == {"NME": 0.1}
    assert [(row["id"], row["NME"]) for row in result.tables["per_joint"]] == [(3, 0), (2, 0.2)]
    assert not result.arrays


def test_groups_have_figures_and_curves_of_their_own() -> None:
    gt = {"keypoints": np.repeat(FACE, 3, axis=0), "groups": [["test", "pose"], "test", ["blur", "test"]]}
    pred = gt["keypoints"] + np.array([[[8.0, 0]], [[2, 0]], [[0, 0]]])
    result = nme(gt, pred, **EYES)
    rows = {row["name"]: [row[name] for name in ("instances", *result.values)] for row in result.tables["per_group"]}
    assert rows["pose"] == [1, 0.2, 1, 0]
    assert rows["blur"] == [1, 0, 0, 1]
    assert rows["test"] == [3, *result.values.values()]
    assert result.arrays["lines"].tolist() == ["all", "blur", "pose", "test"]
    assert result.arrays["y"][:, [0, 499, 500, 1000]].tolist() == [
        [1 / 3, 1 / 3, 2 / 3, 2 / 3],
        [1, 1, 1, 1],
        [0, 0, 0, 0],
        [1 / 3, 1 / 3, 2 / 3, 2 / 3],
    ]


def test_a_landmark_that_is_not_predicted_is_refused_or_fails_the_face() -> None:
    gt, pred = np.repeat(FACE, 2, axis=0), np.repeat(FACE, 2, axis=0)
    pred[0, 2] = math.nan
    with pytest.raises(InputError, match=r"pred\[0\].*keypoint 2 .*missing=miss"):
        nme(gt, pred, **EYES)
    for rules in ({}, {"mean": "points"}):
        result = nme(gt, pred, **EYES, missing="miss", **rules)
        assert math.isnan(result.values.pop("NME"))
        assert result.values == {"FR@0.1": 0.5, "AUC@0.1": 0.5}
        np.testing.assert_equal([row["NME"] for row in result.tables["per_joint"]], [0, 0, math.nan, 0])
        assert any("NME is undefined" in note for note in result.notes)
    metric = NME(**EYES, missing="miss").update(gt[:1], pred[:1], 1).update(gt[1:], pred[1:], 2)
    assert metric.compute({2: 1}).values == {"NME": 0, "FR@0.1": 0, "AUC@0.1": 1}


def test_a_face_without_a_size_is_refused_or_left_out() -> None:
    gt, pred = np.repeat(FACE, 2, axis=0), np.repeat(FACE, 2, axis=0) + 4
    gt[0, 1] = gt[0, 0]
    with pytest.raises(InputError, match=r"gt\[0\].*the distance of two annotated joints.* is 0"):
        nme(gt, pred, **EYES)
    result = nme(gt, pred, **EYES, zero_size="skip")
    assert result.values["NME"] == nme(gt[1:], pred[1:], **EYES).values["NME"]
    assert result.counts["instances_without_size"] == 1
    assert result.notes == ["1 of 2 instances have no size above 0, left out of all figures (zero_size=skip)"]
    hidden = {"keypoints": FACE, "visible": [[0, 1, 1, 1]]}
    with pytest.raises(InputError, match=r"gt\[0\].*the distance of two annotated joints.* is missing"):
        nme(hidden, FACE, **EYES)


def test_nothing_at_all_is_undefined() -> None:
    for result in (NME("300w").compute(), NME("300w", curve="pipnet").compute()):
        assert list(result.values) == list(figures(NmeParams.of("300w"))) == ["NME", "FR@0.08", "FR@0.1", "AUC@0.08"]
        assert all(math.isnan(value) for value in result.values.values())
    nobody = nme({"keypoints": FACE, "visible": np.zeros((1, 4))}, FACE, **EYES)
    assert all(math.isnan(value) for value in nobody.values.values())
    assert np.isnan(nobody.arrays["y"]).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_take_their_number_of_landmarks_only(preset: str) -> None:
    landmarks = PRESETS[preset]["landmarks"]
    gt = np.random.default_rng(0).uniform(0, 100, (3, landmarks, 2))
    truth = {"keypoints": gt, "boxes": [[0, 0, 100, 50]] * 3, "size": [80.0] * 3}
    assert nme(truth, gt + 1, preset).values["NME"] > 0
    with pytest.raises(InputError, match=f"there are {landmarks + 1} landmarks, and the rules are for {landmarks}"):
        nme({"keypoints": np.zeros((1, landmarks + 1, 2)), "size": [1]}, np.zeros((1, landmarks + 1, 2)), preset)


def test_another_number_of_landmarks_names_the_presets_that_have_it() -> None:
    with pytest.raises(InputError, match="presets for 98: wflw, wflw-pupil"):
        nme(np.zeros((1, 98, 2)), np.zeros((1, 98, 2)), "300w")


@pytest.mark.parametrize(
    ("preset", "size"),
    [
        ("300w", lambda gt: naive.interocular(gt, 36, 45)[0]),
        ("300w-pupil", lambda gt: np.linalg.norm(gt[0, 36:42].mean(axis=0) - gt[0, 42:48].mean(axis=0))),
        ("aflw", lambda _: 37),
        ("aflw-bbox", lambda _: 60),
        ("menpo", lambda gt: naive.diagonal(gt)[0]),
    ],
)
def test_what_presets_divide_by(preset: str, size: Callable[[Any], float]) -> None:
    gt = np.random.default_rng(1).uniform(0, 100, (1, PRESETS[preset]["landmarks"], 2))
    truth = {"keypoints": gt, "boxes": [[10, 10, 70, 50]], "size": [37.0]}
    value = nme(truth, gt + np.array([3, 4]), preset).values["NME"]
    assert value == pytest.approx(5 / size(gt), rel=1e-13)


@pytest.mark.parametrize(
    ("preset", "rules", "message"),
    [
        (None, {}, "expected a normalizer, or a preset, which has one: 300w, "),
        ("300W", {}, "there is no preset '300W'; did you mean '300w'"),
        ("wflw", {"normaliser": "bbox"}, "there is no rule 'normaliser'; did you mean 'normalizer'"),
        ("wflw", {"normalizer": "interocular"}, "there is no normalizer"),
        ("wflw", {"mean": "joints"}, "mean 'joints' is unknown; expected one of faces, points"),
        ("wflw", {"curve": "simpson"}, "curve 'simpson' is unknown"),
        ("wflw", {"missing": "skip"}, "missing 'skip' is unknown"),
        ("wflw", {"zero_size": "zero"}, "zero_size 'zero' is unknown"),
        ("wflw", {"failure_thresholds": 0}, "failure_thresholds 0: expected distinct finite numbers above 0"),
        ("wflw", {"auc_thresholds": (0.1, 0.1)}, "auc_thresholds .* expected distinct"),
        ("wflw", {"counted": ()}, "expected distinct indices of landmarks"),
        ("wflw", {"counted": (1, 1)}, "expected distinct indices of landmarks"),
        ("wflw", {"counted": 1.5}, "expected distinct indices of landmarks"),
    ],
)
def test_rules_that_cannot_be(preset: str | None, rules: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NmeParams.of(preset, **rules)


def test_indices_that_are_not_there() -> None:
    with pytest.raises(InputError, match="counted names landmark 4; there are 4, counted from 0"):
        nme(FACE, FACE, **EYES, counted=4)


def test_the_signature_has_all_rules() -> None:
    result = nme(FACE, FACE, **EYES, counted=(0, 2), curve="pipnet")
    rules = "landmarks:0,2|mean:faces|failure:0.1|auc:0.1|curve:pipnet|missing:refuse|zero_size:refuse"
    assert str(result.signature) == f"landmarks.nme@1|normalizer:joints:0-1|{rules}"
