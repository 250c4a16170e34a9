"""A record comes back as it was, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.build import records
from modelbuild.build.records import Record, Records
from modelbuild.build.store import Blob
from modelbuild.errors import ModelbuildError

KEY = "ab" * 32
FIELDS = [(("function",), "m:f"), (("parameters", "shape", 0), 1)]


def opened(folder: Path, writable: bool = True) -> Records:
    return Records(folder / "records", folder / "work", writable)


def test_outputs_and_failures_come_back(tmp_path: Path) -> None:
    done = Record(FIELDS, outputs={"a/b": Blob("cd" * 32, 5)}, discovered={"w.bin": "ef" * 32})
    opened(tmp_path).put(KEY, done)
    assert opened(tmp_path).get(KEY) == done
    error = ModelbuildError("bad", where="m.onnx:3", why="so", advice="mend it", code="MB1", exit_code=1)
    opened(tmp_path).put(KEY, Record(FIELDS, failure=error, unkeyed="ef" * 32))
    found = opened(tmp_path).get(KEY)
    assert found is not None and found.failure is not None and found.unkeyed == "ef" * 32
    assert found.failure.to_json() == error.to_json()
    assert opened(tmp_path).get("cd" * 32) is None


def test_a_record_cut_or_altered_anywhere_is_a_miss_and_set_aside(tmp_path: Path) -> None:
    opened(tmp_path).put(KEY, Record(FIELDS, outputs={"a": Blob("cd" * 32, 5)}))
    (path,) = (tmp_path / "records").rglob("*.json")
    whole = path.read_bytes()
    flipped = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]
    for damaged in [whole[:length] for length in range(len(whole))] + flipped:
        path.write_bytes(damaged)
        assert opened(tmp_path, writable=False).get(KEY) is None
        assert path.exists()
        assert opened(tmp_path).get(KEY) is None
        assert not path.exists()
        assert path.with_name(path.name + ".bad").read_bytes() == damaged


def test_a_record_of_another_key_is_a_miss(tmp_path: Path) -> None:
    opened(tmp_path).put(KEY, Record(FIELDS))
    (path,) = (tmp_path / "records").rglob("*.json")
    other = "cd" * 32
    target = tmp_path / "records" / other[:2] / f"{other[2:]}.json"
    target.parent.mkdir()
    path.rename(target)
    assert opened(tmp_path).get(other) is None


def test_an_unknown_schema_is_a_miss_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "SCHEMA", 99)
    opened(tmp_path).put(KEY, Record(FIELDS))
    monkeypatch.undo()
    assert opened(tmp_path).get(KEY) is None
    assert len(list((tmp_path / "records").rglob("*.json"))) == 1
