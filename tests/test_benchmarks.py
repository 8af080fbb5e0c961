"""Benchmarks: what models are shown and judged by is what the scenes hold, and wrong predictions are named."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cvbench.benchmarks
from cvbench import scenes, score
from cvbench.benchmarks import BENCHMARKS, Benchmark, Digest, Pictures, find, from_files
from cvbench.benchmarks.procedural import CROP
from cvbench.errors import FormatError, InputError
from mode import JIT
from perfect import perfect

LIMIT = 12 if JIT else 2
NAMES = sorted(BENCHMARKS)


def scored(benchmark: Benchmark, limit: int = LIMIT):
    """What a model that is always right gets."""
    metric = benchmark.metric(1)
    for picture in benchmark.pictures("val", limit):
        benchmark.update(metric, picture, perfect(benchmark, picture))
    return metric.compute()


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_is_right(name):
    result = scored(BENCHMARKS[name])
    assert result.values[BENCHMARKS[name].figure] == 1
    assert result.counts["images"] == LIMIT


@pytest.mark.parametrize(("name", "task"), [("scenes.detection", "coco.bbox"), ("scenes.instance", "coco.segm")])
def test_figures_are_those_of_the_task_on_files(name, task):
    """Of predictions with errors: each box is moved, and each third thing is missed."""
    benchmark, found = BENCHMARKS[name], []
    metric = benchmark.metric(1)
    for picture in benchmark.pictures("val", LIMIT):
        (prediction,) = perfect(benchmark, picture)
        keep = np.arange(len(prediction["labels"])) % 3 > 0
        moved = {key: np.asarray(value)[keep] for key, value in prediction.items() if key != "masks"}
        moved["boxes"] = moved["boxes"] + (1.5, 0, 1.5, 0)
        boxes = moved["boxes"] - np.pad(moved["boxes"][:, :2], ((0, 0), (2, 0)))
        records = [
            {"image_id": picture.id, "category_id": int(label), "bbox": box.tolist(), "score": 1.0}
            for label, box in zip(moved["labels"], boxes, strict=True)
        ]
        if "masks" in prediction:
            moved["masks"] = [{**mask} for mask, kept in zip(prediction["masks"], keep, strict=True) if kept]
            records = [{**r, "segmentation": mask} for r, mask in zip(records, moved["masks"], strict=True)]
        benchmark.update(metric, picture, [moved])
        found += records
    rules = {"detection_area": "mask"} if task == "coco.segm" else {}
    expected = score(task, scenes.ground_truth("val", "instances", LIMIT), found, **rules)
    result = metric.compute()
    np.testing.assert_equal({name: result.values[name] for name in expected.values}, expected.values)
    assert 0 < result.values["AP"] < 1


def test_boxes_have_figures_beside_masks():
    result = scored(BENCHMARKS["scenes.instance"])
    assert result.values["box_AP"] == 1
    assert len(result.tables["box_per_category"]) == len(result.per_category)


def test_targets_are_things_without_crowds():
    number = 0
    for split, limit in (("train", LIMIT), ("val", LIMIT)):
        for index, picture in enumerate(BENCHMARKS["scenes.instance"].pictures(split, limit)):
            sample, (target,) = scenes.generate(split, index), picture.targets
            rows = np.flatnonzero(~sample.crowd)
            assert (picture.images[0] == sample.image).all()
            assert (target["labels"] == sample.categories[rows] - 1).all()
            for n, row in enumerate(rows):
                assert (target["masks"][n] == (sample.instances == row + 1)).all()
                ys, xs = np.nonzero(target["masks"][n])
                box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
                assert target["boxes"][n].tolist() == box
            number += len(rows)
    assert number > 0


def test_crops_show_people_where_their_joints_are():
    """Joints go back to where they are in the picture, and the person's box is within the crop."""
    seen = 0
    for index, picture in enumerate(BENCHMARKS["scenes.pose"].pictures("val", LIMIT)):
        sample = scenes.generate("val", index)
        people = np.flatnonzero((sample.keypoints[:, :, 2] > 0).any(axis=1))
        assert len(people) == len(picture.images) == len(picture.targets)
        for person, crop, target, box in zip(
            people, picture.images, picture.targets, picture.truth["boxes"], strict=True
        ):
            assert crop.shape == (CROP, CROP, 3)
            scale = box[2] / sample.boxes[person, 2]
            origin = sample.boxes[person, :2] - box[:2] / scale
            points = target["keypoints"] / scale + origin
            visible = target["visible"]
            # coordinates went through single precision
            assert np.allclose(points[visible], sample.keypoints[person, visible, :2], atol=1e-4)
            assert (box[:2] >= 0).all()
            assert (box[:2] + box[2:] <= CROP).all()
            seen += 1
    assert seen > 0


def test_a_crop_is_the_picture_where_nothing_is_resized():
    from cvbench.benchmarks.procedural import _crop

    image = scenes.generate("val", 0).image
    assert (_crop(image, 30, 40, CROP) == image[40 : 40 + CROP, 30 : 30 + CROP]).all()
    assert (_crop(image, -CROP, 0, CROP) == 0).all()


def test_unknown_benchmarks_get_a_hint():
    with pytest.raises(InputError, match=r"unknown benchmark 'scenes.detektion'; did you mean 'scenes.detection'\?"):
        find("scenes.detektion")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("scenes.detection", None, "prediction for image 0: is of type list; expected a dict of 'boxes': "),
        (
            "scenes.detection",
            {"scores": None},
            r"has no 'scores'; it has 'boxes', 'labels'; expected 'boxes': \(N, 4\)",
        ),
        ("scenes.detection", {"boxes": np.zeros((2, 5))}, r"image 0: boxes: have shape \(2, 5\); expected \(N, 4\)"),
        ("scenes.detection", {"labels": np.zeros(1, int)}, r"image 0: pred.scores: has shape"),
        ("scenes.semantic", {"labels": np.zeros((2, 2), int)}, "image 0: "),
        ("scenes.panoptic", {"segments": 3}, "image 0: pred.segments: expected a list of dicts"),
        ("scenes.pose", {"keypoints": np.zeros((3, 2))}, r"keypoints: have shape \(3, 2\); expected \(14, 2\)"),
    ],
)
def test_wrong_predictions_are_named(name, change, message):
    benchmark = BENCHMARKS[name]
    picture = benchmark.pictures("val", 1)[0]
    (prediction, *others) = perfect(benchmark, picture)
    if change is not None:
        prediction = {key: value for key, value in {**prediction, **change}.items() if value is not None}
    with pytest.raises(InputError, match=message):
        benchmark.update(benchmark.metric(1), picture, [prediction if change is not None else [], *others])


def test_no_detections_are_a_prediction():
    benchmark = BENCHMARKS["scenes.instance"]
    metric = benchmark.metric(1)
    nothing = {"boxes": [], "scores": [], "labels": np.zeros(0, int), "masks": np.zeros((0, 128, 128), bool)}
    benchmark.update(metric, benchmark.pictures("val", 1)[0], [nothing])
    assert metric.compute().values["AP"] == 0


def test_digests_tell_pictures_apart():
    def digest(*values):
        found = Digest()
        for value in values:
            found.update(value)
        return found.hexdigest()

    ones = np.ones((2, 3), np.uint8)
    different = [
        ([ones],),
        (ones,),
        (ones.reshape(3, 2),),
        (ones.astype(bool),),
        ({"a": ones, "b": "x"},),
        ({"a": ones, "b": 1},),
        ([1, [2]],),
        ([[1], 2],),
    ]
    assert len({digest(*values) for values in different}) == len(different)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_slices_of_pictures_are_lists():
    pictures = BENCHMARKS["scenes.semantic"].pictures("val", 4)
    assert isinstance(pictures, Pictures)
    assert [picture.id for picture in pictures[1:3]] == [1, 2]
    assert pictures[-1].id == 3


# Files ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("scenes") / "val"
    scenes.write_folder(written, "val", LIMIT, threads=1)
    return written


@pytest.mark.parametrize(("task", "name"), [("coco.bbox", "scenes.detection"), ("coco.segm", "scenes.instance")])
def test_files_are_what_the_scenes_are(folder, task, name):
    ours, theirs = from_files(task, folder / "instances.json", folder / "images"), BENCHMARKS[name]
    assert ours.field == theirs.field
    assert ours.classes == theirs.classes
    for a, b in zip(ours.pictures("val", None), theirs.pictures("val", LIMIT), strict=True):
        assert a.id == b.id
        assert (a.images[0] == b.images[0]).all()
        assert a.truth["masks"] == b.truth["masks"] if task == "coco.segm" else "masks" not in a.truth
        for key in ("boxes", "labels", "area", "iscrowd"):
            assert (a.truth[key] == b.truth[key]).all()
    assert scored(ours).values["AP"] == 1
    assert len(ours.pictures("val", 1)) == 1


def test_files_that_are_not_there_are_named(folder, tmp_path):
    document = json.loads((folder / "instances.json").read_text(encoding="utf-8"))
    with pytest.raises(InputError, match=r"000000.png: there is no such file; expected every image"):
        from_files("coco.bbox", folder / "instances.json", tmp_path)
    for image in document["images"]:
        del image["file_name"]
    (tmp_path / "gt.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(FormatError, match=r"gt.json: images: an image has no file_name"):
        from_files("coco.bbox", tmp_path / "gt.json", folder / "images")
    with pytest.raises(InputError, match=r"'coco.panoptic' does not run on files"):
        from_files("coco.panoptic", folder / "instances.json", folder / "images")


def test_files_that_are_no_images_are_named(folder, tmp_path):
    for image in range(LIMIT):
        (tmp_path / f"{image:06d}.png").write_bytes(b"no image")
    pictures = from_files("coco.bbox", folder / "instances.json", tmp_path).pictures("val", None)
    with pytest.raises(FormatError, match=r"000000.png: cannot be read as an image"):
        pictures[0]


def test_grey_images_become_colours(folder, tmp_path):
    for image in range(LIMIT):
        Image.fromarray(np.full((128, 128), 7, np.uint8)).save(tmp_path / f"{image:06d}.png")
    picture = from_files("coco.bbox", folder / "instances.json", tmp_path).pictures("val", None)[0]
    assert picture.images[0].shape == (128, 128, 3)


def test_examples():
    assert doctest.testmod(cvbench.benchmarks).attempted > 0
