"""The archive: one way to write it, and everything that may not be in it."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats import tar

NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}", fullmatch=True)


def archive(*entries: tarfile.TarInfo, kind: int = tarfile.PAX_FORMAT) -> bytes:
    """A .tar.gz as Python's own library writes it; files hold zeros."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=kind) as file:
        for entry in entries:
            file.addfile(entry, io.BytesIO(bytes(entry.size)) if entry.isreg() else None)
    return buffer.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, **values: object) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.size = kind, size
    for key, value in values.items():
        setattr(found, key, value)
    return found


@given(st.dictionaries(NAMES, st.binary(max_size=2000), max_size=5))
def test_what_is_written_is_read(files: dict[str, bytes]) -> None:
    found = tar.read(tar.write(files))
    assert {member.name: member.data for member in found} == files
    assert [member.name for member in found] == sorted(files)


@given(st.dictionaries(NAMES, st.binary(max_size=2000), max_size=3))
def test_python_reads_what_we_write(files: dict[str, bytes]) -> None:
    with tarfile.open(fileobj=io.BytesIO(tar.write(files))) as opened:
        for info in opened:
            extracted = opened.extractfile(info)
            assert extracted is not None and extracted.read() == files[info.name]
            assert (info.mode, info.uid, info.gid, info.uname, info.gname) == (0o644, 0, 0, "", "")
            assert info.mtime == 0


def test_the_bytes_are_pinned() -> None:
    """Stored blocks and a fixed header: no library decides a byte."""
    data = tar.write({"b.json": b"{}\n", "a.bin": bytes(range(256)) * 400})
    assert data[:10] == bytes.fromhex("1f8b08000000000000ff")
    assert zlib.crc32(data) == 0xCCBEA516


def test_order_of_the_members_does_not_matter() -> None:
    assert tar.write({"a": b"1", "b": b"2"}) == tar.write({"b": b"2", "a": b"1"})


def test_archives_of_other_tools_are_read() -> None:
    long_name = "m" * 120 + "_mpk.json"
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        name = long_name if kind != tarfile.USTAR_FORMAT else "m_mpk.json"
        data = archive(entry(name, size=700, mtime=1.5), entry("./b.elf", size=3, uname="root"), kind=kind)
        assert [(m.name, len(m.data)) for m in tar.read(data)] == [(name, 700), ("b.elf", 3)]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (entry("link", tarfile.SYMTYPE, linkname="/etc/passwd"), "symbolic link"),
        (entry("link", tarfile.LNKTYPE, linkname="a"), "hard link"),
        (entry("device", tarfile.CHRTYPE), "device"),
        (entry("pipe", tarfile.FIFOTYPE), "FIFO"),
        (entry("/etc/passwd"), "absolute"),
        (entry("C:evil.json"), "absolute"),
        (entry("../up.json"), "leaves its folder"),
        (entry("a/../../up.json"), "leaves its folder"),
        (entry("a//b.json"), "leaves its folder"),
        (entry("a\\b.json"), "mistaken"),
        (entry("a\u2215b.json"), "mistaken"),
        (entry("\uff41.json"), "mistaken"),
        (entry("a\u202ejson.exe"), "mistaken"),
        (entry("x" * 70_000), "extended header"),
    ],
)
def test_what_may_not_be_in_an_archive_is_refused(bad: tarfile.TarInfo, message: str) -> None:
    with pytest.raises(ModelbuildError, match=message) as caught:
        tar.read(archive(entry("fine", size=5), bad))
    assert caught.value.exit_code == 2


def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(ModelbuildError, match="twice"):
        tar.read(archive(entry("a", size=1), entry("./a", size=1)))


def test_too_many_entries_are_refused() -> None:
    with pytest.raises(ModelbuildError, match="more than 2048"):
        tar.read(archive(*(entry(f"f{i}") for i in range(2049)), kind=tarfile.USTAR_FORMAT))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = archive(entry("zeros", size=80 << 20))
    assert len(bomb) < 1 << 20
    tracemalloc.start()
    with pytest.raises(ModelbuildError, match="unpacks to more than"):
        tar.read(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_zeros_after_the_end_are_bounded_too() -> None:
    bomb = gzip.compress(bytes(80 << 20), mtime=0)
    with pytest.raises(ModelbuildError, match="unpacks to more than"):
        tar.read(bomb)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated"),
        (b"plain text, no archive", "compression is broken"),
        (gzip.compress(b"", mtime=0), "ends in the middle"),
        (gzip.compress(b"x" * 512, mtime=0), "not an octal number"),
        (gzip.compress(bytes(1024) + b"x", mtime=0), "after its end"),
        (tar.write({"a": b"1"}) + b"more", "after the gzip stream"),
        (tar.write({"a": b"1"})[:-1], "truncated"),
    ],
)
def test_what_is_no_archive_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ModelbuildError, match=message):
        tar.read(data)


def test_a_wrong_header_checksum_is_refused() -> None:
    plain = bytearray(gzip.decompress(tar.write({"a": b"1"})))
    plain[0] ^= 1
    with pytest.raises(ModelbuildError, match="header does not agree"):
        tar.read(gzip.compress(bytes(plain), mtime=0))


def test_names_that_no_archive_of_ours_may_have() -> None:
    for name in ("../a", "/a", "", "x" * 101):
        with pytest.raises(ModelbuildError):
            tar.write({name: b""})
