"""The archive: one way to write it, and everything that may not be in it."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild import input_file
from modelbuild.errors import ModelbuildError
from modelbuild.formats import archive, tar, tar_header
from modelbuild.formats.parts import covered
from tests.formats.archive_sources import entry, files_tarred, tarred

NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}", fullmatch=True)


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
        data = tarred(entry(name, size=700, mtime=1.5), entry("./b.elf", size=3, uname="root"), kind=kind)
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
        tar.read(tarred(entry("fine", size=5), bad))
    assert caught.value.exit_code == 2


def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(ModelbuildError, match="twice"):
        tar.read(tarred(entry("a", size=1), entry("./a", size=1)))


def sized(field: bytes) -> bytes:
    """An archive whose first member has this size field, with a right checksum."""
    block = bytearray(tar_header.write("m_mpk.json", 0, 0))
    block[124:136] = field
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return gzip.compress(bytes(block) + bytes(1024), mtime=0)


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (b"\x80" + b"\xff" * 11, "'m_mpk.json' is said to have "),
        (b"\x80" + bytes(6) + b"\1" + bytes(4), "'m_mpk.json' is said to have 4294967296 bytes, offset 0x0"),
        (b"\xff" * 12, "a member has the size '-1'"),
        (b"\xff" * 11 + b"\0", "a member has the size '-256'"),
    ],
)
def test_a_size_that_cannot_be_is_told_and_the_member_named(field: bytes, why: str) -> None:
    data = sized(field)
    assert list(tar.names(data)) == ["m_mpk.json"]
    found = tar.survey(data)
    (wrong,) = [check for check in found.checks if not check.ok]
    assert wrong.what == "sizes within the limits" and why in wrong.why
    assert [(entry.name, entry.path) for entry in found.entries] == [("m_mpk.json", "")]
    with pytest.raises(ModelbuildError, match=why.replace("'", ".")):
        tar.read(data)


def test_an_extended_header_of_no_size_is_refused() -> None:
    block = bytearray(gzip.decompress(sized(b"\xff" * 12)))
    block[156:157] = b"x"
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block[:512]):06o}\0 ".encode()
    with pytest.raises(ModelbuildError, match="extended header has -1 bytes"):
        tar.read(gzip.compress(bytes(block), mtime=0))


def test_a_sparse_file_has_its_real_name() -> None:
    """GNU tar makes a name up for programs that know nothing of sparse files."""
    info = entry("./GNUSparseFile.4695/x.so", size=3)
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "lib/x.so", "path": info.name}
    found = tar.survey(tarred(info))
    assert [(item.name, item.kind, item.path) for item in found.entries] == [("lib/x.so", "sparse file", "")]
    assert "'lib/x.so' is a sparse file" in found.first


def test_an_archive_of_several_gzip_streams_is_read() -> None:
    plain = gzip.decompress(tar.write({"a": b"1" * 700, "b": b"2"}))
    data = b"".join(gzip.compress(piece, mtime=0) for piece in (plain[:300], plain[300:900], plain[900:]))
    assert [(member.name, len(member.data)) for member in tar.read(data)] == [("a", 700), ("b", 1)]
    found = tar.survey(data)
    assert len(found.checksums) == 6 and all(item.ok for item in found.checksums)


def test_a_small_file_stays_small() -> None:
    bomb = tarred(entry("zeros", size=60 << 20))
    assert len(bomb) < 1 << 20
    with pytest.raises(ModelbuildError, match="unpacks to more than"):
        tar.read(bomb)


def test_a_large_member_is_in_memory_once() -> None:
    data = tarred(entry("zeros", size=24 << 20))
    tracemalloc.start()
    tar.read(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 36 << 20


def test_too_many_entries_are_refused() -> None:
    with pytest.raises(ModelbuildError, match="more than 2048"):
        tar.read(tarred(*(entry(f"f{i}") for i in range(2049)), kind=tarfile.USTAR_FORMAT))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = tarred(entry("zeros", size=80 << 20))
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


def test_any_time_may_be_set() -> None:
    data = tar.write({"a": b"1", "b": b"22"}, 1_700_000_000)
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        assert [info.mtime for info in opened] == [1_700_000_000] * 2
    assert data[4:8] == bytes(4), "gzip's own time stays 0"
    for time in (-1, 8**11):
        with pytest.raises(ModelbuildError, match="has no place"):
            tar.write({"a": b""}, time)


@given(st.dictionaries(NAMES, st.binary(max_size=2000), max_size=4), st.integers(0, 8**11 - 1))
def test_what_we_wrote_comes_out_byte_for_byte(files: dict[str, bytes], time: int) -> None:
    data = tar.write(files, time)
    found = tar.survey(data)
    assert found.is_canonical(data)
    assert all(check.ok for check in found.checks) and all(item.ok for item in found.checksums)
    assert tar.write(found.members, time) == tar.write(tar.read(data), time) == data


def test_members_of_one_name_are_not_written() -> None:
    with pytest.raises(ModelbuildError, match="twice"):
        tar.write([tar.Member("a", b"1"), tar.Member("a", b"2")])


def test_other_archives_come_out_in_our_form() -> None:
    data = files_tarred({"b": b"22", "a": b"1"}, uname="root", mtime=5)
    found = tar.survey(data)
    assert not found.is_canonical(data)
    written = tar.write({member.name: member.data for member in found.members})
    assert tar.survey(written).is_canonical(written)
    assert [(entry.header.user_name, entry.header.time) for entry in found.entries] == [("root", 5)] * 2


def test_a_tar_that_is_not_packed_is_read_too() -> None:
    data = files_tarred({"a": b"1", "b": b"22"}, packing="w")
    assert tar.is_tar(data[:512]) and not tar.is_tar(data[512:1024])
    assert [(m.name, m.data) for m in tar.read(data)] == [("a", b"1"), ("b", b"22")]
    found = tar.survey(data)
    assert not found.packed and not found.unpacked_parts and not found.checksums
    assert covered(found.parts, len(data)) == tuple(part for part in found.parts if part.size)


def test_every_byte_of_the_unpacked_archive_is_a_part() -> None:
    long_name = "m" * 120
    for data in (
        tar.write({"a": b"1" * 512, "b": b"22"}),
        tarred(entry(long_name, size=700), entry("folder", tarfile.DIRTYPE)),
        tarred(entry(long_name, size=700), kind=tarfile.GNU_FORMAT),
    ):
        found = tar.survey(data)
        inner = covered(found.unpacked_parts, found.unpacked_size)
        assert all(part.known for part in (*inner, *covered(found.parts, len(data))))
        assert sum(part.size for part in inner) == found.unpacked_size


def test_folders_are_passed_over() -> None:
    """The vendor's loader ignores them; `tar czf x.tar.gz .` makes some."""
    data = tarred(entry("./", tarfile.DIRTYPE), entry("./etc/", tarfile.DIRTYPE), entry("./etc/a", size=2))
    assert [member.name for member in tar.read(data)] == ["etc/a"]
    assert [item.kind for item in tar.survey(data).entries] == ["folder", "folder", "file"]
    with pytest.raises(ModelbuildError, match="leaves its folder"):
        tar.read(tarred(entry("../up", tarfile.DIRTYPE)))


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (entry("link", tarfile.SYMTYPE, linkname="/etc/passwd"), archive.REGULAR),
        (entry("/etc/passwd", size=9), archive.ABSOLUTE),
        (entry("C:evil.json"), archive.DRIVE),
        (entry("../up.json", size=700), archive.PARENT),
        (entry("a\u2215b.json"), archive.CONFUSABLE),
        (entry("./fine"), archive.TWICE),
        (entry("x" * 70_000), archive.SIZE),
        (entry("zeros", size=80 << 20), archive.SIZE),
    ],
)
def test_what_breaks_a_rule_is_shown_and_not_unpacked(bad: tarfile.TarInfo, rule: str) -> None:
    found = tar.survey(tarred(entry("fine", size=5), bad))
    assert {check.what for check in found.checks if not check.ok} == {rule}
    assert [member.name for member in found.members] == ["fine"]
    assert found.first
    assert not found.is_canonical(b"")


def test_names_that_are_not_utf8_break_a_rule() -> None:
    plain = bytearray(zlib.decompress(tar.write({"abc": b"1"}), wbits=31))
    plain[1] = 0xFF
    plain[148:156] = f"{sum(plain[:148]) + 256 + sum(plain[156:512]):06o}\0 ".encode()
    found = tar.survey(bytes(plain))
    assert {check.what for check in found.checks if not check.ok} == {archive.UTF8, archive.CONFUSABLE}
    with pytest.raises(ModelbuildError, match="not UTF-8"):
        tar.read(bytes(plain))


def test_more_entries_than_allowed_are_not_gone_through() -> None:
    many = tarred(*(entry(f"f{i}") for i in range(3000)), kind=tarfile.USTAR_FORMAT)
    found = tar.survey(many)
    assert len(found.entries) == 2048
    assert [check.what for check in found.checks if not check.ok] == [archive.COUNT]


def test_a_global_header_may_not_rename() -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": "b"}) as file:
        file.addfile(entry("a"))
    with pytest.raises(ModelbuildError, match="global header"):
        tar.read(data.getvalue())
    assert [check.what for check in tar.survey(data.getvalue()).checks if not check.ok] == [archive.HEADERS]


def test_sizes_beyond_octal_digits_are_read() -> None:
    """As GNU's tar writes numbers that do not fit: bytes behind a set first bit."""
    plain = bytearray(zlib.decompress(tar.write({"a": b"12345"}), wbits=31))
    plain[124:136] = b"\x80" + (5).to_bytes(11, "big")
    plain[148:156] = f"{sum(plain[:148]) + 256 + sum(plain[156:512]):06o}\0 ".encode()
    assert tar.read(bytes(plain)) == [tar.Member("a", b"12345")]


def test_a_wrong_crc_is_told_by_the_survey_and_refused_by_the_reader() -> None:
    data = bytearray(tar.write({"a": b"1"}))
    data[-5] ^= 1
    assert [item.ok for item in tar.survey(bytes(data)).checksums] == [False, True]
    with pytest.raises(ModelbuildError, match="CRC-32"):
        tar.read(bytes(data))


def test_names_alone_cost_no_memory() -> None:
    data = tarred(entry("large", size=30 << 20), entry("b"))
    tracemalloc.start()
    assert list(tar.names(data)) == ["large", "b"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("form", ["streams", "plain", "named", "behind"])
def test_an_archive_is_the_same_in_a_file_and_in_memory(form: str, tmp_path: Path) -> None:
    data = tar.write({"a": b"1" * 70_000, "b": b"2"})
    plain = gzip.decompress(data)
    named = data[:3] + b"\x08" + data[4:10] + b"n" * 300_000 + b"\0" + data[10:]
    data = {
        "streams": gzip.compress(plain[:60_000]) + gzip.compress(plain[60_000:]) + bytes(300_000),
        "plain": plain + bytes(300_000),
        "named": named,
        "behind": data + bytes(300_000) + b"x",
    }[form]
    (tmp_path / "a").write_bytes(data)
    with input_file.sliced(tmp_path / "a") as slices:
        if form == "behind":
            with pytest.raises(ModelbuildError, match="there is data after the gzip stream"):
                tar.survey(slices)
            return
        found = tar.survey(slices)
        assert found == tar.survey(data)
        assert [len(item.data) for item in found.members] == [70_000, 1]
        assert found.is_canonical(slices) is False
        assert [item.ok for item in found.checksums] == [True] * len(found.checksums)
