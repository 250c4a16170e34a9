"""Altered encrypted packages: the documented error, always, in bounded memory; never a package."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import sealed
from modelbuild.formats.sealed_keys import Secrets
from tests.formats.test_fuzz import LONG, SHORT, mutate

ONE, TWO = Secrets(bytes(range(16)), b"file"), Secrets(efuse_key=bytes(range(32)))
SHORT_KEY = Secrets(b"1234", b"file")
BYTES = 200 << 20


def refused(count: int, secrets: Secrets) -> int:
    """How many of `count` alterations differ from the file; each of them must be refused."""
    made = sealed.seal(bytes(range(200)), secrets, "nef")
    dice, altered = random.Random(20261121), 0
    for _ in range(count):
        changed = mutate(made, dice)
        if changed != made:
            altered += 1
            with pytest.raises(ModelbuildError):
                sealed.open_sealed(changed, secrets)
    return altered


@pytest.mark.parametrize("secrets", [ONE, TWO], ids=["mode 1", "mode 2"])
@pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=pytest.mark.long)], ids=["short", "long"])
def test_altered_files_are_refused(count: int, secrets: Secrets) -> None:
    tracemalloc.start()
    try:
        assert refused(count, secrets) > 0.9 * count
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()


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
    assert refused(5, SHORT_KEY) == 5
