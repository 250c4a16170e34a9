"""The program member of an MPK: sections in, sections out."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf
from modelbuild.formats.parts import covered

SECTIONS = st.lists(
    st.tuples(st.from_regex(r"[a-z.0-9_/]{1,20}", fullmatch=True), st.none() | st.binary(max_size=50)),
    max_size=6,
)


@given(SECTIONS)
def test_what_is_written_is_read(sections: list[tuple[str, bytes | None]]) -> None:
    data = elf.write([elf.NewSection(name, content, 77) for name, content in sections])
    found = elf.read(data)
    assert [section.name for section in found.sections] == [name for name, _ in sections] + [".shstrtab"]
    for section, (_, content) in zip(found.sections, sections, strict=False):
        assert section.size == (77 if content is None else len(content))
        assert found.content(section) == (content or b"")
        assert (section.kind == elf.NOBITS) == (content is None)


def test_the_header_is_that_of_a_64_bit_little_endian_elf() -> None:
    data = elf.write([elf.NewSection("code.r0.c0", b"abc")])
    assert data[:7] == b"\x7fELF\x02\x01\x01"
    table, row_size, count = struct.unpack_from("<Q10xHH", data, 40)[0], *struct.unpack_from("<HH", data, 58)
    assert (row_size, count) == (64, 3)
    assert table + row_size * count == len(data)
    found = elf.read(data).find("code.r0.c0")
    assert found is not None and found.offset % 16 == 0


def test_sections_outside_the_file_are_refused() -> None:
    data = bytearray(elf.write([elf.NewSection("code.r0.c0", b"abc")]))
    table = struct.unpack_from("<Q", data, 40)[0]
    struct.pack_into("<Q", data, table + 64 + 32, 1 << 40)
    with pytest.raises(ModelbuildError, match="lies outside"):
        elf.read(bytes(data))


@pytest.mark.parametrize("size", [0, 4, 63, 100])
def test_truncated_files_are_refused(size: int) -> None:
    with pytest.raises(ModelbuildError, match="ELF is damaged"):
        elf.read(elf.write([elf.NewSection("code.r0.c0", b"abc")])[:size])


def test_other_classes_of_elf_are_named() -> None:
    data = bytearray(elf.write([]))
    data[4] = 1
    with pytest.raises(ModelbuildError, match="64-bit little-endian"):
        elf.read(bytes(data))


def test_every_byte_is_a_part() -> None:
    data = elf.write([elf.NewSection("code.r0.c0", b"abc"), elf.NewSection("ifm.b0", None, 99)])
    found = covered(elf.read(data).parts, len(data))
    assert all(part.known for part in found)
    assert [part.what for part in found] == [
        "ELF header",
        "code.r0.c0",
        "padding",
        ".shstrtab",
        "padding",
        "table of sections",
    ]
    dirty = bytearray(data)
    dirty[68] = 1
    assert [part for part in covered(elf.read(bytes(dirty)).parts, len(data)) if not part.known]


def test_more_sections_than_the_header_has_room_for() -> None:
    """Then their number and the index of the names stand in the first row."""
    data = bytearray(elf.write([elf.NewSection("code.r0.c0", b"abc")]))
    table, count = struct.unpack_from("<Q", data, 40)[0], 3
    struct.pack_into("<HH", data, 60, 0, 0xFFFF)
    struct.pack_into("<Q", data, table + 32, count)
    struct.pack_into("<I", data, table + 40, count - 1)
    assert [item.name for item in elf.read(bytes(data)).sections] == ["code.r0.c0", ".shstrtab"]
    struct.pack_into("<Q", data, table + 32, 1 << 60)
    with pytest.raises(ModelbuildError, match="lies outside"):
        elf.read(bytes(data))


def test_program_headers_have_their_place() -> None:
    data = bytearray(elf.write([elf.NewSection("code.r0.c0", bytes(200))]))
    struct.pack_into("<Q", data, 32, 64)
    struct.pack_into("<HH", data, 54, 56, 2)
    assert elf.read(bytes(data)).program_headers.size == 112
    struct.pack_into("<H", data, 56, 0xFFFF)
    with pytest.raises(ModelbuildError, match="program headers lie outside"):
        elf.read(bytes(data))


def crowded(count: int, name: bytes, size: int) -> bytes:
    """So many sections that share their name, each a byte further in, and their bytes."""
    names, data = b"\0" + name + b"\0", bytes(size)
    table = 64 + len(names) + len(data)
    place = 64 + len(names)
    rows = [
        struct.pack("<IIQQQQIIQQ", 1 + i % len(name), 1, 0, 0, place, size, 0, 0, 1, 0) for i in range(count)
    ]
    rows = [bytes(64), *rows, struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, 64, len(names), 0, 0, 1, 0)]
    head = elf.write([])[:16] + struct.pack(
        "<HHIQQQIHHHHHH", 0, 0, 1, 0, 0, table, 0, 64, 0, 0, 64, len(rows), len(rows) - 1
    )
    return head + names + data + b"".join(rows)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (crowded(16_000, b"n" * 4_000, 0), "its names overlap"),
        (crowded(100, b"n", 1 << 16), "sections overlap"),
    ],
)
def test_sections_that_share_what_they_have_do_not_multiply_it(data: bytes, told: str) -> None:
    with pytest.raises(ModelbuildError, match=told):
        elf.read(data)


def test_sections_may_share_names() -> None:
    assert len(elf.read(crowded(100, b"n" * 100, 0)).sections) == 101


def test_sections_have_a_limit() -> None:
    rows = elf.MAX_SECTIONS - 2  # beside the empty one and the names
    assert len(elf.read(crowded(rows, b"n", 0)).sections) == rows + 1
    with pytest.raises(ModelbuildError, match="16385 sections") as caught:
        elf.read(crowded(rows + 1, b"n", 0))
    assert caught.value.problems[0].why == "16384 are the limit"
