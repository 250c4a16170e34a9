"""ZIP: what Python's zipfile writes is read; what breaks a rule is told and stays shut."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats import archive, zip_archive
from modelbuild.formats.parts import covered
from tests.formats.archive_sources import zipped

NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}", fullmatch=True)


def broken(data: bytes) -> set[str]:
    return {check.what for check in zip_archive.survey(data).checks if not check.ok}


@given(st.dictionaries(NAMES, st.binary(max_size=2000), max_size=4), st.sampled_from([0, 8]))
def test_what_python_writes_is_read(files: dict[str, bytes], method: int) -> None:
    data = zipped(files, method)
    found = zip_archive.survey(data)
    assert {entry.path: found.content(entry) for entry in found.members} == files
    assert all(check.ok for check in found.checks) and all(item.ok for item in found.checksums)
    assert zip_archive.names(data) == list(files)
    assert all(part.known for part in covered(found.parts, len(data)))
    assert sum(part.size for part in found.parts) == len(data)


def test_streams_with_descriptors_and_64_bit_fields_are_read() -> None:
    class NoSeek(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    stream = NoSeek()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a", b"hello" * 100)
        with file.open("large", "w", force_zip64=True) as member:
            member.write(b"x" * 10)
    data = stream.getvalue()
    found = zip_archive.survey(data)
    assert {entry.path: found.content(entry) for entry in found.members} == {
        "a": b"hello" * 100,
        "large": b"x" * 10,
    }
    assert [part.what for part in found.parts].count("data descriptor") == 2
    assert all(part.known for part in covered(found.parts, len(data)))


def test_bytes_before_the_archive_are_unknown_and_no_hindrance() -> None:
    data = b"#!/bin/sh\n" + zipped({"a": b"1"})
    found = zip_archive.survey(data)
    assert found.content(found.members[0]) == b"1"
    assert covered(found.parts, len(data))[0] == covered((), 10)[0]


def test_a_comment_belongs_to_the_end() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.comment = b"PK\x05\x06 is no end here" + bytes(30)
    found = zip_archive.survey(buffer.getvalue())
    assert found.comment.startswith("PK\x05\x06") and not found.entries


def link(name: str, mode: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, mode << 16
        file.writestr(info, b"/etc/passwd")
    return buffer.getvalue()


def twice() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a", b"2")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (link("l", 0o120777), archive.REGULAR),
        (link("pipe", 0o010644), archive.REGULAR),
        (zipped({"../up": b"1"}), archive.PARENT),
        (zipped({"/etc/passwd": b"1"}), archive.ABSOLUTE),
        (zipped({"C:evil": b"1"}), archive.DRIVE),
        (zipped({"a\u2215b": b"1"}), archive.CONFUSABLE),
        (zipped({f"f{n}": b"" for n in range(2100)}, 0), archive.COUNT),
        (zipped({"zeros": bytes(70 << 20)}), archive.SIZE),
        (zipped({"a": b"1" * 50}, zipfile.ZIP_BZIP2), zip_archive.READABLE),
    ],
)
def test_each_rule(data: bytes, rule: str) -> None:
    assert broken(data) == {rule}


def test_a_name_that_comes_twice_is_opened_once() -> None:
    found = zip_archive.survey(twice())
    assert {check.what for check in found.checks if not check.ok} == {archive.TWICE}
    assert [entry.path for entry in found.entries] == ["a", ""]


def test_folders_are_no_members() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.mkdir("folder")
        file.writestr("folder/a", b"1")
    found = zip_archive.survey(buffer.getvalue())
    assert [(entry.name, entry.kind) for entry in found.entries] == [
        ("folder/", "folder"),
        ("folder/a", "file"),
    ]
    assert [entry.path for entry in found.members] == ["folder/a"]
    assert all(check.ok for check in found.checks)


def test_encrypted_members_stay_shut() -> None:
    data = bytearray(zipped({"a": b"1"}))
    central = data.rindex(b"PK\x01\x02")
    data[central + 8] |= 1
    data[6] |= 1
    assert broken(bytes(data)) == {zip_archive.READABLE}


def test_a_wrong_crc_is_told() -> None:
    data = bytearray(zipped({"a": b"hello"}, 0))
    place = data.index(b"hello")
    data[place] ^= 1
    [checksum] = zip_archive.survey(bytes(data)).checksums
    assert (checksum.what, checksum.ok, checksum.stored) == ("CRC-32 of a", False, zlib.crc32(b"hello"))


@pytest.mark.parametrize("method", [0, 8])
def test_a_size_that_is_not_true_is_told(method: int) -> None:
    data = bytearray(zipped({"a": b"hello" * 9}, method))
    central = data.rindex(b"PK\x01\x02")
    for size in (44, 46, 1 << 20):
        struct.pack_into("<I", data, central + 24, size)
        assert broken(bytes(data)) == {archive.SIZE}


def test_two_names_for_one_member_are_told() -> None:
    data = bytearray(zipped({"ab": b"1"}))
    data[30] = ord("x")
    assert broken(bytes(data)) == {zip_archive.ALIKE}


def test_members_inside_one_another_stay_shut() -> None:
    """How a few bytes are made to unpack to many: entries that share one stream."""
    data = bytearray(zipped({"a": b"1" * 1000, "b": b"1" * 1000}))
    first = data.index(b"PK\x01\x02")
    second = data.rindex(b"PK\x01\x02")
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    found = zip_archive.survey(bytes(data))
    assert {zip_archive.APART} <= {check.what for check in found.checks if not check.ok}
    assert not found.members


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "may be truncated"),
        (b"PK\x03\x04" + bytes(30), "may be truncated"),
        (zipped({"a": b"1"})[:-1], "may be truncated"),
        (zipped({"a": b"1"})[10:], "is not where its directory says|lies outside"),
    ],
)
def test_what_is_no_archive_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ModelbuildError, match=message) as caught:
        zip_archive.survey(data)
    assert caught.value.exit_code == 2


def test_a_directory_that_lies_is_refused() -> None:
    good = zipped({"a": b"1"})
    for offset, message in ((10, "records, not"), (12, "outside|not made of records"), (4, "several parts")):
        data = bytearray(good)
        end = data.rindex(b"PK\x05\x06")
        data[end + offset] += 1
        if offset == 10:
            data[end + 8] += 1
        with pytest.raises(ModelbuildError, match=message):
            zip_archive.survey(bytes(data))


def test_a_budget_is_shared() -> None:
    data = zipped({"a": bytes(600), "b": bytes(600)})
    found = zip_archive.survey(data, 1000)
    assert [entry.path for entry in found.members] == ["a"]
    assert {check.what for check in found.checks if not check.ok} == {archive.SIZE}
