"""Semantic figures on generated maps against the slow twins of the evaluators whose rules they follow."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, strategies as st

from cvbench.metrics.mean_iou import CityscapesIoU, MeanIoU
from naive import semantic as naive
from semantic_cases import IGNORED, MapKnobs, city_maps, label_maps, map_knobs

ROUNDING = {"rtol": 1e-12, "atol": 0}
"""For means: twins add floats in the order of the classes, cvbench adds exactly."""


def scored(metric: MeanIoU, pairs: naive.Pairs) -> MeanIoU:
    for gt, pred in pairs:
        metric.update(gt, pred)
    return metric


def column(metric: MeanIoU, name: str) -> list[float]:
    return [float(row[name]) for row in metric.compute().per_category]


@given(knobs=map_knobs())
def test_mmsegmentation(knobs: MapKnobs) -> None:
    pairs = label_maps(knobs)
    metric = scored(MeanIoU(knobs.classes, preset="mmseg"), pairs)
    values, columns = naive.mmseg(pairs, knobs.classes, IGNORED)
    for name, expected in values.items():
        np.testing.assert_allclose(metric.compute().values[name], expected, err_msg=name, **ROUNDING)
    for name, every in columns.items():
        np.testing.assert_array_equal(column(metric, name), every, err_msg=name)


@given(knobs=map_knobs(), reduce=st.booleans(), data=st.data())
def test_labels_change_as_mmsegmentation_loads_them(knobs: MapKnobs, reduce: bool, data: st.DataObject) -> None:
    label = st.integers(0, knobs.classes - 1)
    changes = data.draw(st.dictionaries(label, label | st.just(IGNORED), max_size=4))
    # labels one too high, so that all of them are classes when 0 has gone; 254 is the last that moves
    pairs = [(gt + (reduce & (gt != IGNORED)) * data.draw(st.integers(0, 1)), pred) for gt, pred in label_maps(knobs)]
    metric = MeanIoU(knobs.classes, preset="mmseg", reduce_zero_label=reduce, label_map=changes)
    loaded = [(naive.loaded(gt, reduce, changes), pred) for gt, pred in pairs]
    _, columns = naive.mmseg(loaded, knobs.classes, IGNORED)
    np.testing.assert_array_equal(column(scored(metric, pairs), "IoU"), columns["IoU"])


@given(knobs=map_knobs())
def test_detectron2(knobs: MapKnobs) -> None:
    pairs = label_maps(knobs)
    metric = scored(MeanIoU(knobs.classes, preset="detectron2"), pairs)
    values, columns = naive.detectron2(pairs, knobs.classes, IGNORED)
    for name, expected in values.items():
        np.testing.assert_allclose(metric.compute().values[name], expected, err_msg=name, **ROUNDING)
    for name, every in columns.items():
        np.testing.assert_array_equal(column(metric, name), every, err_msg=name)


@given(knobs=map_knobs())
def test_torchmetrics(knobs: MapKnobs) -> None:
    pairs = [(np.where(gt == IGNORED, 0, gt), pred) for gt, pred in label_maps(knobs)]
    metric = scored(MeanIoU(knobs.classes, preset="torchmetrics"), pairs)
    mean, every = naive.torchmetrics(pairs, knobs.classes)
    np.testing.assert_allclose(metric.compute().values["mIoU"], mean, **ROUNDING)
    np.testing.assert_allclose(column(metric, "IoU"), every, **ROUNDING)


@given(knobs=map_knobs(), ratio=st.sampled_from((0.02, 0.1, 0.7)))
def test_boundaries(knobs: MapKnobs, ratio: float) -> None:
    pairs = label_maps(knobs)
    rules = {"dilation_ratio": ratio, "boundary_tolerance": ratio / 2}
    metric = scored(MeanIoU(knobs.classes, preset="mmseg", boundary=True, **rules), pairs)
    bands = naive.boundary_iou(pairs, knobs.classes, IGNORED, ratio)
    outlines = naive.boundary_f(pairs, knobs.classes, IGNORED, ratio / 2)
    np.testing.assert_array_equal(column(metric, "BoundaryIoU"), bands)
    np.testing.assert_allclose(column(metric, "BoundaryF"), outlines, **ROUNDING)
    values = metric.compute().values
    np.testing.assert_allclose(values["mBoundaryIoU"], naive.nanmean(bands), **ROUNDING)
    np.testing.assert_allclose(values["mBoundaryF"], naive.nanmean(outlines), **ROUNDING)
    plain = scored(MeanIoU(knobs.classes, preset="mmseg"), pairs).compute()
    assert {name: values[name] for name in plain.values}.items() >= plain.values.items() or math.isnan(values["mIoU"])


@given(knobs=map_knobs())
def test_cityscapes(knobs: MapKnobs) -> None:
    pairs, metric = city_maps(knobs), CityscapesIoU()
    for ids, pred in pairs:
        metric.update(ids, pred)
    expected, result = naive.cityscapes(pairs), metric.compute()
    for name in ("IoU", "iIoU"):
        ours = {row["name"]: row[name] for row in result.per_category}
        assert ours.keys() == expected[name].keys()
        np.testing.assert_allclose(list(ours.values()), list(expected[name].values()), **ROUNDING)
        ours = {row["category"]: row[name] for row in result.tables["per_group"]}
        assert ours.keys() == expected[f"category {name}"].keys()
        np.testing.assert_allclose(list(ours.values()), list(expected[f"category {name}"].values()), **ROUNDING)
    for name, table in (("mIoU", "IoU"), ("iIoU", "iIoU"), ("mIoU_category", "category IoU")):
        mean = naive.nanmean(np.array(list(expected[table].values())))
        np.testing.assert_allclose(result.values[name], mean, **ROUNDING)


@given(knobs=map_knobs())
def test_the_preset_for_label_ids_follows_the_benchmark(knobs: MapKnobs) -> None:
    pairs = [(np.where(ids < 1000, ids, ids // 1000), pred) for ids, pred in city_maps(knobs)]
    metric = scored(MeanIoU(preset="cityscapes"), pairs)
    np.testing.assert_array_equal(column(metric, "IoU"), list(naive.cityscapes(pairs)["IoU"].values()))
