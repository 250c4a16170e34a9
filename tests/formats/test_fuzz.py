"""Altered and truncated files of every format: the documented error or a result, nothing else."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import mpk, nef, tar
from modelbuild.formats.mpk import MpkSource
from tests.formats import fuzzing, mpk_sources
from tests.formats.fuzzing import LONG, SHORT, Case, Dress, Reader
from tests.formats.mutations import mutate, tar_headers, tokens, words


def survive(read: Callable[[bytes], object], data: bytes, count: int, dress: Dress = bytes) -> None:
    """Read `count` mutations of what is too large for a process of its own. Any error but ours fails."""
    dice = random.Random(20240601)
    for _ in range(count):
        try:
            read(dress(mutate(data, dice)))
        except ModelbuildError as error:
            assert error.exit_code == 2


def read_nef(data: bytes) -> None:
    found = nef.read(data)
    nef.write(found)


def small_mpk() -> bytes:
    source: MpkSource = mpk_sources.source(command=b"c" * 8, weight=b"w" * 8, host=b"")
    return mpk.build(source)


def mpk_with(member: str) -> Callable[[bytes], bytes]:
    """An archive in which one member is replaced, with right checksums."""
    files = {item.name: item.data for item in tar.read(small_mpk())}
    return lambda data: tar.write({**files, member: data})


def mpk_member(member: str) -> bytes:
    return {item.name: item.data for item in tar.read(small_mpk())}[member]


def strict(read: Callable[[bytes], object]) -> Reader:
    """A reader that refuses whatever is not right."""
    return lambda data: read(data) and None


CASES = {
    "strict mpk": Case(strict(mpk.read), small_mpk, bytes, words(step=1)),
    "strict mpk json": Case(
        strict(mpk.read), lambda: mpk_member("digits_mpk.json"), mpk_with("digits_mpk.json"), tokens
    ),
    "strict mpk program": Case(
        strict(mpk.read), lambda: mpk_member("digits_stage1_mla.elf"), mpk_with("digits_stage1_mla.elf")
    ),
    "strict tar": Case(
        strict(tar.read), lambda: _unpacked(small_mpk()), lambda data: _gzip(data), tar_headers
    ),
}


def _unpacked(data: bytes) -> bytes:
    return zlib.decompress(data, wbits=31)


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=pytest.mark.long)], ids=["short", "long"])
def test_mutations_of_what_we_write(name: str, count: int) -> None:
    assert fuzzing.check(CASES[name], count).read < count


@pytest.mark.parametrize("name", CASES)
def test_every_truncation_of_what_we_write(name: str) -> None:
    fuzzing.truncated(CASES[name], 400)


def test_mutations_of_the_vendor_nef(shared_data: Path) -> None:
    """Mutations hit the tables at both ends, not the weights between them."""
    data = (shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef").read_bytes()
    head, tail = data[:56], data[-700:]
    middle = data[56:-700]
    survive(read_nef, head + tail, 60, lambda changed: changed[:56] + middle + changed[56:])


def test_json_with_deep_or_wide_surprises_is_bounded() -> None:
    for text in ("[" * 100_000, '{"a":' * 50_000, json.dumps({"plugins": [[]] * 1000})):
        with pytest.raises(ModelbuildError):
            mpk.read(mpk_with("digits_mpk.json")(text.encode()))
