"""What of a run is done, so that one that was stopped can go on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from cvbench.records import RunRecord
from cvbench.result import replace_file


class Journal:
    """Which records of a run are written, so that a run that was stopped can go on.

    Parameters
    ----------
    folder
        Of the records; the journal lies there as ``.run`` until the run is through.
    identity
        What makes up the run. A journal of another run is forgotten.
    """

    def __init__(self, folder: Path, identity: Sequence[str]) -> None:
        self._folder = folder
        self._path = folder / ".run"
        self._key = hashlib.sha256("\n".join(identity).encode()).hexdigest()
        self._written: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            with suppress(msgspec.MsgspecError):  # cut short or of another version: then nothing counts as written
                key, written = msgspec.json.decode(self._path.read_bytes(), type=tuple[str, dict[str, str]])
                self._written = written if key == self._key else {}

    def finished(self, benchmark: str, label: str) -> RunRecord | None:
        """The record that this run has written of a model; None where it has not, or the file is no longer that."""
        path = self._folder / benchmark / f"{label}.json"
        name = path.relative_to(self._folder).as_posix()
        if name not in self._written or not path.exists():
            return None
        same = hashlib.sha256(path.read_bytes()).hexdigest() == self._written[name]
        return RunRecord.load(path) if same else None

    def save(self, record: RunRecord) -> None:
        """Write a record, then that it is written."""
        path = record.path(self._folder)
        path.parent.mkdir(exist_ok=True)
        record.save(path)
        self._written[path.relative_to(self._folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
        replace_file(self._path, msgspec.json.encode((self._key, self._written)))

    def close(self) -> None:
        """Forget the journal: the run is through."""
        self._path.unlink(missing_ok=True)
