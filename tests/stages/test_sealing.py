"""What stages are told of keys, and that they take none but those that were planned with."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats import sealed_keys
from modelbuild.formats.sealed_keys import Secrets
from modelbuild.stages import sealing


def parameters(key: str) -> dict[str, Any]:
    told = sealed_keys.fingerprint(Secrets(efuse_key=bytes.fromhex(key)), 2)
    keys = {"key": None, "key_file": None, "efuse_key": "MB_E"}
    return {"encrypt": {"mode": 2, "fingerprint": told, "cache_plaintext": False}, "keys": keys}


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MB_E", "AB" * 16)
    assert sealing.secrets(parameters("ab" * 16)).efuse_key == b"\xab" * 16


def test_keys_that_changed_meanwhile_make_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MB_E", "AC" * 16)
    with pytest.raises(ModelbuildError) as raised:
        sealing.secrets(parameters("ab" * 16))
    assert raised.value.problems[0].what == "the keys changed while the package was built"
    assert (raised.value.passing, raised.value.exit_code) == (True, 1)


@given(st.tuples(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40)))
def test_three_parts_come_back(parts: tuple[bytes, bytes, bytes]) -> None:
    assert sealing.unbundled(sealing.bundled(parts)) == parts
