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


def test_what_does_not_look_encrypted_is_told(tmp_path: Path) -> None:
    """The name alone makes it a BIE."""
    for content, why in (
        (bytes(5000), "its entropy is 0.00 bits a byte"),
        (b"plain text " * 500, "its entropy is 3.10 bits a byte"),
        (random.Random(1).randbytes(100), "100 bytes are too few for a model"),
    ):
        (tmp_path / "z.bie").write_bytes(content)
        found = inspect(tmp_path / "z.bie")
        (check,) = found["checks"]
        assert (check["what"], check["ok"]) == ("the content looks encrypted", False)
        assert why in check["why"]
        assert found["encryption"] is None and found["parts"][0]["what"] == "unknown"
    (tmp_path / "z.bie").write_bytes(random.Random(1).randbytes(1024))
    assert inspect(tmp_path / "z.bie")["checks"][0]["ok"]
