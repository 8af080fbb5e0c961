"""Ground truths: the official tools read them, and they score 1 against themselves."""

from __future__ import annotations

import contextlib
import io
import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cvbench import MeanIoU, PanopticQuality, scenes, score
from cvbench.errors import InputError
from cvbench.metrics.sigmas import SIGMAS
from mode import JIT

LIMIT = 30 if JIT else 3


@pytest.fixture(scope="module")
def truths() -> dict[str, Any]:
    kinds = ("instances", "person_keypoints", "face_landmarks", "panoptic", "labels", "segments")
    return {kind: scenes.ground_truth("val", kind, LIMIT) for kind in kinds}


def found(truth: dict[str, Any]) -> list[dict[str, Any]]:
    """The annotations as detections; crowds are nothing to be found."""
    return [{**record, "score": 1.0} for record in truth["annotations"] if not record["iscrowd"]]


@pytest.mark.parametrize(
    ("task", "kind", "rules"),
    [
        ("coco.bbox", "instances", {}),
        ("coco.segm", "instances", {}),
        ("coco.boundary", "instances", {}),
        ("coco.keypoints", "person_keypoints", {"sigmas": "crowdpose14"}),
    ],
)
def test_the_truth_finds_all_of_itself(truths, task, kind, rules):
    values = score(task, truths[kind], found(truths[kind]), **rules).values
    assert values["AP"] == values["AP50"] == values["AP75"] == 1


@pytest.mark.parametrize(
    ("task", "kind", "rules", "figure", "perfect"),
    [
        ("pose.pck", "person_keypoints", {}, "PCK@0.2", 1),
        ("landmarks.nme", "face_landmarks", {"normalizer": "joints:0-1"}, "NME", 0),
    ],
)
def test_the_truth_is_at_no_distance_from_itself(truths, task, kind, rules, figure, perfect):
    assert score(task, truths[kind], truths[kind], **rules).values[figure] == perfect


def test_maps_are_right_about_themselves(truths):
    labels = MeanIoU(num_classes=len(scenes.CATEGORIES), ignore_index=scenes.VOID_LABEL)
    labels.update(truths["labels"], np.where(truths["labels"] == scenes.VOID_LABEL, 0, truths["labels"]))
    assert labels.compute().values["mIoU"] == 1
    panoptic = PanopticQuality(scenes.CATEGORIES, things=range(1, 9))
    for record, segments in zip(truths["panoptic"]["annotations"], truths["segments"], strict=True):
        annotated = {"map": segments, "segments": record["segments_info"]}
        listed = [segment for segment in record["segments_info"] if not segment["iscrowd"]]
        panoptic.update(annotated, {"map": segments * np.isin(segments, ids_of(listed)), "segments": listed})
    assert panoptic.compute().values["PQ"] == 1


def ids_of(records: list[dict[str, Any]]) -> list[int]:
    return [record["id"] for record in records]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in pycocotools' decode
@pytest.mark.parametrize("kind", ["instances", "person_keypoints", "face_landmarks"])
def test_pycocotools_reads_and_scores_it(truths, kind, tmp_path):
    path = tmp_path / "gt.json"
    path.write_text(json.dumps(truths[kind]), encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(path)
        results = coco.loadRes(found(truths[kind]))
        types = ("segm", "bbox") if kind == "instances" else ("keypoints",)
        for iou_type in types:
            evaluation = COCOeval(coco, results, iou_type)
            if kind != "instances":
                joints = len(truths[kind]["categories"][0]["keypoints"])
                evaluation.params.kpt_oks_sigmas = np.array(SIGMAS["crowdpose14"][:joints])
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            assert evaluation.stats[0] == 1
    for record in truths[kind]["annotations"]:
        mask = coco.annToMask(record)
        assert mask.sum() == record["area"]
        assert (mask == (truths["segments"][record["image_id"]] == record["id"] % 1000)).all()


def test_panoptic_documents_are_what_panopticapi_asks_for(truths):
    """Its rules: segments and colours of the map agree, areas are those of the map, stuff is one segment each."""
    document = truths["panoptic"]
    things = {category["id"]: category["isthing"] for category in document["categories"]}
    assert [record["image_id"] for record in document["annotations"]] == [image["id"] for image in document["images"]]
    for record, segments in zip(document["annotations"], truths["segments"], strict=True):
        ids, areas = np.unique(segments[segments > 0], return_counts=True)
        assert ids_of(record["segments_info"]) == ids.tolist()
        assert [segment["area"] for segment in record["segments_info"]] == areas.tolist()
        stuff = [s["category_id"] for s in record["segments_info"] if not things[s["category_id"]]]
        assert len(stuff) == len(set(stuff))
        for segment in record["segments_info"]:
            rows, columns = np.nonzero(segments == segment["id"])
            assert segment["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            labels = truths["labels"][record["image_id"]][rows, columns]
            assert (labels == segment["category_id"] - 1).all()


def test_ids_are_the_same_in_all_documents(truths):
    things = {record["id"]: record for record in truths["instances"]["annotations"]}
    assert len(things) == len(truths["instances"]["annotations"])
    for kind in ("person_keypoints", "face_landmarks"):
        for record in truths[kind]["annotations"]:
            assert things[record["id"]].items() <= record.items()
            assert record["num_keypoints"] == sum(seen > 0 for seen in record["keypoints"][2::3])


def test_crowds_of_people_have_no_keypoints_and_faces_are_whole(truths):
    people = truths["person_keypoints"]["annotations"]
    assert all(record["num_keypoints"] == 0 for record in people if record["iscrowd"])
    faces = truths["face_landmarks"]["annotations"]
    assert faces
    assert all(record["num_keypoints"] == 5 and not record["iscrowd"] for record in faces)


def test_names_are_numbered_from_one():
    document = scenes.ground_truth("val", "panoptic", 1)
    ids = [category["id"] for category in document["categories"]]
    assert all(b == a + 1 for a, b in pairwise(ids))
    assert {category["id"]: category["name"] for category in document["categories"]} == scenes.CATEGORIES


def test_unknown_kinds_are_refused():
    with pytest.raises(InputError, match="^unknown kind 'instance'; did you mean 'instances'\\?$"):
        scenes.ground_truth("val", "instance")
