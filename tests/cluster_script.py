"""Scores on a Dask cluster of two processes, compared with those of this process.

Run as ``python tests/cluster_script.py FOLDER``; the folder is there, and files are written to it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import distributed
import pytest

from cvbench import CvbenchError, Result, score
from cvbench.families import cluster
from cvbench.families.coco import BENCHMARKS
from cvbench.tasks import TASKS
from generated import Knobs, coco
from keypoint_ap_cases import crowdpose, wholebody

Client = Any
"""A `distributed.Client`, which has no types."""

DATA: dict[str, Callable[..., Any]] = {"coco": coco, "crowdpose": crowdpose, "wholebody": wholebody}
KNOBS = Knobs(7, 9, 4, 6, 12, 5, False, True, 1, True)


def main() -> None:
    folder = Path(sys.argv[1])
    cluster.LEAST = 300  # files are cut, however small
    # kernels have tests of their own, and both processes would wait for the compiler
    plain = {"env": {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.environ["PYTHONPATH"]}}
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=":0", **plain) as workers,
        distributed.Client(workers) as client,
    ):
        check_every_task(folder, client)
        check_folders(folder, client, str(workers.scheduler_address))
        check_choices(folder, client)
        check_errors(folder, client)
        check_a_lost_worker(folder, client)


def written(folder: Path, name: str, content: Any) -> str:
    path = folder / name
    path.write_text(json.dumps(content))
    return str(path)


def files(folder: Path, task: str) -> tuple[str, str]:
    """Ground truth and predictions for a task."""
    settings = TASKS[task].settings
    bent = {"iou_type": settings["iou_type"]} if settings["benchmark"] == "coco" else {}
    gt, dt = DATA[settings["benchmark"]](KNOBS, **bent)
    return written(folder, f"{task}.gt.json", gt), written(folder, f"{task}.json", dt)


def assert_same(there: Result, here: Result) -> None:
    assert there.same_scores(here)
    assert there.inputs == here.inputs


def check_every_task(folder: Path, client: Client) -> None:
    names = [name for name, task in TASKS.items() if task.family == "coco"]
    assert {TASKS[name].settings["benchmark"] for name in names} == set(BENCHMARKS)
    for name in names:
        gt, pred = files(folder, name)
        steps: list[tuple[str, int, int]] = []
        there = score(name, gt, pred, dask=client, progress=lambda *step, seen=steps: seen.append(step))
        assert_same(there, score(name, gt, pred))
        ends = [(stage, done) for stage, done, total in steps if done == total]
        assert [stage for stage, _ in ends] == ["reading", "matching", "scoring"]
        assert ends[0][1] >= 2, "the file is read in pieces"


def check_folders(folder: Path, client: Client, address: str) -> None:
    gt, pred = files(folder, "coco.bbox")
    records = json.loads(Path(pred).read_text())
    parts = folder / "parts"
    parts.mkdir()
    for n in range(3):
        written(parts, f"part-{n}.json", records[n * len(records) // 3 : (n + 1) * len(records) // 3])
    written(parts, "part-3.json", [])
    written(parts, "_SUCCESS", "of those who wrote the folder")
    whole = score("coco.bbox", gt, str(parts), dask=address)
    assert_same(whole, score("coco.bbox", gt, str(parts)))
    assert whole.values == score("coco.bbox", gt, pred).values


def check_choices(folder: Path, client: Client) -> None:
    gt, pred = files(folder, "coco.bbox")
    data = json.loads(Path(gt).read_text())
    chosen = {"images": [image["id"] for image in data["images"][::2]], "max_dets": (1, 2)}
    chosen["categories"] = [category["id"] for category in data["categories"][:2]]
    for parameters in (chosen, {"class_agnostic": True}):
        assert_same(score("coco.bbox", gt, pred, dask=client, **parameters), score("coco.bbox", gt, pred, **parameters))
    stray = [{"image_id": chosen["images"][0], "category_id": 999, "bbox": [1, 2, 3, 4], "score": 0.5}] * 40
    pred = written(folder, "stray.json", json.loads(Path(pred).read_text()) + stray)
    there = score("coco.bbox", gt, pred, dask=client)
    assert_same(there, score("coco.bbox", gt, pred))
    lacking = (
        f"40 of {there.counts['detections']} detections have a category that the ground truth lacks and are dropped"
    )
    assert lacking in there.notes
    for content in ([], {**data, "annotations": [], "images": [], "categories": []}):
        gt, pred = (
            (gt, written(folder, "none.json", [])) if content == [] else (written(folder, "no.json", content), pred)
        )
        assert_same(score("coco.bbox", gt, pred, dask=client), score("coco.bbox", gt, pred))


def check_errors(folder: Path, client: Client) -> None:
    gt, pred = files(folder, "coco.bbox")
    records = json.loads(Path(pred).read_text())

    def said(gt: Any, pred: Any, dask: Any = client) -> str:
        with pytest.raises(CvbenchError) as caught:
            score("coco.bbox", gt, pred, dask=dask)
        return str(caught.value)

    for row in (len(records) - 3, len(records) // 2, 0):
        records[row]["bbox"] = [1, 2, -3, 4]
        bad = written(folder, "bad.json", records)
        assert said(gt, bad).startswith(f"{bad}[{row}].bbox: width -3 < 0"), "the first error of the file is named"
    text = Path(pred).read_text()
    cut = folder / "cut.json"
    cut.write_text(text[:-1])
    assert "records is not read as a list of records: the text ends inside" in said(gt, str(cut))
    nested = [record | {"more": [{"image_id": 1}] * 300} for record in records[1:3]]
    assert "is not read as a list of records" in said(gt, written(folder, "nested.json", nested))
    assert said(gt, str(folder / "nothing.json")).startswith(f"{folder / 'nothing.json'}: there is no such file")
    assert said(pred, pred).startswith(f"{pred}: ")
    assert "gt: found dict, expected a path" in said({}, pred)
    cluster.PATIENCE = 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in said(gt, pred, "tcp://127.0.0.1:1")
    cluster.PATIENCE = 60
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("importlib.metadata.version", lambda _: "0.0.1")
        assert "and this is 0.0.1; install one version" in said(gt, pred)
    areas = folder / "areas"
    areas.mkdir()
    mask = {"segmentation": {"size": [60, 60], "counts": [0, 10, 3590]}}
    for n, record in enumerate(({k: v for k, v in records[1].items() if k != "bbox"} | mask, records[1])):
        written(areas, f"{n}.json", [record])
    assert "areas of detections would be those of the box, and of the mask in" in said(gt, str(areas))


def check_a_lost_worker(folder: Path, client: Client) -> None:
    gt, pred = files(folder, "coco.bbox")
    here, victims = score("coco.bbox", gt, pred), [client.run(os.getpid).popitem()[1]]

    def kill(stage: str, done: int, total: int) -> None:
        if stage == "matching" and victims:
            os.kill(victims.pop(), signal.SIGKILL)

    assert_same(score("coco.bbox", gt, pred, dask=client, progress=kill), here)
    assert not victims


if __name__ == "__main__":
    main()
