"""The annotation interface under pycocotools' names."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, strategies as st

from compat.twins import Original, Ours, assert_same, assert_same_outcome, data_set, printed
from cvbench.errors import MissingDependency

TRIANGLE = [1, 1, 7, 1, 7, 6]
RUNS = {"counts": [3, 20, 77], "size": [10, 10]}
STRING = {"counts": b"3d0]2", "size": [10, 10]}
GT: dict[str, Any] = {
    "info": {"year": "2023", "url": None},
    "licenses": None,
    "images": [{"id": i, "height": 10, "width": 10, "file_name": f"{i}.txt"} for i in (7, 3, 12)],
    "categories": [
        {"id": 2, "name": "person", "supercategory": "animal", "skeleton": [[1, 2], [2, 3]]},
        {"id": 1, "name": "on", "supercategory": "thing"},
        {"id": 5, "name": "cat", "supercategory": "animal"},
    ],
    "annotations": [
        {"id": 4, "image_id": 3, "category_id": 2, "area": 30.0, "iscrowd": 0, "segmentation": [TRIANGLE]},
        {"id": 1, "image_id": 7, "category_id": 5, "area": 16, "iscrowd": 1, "segmentation": RUNS},
        {"id": 9, "image_id": 3, "category_id": 1, "area": 4, "iscrowd": 0, "segmentation": STRING},
        {
            "id": 2,
            "image_id": 3,
            "category_id": 5,
            "area": 1,
            "iscrowd": 0,
            "segmentation": [TRIANGLE, [0, 0, 3, 0, 3, 9]],
        },
    ],
}
for annotation in GT["annotations"]:
    annotation["bbox"] = [1, 1, 6, annotation["id"]]


@pytest.fixture
def both(capsys):
    """The data set in both APIs; they have to have printed the same by the end of the test."""
    theirs = data_set(Original, GT)
    lines = printed(capsys)
    ours = data_set(Ours, GT)
    assert printed(capsys) == lines
    return theirs, ours


def test_index(both):
    for name in ("dataset", "anns", "imgs", "cats", "imgToAnns", "catToImgs"):
        theirs, ours = (getattr(coco, name) for coco in both)
        assert_same(theirs, ours, name)
    assert both[1].imgToAnns[3][0] is both[1].dataset["annotations"][0] is both[1].anns[4]


one_or_more = st.one_of(st.integers(0, 13), st.lists(st.integers(0, 13), max_size=4))


@given(
    one_or_more,
    one_or_more,
    st.sampled_from([[], [1, 16], [0, 31.0], np.array([4, 1e5])]),
    st.sampled_from([None, True, 0, 1]),
)
def test_annotations_are_filtered(images, categories, area, crowd):
    assert_same_outcome(
        lambda api: data_set(api, GT).getAnnIds(imgIds=images, catIds=categories, areaRng=area, iscrowd=crowd)
    )


@given(
    st.sampled_from([[], "person", "on", ["cat", "on"], ("cat",), {"person"}, np.array(["cat"]), [["cat"]], 5]),
    st.sampled_from([[], "animal", ["thing", "animal"], ["none"]]),
    one_or_more,
)
def test_categories_are_filtered(names, supercategories, ids):
    assert_same_outcome(lambda api: data_set(api, GT).getCatIds(catNms=names, supNms=supercategories, catIds=ids))


@given(one_or_more, one_or_more)
def test_images_are_filtered(images, categories):
    assert_same_outcome(lambda api: data_set(api, GT).getImgIds(imgIds=images, catIds=categories))


@pytest.mark.parametrize("ids", [[4, 1], 4, np.int64(4), np.array([4]), 99, [99], "ab", None])
def test_records_are_looked_up(ids):
    assert_same_outcome(lambda api: data_set(api, GT).loadAnns(ids))
    assert_same_outcome(lambda api: data_set(api, GT).loadCats([2] if ids == 4 else ids))
    assert_same_outcome(lambda api: data_set(api, GT).loadImgs([7] if ids == 4 else ids))


def test_info(both, capsys):
    lines = []
    for coco in both:
        coco.info()
        lines.append(printed(capsys))
    assert lines[0] == lines[1] == "year: 2023\nurl: None\n"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({**GT, "annotations": []}),
        '{"images": [{"id": 1, "x": [NaN, -Infinity, 1e400, 123456789012345678901234567890, 0.1]}]}',
        '{"images": [{"id": "\\ud800"}]}',
        '{"annotations": [{"id": 1, "image_id": 2, "category_id": 3}]}',
        '{"annotations": [{"id": 1, "image_id": [2]}]}',
        '{"annotations": [{"image_id": 2}]}',
        '{"annotations": null}',
        "[]",
        "{",
        "",
        "\ufeff{}",
    ],
)
def test_files_are_read(tmp_path, capsys, text):
    file = tmp_path / "gt.json"
    file.write_text(text, encoding="utf-8")
    lines = []

    def read(api):
        try:
            coco = api.COCO(file)
        finally:
            lines.append(printed(capsys))
        return coco.dataset, coco.imgs

    assert_same_outcome(read)
    assert lines[0] == lines[1]


def test_a_file_that_is_not_there_or_not_text_raises(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert assert_same_outcome(lambda api: api.COCO(tmp_path / "none")) == "FileNotFoundError"
    assert assert_same_outcome(lambda api: api.COCO(tmp_path / "binary")) == "UnicodeDecodeError"


def test_pickle_keeps_what_is_shared(both):
    copied = pickle.loads(pickle.dumps(both[1]))
    assert_same(copied, both[1])
    assert copied.imgToAnns[3][0] is copied.dataset["annotations"][0] is copied.anns[4]


# Results -------------------------------------------------------------------------------------------------------------

ROW: dict[str, Any] = {"image_id": 3, "category_id": 2, "score": 0.5}
RESULTS = {
    "captions": [{"image_id": 3, "caption": "a"}, {"image_id": 12, "caption": "b"}],
    "boxes": [{**ROW, "bbox": [1, 2, 3, 4]}, {**ROW, "bbox": [0.1, 0.2, 0.3, 0.7], "area": 5, "id": 77}],
    "boxes with masks": [{**ROW, "bbox": [1, 2, 3, 4], "segmentation": STRING}],
    "boxes of NumPy": [{**ROW, "bbox": list(np.array([1, 2, 3, 4], np.float32))}],
    "later ones without a box": [{**ROW, "bbox": [1, 2, 3, 4]}, {**ROW, "segmentation": STRING}],
    "five numbers": [{**ROW, "bbox": [1, 2, 3, 4, 5]}],
    "three numbers": [{**ROW, "bbox": [1, 2, 3]}],
    "no box": [{**ROW, "bbox": None}],
    "masks": [{**ROW, "segmentation": STRING}, {**ROW, "segmentation": STRING, "bbox": [1, 2, 3, 4], "iscrowd": 1}],
    "masks of strings": [{**ROW, "segmentation": {**STRING, "counts": "3d0]2"}}],
    "empty boxes with masks": [{**ROW, "bbox": [], "segmentation": STRING}],
    "masks of runs": [{**ROW, "segmentation": RUNS}],
    "masks of polygons": [{**ROW, "segmentation": [TRIANGLE]}],
    "keypoints": [{**ROW, "keypoints": [1, 2, 2, 5, 3, 0]}, {**ROW, "keypoints": [0.5, 2, 1], "iscrowd": 1}],
    "no keypoints": [{**ROW, "keypoints": []}],
    "keypoints with boxes": [{**ROW, "keypoints": [1, 2, 2, 5, 3, 0], "bbox": [1, 2, 3, 4]}],
    "nothing": [ROW],
    "empty list": [],
    "unknown image": [{**ROW, "bbox": [1, 2, 3, 4]}, {**ROW, "image_id": 99}],
    "image of another type": [{**ROW, "image_id": "3", "bbox": [1, 2, 3, 4]}],
    "unknown category": [{**ROW, "category_id": 99, "bbox": [1, 2, 3, 4]}],
    "no image": [{"bbox": [1, 2, 3, 4]}],
    "an object": {"annotations": []},
    "a tuple": (ROW,),
    "rows": np.array([[3, 1.5, 2, 3, 4, 0.9, 2], [7, 1, 1, 1, 1, 0.1, 5]]),
    "rows of float32": np.array([[3, 0.1, 2, 0.3, 0.7, 0.9, 2]], np.float32),
    "rows of integers": np.array([[3, 1, 2, 3, 4, 1, 2]]),
    "no rows": np.zeros((0, 7)),
    "rows of six": np.zeros((1, 6)),
}


@pytest.mark.parametrize("case", RESULTS)
def test_results_are_completed_in_place(case, capsys):
    lines = []

    def load(api):
        results = copy.deepcopy(RESULTS[case])
        truth = data_set(api, GT)
        printed(capsys)
        try:
            loaded = truth.loadRes(results)
        finally:
            lines.append(printed(capsys))
        assert case.startswith(("rows", "no rows")) or loaded.dataset["annotations"] is results
        for key in {"info", "images", "categories"} & set(loaded.dataset):
            assert loaded.dataset[key] is not truth.dataset[key]
        assert loaded.dataset["images"][0] is truth.imgs[loaded.dataset["images"][0]["id"]]
        return loaded, results

    assert_same_outcome(load)
    assert lines[0] == lines[1]


def test_results_are_read_from_a_file(tmp_path):
    file = tmp_path / "results.json"
    file.write_text(json.dumps(RESULTS["boxes"]))
    assert_same_outcome(lambda api: data_set(api, GT).loadRes(str(file)))
    assert assert_same_outcome(lambda api: data_set(api, GT).loadRes(file)) == "AssertionError"


def test_results_may_be_loaded_again():
    results = copy.deepcopy(RESULTS["masks"])
    first = data_set(Ours, GT).loadRes(results).anns[1]
    assert type(first["bbox"]) is np.ndarray
    assert data_set(Ours, GT).loadRes(results).anns[1]["area"] == 30.0


def test_an_unknown_image_is_named():
    with pytest.raises(AssertionError, match="Results do not correspond to current coco set: no image has the id 99"):
        data_set(Ours, GT).loadRes(RESULTS["unknown image"])


def test_segmentations_become_masks():
    for annotation in GT["annotations"]:
        assert_same_outcome(lambda api, annotation=annotation: data_set(api, GT).annToRLE(annotation))
        assert_same_outcome(lambda api, annotation=annotation: data_set(api, GT).annToMask(annotation))
    assert (
        assert_same_outcome(lambda api: data_set(api, {**GT, "images": [{"id": 3}]}).annToRLE(GT["annotations"][0]))
        == "KeyError"
    )


# Files and pictures --------------------------------------------------------------------------------------------------


def test_images_are_downloaded_once(tmp_path, capsys):
    source = tmp_path / "source"
    source.mkdir()
    images = [{**image, "coco_url": (source / image["file_name"]).as_uri()} for image in GT["images"]]
    for image in images:
        (source / image["file_name"]).write_text(image["file_name"])
    lines = []
    for api in (Original, Ours):
        coco = data_set(api, {**GT, "images": images})
        target = tmp_path / api.__name__ / "deep"
        printed(capsys)
        assert coco.download() == -1
        coco.download(str(target), [7])
        (target / "7.txt").write_text("mine")
        coco.download(str(target))
        lines.append(printed(capsys))
        content = {file.name: file.read_text() for file in target.iterdir()}
        assert content == {"7.txt": "mine", "3.txt": "3.txt", "12.txt": "12.txt"}
    assert lines[0] == lines[1]


PEOPLE = [{"image_id": 3, "category_id": 2, "keypoints": [1, 2, 2, 5, 3, 1, 9, 9, 0], "bbox": [1, 2, 4, 1]}]


@pytest.mark.parametrize("annotations", [GT["annotations"], PEOPLE], ids=["masks", "keypoints"])
@pytest.mark.parametrize("with_boxes", [False, True])
def test_annotations_are_drawn(annotations, with_boxes):
    plt.switch_backend("agg")

    def draw(api):
        np.random.seed(1)  # noqa: NPY002  the colours come from it
        figure, axes = plt.subplots(figsize=(2, 2))
        axes.set(xlim=(0, 10), ylim=(0, 10))
        data_set(api, GT).showAnns(annotations, draw_bbox=with_boxes)
        figure.canvas.draw()
        pixels = np.array(figure.canvas.buffer_rgba())
        plt.close(figure)
        return pixels

    pixels = assert_same_outcome(draw)
    assert np.ptp(pixels[..., :3]) > 0


def test_captions_are_printed(both, capsys):
    for coco in both:
        coco.showAnns([{"caption": "a cat"}, {"caption": "on a mat"}])
        assert printed(capsys) == "a cat\non a mat\n"
        assert coco.showAnns([]) == 0
        with pytest.raises(Exception, match="datasetType not supported"):
            coco.showAnns([{"bbox": []}])


def test_drawing_without_matplotlib_says_what_to_install(both, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match=r"cvbench\[plots\]"):
        both[1].showAnns(GT["annotations"])
