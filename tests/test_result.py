from __future__ import annotations

import math
import os
import pickle
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.errors import FormatError, InputError, MismatchError
from cvbench.result import Provenance, Result, Signature, checkout_state, comparable, processor, replace_file

SIGNATURE = Signature("coco.bbox@1", (("iou", "0.50:0.95:0.05"), ("max_dets", "1,10,100")))
MADE_BY = Provenance.collect()


def result(**changes: Any) -> Result:
    fields: dict[str, Any] = {
        "task": "coco.bbox@1",
        "values": {"AP": 0.1 + 0.2, "APs": math.nan},
        "signature": SIGNATURE,
        "tables": {
            "per_category": [{"category": "person", "id": 1, "AP": 1 / 3}, {"category": "cat", "id": 2, "AP": math.nan}]
        },
        "counts": {"images": 100},
        "notes": ["One note."],
        "inputs": {"gt": {"path": "gt.json", "sha256": "a" * 64, "bytes": 10}},
        "made_by": MADE_BY,
    }
    return Result(**(fields | changes))


# Signature


def test_signature_is_one_line_of_pairs() -> None:
    assert str(SIGNATURE) == "coco.bbox@1|iou:0.50:0.95:0.05|max_dets:1,10,100"
    assert str(Signature("coco.bbox@1")) == "coco.bbox@1"


names = st.text(st.characters(exclude_characters="|:\n", codec="utf-8"), min_size=1)
texts = st.text(st.characters(exclude_characters="|\n", codec="utf-8"), min_size=1)


@given(texts, st.dictionaries(names, texts))
def test_signature_reads_back(task: str, conventions: dict[str, str]) -> None:
    signature = Signature(task, tuple(conventions.items()))
    assert Signature.parse(str(signature)) == signature


@pytest.mark.parametrize(
    "text", ["", "coco.bbox@1|iou", "coco.bbox@1|", "coco.bbox@1|:x", "coco.bbox@1|iou:", "t|a:1|a:2"]
)
def test_what_is_no_signature_is_named(text: str) -> None:
    with pytest.raises(FormatError) as caught:
        Signature.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    "pairs", [(("a|b", "1"),), (("a:b", "1"),), (("a", "1\n2"),), (("a", ""),), (("a", "1"), ("a", "2"))]
)
def test_a_signature_that_would_not_read_back_is_refused(pairs: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(InputError):
        Signature("task@1", pairs)


# JSON

floats = st.floats(allow_infinity=False)


@given(
    st.dictionaries(st.text(), floats),
    st.lists(st.dictionaries(st.text(), floats | st.integers(-(2**63), 2**63 - 1) | st.text(), min_size=1)),
)
def test_json_keeps_every_bit(values: dict[str, float], rows: list[dict[str, Any]]) -> None:
    before = result(values=values, tables={"per_category": rows})
    after = Result.from_json(before.to_json())
    assert after.same_scores(before)
    assert after.to_json() == before.to_json()
    assert (after.notes, after.inputs, after.made_by) == (before.notes, before.inputs, before.made_by)


def test_json_has_the_documented_keys() -> None:
    content = result().to_json()
    keys = ["task", "values", "per_category", "signature", "counts", "notes", "inputs", "made_by"]
    assert [line[3:].split('"')[0] for line in content.splitlines() if line.startswith('  "')] == keys
    assert '"APs": null' in content
    assert '"signature": "coco.bbox@1|iou:0.50:0.95:0.05|max_dets:1,10,100"' in content


def test_numpy_numbers_become_plain() -> None:
    plain = result(
        values={"AP": np.float64(0.5)},
        tables={"t": [{"n": np.int64(3), "AP": np.float32(0.5)}]},
        counts={"a": np.int64(1)},
    )
    assert type(plain.values["AP"]) is float
    assert [type(cell) for cell in plain.tables["t"][0].values()] == [int, float]
    assert type(plain.counts["a"]) is int


def test_file_names_may_hold_any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    name = os.fsdecode(b"g\xff.json")
    monkeypatch.setattr(sys, "argv", ["cvbench", name])
    odd = result(inputs={"gt": {"path": name, "sha256": "a" * 64, "bytes": 10}}, made_by=Provenance.collect())
    after = Result.from_json(odd.to_json())
    assert after.inputs["gt"]["path"] == after.made_by.command[1] == "g\\udcff.json"


@pytest.mark.parametrize("value", [math.inf, -math.inf, "0.5", None, True, [0.5]])
def test_a_figure_is_a_finite_number_or_nan(value: Any) -> None:
    with pytest.raises(InputError, match="values.AP: "):
        result(values={"AP": value})


@pytest.mark.parametrize("value", [math.inf, None, True, [0.5]])
def test_a_cell_is_plain(value: Any) -> None:
    with pytest.raises(InputError, match=r"per_category\[0\].AP: "):
        result(tables={"per_category": [{"AP": value}]})


def test_a_table_may_not_hide_a_field() -> None:
    with pytest.raises(InputError, match="'notes'"):
        result(tables={"notes": []})


def test_a_row_has_a_name() -> None:
    with pytest.raises(InputError, match="row of a table is empty"):
        result(tables={"per_category": [{}]})


def test_task_and_signature_agree() -> None:
    with pytest.raises(InputError, match="coco.segm@1"):
        result(task="coco.segm@1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "file.json: is not a JSON object"),
        ('{"task": "t@1"', "file.json: is not a JSON object"),
        ("[]", "file.json: is not a JSON object"),
        ("{}", "file.json: has no 'task'"),
        ('{"task": 1}', "file.json: task: Expected `str`, got `int`"),
        ('{"task": "t@1", "values": {"AP": "x"}}', r"file.json: values: Expected `float \| null`, got `str`"),
        ('{"images": [1]}', "file.json: images: Expected `object`, got `int`"),
    ],
)
def test_what_is_no_result_is_named(text: str, message: str) -> None:
    with pytest.raises(FormatError, match=f"^{message}"):
        Result.from_json(text, where="file.json")


# Equality


@pytest.mark.parametrize(
    "changes",
    [
        {"values": {"AP": 0.3, "APs": math.nan}},
        {"values": {"AP": 0.1 + 0.2, "APs": 0.0}},
        {"values": {"AP": 0.1 + 0.2}},
        {"counts": {"images": 101}},
        {"tables": {}},
        {"tables": {"per_category": [{"category": "person", "id": 1, "AP": 1 / 3}]}},
        {"signature": Signature("coco.bbox@1")},
    ],
)
def test_other_scores_are_told_apart(changes: dict[str, Any]) -> None:
    assert result().same_scores(result())
    assert not result().same_scores(result(**changes))


def test_zeros_of_other_sign_are_other_bits() -> None:
    assert not result(values={"AP": 0.0}).same_scores(result(values={"AP": -0.0}))
    assert not result(tables={"t": [{"n": 1}]}).same_scores(result(tables={"t": [{"n": 1.0}]}))


def test_arrays_are_compared_where_both_have_them() -> None:
    one = result(arrays={"precision": np.array([0.0, np.nan])})
    assert one.same_scores(result(arrays={"precision": np.array([0.0, np.nan])}))
    assert one.same_scores(result())
    for other in ([-0.0, np.nan], [0.0, 1.0], [0.0]):
        assert not one.same_scores(result(arrays={"precision": np.array(other)}))
    assert not one.same_scores(result(arrays={"recall": np.array([0.0, np.nan])}))
    assert not one.same_scores(result(arrays={"precision": np.array([0, 1])}))


def test_notes_inputs_and_provenance_play_no_part() -> None:
    elsewhere = replace(MADE_BY, time="then", command=("other",))
    assert result().same_scores(result(notes=[], inputs={}, made_by=elsewhere))


def test_results_pickle() -> None:
    assert pickle.loads(pickle.dumps(result())).same_scores(result())


# Comparable


def test_comparable_results_pass() -> None:
    copied = {"gt": {"path": "copy.json", "sha256": "a" * 64, "bytes": 10}}
    assert comparable(result(), result(values={"AP": 0.9}, inputs=copied)) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"task": "coco.bbox@2", "signature": Signature("coco.bbox@2")},
            "different tasks: coco.bbox@1 and coco.bbox@2",
        ),
        (
            {"signature": Signature("coco.bbox@1", (("iou", "0.50:0.95:0.05"), ("max_dets", "100"), ("crowd", "off")))},
            "different conventions: max_dets is 1,10,100 and 100, crowd is unstated and off",
        ),
        (
            {"inputs": {"gt": {"path": None, "sha256": "b" * 64, "bytes": 1}}},
            "gt.json .sha256 a+. and data in memory .sha256 b+.",
        ),
        ({"inputs": {}}, "inputs.gt.sha256 is missing"),
    ],
)
def test_what_does_not_compare_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MismatchError, match=message):
        comparable(result(), result(**changes))


# Files


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    result().save(path)
    result(values={"AP": 0.5}).save(path)
    assert Result.load(path).same_scores(result(values={"AP": 0.5}))
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        replace_file(tmp_path / "none" / "file", b"new")
    assert caught.value.filename == str(tmp_path / "none" / "file")


def test_links_are_followed_and_pipes_written_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    replace_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"
    replace_file(os.devnull, b"nothing")
    assert Path(os.devnull).is_char_device()


# Provenance


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, encoding="utf-8").stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_commit_and_dirty_flag_are_the_packages_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "checkout" / "package"
    package.mkdir(parents=True)
    assert checkout_state(package) == (None, None)
    (package / "a.py").write_text("1")
    git(package.parent, "init", "-q")
    assert checkout_state(package) == (None, True)
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-q", "-m", "first")
    head = git(package.parent, "rev-parse", "HEAD")
    assert checkout_state(package) == (head, False)

    caller = tmp_path / "caller"
    caller.mkdir()
    git(caller, "init", "-q")
    monkeypatch.chdir(caller)
    monkeypatch.setenv("GIT_DIR", str(caller / ".git"))
    assert checkout_state(package) == (head, False)

    (package.parent / "notes.txt").write_text("beside the package")
    assert checkout_state(package) == (head, False)
    (package / "b.py").write_text("untracked")
    assert checkout_state(package) == (head, True)


def test_without_git_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "package").mkdir()
    assert checkout_state(tmp_path / "package") == (None, None)
    monkeypatch.setenv("PATH", "")
    assert checkout_state(tmp_path / "package") == (None, None)


EPYC = "processor : 0\ncpu family : 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nstepping : 1\n\nmodel name : another\n"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (EPYC, "AMD EPYC (family 25, model 17, stepping 1)"),
        ("model name : Cortex: A72\n", "Cortex: A72"),
        ("processor : 0\nBogoMIPS : 50\n", platform.machine()),
        (None, platform.machine()),
    ],
)
def test_processors_of_one_name_are_told_apart(said: str | None, expected: str, tmp_path: Path) -> None:
    if said is not None:
        (tmp_path / "cpuinfo").write_text(said, encoding="utf-8")
    assert processor(tmp_path / "cpuinfo") == expected


def test_provenance_names_versions() -> None:
    made_by = Provenance.collect()
    assert made_by.numpy == np.__version__
    assert made_by.python == ".".join(map(str, sys.version_info[:3]))
    assert made_by.numba[0].isdigit()
    assert made_by.command == tuple(sys.argv)
    assert made_by.time.endswith("+00:00")


def test_provenance_names_torch_where_it_took_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert Provenance.collect().torch is None
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    assert Provenance.collect().torch == metadata.version("torch")


def test_results_without_torch_in_their_provenance_are_read() -> None:
    text = result().to_json()
    assert '"torch":' in text
    older = Result.from_json(re.sub(r',\s*"torch":\s*(null|"[^"]*")', "", text))
    assert older.made_by == replace(MADE_BY, torch=None)
