"""An encrypted package as `inspect` shows it."""

from __future__ import annotations

from pathlib import Path

from modelbuild.artifacts.inspect import inspect
from modelbuild.formats import sealed
from modelbuild.formats.sealed_keys import Secrets


def test_what_the_header_says_and_what_nobody_has_checked(tmp_path: Path) -> None:
    data = bytearray(sealed.seal(b"package" * 9, Secrets(efuse_key=bytes(16)), "nef"))
    data[-1] ^= 1
    (tmp_path / "m.nef.enc").write_bytes(data)
    found = inspect(tmp_path / "m.nef.enc")
    assert (found["mode"], found["contains"]) == (2, {"format": "nef", "size": 63})
    assert found["authenticity"].startswith("not checked") and found["checks"] == []
