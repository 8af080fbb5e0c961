"""Ids, scores and records that are not as they should be get what pycocotools gives them, number or exception."""

from __future__ import annotations

import numpy as np
import pytest

from compat.twins import Original, Ours, Slow, assert_same_evaluation, data_set, evaluated, finished, outcome

BOX = [10, 10, 50, 50]


def truth(*changes, images=(1,), categories=(1,)):
    """Ground truth with one object per item of `changes`, which are changes of its record."""
    annotations = []
    for i, change in enumerate(changes):
        record = {"id": i + 1, "image_id": images[0], "category_id": categories[0], "iscrowd": 0, "area": 2500}
        record |= {"bbox": [10 + 100 * i, 10, 50, 50], "segmentation": [[10, 10, 60, 10, 60, 60, 10, 60]]}
        record |= {"keypoints": [20, 20, 2] * 17, "num_keypoints": 17} | change
        annotations.append({key: value for key, value in record.items() if value is not GONE})
    return {
        "images": [{"id": image, "height": 100, "width": 300} for image in images],
        "categories": [{"id": category} for category in categories],
        "annotations": annotations,
    }


def found(*changes):
    results = []
    for i, change in enumerate(changes):
        record = {"image_id": 1, "category_id": 1, "bbox": [10 + 100 * i, 10, 50, 50], "score": 0.9} | change
        results.append({key: value for key, value in record.items() if value is not GONE})
    return results


def points(keypoints):
    return found({"keypoints": keypoints, "bbox": GONE})


GONE = object()
MASK = Original.mask.frPyObjects([[10, 10, 60, 10, 60, 60, 10, 60]], 100, 300)[0]

CASES = {
    # ids
    "id 0": (truth({"id": 0}), found({}), 0),
    "one of two ids is 0": (truth({"id": 0}, {}), found({}, {}), 0.2525),
    "a crowd with id 0": (truth({"id": 0, "iscrowd": 1}, {}), found({}, {}), None),
    "duplicate ids": (truth({}, {"id": 1}), found({}, {}), 0.2525),
    "negative ids": (truth({"id": -5}, {"id": -7}), found({}, {}), 1),
    "float ids": (truth({"id": 0.5}, {"id": 2.5}), found({}, {}), 1),
    "string ids": (truth({"id": "a"}), found({}), "ValueError"),
    "numbers as string ids": (truth({"id": "3"}), found({}), 1),
    "ids of None": (truth({"id": None}), found({}), None),
    "boolean ids": (truth({"id": True}, {"id": False}), found({}, {}), None),
    "huge ids": (truth({"id": 2**60 + 1}, {"id": 2**60}), found({}, {}), 1),
    "ids too huge": (truth({"id": 10**400}), found({}), "OverflowError"),
    "string image ids": (truth({}, images=("a", "b")), found({"image_id": "a"}), 1),
    "float image ids": (truth({}, images=(0.5, 2.0)), found({"image_id": 0.5}), 1),
    "integer for float image ids": (truth({}, images=(1.0, 2.0)), found({}), 1),
    "image id 0": (truth({}, images=(0, -3)), found({"image_id": 0}), 1),
    "huge image ids": (truth({}, images=(2**60 + 1, 2**60)), found({"image_id": 2**60 + 1}), 1),
    "image ids beyond int64": (truth({}, images=(2**70, 1)), found({"image_id": 2**70}), None),
    "mixed image ids": (truth({}, images=(1, "a")), found({}), "TypeError"),
    "string category ids": (truth({}, categories=("x",)), found({"category_id": "x"}), 1),
    "category id 0": (truth({}, categories=(0, -1)), found({"category_id": 0}), 1),
    "duplicate image and category ids": (truth({}, images=(1, 1), categories=(1, 1)), found({}), 1),
    # places that are not there
    "result on an unknown image": (truth({}), found({"image_id": 9}), "AssertionError"),
    "result of an unknown category": (truth({}), found({}, {"category_id": 9, "score": 1}), 1),
    "object on an unknown image": (truth({}, {"image_id": 9}), found({}), 1),
    "object of an unknown category": (truth({}, {"category_id": 9}), found({}), 1),
    # scores
    "no score": (truth({}), found({"score": GONE}), "KeyError"),
    "score of None": (truth({}), found({"score": None}), "TypeError"),
    "misspelt score": (truth({}), found({"score": GONE, "scores": 0.9}), "KeyError"),
    "no score elsewhere": (truth({}), found({}, {"category_id": 9, "score": GONE}), 1),
    "score as string": (truth({}), found({"score": "0.9"}), "TypeError"),
    "boolean score": (truth({}, {}), found({"score": True}, {"score": False}), "TypeError"),
    "integer scores": (truth({}, {}), found({"score": 2}, {"score": 3}), 1),
    "huge integer scores": (truth({}, {}), found({"score": 2**60}, {"score": 2**60 + 1}), 1),
    "scores of float32": (truth({}, {}), found({"score": np.float32(0.1)}, {"score": np.float32(0.2)}), 1),
    "NaN score": (truth({}, {}), found({"score": float("nan")}, {}), 1),
    "infinite scores": (truth({}, {}), found({"score": float("inf")}, {"score": float("-inf")}), 1),
    # records
    "no area": (truth({"area": GONE}), found({}), "KeyError"),
    "NaN area": (truth({"area": float("nan")}), found({}), None),
    "zero area": (truth({"area": 0}), found({}), 1),
    "no box": (truth({"bbox": GONE}), found({}), "KeyError"),
    "no box elsewhere": (truth({}, {"bbox": GONE, "image_id": 9}), found({}), 1),
    "box of five": (truth({}), found({"bbox": [*BOX, 1]}), "Exception"),
    "true box of five": (truth({"bbox": [*BOX, 1]}), found({}), "Exception"),
    "true box as tuple": (truth({"bbox": tuple(BOX)}), found({}), "Exception"),
    "true box as array": (truth({"bbox": np.array(BOX)}), found({}), 1),
    "box of None": (truth({}), found({"bbox": [10, 10, None, 50]}), "TypeError"),
    "NaN edge": (truth({}), found({"bbox": [float("nan"), 10, 50, 50]}), 1),
    "infinite box": (truth({}), found({"bbox": [10, 10, float("inf"), 50]}), None),
    "negative size": (truth({}), found({"bbox": [60, 60, -50, -50]}), 0),
    "box without area": (truth({"bbox": [10, 10, 0, 0]}), found({"bbox": [10, 10, 0, 0]}), 0),
    "no iscrowd": (truth({"iscrowd": GONE}), found({}), "KeyError"),
    "iscrowd of None": (truth({"iscrowd": None}), found({}), "TypeError"),
    "iscrowd of 2": (truth({"iscrowd": 2}), found({}), None),
    "iscrowd of 0.5": (truth({"iscrowd": 0.5}, {}), found({}, {}), None),
    "iscrowd as string": (truth({"iscrowd": "0"}, {}), found({}, {}), None),
    "iscrowd true": (truth({"iscrowd": True}, {"iscrowd": False}), found({}, {}), None),
    "ignore is overwritten": (truth({"ignore": 1}), found({}), 1),
    "empty list": (truth({}), [], 0),
    "no objects": (truth(), found({}), -1),
}  # fmt: skip

CASES_OF_MASKS = {
    "masks": (truth({}), found({"segmentation": MASK}), 1),
    "boxes as masks": (truth({}), found({}), 1),
    "mask of another size": (truth({}), found({"segmentation": {**MASK, "size": [300, 100]}}), 0),
    "mask of one more column": (truth({}), found({"segmentation": {**MASK, "size": [100, 301]}}), 0),
    "polygon of four": (truth({"segmentation": [[10, 10, 60, 60]]}), found({}), "TypeError"),
    "polygon of three": (truth({"segmentation": [[10, 10, 60]]}), found({}), "Exception"),
    "later part of four": (truth({"segmentation": [[10, 10, 60, 10, 60, 60], [1, 2, 3, 4]]}), found({}), None),
    "polygon of seven": (truth({"segmentation": [[10, 10, 60, 10, 60, 60, 10]]}), found({}), None),
    "no polygons": (truth({"segmentation": []}), found({}), "IndexError"),
    "flat polygon": (truth({"segmentation": [10, 10, 60, 10, 60, 60]}), found({}), "TypeError"),
    "strings in a polygon": (truth({"segmentation": [["10", "10", "60", "10", "60", "60"]]}), found({}), None),
    "list of runs": (truth({"segmentation": [{"size": [100, 300], "counts": [9, 9]}]}), found({}), None),
    "no segmentation": (truth({"segmentation": GONE}), found({}), "KeyError"),
    "segmentation of None": (truth({"segmentation": None}), found({}), "TypeError"),
    "empty counts": (truth({}), found({"segmentation": {"size": [100, 300], "counts": b""}}), 0),
    "no iscrowd": (truth({"iscrowd": GONE}), found({}), "KeyError"),
}

CASES_OF_KEYPOINTS = {
    "keypoints": (truth({}), points([20, 21, 1] * 17), 1),
    "keypoints with a box": (truth({}), found({"keypoints": [20, 21, 1] * 17}), 1),
    "fractions": (truth({"keypoints": [20.5, 20, 2] * 17}), points([20, 21, 1] * 17), 1),
    "huge integers": (truth({"keypoints": [2**40, 20, 2] * 17}), points([2**40, 20, 1] * 17), 1),
    "fewer keypoints": (truth({}), points([20, 20, 2] * 16), "ValueError"),
    "fewer true keypoints": (truth({"keypoints": [20, 20, 2] * 16}), points([20, 21, 1] * 17), "ValueError"),
    "three joints": (truth({"keypoints": [20, 20, 2] * 3}), points([20, 20, 2] * 3), "ValueError"),
    "one joint": (truth({"keypoints": [20, 20, 2]}), points([20, 20, 2]), "IndexError"),
    "no num_keypoints": (truth({"num_keypoints": GONE}), points([20, 21, 1] * 17), "KeyError"),
    "num_keypoints of 0": (truth({"num_keypoints": 0}), points([20, 21, 1] * 17), -1),
    "nothing visible": (truth({"keypoints": [0, 0, 0] * 17}), points([20, 21, 1] * 17), 1),
    "true box of five": (truth({"bbox": [*BOX, 1]}), points([20, 21, 1] * 17), 1),
    "true box of three": (truth({"bbox": [1, 2, 3]}), points([20, 21, 1] * 17), "IndexError"),
    "no true box": (truth({"bbox": GONE}), points([20, 21, 1] * 17), "KeyError"),
    "no iscrowd": (truth({"iscrowd": GONE}), points([20, 21, 1] * 17), "KeyError"),
    "NaN keypoint": (truth({}), points([float("nan"), 20, 2] * 17), None),
    "zero area": (truth({"area": 0}), points([20, 20, 2] * 17), 1),
    "negative area": (truth({"area": -5}), points([20, 21, 1] * 17), None),
    "id 0": (truth({"id": 0}), points([20, 21, 1] * 17), 0),
}  # fmt: skip


NOT_PLAIN = {
    "bbox": {
        *("numbers as string ids", "ids of None", "boolean ids", "huge ids"),
        *("huge integer scores", "NaN score", "infinite scores"),
        *("NaN area", "NaN edge", "infinite box", "iscrowd of 2", "iscrowd of 0.5", "iscrowd as string"),
    },
    "segm": {"mask of another size", "mask of one more column", "list of runs", "empty counts"},
    "keypoints": {"huge integers", "true box of five", "NaN keypoint", "negative area"},
}
"""What has a score, but not by way of compiled code."""


def check(iou_type, case, gt, dt, expected):
    theirs = outcome(lambda: evaluated(Original, gt, dt, iou_type))
    for api in (Ours, Slow):
        ours = outcome(lambda api=api: evaluated(api, gt, dt, iou_type))
        if isinstance(theirs, str):
            assert theirs == ours == expected
        else:
            assert_same_evaluation(theirs, ours)
            assert expected is None or round(ours.stats[0], 4) == expected
            assert (ours._counted is None) == (api is Slow or case in NOT_PLAIN[iou_type])


@pytest.mark.parametrize("case", CASES)
def test_boxes(case):
    check("bbox", case, *CASES[case])


@pytest.mark.parametrize("case", CASES_OF_MASKS)
def test_masks(case):
    check("segm", case, *CASES_OF_MASKS[case])


@pytest.mark.parametrize("case", CASES_OF_KEYPOINTS)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")
def test_keypoints(case):
    check("keypoints", case, *CASES_OF_KEYPOINTS[case])


IDS = [[0, 1, 2], [-1, -2, -3], [5, 5, 6], ["1", "2", "3"], [0.5, float("nan"), 1.5]]


@pytest.mark.parametrize("ids", IDS, ids=str)
def test_ids_of_results(ids):
    """A ground truth that was matched to a result of id 0 or less stays free for the next."""
    gt, results = truth({}), found({}, {"bbox": BOX}, {"bbox": BOX, "score": 1})
    for result, number in zip(results, ids, strict=True):
        result |= {"id": number, "area": 2500}

    def run(which):
        return finished(which.COCOeval(data_set(which, gt), data_set(which, gt | {"annotations": results}), "bbox"))

    for api in (Ours, Slow):
        assert_same_evaluation(run(Original), run(api))
