"""Documents: files, compression, data from memory, hashes, and lists that are decoded in parts."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, strategies as st

from cvbench.errors import FormatError, InputError
from cvbench.io import source
from cvbench.io.source import Document, decoded_parts
from mode import JIT


class Record(msgspec.Struct):
    """What is read of the records below."""

    id: int
    x: float = 0.0


def test_a_file_is_hashed_as_it_lies_on_disk(tmp_path: Path) -> None:
    text = b'[{"id": 1}]'
    for name, stored in (("plain.json", text), ("zipped.json", gzip.compress(text))):
        path = tmp_path / name
        path.write_bytes(stored)
        document = Document(path, "pred")
        assert document.decode(list[Record]) == [Record(1)]
        assert document.source == source.Source(str(path), hashlib.sha256(stored).hexdigest(), len(stored))


@pytest.mark.skipif(not JIT, reason="without machine code no file is large")
def test_a_large_file_is_hashed_when_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LARGE", 1)
    path = tmp_path / "large.json"
    path.write_bytes(b'[{"id": 1}]')
    first, second = Document(path, "pred"), Document(path, "pred")
    assert first.source.sha256 == hashlib.sha256(b'[{"id": 1}]').hexdigest()
    assert first.source == pickle.loads(pickle.dumps(second.source))
    path.write_bytes(b'[{"id": 1000}]')
    with pytest.raises(FormatError, match=r"large.json: the file has changed since it was read"):
        assert second.source.sha256


def test_data_from_memory_are_hashed_by_what_they_say() -> None:
    plain = [{"id": 1, "x": 0.1, "box": [1.0, 2.0]}]
    document = Document(plain, "pred")
    text = b'[{"box":[1.0,2.0],"id":1,"x":0.1}]'
    assert document.source == source.Source(None, hashlib.sha256(text).hexdigest(), len(text))
    same: list[Any] = [
        [{"x": np.float64(0.1), "box": np.array([1.0, 2.0]), "id": np.int64(1)}],
        ({"box": (1.0, 2.0), "x": 0.1, "id": 1},),
    ]
    assert [Document(data, "pred").source for data in same] == [document.source] * 2
    assert Document(same[0], "pred").tree() == plain


def test_bytes_are_text() -> None:
    data = [{"segmentation": {"size": [1, 1], "counts": b"01"}}]
    assert Document(data, "pred").tree() == [{"segmentation": {"size": [1, 1], "counts": "01"}}]


def test_the_data_given_are_left_alone() -> None:
    data = [{"id": 1, "rle": {"counts": b"01", "size": (1, 1)}}]
    Document(data, "pred").decode(list[Record])
    assert data == [{"id": 1, "rle": {"counts": b"01", "size": (1, 1)}}]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, "pred: found int, expected a path or the data themselves"),
        (b"[]", "pred: found bytes, expected a path or the data themselves"),
        ([{"x": object()}], "pred: the data have no form in JSON: there is a value of type object"),
        ([{"x": b"\xff"}], "pred: the data have no form in JSON: 'ascii' codec"),
        ([{"x": "\ud800"}], "pred: there is text that is not Unicode"),
    ],
)
def test_data_without_a_form_in_json(data: Any, message: str) -> None:
    with pytest.raises(InputError) as raised:
        Document(data, "pred")
    assert str(raised.value).startswith(message)


def test_data_that_hold_themselves() -> None:
    data: list[Any] = []
    data.append(data)
    with pytest.raises(InputError, match="the data have no form in JSON"):
        Document(data, "pred")


def test_a_misspelt_path_suggests_a_file(tmp_path: Path) -> None:
    (tmp_path / "predictions.json").touch()
    with pytest.raises(FormatError) as raised:
        Document(tmp_path / "prediction.json", "pred")
    assert str(raised.value) == (
        f"{tmp_path}/prediction.json: there is no such file; did you mean `{tmp_path}/predictions.json`?"
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_other_encodings_are_read_the_slow_way(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('[{"id": 1, "name": "é"}]', encoding=encoding)
    document = Document(path, "pred")
    assert document.decode(list[Record]) == [Record(1)]
    assert document.relaxed


def test_a_number_too_long_to_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('[{"id": 1, "x": NaN, "y": 1' + "0" * 5000 + "}]")
    with pytest.raises(FormatError, match="this is not JSON that can be read: Exceeds the limit"):
        Document(path, "pred").decode(list[Record])


RECORDS = st.lists(
    st.fixed_dictionaries(
        {"id": st.integers(-(2**63), 2**63 - 1)},
        optional={
            "x": st.floats(allow_nan=False, allow_infinity=False),
            "extra": st.sampled_from(
                ["},{", '"},  {"', "\\", [{"a": 1}, {"a": 2}], [[{}], {}, {}], {"b": [{}, {}]}, "é{"]
            ),
        },
    ),
    max_size=12,
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" \n ,\t", ":")])


@given(records=RECORDS, separators=SEPARATORS, part=st.integers(0, 60), indent=st.sampled_from([None, 1]))
def test_parts_make_the_whole(
    records: list[Any],
    separators: tuple[str, str],
    part: int,
    indent: int | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / "parts.json"
    path.write_text(json.dumps(records, separators=separators, indent=indent))
    whole = [Record(record["id"], record.get("x", 0.0)) for record in records]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "PART", part)
        parts = Document(path, "pred").decode_list(Record, list)
    assert parts is not None
    assert [record for part in parts for record in part] == whole


@given(text=st.text(alphabet='{}[],: "a1\\', max_size=14), part=st.integers(0, 5))
def test_parts_accept_nothing_that_the_whole_does_not(text: str, part: int) -> None:
    def decoded(how: Any) -> Any:
        try:
            return how()
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "PART", part)
        parts = decoded(lambda: [record for some in decoded_parts(text.encode(), dict) for record in some])
    assert parts is None or parts == decoded(lambda: msgspec.json.decode(text, type=list[dict[str, Any]]))


def test_a_list_is_cut_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PART", 10)
    text = b'[{"id": 1}, {"id": 2}, {"id": 3}]'
    assert list(decoded_parts(text, Record)) == [[Record(1), Record(2)], [Record(3)]]


@given(number=st.floats(-1e300, 1e300), digits=st.integers(1, 40))
def test_numbers_are_read_as_python_reads_them(number: float, digits: int) -> None:
    text = f'{{"id": 1, "x": {number:.{digits}e}}}'
    assert msgspec.json.decode(text, type=Record).x == json.loads(text)["x"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
@pytest.mark.parametrize("size", [0, 1, 5, 300_000])
def test_what_does_not_know_its_size_is_read_to_its_end(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "BLOCK", 1000)
    content, pipe = bytes(k % 251 for k in range(size)), tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(pipe.write_bytes, content)
        assert source.read_file(str(pipe)) == content
        written.result()
    (tmp_path / "file").write_bytes(content)
    assert source.read_file(str(tmp_path / "file")) == content
