"""Altered encrypted packages: the documented error, always, in bounded memory; never a package."""

from __future__ import annotations

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import sealed
from modelbuild.formats.sealed_keys import Secrets
from tests.formats import fuzzing
from tests.formats.fuzzing import LONG, SHORT, Case, Reader

ONE, TWO = Secrets(bytes(range(16)), b"file"), Secrets(efuse_key=bytes(range(32)))
SHORT_KEY = Secrets(b"1234", b"file")


MADE = {secrets: sealed.seal(bytes(range(200)), secrets, "nef") for secrets in (ONE, TWO)}


def refuse(secrets: Secrets) -> Reader:
    """Opens the file; one that was altered must not open."""

    def read(data: bytes) -> None:
        sealed.open_sealed(data, secrets)
        assert data == MADE[secrets], "an altered file was opened"

    return read


CASES = {
    "sealed mode 1": Case(refuse(ONE), lambda: MADE[ONE]),
    "sealed mode 2": Case(refuse(TWO), lambda: MADE[TWO]),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=pytest.mark.long)], ids=["short", "long"])
def test_altered_files_are_refused(name: str, count: int) -> None:
    assert fuzzing.check(CASES[name], count).read < count / 10


def test_a_header_asks_for_no_other_work() -> None:
    """The cost of scrypt is the format's, not the file's to say."""
    made = bytearray(sealed.seal(b"package", SHORT_KEY, "nef"))
    for place in (15, 16, 17, 18):
        for value in {0, 1, 3, 20, 255} - {made[place]}:
            changed = bytearray(made)
            changed[place] = value
            with pytest.raises(ModelbuildError) as raised:
                sealed.open_sealed(bytes(changed), SHORT_KEY)
            assert "derivation" in raised.value.problems[0].what
