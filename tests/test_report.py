from __future__ import annotations

import csv
import io
import json
import math

import pytest

from cvbench.errors import InputError
from cvbench.report import Style, number, quantity, render, significant
from cvbench.result import Result, Signature

STYLE = Style(
    describe={"AP": "IoU 0.50:0.95, all areas", "APs": "small objects"}, headline=("AP",), tables=("per_category",)
)


@pytest.fixture(scope="module")
def result() -> Result:
    return Result(
        "coco.bbox@1",
        {"APs": math.nan, "AP": 0.5045806987249628},
        Signature("coco.bbox@1", (("iou", "0.50:0.95:0.05"), ("max_dets", "1,10,100"))),
        tables={
            "per_category": [
                {"id": 10, "name": "traffic light", "AP": 1 / 3, "detections": 5},
                {"id": 2, "name": "a|b\n", "AP": math.nan, "detections": 0},
            ],
            "per_iou": [{"iou": 0.5, "AP": 0.7}],
        },
        counts={"images": 100, "ground_truths": 839, "crowd": 0},
        notes=["2 detections were dropped."],
    )


def test_text(result: Result) -> None:
    assert (
        render(result, "text", STYLE)
        == """\
AP   0.50458  IoU 0.50:0.95, all areas
APs      nan  small objects

id  name                AP  detections
10  traffic light  0.33333           5
 2  a|b\\n              nan           0

images 100, ground truths 839

note: 2 detections were dropped.

coco.bbox@1|iou:0.50:0.95:0.05|max_dets:1,10,100
"""
    )


def test_text_without_extras(result: Result) -> None:
    assert (
        render(result, "text", Style(notes=False))
        == """\
APs      nan
AP   0.50458

images 100, ground truths 839

coco.bbox@1|iou:0.50:0.95:0.05|max_dets:1,10,100
"""
    )


def test_markdown(result: Result) -> None:
    assert (
        render(result, "md", STYLE)
        == """\
## coco.bbox@1

| figure |   value | meaning                  |
| ------ | ------: | ------------------------ |
| AP     | 0.50458 | IoU 0.50:0.95, all areas |
| APs    |     nan | small objects            |

### per category

|  id | name          |      AP | detections |
| --: | ------------- | ------: | ---------: |
|  10 | traffic light | 0.33333 |          5 |
|   2 | a\\|b\\n        |     nan |          0 |

Counts: images 100, ground truths 839.

- 2 detections were dropped.

`coco.bbox@1|iou:0.50:0.95:0.05|max_dets:1,10,100`
"""
    )


def test_csv_is_tidy_and_complete(result: Result) -> None:
    assert list(csv.reader(io.StringIO(render(result, "csv"), newline=""))) == [
        ["task", "table", "key", "metric", "value"],
        ["coco.bbox@1", "values", "", "APs", ""],
        ["coco.bbox@1", "values", "", "AP", "0.5045806987249628"],
        ["coco.bbox@1", "per_category", "10 traffic light", "AP", "0.3333333333333333"],
        ["coco.bbox@1", "per_category", "10 traffic light", "detections", "5"],
        ["coco.bbox@1", "per_category", "2 a|b\n", "AP", ""],
        ["coco.bbox@1", "per_category", "2 a|b\n", "detections", "0"],
        ["coco.bbox@1", "per_iou", "0.5", "AP", "0.7"],
        ["coco.bbox@1", "counts", "", "images", "100"],
        ["coco.bbox@1", "counts", "", "ground_truths", "839"],
        ["coco.bbox@1", "counts", "", "crowd", "0"],
    ]


def test_json_is_the_result(result: Result) -> None:
    text = render(result, "json", STYLE)
    assert Result.from_json(text).same_scores(result)
    assert json.loads(text)["values"] == {"APs": None, "AP": 0.5045806987249628}


def test_a_result_may_be_empty() -> None:
    empty = Result("task@1", {}, Signature("task@1"), tables={"per_category": []})
    style = Style(tables=("per_category",))
    assert render(empty, "text", style) == "task@1\n"
    assert render(empty, "csv", style) == "task,table,key,metric,value\n"
    assert render(empty, "md", style).endswith("| ------ | ----: | ------- |\n\n`task@1`\n")


def test_long_lines_of_counts_are_wrapped(result: Result) -> None:
    many = Result(result.task, {}, result.signature, counts={f"count_number_{i}": i for i in range(1, 30)})
    text = render(many, "text")
    assert max(map(len, text.splitlines())) <= 100
    assert all(f"count number {i} {i}" in text for i in range(1, 30))


def test_what_cannot_be_rendered_is_named(result: Result) -> None:
    with pytest.raises(InputError, match="unknown format 'yaml'; expected one of text, json, csv, md"):
        render(result, "yaml")
    with pytest.raises(InputError, match="has no table 'per_image'; it has per_category, per_iou"):
        render(result, "text", Style(tables=("per_image",)))


def test_numbers_for_people() -> None:
    assert [number(value) for value in (1.0, -0.00001, math.nan, 3, "über", "a\tb", "\x1b[31m")] == [
        "1.00000",
        "-0.00001",
        "nan",
        "3",
        "über",
        "a\\tb",
        "\\x1b[31m",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999.0, "999"),
        (1000, "1.000 k"),
        (999_999, "999.999 k"),
        (999_999_499, "999.999 M"),
        (999_999_500.1, "1.000 G"),
        (-4_089_184_256, "-4.089 G"),
        (2.5e18, "2500.000 P"),
        (0.25, "0.25000"),
        (math.nan, "nan"),
        ("n/a", "n/a"),
    ],
)
def test_large_quantities_have_units(value: float | str, text: str) -> None:
    assert quantity(value) == text


def test_quantities_are_named_by_the_style() -> None:
    rows = [{"op": "conv", "macs": 12_345_678, "calls": 2000}]
    result = Result("cost@1", {"macs": 4e9, "ai": 1234.5}, Signature("cost@1"), tables={"ops": rows})
    style = Style(tables=("ops",), quantities={"macs"})
    assert (
        render(result, "text", style)
        == """\
macs     4.000 G
ai    1234.50000

op        macs  calls
conv  12.346 M   2000

cost@1
"""
    )
    assert "cost@1,ops,conv,macs,12345678" in render(result, "csv", style)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (9.994, "9.99"), (9.996, "10.0"), (-0.00012345, "-0.000123"), (1e9, "1000000000"), (math.nan, "n/a")],
)
def test_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text
