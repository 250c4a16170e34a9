"""Altered and truncated files of every format: the documented error or a result, nothing else."""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf, mla_stats, mpk, nef, tar
from modelbuild.formats.mpk import MpkSource
from tests.formats import mpk_sources, nef_sources

Reader = Callable[[bytes], object]
SHORT, LONG = 1_500, 100_000
_INTERESTING = (0, 1, 4, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF)


def mutate(data: bytes, dice: random.Random) -> bytes:
    """One to four changes: a bit, a byte, a word, a word in one place copied to another, a cut, a hole."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        if not changed:
            break
        place = dice.randrange(len(changed))
        match dice.randrange(7):
            case 0:
                changed[place] ^= 1 << dice.randrange(8)
            case 1:
                changed[place] = dice.randrange(256)
            case 2:
                value = dice.choice(_INTERESTING)
                changed[place : place + 4] = struct.pack("<I", value)
            case 3:
                source = dice.randrange(len(changed))
                changed[place : place + 4] = changed[source : source + 4]
            case 4:
                del changed[place:]
            case 5:
                del changed[place : place + dice.randint(1, 16)]
            case _:
                word = int.from_bytes(changed[place : place + 4], "little") + dice.randint(-16, 16)
                changed[place : place + 4] = struct.pack("<I", word & 0xFFFFFFFF)
    return bytes(changed)


def survive(read: Reader, data: bytes, count: int, dress: Callable[[bytes], bytes] = bytes) -> int:
    """Read `count` mutations; `dress` repairs or wraps each. Any error but ours fails. How many were read."""
    dice = random.Random(20240601)
    survived = 0
    for _ in range(count):
        try:
            read(dress(mutate(data, dice)))
            survived += 1
        except ModelbuildError as error:
            assert error.exit_code == 2
    return survived


def read_nef(data: bytes) -> None:
    found = nef.read(data)
    nef.write(found)


def repaired_tail(data: bytes) -> bytes:
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little")


def small_mpk() -> bytes:
    source: MpkSource = mpk_sources.source(command=b"c" * 8, weight=b"w" * 8, host=b"")
    return mpk.build(source)


def mpk_with(member: str) -> Callable[[bytes], bytes]:
    """An archive in which one member is replaced, with right checksums."""
    files = {item.name: item.data for item in tar.read(small_mpk())}
    return lambda data: tar.write({**files, member: data})


def mpk_member(member: str) -> bytes:
    return {item.name: item.data for item in tar.read(small_mpk())}[member]


CASES: dict[str, tuple[Reader, Callable[[], bytes], Callable[[bytes], bytes]]] = {
    **{
        f"nef {setup} {platform}": (
            read_nef,
            lambda platform=platform, setup=setup, base=base: nef_sources.build(  # type: ignore[misc]
                platform, setup, base, nef_sources.source(1), nef_sources.source(2)
            ),
            repaired_tail,
        )
        for platform, setup, base in nef_sources.GENERATIONS
    },
    "mpk": (mpk.read, small_mpk, bytes),
    "mpk json": (mpk.read, lambda: mpk_member("digits_mpk.json"), mpk_with("digits_mpk.json")),
    "mpk program": (
        mpk.read,
        lambda: mpk_member("digits_stage1_mla.elf"),
        mpk_with("digits_stage1_mla.elf"),
    ),
    "mla stats": (
        lambda data: mla_stats.load(data, "stats"),
        lambda: mpk_member("digits_stage1_mla_stats.yaml"),
        bytes,
    ),
    "tar": (tar.read, lambda: _unpacked(small_mpk()), lambda data: _gzip(data)),
    "elf": (elf.read, lambda: mpk_member("digits_stage1_mla.elf"), bytes),
}


def _unpacked(data: bytes) -> bytes:
    return zlib.decompress(data, wbits=31)


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("name", CASES)
def test_mutations_of_what_we_write(name: str) -> None:
    read, make, dress = CASES[name]
    read(dress(make()))
    assert survive(read, make(), SHORT, dress) < SHORT


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_many_mutations_of_what_we_write(name: str) -> None:
    read, make, dress = CASES[name]
    survive(read, make(), LONG, dress)


@pytest.mark.parametrize("name", CASES)
def test_every_truncation_of_what_we_write(name: str) -> None:
    read, make, _ = CASES[name]
    data = make()
    for size in range(0, len(data), max(1, len(data) // 400)):
        try:
            read(data[:size])
        except ModelbuildError as error:
            assert error.exit_code == 2


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
