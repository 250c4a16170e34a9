"""A .bie as `inspect` shows it: an object, though nothing of it can be read."""

from __future__ import annotations

import random
from pathlib import Path

from modelbuild.artifacts.inspect import inspect


def test_what_is_known_of_it(tmp_path: Path) -> None:
    path = tmp_path / "input.kdp720.scaled.bie"
    path.write_bytes(random.Random(1).randbytes(10_000))
    found = inspect(path)
    assert (found["format"], found["size"], found["chip"]) == ("bie", 10_000, "kl720")
    assert 7.9 < found["entropy"] <= 8
    assert found["parts"] == [{"offset": 0, "size": 10_000, "what": "encrypted, unknown", "known": False}]
    assert "0.20.0, 0.23.0, 0.30.0" in found["compatibility"]
    assert found["models"] == [] and found["checksums"] == []


def test_without_a_chip_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "X.quan.wqbi.bie"
    path.write_bytes(bytes(range(1, 99)))
    assert inspect(path)["chip"] is None
