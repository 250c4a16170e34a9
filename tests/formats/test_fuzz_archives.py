"""Altered archives, MPKs and .sima files: an object or the documented error, within 2 s and 200 MB each."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from modelbuild.formats import (
    bie,
    elf,
    mla_stats,
    mpk,
    mpk_program,
    npy,
    sima,
    tar,
    yaml_text,
    zip_archive,
)
from modelbuild.formats.parts import covered
from tests.formats import archive_sources, fuzzing
from tests.formats.fuzzing import LONG, SHORT, Case
from tests.formats.mutations import json_values, tar_headers, tokens, words
from tests.formats.test_fuzz import mpk_member, small_mpk


def survey_tar(data: bytes) -> str:
    found = tar.survey(data)
    assert sum(part.size for part in covered(found.parts, len(data))) == len(data)
    assert found.is_canonical(data) in (True, False)
    if not found.first and all(item.ok for item in found.checksums):
        assert tuple(tar.read(data)) == found.members
    return failing(found.checks)


def survey_mpk(data: bytes) -> str:
    found = mpk.survey(data)
    json.dumps([found.health.why, found.precision, found.cycles, found.desired_batch])
    assert found.summary.weight_bytes >= 0
    assert all(error.exit_code == 2 for error in found.problems)
    if not found.archive.first:
        mpk.write(found)
    return failing(found.checks)


def survey_zip(data: bytes) -> str:
    found = zip_archive.survey(data)
    for entry in found.members:
        assert len(found.content(entry)) == entry.size
        assert len(found.content(entry, 10)) == min(10, entry.size)
    assert sum(part.size for part in covered(found.parts, len(data))) >= len(data)
    return failing(found.checks)


def read_elf(data: bytes) -> None:
    found = elf.read(data)
    mpk_program.summarize(found)
    covered(found.parts, len(data))


def read_sima(data: bytes) -> str:
    found = sima.read(data)
    assert found.is_quantized in (True, False)
    return failing(found.checks)


def failing(checks: Iterable[Any]) -> str:
    """The rules that a file breaks."""
    return ", ".join(sorted({check.what for check in checks if not check.ok}))


def repaired(data: bytes) -> bytes:
    """A tar whose headers have right checksums again, packed: what a careful forger would make."""
    plain, place = bytearray(data), 0
    while place + 512 <= len(plain) and any(plain[place : place + 512]):
        block = plain[place : place + 512]
        total = sum(block[:148]) + 8 * 32 + sum(block[156:])
        plain[place + 148 : place + 156] = f"{total & 0o777777:06o}\0 ".encode()
        digits = bytes(block[124:136]).strip(b" \0")
        size = int(digits, 8) if digits and not digits.strip(b"01234567") else 0
        place += 512 + size + -size % 512
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(bytes(plain)) + packer.flush()


def with_right_sums(data: bytes) -> bytes:
    """A gzip whose trailer fits what it unpacks to, as far as it can be unpacked."""
    inflater = zlib.decompressobj(wbits=-15)
    try:
        content = inflater.decompress(data[10:-8], 1 << 20)
    except zlib.error:
        return data
    return data[:-8] + struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)


def unpacked_mpk() -> bytes:
    return zlib.decompress(small_mpk(), wbits=31)


def npy_head() -> bytes:
    found = zip_archive.survey(archive_sources.npz())
    return found.content(found.members[0], 128)


def repaired_zip(data: bytes) -> bytes:
    """A ZIP whose members have right checksums again, where its two directories lead to their bytes."""
    changed, place = bytearray(data), 0
    while (place := changed.find(b"PK\1\2", place)) >= 0 and place + 46 <= len(changed):
        method, packed = struct.unpack_from("<H8xI", changed, place + 10)
        (local,) = struct.unpack_from("<I", changed, place + 42)
        if local + 30 <= len(changed):
            start = local + 30 + sum(struct.unpack_from("<HH", changed, local + 26))
            try:
                content = bytes(changed[start : start + packed])
                content = zlib.decompressobj(-15).decompress(content, 1 << 20) if method else content
            except zlib.error:
                content = b""
            for at in (place + 16, local + 14):
                struct.pack_into("<I", changed, at, zlib.crc32(content))
        place += 46
    return bytes(changed)


def in_mpk(member: str) -> tuple[Callable[[], bytes], Callable[[bytes], bytes]]:
    """A member of an MPK, and the MPK, unpacked, with another in its place: put together by hand, as that is
    to cost less than reading it does."""
    plain, data = unpacked_mpk(), mpk_member(member)
    start = plain.index(member.encode() + b"\0")
    end = start + 512 + len(data) + -len(data) % 512
    before, header, after = plain[:start], plain[start : start + 512], plain[end:]

    def dress(other: bytes) -> bytes:
        block = header[:124] + f"{len(other):011o}\0".encode() + header[136:148] + b" " * 8 + header[156:]
        checked = block[:148] + f"{sum(block):06o}\0 ".encode() + block[156:]
        return b"".join((before, checked, other, bytes(-len(other) % 512), after))

    return lambda: data, dress


def stored(**files: bytes) -> bytes:
    """A ZIP of members that are not compressed, by hand for the same reason; `_` stands for a dot."""
    places, entries, place = [], [], 0
    for name, data in files.items():
        title = name.replace("_", ".").encode()
        rest = struct.pack("<IIIHH", zlib.crc32(data), len(data), len(data), len(title), 0)
        local = struct.pack("<4s5H", b"PK\3\4", 20, 0, 0, 0, 33) + rest + title + data
        head = struct.pack("<4s6H", b"PK\1\2", 20, 20, 0, 0, 0, 33)
        entries.append(head + rest + struct.pack("<3H2I", 0, 0, 0, 0, place) + title)
        places.append(local)
        place += len(local)
    directory = b"".join(entries)
    count = len(files)
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), place, 0)
    return b"".join((*places, directory, tail))


PLAIN_TAR = archive_sources.tarred(archive_sources.entry("m" * 120, size=3, mtime=1.5), packing="w")
SMALL_ZIP = archive_sources.zipped({"a.txt": b"hello" * 20, "b": b"x"})
NPZ, YAML = archive_sources.npz(), archive_sources.sima_yaml()
anywhere = words(step=1)
CASES = {
    "tar.gz": Case(
        survey_tar,
        lambda: archive_sources.files_tarred({"a": b"1" * 99, "b": b""}),
        with_right_sums,
        anywhere,
    ),
    "tar.gz, an MPK": Case(survey_tar, small_mpk, with_right_sums, anywhere),
    "tar, right sums": Case(survey_tar, unpacked_mpk, repaired, tar_headers),
    "tar, plain": Case(survey_tar, unpacked_mpk, bytes, tar_headers),
    "tar, pax headers, right sums": Case(survey_tar, lambda: PLAIN_TAR, repaired, tar_headers),
    "mpk, packed": Case(survey_mpk, small_mpk, with_right_sums, anywhere),
    "mpk, right sums": Case(survey_mpk, unpacked_mpk, repaired, tar_headers),
    "mpk json": Case(survey_mpk, *in_mpk("digits_mpk.json"), json_values),
    "mpk pipeline": Case(survey_mpk, *in_mpk("pipeline_sequence.json"), json_values),
    "mpk configuration": Case(survey_mpk, *in_mpk("0_process_mla.json"), json_values),
    "mpk program": Case(survey_mpk, *in_mpk("digits_stage1_mla.elf")),
    "mpk stats": Case(survey_mpk, *in_mpk("digits_stage1_mla_stats.yaml"), tokens),
    "mla stats": Case(
        lambda data: mla_stats.summarize(mla_stats.load(data, "stats")) and None,
        lambda: mpk_member("digits_stage1_mla_stats.yaml"),
        bytes,
        tokens,
    ),
    "elf": Case(read_elf, lambda: mpk_member("digits_stage1_mla.elf")),
    "zip": Case(survey_zip, lambda: SMALL_ZIP, repaired_zip, anywhere),
    "npz": Case(survey_zip, archive_sources.npz, repaired_zip, anywhere),
    "npy": Case(lambda data: npy.read(data, "a.npy") and None, npy_head, bytes, tokens),
    "yaml": Case(
        lambda data: yaml_text.load(data, "x.yaml") and None, archive_sources.sima_yaml, bytes, tokens
    ),
    "sima": Case(read_sima, archive_sources.sima, repaired_zip, anywhere),
    "sima yaml": Case(
        read_sima,
        archive_sources.sima_yaml,
        lambda data: stored(net_yaml=data, net_npz=NPZ),
        tokens,
    ),
    "sima npz": Case(
        read_sima,
        archive_sources.npz,
        lambda data: stored(net_yaml=YAML, net_npz=repaired_zip(data)),
        anywhere,
    ),
    "bie": Case(lambda data: bie.read(data) and None, lambda: bytes(range(256)) * 2),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=pytest.mark.long)], ids=["short", "long"])
def test_mutations(name: str, count: int) -> None:
    assert fuzzing.check(CASES[name], count).outcomes > (name != "bie")


@pytest.mark.parametrize("name", CASES)
def test_every_truncation(name: str) -> None:
    fuzzing.truncated(CASES[name])


def test_repaired_archives_are_right() -> None:
    """The cases above are worth nothing if checksums refuse all at once."""
    assert repaired_zip(SMALL_ZIP) == SMALL_ZIP
    assert repaired(unpacked_mpk()) != unpacked_mpk()  # packed
    assert not failing(tar.survey(repaired(unpacked_mpk())).checks)
    assert not failing(sima.read(stored(net_yaml=YAML, net_npz=NPZ)).checks)
    make, dress = in_mpk("digits_mpk.json")
    assert dress(make()) == unpacked_mpk()
    spoilt = SMALL_ZIP.replace(b"x", b"y")
    assert all(item.ok for item in zip_archive.survey(repaired_zip(spoilt)).checksums)


def nested(depth: int) -> bytes:
    return b"- {nodes: " + b"[" * depth + b"]" * depth + b"}"


BOMBS: dict[str, Callable[[], bytes]] = {
    "yaml that unfolds": lambda: archive_sources.sima(
        text=b"- &a0 [x, x]\n"
        + b"".join(b"- &a%d [*a%d, *a%d]\n" % (n + 1, n, n) for n in range(200))
        + b"- {nodes: *a200}\n"
    ),
    "yaml, deep": lambda: archive_sources.sima(text=nested(100_000)),
    "yaml, wide": lambda: archive_sources.sima(text=b"- {nodes: [" + b"a," * 1_500_000 + b"]}"),
    "yaml, keys": lambda: archive_sources.sima(text=b"".join(b"k%d: v\n" % n for n in range(300_000))),
    "zip of zeros": lambda: archive_sources.zipped({"a.yaml": bytes(150 << 20), "a.npz": b""}),
    "npz of zeros": lambda: archive_sources.sima(
        arrays=archive_sources.zipped({f"{n}.npy": bytes(40 << 20) for n in range(3)})
    ),
    "npz with a huge shape": lambda: archive_sources.sima(
        arrays=archive_sources.zipped(
            {"a.npy": npy_head().replace(b"(3, 3, 2, 1, 4)", b"(999999999999999,)")}
        )
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_told_and_do_not_go_off(name: str) -> None:
    assert fuzzing.once(lambda data: failing(sima.read(data).checks), BOMBS[name]())


def test_an_archive_as_large_as_may_be_stays_within_its_bounds() -> None:
    """Nearly all that is always allowed, in the member that is read most."""
    program = elf.write([elf.NewSection("filter.00", bytes(28 << 20))])
    members = {item.name: item.data for item in tar.read(small_mpk())}
    data = archive_sources.files_tarred({**members, "digits_stage1_mla.elf": program})
    del program, members
    assert fuzzing.once(lambda data: str(mpk.survey(data).summary.weight_bytes), data) == str(28 << 20)
