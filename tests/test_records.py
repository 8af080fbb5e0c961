"""Records of runs: to JSON and back, and what is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvbench.cost.latency import Latency
from cvbench.cost.turns import ColdStart, Plan
from cvbench.cost.workload import Conditions
from cvbench.errors import CvbenchError, FormatError, InputError
from cvbench.intervals import Interval
from cvbench.records import Model, RunRecord, Timing, read_records
from run_records import draws, record, score


def test_json_and_back(tmp_path: Path) -> None:
    undefined = Interval(math.nan, math.nan, 0.95, 999, 0, undefined=999)
    whole = record(intervals={"AP": Interval(0.1, 0.2, 0.95, 999, 3), "AP50": undefined}, accuracy=score(math.nan))
    path = whole.path(tmp_path)
    assert path == tmp_path / "scenes.detection" / "centernet-nano.json"
    path.parent.mkdir()
    whole.save(path)
    (read,) = read_records([tmp_path])
    assert read.to_json() == whole.to_json() == path.read_text(encoding="utf-8")
    for ours, theirs in ((read.accuracy, whole.accuracy), (read.cost, whole.cost)):
        assert ours is not None
        assert theirs is not None
        assert ours.same_scores(theirs)
    assert (read.model, read.published, read.made_by) == (whole.model, whole.published, whole.made_by)
    np.testing.assert_equal(vars(read.latency), vars(whole.latency))
    assert read.intervals["AP"] == whole.intervals["AP"]
    assert math.isnan(read.intervals["AP50"].high)
    assert "NaN" not in whole.to_json()


def test_draws_are_kept_to_the_last_bit() -> None:
    kept = draws(0.4, noise=1)
    kept.replicates["AP"][7] = math.nan
    whole = record(bootstrap=kept)
    read = RunRecord.from_json(whole.to_json())
    assert read.bootstrap is not None
    np.testing.assert_equal(vars(read.bootstrap), vars(kept))
    assert RunRecord.from_json(record().to_json()).bootstrap is None
    older = {name: cell for name, cell in json.loads(whole.to_json()).items() if name != "bootstrap"}
    assert RunRecord.from_json(json.dumps(older)).bootstrap is None, "records of before are read"


def test_a_failure_is_a_record_too() -> None:
    failed = RunRecord(Model("a.b:c".replace(":", "-")), "coco.bbox", error="RuntimeError: out of memory")
    read = RunRecord.from_json(failed.to_json())
    assert (read.error, read.accuracy, read.cost, read.latency) == (failed.error, None, None, None)
    assert read.model.label == "a.b-c"


def test_times_are_those_of_the_measurement() -> None:
    forward, post = np.arange(10, 16) * 10**6, np.full(6, 10**6)
    latency = Latency(
        name="model",
        conditions=Conditions(threads=2),
        plan=Plan(2, 1, 5),
        samples={"forward": forward, "post": post, "e2e": forward + post},
        process=np.repeat([0, 1], 3),
        round=np.zeros(6, int),
        warm_up=np.full((2, 1), 5),
        calibration=np.full((2, 1, 2), 1000),
        cold=ColdStart(1.0, 0.5, 100e6, 300e6, {"torch": 2}),
        load_average=0.0,
        noise=("the cat sat on it",),
    )
    found = Timing.of(latency)
    assert (found.headline, found.conditions["threads"], found.noise) == ("e2e", "2", ["the cat sat on it"])
    assert found.round_medians_ns == [[12e6], [15e6]]
    assert found.values["e2e_p50_ms"] == latency.milliseconds(50)
    assert [row["stage"] for row in found.stages] == ["forward", "post", "e2e"]
    assert RunRecord.from_json(record(latency=found).to_json()).latency is not None


def changed(path: str, value: Any) -> str:
    content: Any = json.loads(record().to_json())
    *parents, name = path.split("/")
    place = content
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[name]
    else:
        place[name] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "r.json: is not a JSON object"),
        ('{"model": ', "r.json: is not a JSON object"),
        (changed("model", None), "r.json: has no 'model'; expected the JSON of a run"),
        (changed("model/params", "many"), r"r.json: model: Expected `int \| null`, got `str`"),
        (changed("model/name", "a/b"), "r.json: model: model 'a/b': expected letters, digits"),
        (changed("benchmark", ".."), "r.json: benchmark '..': expected letters, digits"),
        (changed("accuracy/values", None), "r.json: accuracy: has no 'values'; expected the JSON of a cvbench result"),
        (changed("latency/values", None), "r.json: latency: Object missing required field `values`"),
        (changed("intervals/APs", {"low": 0, "high": 1}), "r.json: intervals: Object missing required field"),
    ],
)
def test_what_is_no_record_is_refused(text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        RunRecord.from_json(text, where="r.json")


def test_records_hold_what_they_speak_of() -> None:
    with pytest.raises(InputError, match="centernet-nano has an interval of mAP, and no such figure"):
        replace(record(), intervals={"mAP": Interval(0, 1, 0.95, 9, 0)})
    with pytest.raises(InputError, match="a record of a has neither a result nor an error"):
        RunRecord(Model("a"), "b")


def test_paths_without_records_are_named(tmp_path: Path) -> None:
    with pytest.raises(CvbenchError, match="nowhere: there is no such file or folder"):
        read_records([tmp_path / "nowhere"])
    with pytest.raises(CvbenchError, match=f"{tmp_path.name}: there are no results in this folder"):
        read_records([tmp_path])
