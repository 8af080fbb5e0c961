"""A split on disk: what is written is what is read back, and a run that fails leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvbench import scenes, score
from cvbench.errors import InputError
from cvbench.scenes import folder as module
from mode import JIT

LIMIT = 12 if JIT else 2


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "val"
    scenes.write_folder(folder, "val", LIMIT, threads=2)
    return folder


def test_batches_follow_one_another(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    told = []
    scenes.write_folder(tmp_path / "out", "val", 3, threads=1, progress=lambda *stage: told.append(stage))
    assert told == [("drawing val", 2, 3), ("drawing val", 3, 3)]
    assert len(list((tmp_path / "out" / "images").iterdir())) == 3
    document = json.loads((tmp_path / "out" / "panoptic.json").read_text(encoding="utf-8"))
    assert [record["image_id"] for record in document["annotations"]] == [0, 1, 2]


def test_the_folder_holds_what_it_should(written):
    names = [f"{image:06d}.png" for image in range(LIMIT)]
    for part in ("images", "panoptic", "labels"):
        assert sorted(path.name for path in (written / part).iterdir()) == names
    documents = {"instances.json", "person_keypoints.json", "face_landmarks.json", "panoptic.json"}
    assert {path.name for path in written.iterdir()} == {"images", "panoptic", "labels", *documents}
    assert [path.name for path in written.parent.iterdir()] == ["val"]


def test_files_are_what_is_in_memory(written):
    for path in written.glob("*.json"):
        assert json.loads(path.read_text(encoding="utf-8")) == scenes.ground_truth("val", path.stem, LIMIT)
    for index, sample in enumerate(scenes.dataset("val", LIMIT)):
        read = {part: np.asarray(Image.open(written / part / f"{index:06d}.png")) for part in ("images", "labels")}
        assert (read["images"] == sample.image).all()
        assert (read["labels"] == sample.labels).all()
        colours = np.asarray(Image.open(written / "panoptic" / f"{index:06d}.png")).astype(int)
        assert (colours @ (1, 256, 65536) == sample.segments).all()


def test_tasks_on_files_read_it(written):
    panoptic = written / "panoptic.json"
    assert score("coco.panoptic", panoptic, panoptic).values["PQ"] == 1
    labels = written / "labels"
    assert score("semantic.miou", labels, labels, num_classes=14, ignore_index=255).values["mIoU"] == 1


def test_colours_are_ids_in_base_256():
    ids = np.array([[0, 255, 256, 65536 + 2 * 256 + 3]], np.int32)
    assert module.as_colours(ids).tolist() == [[[0, 0, 0], [255, 0, 0], [0, 1, 0], [3, 2, 1]]]


def test_an_empty_folder_is_taken_and_progress_told(tmp_path):
    (tmp_path / "out").mkdir()
    told = []
    scenes.write_folder(tmp_path / "out", "train", 2, threads=1, progress=lambda *stage: told.append(stage))
    assert told == [("drawing train", 2, 2)]
    assert (tmp_path / "out" / "images" / "000001.png").is_file()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "kept.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="the folder is not empty; name a new or an empty one"):
        scenes.write_folder(tmp_path, "val", 1)
    with pytest.raises(InputError, match=r"kept\.txt: is a file; name a folder"):
        scenes.write_folder(tmp_path / "kept.txt", "val", 1)
    with pytest.raises(InputError, match="there is no folder .*missing to make it in"):
        scenes.write_folder(tmp_path / "missing" / "out", "val", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()], ids=["full disk", "interrupt"])
def test_a_run_that_ends_early_leaves_nothing(tmp_path, monkeypatch, error):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(module, "document", fail)
    with pytest.raises(type(error)):
        scenes.write_folder(tmp_path / "out", "val", 1)
    assert not list(tmp_path.iterdir())
