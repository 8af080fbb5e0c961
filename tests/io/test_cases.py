"""Every row of ``docs/inputs.md``: what cvbench, pycocotools and the compatibility module do with doubtful input."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cvbench.compat.pycocotools.coco import COCO as OurCOCO
from cvbench.compat.pycocotools.cocoeval import COCOeval as OurCOCOeval
from cvbench.errors import FormatError
from cvbench.io import Reading, check_detections, check_ground_truth, read_detections, read_ground_truth
from input_cases import ABSENT, CASES, FOLDER, Case, Edit, ground_truth, page, predictions

pytestmark = pytest.mark.usefixtures("each_way_of_reading")

INPUTS = Path(__file__).parents[2] / "docs" / "inputs.md"
each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def stored(path: Path, data: Any, edit: Edit | None) -> Path:
    """Write the edited data to `path`."""
    changed = None if edit is None else edit(data)
    if changed == FOLDER:
        path.mkdir()
    elif isinstance(changed, bytes):
        path.write_bytes(changed)
    elif changed != ABSENT:
        path.write_text(json.dumps(data if changed is None else changed))
    return path


def files(case: Case, folder: Path) -> tuple[Path, Path]:
    gt = ground_truth()
    pred = predictions(gt)
    return stored(folder / "gt.json", gt, case.gt), stored(folder / "pred.json", pred, case.pred)


def read(case: Case, gt: Any, pred: Any) -> tuple[Reading[Any], Reading[Any]]:
    options = dict(case.options)
    area = {"missing_area": options.pop("missing_area")} if "missing_area" in options else {}
    truth = read_ground_truth(gt, case.task, **area)
    return truth, read_detections(pred, truth.columns, case.task, sizes=truth.image_sizes, **options)


def problems(case: Case, gt: Path, pred: Path) -> list[str]:
    options = dict(case.options)
    area = {"missing_area": options.pop("missing_area")} if "missing_area" in options else {}
    found = check_ground_truth(gt, case.task, **area)
    if not found:
        truth = read_ground_truth(gt, case.task, **area)
        found = check_detections(pred, truth.columns, case.task, sizes=truth.image_sizes, **options)
    return [str(problem) for problem in found]


@each_case
def test_cvbench(case: Case, tmp_path: Path) -> None:
    gt, pred = files(case, tmp_path)
    if case.refused is None:
        truth, found = read(case, gt, pred)
        counts, notes = truth.counts | found.counts, " ".join(truth.notes + found.notes)
        assert {name: counts[name] for name in case.counts} == case.counts
        for part in case.says:
            assert part in notes
        assert problems(case, gt, pred) == []
        return
    with pytest.raises(FormatError) as raised:
        read(case, gt, pred)
    named = pred if case.gt is None else gt
    assert raised.value.where == f"{named}{case.refused}"
    for part in case.says:
        assert part in str(raised.value)
    listed = problems(case, gt, pred)
    # the error is the first problem and tells how many more there are
    assert listed[0] in str(raised.value).replace("; `cvbench", " `cvbench") or str(raised.value).startswith(listed[0])


def outcome(coco: Any, evaluation: Any, case: Case, gt: Path, pred: Path) -> str:
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            truth = coco(str(gt))
            run = evaluation(truth, truth.loadRes(str(pred)), case.task)
            run.evaluate()
            run.accumulate()
            run.summarize()
        except Exception as error:  # noqa: BLE001  # which one is what the table says
            return type(error).__name__
    return "scores"


@each_case
def test_pycocotools(case: Case, tmp_path: Path) -> None:
    if case.pycocotools != "unsafe":
        assert outcome(COCO, COCOeval, case, *files(case, tmp_path)) == case.pycocotools


@each_case
def test_compatibility_module(case: Case, tmp_path: Path) -> None:
    found = outcome(OurCOCO, OurCOCOeval, case, *files(case, tmp_path))
    if case.pycocotools == "unsafe":
        assert found != "scores"
    else:
        assert found == (case.compatible or case.pycocotools)


def test_the_page_is_the_table() -> None:
    assert INPUTS.read_text(encoding="utf-8") == page()


def test_names_are_distinct() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
