"""Altered archives, MPKs and .sima files: an object or the documented error, within 2 s and 200 MB each."""

from __future__ import annotations

import json
import os
import resource
import struct
import time
import traceback
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
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
from tests.formats import archive_sources
from tests.formats.test_fuzz import LONG, SHORT, mpk_member, mpk_with, small_mpk, survive

SECONDS, BYTES = 2.0, 200 << 20


def bounded(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """`read`, which may take 2 s of the processor, and not drive the process beyond 200 MB more."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def measured(data: bytes) -> Any:
        start = time.process_time()
        try:
            return read(data)
        finally:
            assert time.process_time() - start < SECONDS, "too slow"
            assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < BYTES, "too large"

    return measured


def in_a_child(work: Callable[[], object]) -> str:
    """What goes wrong in a process of its own, whose peak of memory begins with this."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        try:
            work()
            told = b""
        except BaseException:
            told = traceback.format_exc().encode()[-4000:]
        os.write(write_end, told)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as stream:
        told = stream.read()
    _, status = os.waitpid(child, 0)
    return told.decode() or ("" if status == 0 else f"the child ended with {status}")


def survey_tar(data: bytes) -> None:
    found = tar.survey(data)
    assert sum(part.size for part in covered(found.parts, len(data))) == len(data)
    assert found.is_canonical(data) in (True, False)
    if not found.first and all(item.ok for item in found.checksums):
        assert tuple(tar.read(data)) == found.members


def survey_mpk(data: bytes) -> None:
    found = mpk.survey(data)
    json.dumps([found.health.why, found.precision, found.cycles, found.desired_batch])
    assert found.summary.weight_bytes >= 0
    assert all(error.exit_code == 2 for error in found.problems)
    if not found.archive.first:
        mpk.write(found)


def survey_zip(data: bytes) -> None:
    found = zip_archive.survey(data)
    for entry in found.members:
        assert len(found.content(entry)) == entry.size
        assert len(found.content(entry, 10)) == min(10, entry.size)
    assert sum(part.size for part in covered(found.parts, len(data))) >= len(data)


def read_elf(data: bytes) -> None:
    found = elf.read(data)
    mpk_program.summarize(found)
    covered(found.parts, len(data))


def read_sima(data: bytes) -> None:
    found = sima.read(data)
    assert found.is_quantized in (True, False)


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


CASES: dict[str, tuple[Callable[[bytes], Any], Callable[[], bytes], Callable[[bytes], bytes]]] = {
    name: (read, make, dress)
    for name, read, make, dress in (
        ("tar.gz", survey_tar, lambda: archive_sources.files_tarred({"a": b"1" * 99, "b": b""}), bytes),
        ("tar.gz, right sums", survey_tar, small_mpk, with_right_sums),
        ("tar, right sums", survey_tar, unpacked_mpk, repaired),
        ("tar, plain", survey_tar, unpacked_mpk, bytes),
        (
            "pax headers, right sums",
            survey_tar,
            lambda: archive_sources.tarred(archive_sources.entry("m" * 120, size=3, mtime=1.5), packing="w"),
            repaired,
        ),
        ("mpk", survey_mpk, small_mpk, bytes),
        ("mpk, right sums", survey_mpk, unpacked_mpk, repaired),
        ("mpk json", survey_mpk, lambda: mpk_member("digits_mpk.json"), mpk_with("digits_mpk.json")),
        (
            "mpk pipeline",
            survey_mpk,
            lambda: mpk_member("pipeline_sequence.json"),
            mpk_with("pipeline_sequence.json"),
        ),
        (
            "mpk configuration",
            survey_mpk,
            lambda: mpk_member("0_process_mla.json"),
            mpk_with("0_process_mla.json"),
        ),
        (
            "mpk program",
            survey_mpk,
            lambda: mpk_member("digits_stage1_mla.elf"),
            mpk_with("digits_stage1_mla.elf"),
        ),
        (
            "mpk stats",
            survey_mpk,
            lambda: mpk_member("digits_stage1_mla_stats.yaml"),
            mpk_with("digits_stage1_mla_stats.yaml"),
        ),
        (
            "stats",
            lambda data: mla_stats.summarize(mla_stats.load(data, "stats")),
            lambda: mpk_member("digits_stage1_mla_stats.yaml"),
            bytes,
        ),
        ("elf", read_elf, lambda: mpk_member("digits_stage1_mla.elf"), bytes),
        ("zip", survey_zip, lambda: archive_sources.zipped({"a.txt": b"hello" * 20, "b": b"x"}), bytes),
        ("npz", survey_zip, archive_sources.npz, bytes),
        ("npy", lambda data: npy.read(data, "a.npy"), npy_head, bytes),
        ("yaml", lambda data: yaml_text.load(data, "x.yaml"), archive_sources.sima_yaml, bytes),
        ("sima", read_sima, archive_sources.sima, bytes),
        ("sima yaml", read_sima, archive_sources.sima_yaml, lambda data: archive_sources.sima(text=data)),
        ("sima npz", read_sima, archive_sources.npz, lambda data: archive_sources.sima(arrays=data)),
        ("bie", bie.read, lambda: bytes(range(256)) * 2, bytes),
    )
}


@pytest.mark.parametrize("name", CASES)
def test_mutations(name: str) -> None:
    read, make, dress = CASES[name]
    read(dress(make()))
    assert in_a_child(lambda: survive(bounded(read), make(), SHORT // 3, dress)) == ""


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_many_mutations(name: str) -> None:
    read, make, dress = CASES[name]
    assert in_a_child(lambda: survive(bounded(read), make(), LONG, dress)) == ""


@pytest.mark.parametrize("name", CASES)
def test_every_truncation(name: str) -> None:
    read, make, _ = CASES[name]
    data = make()
    for size in range(0, len(data), max(1, len(data) // 300)):
        try:
            read(data[:size])
        except ModelbuildError as error:
            assert error.exit_code == 2


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
    data = BOMBS[name]()

    def work() -> None:
        assert not all(check.ok for check in bounded(sima.read)(data).checks)

    assert in_a_child(work) == ""


def test_an_archive_as_large_as_may_be_stays_within_its_bounds() -> None:
    """Nearly all that is always allowed, in the member that is read most."""
    program = elf.write([elf.NewSection("filter.00", bytes(60 << 20))])
    members = {item.name: item.data for item in tar.read(small_mpk())}
    data = archive_sources.files_tarred({**members, "digits_stage1_mla.elf": program})
    del program, members

    def work() -> None:
        assert bounded(mpk.survey)(data).summary.weight_bytes == 60 << 20

    assert in_a_child(work) == ""
