"""Runs of models: a record for each, faults that stop no other, runs that go on after they were stopped."""

from __future__ import annotations

import doctest
import math
import re
from dataclasses import replace
from functools import partial

import pytest

import cvbench.models
from cvbench.benchmarks import find
from cvbench.cost.turns import Plan
from cvbench.errors import InputError
from cvbench.records import Model, RunRecord
from cvbench.running import Candidate, Settings, candidate, candidates, run, runs, timing
from mode import JIT
from perfect import shared
from runnable_models import Boxes, Broken, Labels, ReadsValues, Returns, ends_its_process, fails_to_build

LIMIT = 4 if JIT else 2
SETTINGS = Settings(limit=LIMIT, plan=None, replicates=19)
SEMANTIC = shared("scenes.semantic")


def named(name, load=Labels, field="semantic", source="a"):
    return Candidate(Model(name), load, field, source=source)


# Records -------------------------------------------------------------------------------------------------------------


def test_a_record_has_all_there_is(tmp_path):
    (record,) = run([named("toy")], [SEMANTIC], tmp_path, SETTINGS)
    assert RunRecord.load(tmp_path / "scenes.semantic" / "toy.json").to_json() == record.to_json()
    assert record.error is None
    assert record.model.params == 4
    assert record.accuracy.values["mIoU"] > 0
    assert record.intervals["mIoU"].replicates == 19
    assert record.bootstrap.interval("mIoU") == record.intervals["mIoU"]
    assert list(record.bootstrap.values) == ["mIoU"]
    assert record.cost.values["macs"] == 3 * 128 * 128
    assert record.latency is None
    assert len(record.data["images"]) == 64


def test_a_run_is_the_same_again_to_the_last_bit(tmp_path):
    first, second = (
        run([named("toy", Boxes, "detection")], [shared("scenes.detection")], tmp_path / name, SETTINGS)[0]
        for name in ("a", "b")
    )
    assert first.accuracy.same_scores(second.accuracy)
    assert repr(first.intervals) == repr(second.intervals)  # NaN is NaN
    assert first.data == second.data


@pytest.mark.parametrize(
    ("load", "error"),
    [
        (Broken, r"predictions: RuntimeError: the network is broken \(runnable_models.py, line \d+\); cost: "),
        (fails_to_build, r"building: OSError: no such weights \(runnable_models.py, line \d+\)"),
        (partial(Returns, 3), "predictions: toy: postprocess returned a int for 4 images"),
    ],
)
def test_faults_are_in_their_row_and_stop_no_other(tmp_path, load, error):
    said = []
    settings = replace(SETTINGS, limit=4)
    broken, fine = run([named("toy", load), named("fine")], [SEMANTIC], tmp_path, settings, say=said.append)
    assert broken.accuracy is None
    assert re.match(error, broken.error)
    assert said == [f"toy on scenes.semantic: {broken.error}"]
    assert fine.accuracy is not None
    assert fine.error is None
    assert RunRecord.load(tmp_path / "scenes.semantic" / "toy.json").error == broken.error


def test_a_device_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="torch cannot compute on 'abacus': Expected one of cpu, cuda"):
        run([named("toy")], [SEMANTIC], tmp_path / "results", replace(SETTINGS, device="abacus"))
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_reads_values_is_counted_on_the_processor(tmp_path):
    (record,) = run([named("toy", ReadsValues)], [SEMANTIC], tmp_path, SETTINGS)
    assert record.error is None
    assert record.cost.values["macs"] == 3 * 128 * 128


def test_threads_of_torch_are_as_before(tmp_path):
    import torch

    before = torch.get_num_threads()
    run([named("toy")], [SEMANTIC], tmp_path, replace(SETTINGS, threads=before + 1))
    assert torch.get_num_threads() == before


def test_models_run_on_what_they_predict(tmp_path):
    masks, labels = named("masks", Boxes, "instance"), named("labels")
    records = run([masks, labels], [shared("scenes.detection"), SEMANTIC], tmp_path, SETTINGS)
    assert [(record.benchmark, record.model.name) for record in records] == [
        ("scenes.detection", "masks"),
        ("scenes.semantic", "labels"),
    ]
    with pytest.raises(InputError, match=r"scenes.pose: asks for pose, which none of the models predicts: labels"):
        run([labels], [shared("scenes.pose")], tmp_path, SETTINGS)
    with pytest.raises(InputError, match=r"masks: predicts instance, which is not asked for by scenes.semantic"):
        run([labels, masks], [SEMANTIC], tmp_path, SETTINGS)
    with pytest.raises(InputError, match="there are two models of the name labels"):
        run([labels, labels], [SEMANTIC], tmp_path, SETTINGS)


# Several at once -----------------------------------------------------------------------------------------------------

TWO = replace(SETTINGS, limit=2, processes=2)


def test_models_that_are_scored_at_once_have_the_same_records(tmp_path):
    models = [named("toy"), named("broken", Broken), named("dead", ends_its_process), named("other")]
    told = []
    apart = run(models, [find("scenes.semantic")], tmp_path / "a", TWO, progress=lambda *stage: told.append(stage))
    models[2] = named("dead", fails_to_build)
    here = run(models, [SEMANTIC], tmp_path / "b", replace(TWO, processes=1))
    for ours, theirs in ((here[0], apart[0]), (here[3], apart[3])):
        assert ours.accuracy.same_scores(theirs.accuracy)
        assert repr((ours.intervals, ours.data, ours.model)) == repr((theirs.intervals, theirs.data, theirs.model))
        assert ours.cost.values == theirs.cost.values
    assert [record.model.name for record in apart] == ["toy", "broken", "dead", "other"]
    assert [apart[k].error for k in (0, 1, 3)] == [here[k].error for k in (0, 1, 3)]
    assert apart[2].error.startswith("the process ended with code 3 before its work did")
    assert {stage for stage, _, _ in told} & {"toy", "broken", "toy, broken", "broken, toy"}
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1][1:] == (4 * (2 + 19), 4 * (2 + 19))
    assert {path.stem for path in (tmp_path / "a" / "scenes.semantic").iterdir()} == {"toy", "broken", "dead", "other"}


def test_what_cannot_be_sent_to_a_process_is_scored_here(tmp_path):
    told = []
    records = run([named("a"), named("b")], [SEMANTIC], tmp_path, TWO, progress=lambda *stage: told.append(stage[0]))
    assert [record.error for record in records] == [None, None]
    assert set(told) == {"a on scenes.semantic", "b on scenes.semantic", "bootstrap"}


def test_a_run_in_several_processes_goes_on(tmp_path):
    models, said = [named("first"), named("second")], []
    run_here = partial(run, models, [find("scenes.semantic")], tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_here(replace(TWO, processes=1), progress=stopping_at("second"))
    run_here(TWO, say=said.append)
    assert said == ["first on scenes.semantic: scored already"]


# Runs that were stopped ----------------------------------------------------------------------------------------------


def stopping_at(name):
    def progress(stage, done, total):
        if stage == f"{name} on scenes.semantic":
            raise KeyboardInterrupt

    return progress


def interrupted(tmp_path, second, source="a"):
    """The records that a run writes that is stopped in the second of two models."""
    models = [named("first", source=source), second]
    with pytest.raises(KeyboardInterrupt):
        run(models, [SEMANTIC], tmp_path, SETTINGS, progress=stopping_at("second"))
    assert (tmp_path / ".run").exists()
    return models


def test_a_run_that_was_stopped_goes_on(tmp_path):
    models = interrupted(tmp_path, named("second"))
    before = RunRecord.load(tmp_path / "scenes.semantic" / "first.json")
    said = []
    records = run(models, [SEMANTIC], tmp_path, SETTINGS, progress=stopping_at("first"), say=said.append)
    assert said == ["first on scenes.semantic: scored already"]
    assert records[0].to_json() == before.to_json()
    assert records[1].accuracy is not None
    assert not (tmp_path / ".run").exists()


@pytest.mark.parametrize("change", ["settings", "record", "code", "journal", "own"])
def test_what_may_have_changed_is_run_anew(tmp_path, change):
    source = None if change == "own" else "a"
    models = interrupted(tmp_path, named("second", source=source), source)
    settings, path = SETTINGS, tmp_path / "scenes.semantic" / "first.json"
    if change == "settings":
        settings = replace(SETTINGS, limit=1)
    elif change == "record":
        path.write_bytes(path.read_bytes() + b" ")
    elif change == "code":
        models = [named("first", source="b"), models[1]]
    elif change == "journal":
        (tmp_path / ".run").write_bytes(b'["cut sho')
    with pytest.raises(KeyboardInterrupt):
        run(models, [SEMANTIC], tmp_path, settings, progress=stopping_at("first"))


def test_results_of_runs_that_are_through_are_replaced(tmp_path):
    run([named("toy")], [SEMANTIC], tmp_path, SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        run([named("toy")], [SEMANTIC], tmp_path, SETTINGS, progress=stopping_at("toy"))


# Latency -------------------------------------------------------------------------------------------------------------

PLAN = Plan(processes=1, rounds=1, samples=5, seconds=0.5, distinct=5)


def test_times_are_those_of_all_stages_on_real_images(tmp_path):
    (record,) = run([named("toy")], [SEMANTIC], tmp_path, replace(SETTINGS, plan=PLAN))
    assert [row["stage"] for row in record.latency.stages] == ["pre", "forward", "post", "e2e"]
    assert record.latency.values["e2e_p50_ms"] > 0
    assert record.latency.conditions["threads"] == "1"


def test_inputs_are_images_of_the_benchmark(monkeypatch):
    seen = {}
    monkeypatch.setattr(timing, "measure_latencies", lambda builds, **_: seen.update(builds) or {})
    timing.timed({"toy": named("toy")}, SEMANTIC, replace(SETTINGS, limit=2, plan=PLAN))
    workload = seen["toy"](timing.Conditions())
    assert len(workload.inputs) == len({id(item) for item in workload.inputs}) == PLAN.distinct
    pictures = SEMANTIC.pictures("val", 2)
    for index, item in enumerate(workload.inputs):
        assert (item[0] == pictures[index % 2].images[0]).all()
    with workload.context():
        (found,) = workload.post(workload.forward(workload.pre(workload.inputs[0])))
    assert found["labels"].shape == (128, 128)


def test_a_model_that_cannot_be_timed_stops_no_other(tmp_path, monkeypatch):
    def measure(builds, **_):
        if "bad" in builds:
            raise InputError("no clock")
        return builds

    monkeypatch.setattr(timing, "measure_latencies", measure)
    monkeypatch.setattr(timing.Timing, "of", lambda latency: timing.Timing("e2e", {}, {"e2e_p50_ms": 1.0}, []))
    settings = replace(SETTINGS, plan=PLAN)
    good, bad = run([named("good"), named("bad")], [SEMANTIC], tmp_path, settings)
    assert good.latency.values == {"e2e_p50_ms": 1.0}
    assert (bad.latency, bad.error) == (None, "latency: no clock")
    assert bad.accuracy is not None


# Models --------------------------------------------------------------------------------------------------------------


def test_models_of_ones_own_are_named_by_their_builder(tmp_path):
    own = candidate("runnable_models:Labels")
    assert own.model.label == "runnable_models-Labels"
    assert own.field is None
    (record,) = run([own], [SEMANTIC], tmp_path, SETTINGS)
    assert record.error is None
    (record,) = run([candidate("runnable_models:no_model")], [SEMANTIC], tmp_path, SETTINGS)
    assert record.error == "building: runnable_models:no_model: built a int; expected a torch.nn.Module"


def test_unknown_models_get_a_hint(monkeypatch):
    monkeypatch.setattr(cvbench.models, "models", lambda: {"centernet": None})
    with pytest.raises(InputError, match="unknown model 'centrenet'; did you mean 'centernet'?"):
        candidate("centrenet")


def test_nan_is_an_interval_of_what_cannot_be_drawn(tmp_path):
    (record,) = run([named("toy")], [SEMANTIC], tmp_path, replace(SETTINGS, replicates=1))
    assert math.isnan(record.intervals["mIoU"].low)


@pytest.mark.parametrize("module", [candidates, runs])
def test_examples(module):
    assert doctest.testmod(module).failed == 0
