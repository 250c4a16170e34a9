"""FlatBuffers: ours against Google's reader, and offsets that lie."""

from __future__ import annotations

import struct

import flatbuffers
import flatbuffers.table
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats import flatbuffer
from modelbuild.formats.flatbuffer_writer import Field, Writer, offset

NUMBERS = st.dictionaries(
    st.integers(0, 12), st.tuples(st.sampled_from("bBhHiIqQ"), st.integers(0, 127)), max_size=8
)


@given(NUMBERS, st.text(max_size=20), st.binary(max_size=40), st.sampled_from([1, 4, 16, 32, 64]))
def test_what_is_written_is_read(
    numbers: dict[int, tuple[str, int]], text: str, content: bytes, alignment: int
) -> None:
    writer = Writer()
    inner = writer.table([offset(0, writer.string(text)), offset(1, writer.content(content, alignment))])
    data = writer.finish(
        writer.table(
            [Field(slot, layout, value) for slot, (layout, value) in numbers.items()] + [offset(13, inner)]
        )
    )
    root = flatbuffer.root(data, "test")
    for slot, (layout, value) in numbers.items():
        assert root.integer(slot, layout) == value
    nested = root.required(13, "inner table")
    assert nested.string(0) == text
    assert nested.content(1) == content
    span = nested.content_span(1)
    assert span is not None and span[0] % alignment == 0


@given(NUMBERS, st.text(max_size=20))
def test_google_reads_what_we_write(numbers: dict[int, tuple[str, int]], text: str) -> None:
    writer = Writer()
    string = writer.string(text)
    fields = [Field(slot, layout, value) for slot, (layout, value) in numbers.items()]
    data = writer.finish(writer.table([*fields, offset(13, string)]))
    table = flatbuffers.table.Table(data, struct.unpack_from("<I", data)[0])
    for slot, (layout, value) in numbers.items():
        place = table.Offset(4 + 2 * slot)
        assert place and (table.Pos + place) % struct.calcsize(layout) == 0
        assert struct.unpack_from("<" + layout, data, table.Pos + place)[0] == value
    assert table.String(table.Pos + table.Offset(4 + 2 * 13)).decode() == text


def test_we_write_what_google_writes() -> None:
    builder = flatbuffers.Builder(0)
    name = builder.CreateString("digits")
    numbers = builder.CreateByteVector(b"12345")
    builder.StartObject(4)
    builder.PrependUint64Slot(3, 7, 0)
    builder.PrependUOffsetTRelativeSlot(2, numbers, 0)
    builder.PrependUOffsetTRelativeSlot(0, name, 0)
    builder.PrependUint8Slot(1, 9, 0)
    builder.Finish(builder.EndObject())
    writer = Writer()
    string, content = writer.string("digits"), writer.content(b"12345")
    table = writer.table([offset(0, string), Field(1, "B", 9), offset(2, content), Field(3, "Q", 7)])
    assert writer.finish(table) == bytes(builder.Output())


def test_equal_vtables_are_written_once() -> None:
    writer = Writer()
    tables = [writer.table([Field(0, "I", value)]) for value in range(100)]
    data = writer.finish(writer.table([offset(0, writer.offsets(tables))]))
    assert [table.integer(0, "I") for table in flatbuffer.root(data, "test").tables(0)] == list(range(100))
    assert len(data) < 100 * 12 + 60


def test_absent_slots_read_as_their_defaults() -> None:
    writer = Writer()
    root = flatbuffer.root(writer.finish(writer.table([])), "test")
    assert (root.integer(0, "I", 5), root.real(1, 2.5), root.string(2), root.content(3)) == (
        5,
        2.5,
        None,
        b"",
    )
    assert (root.table(0), root.tables(0), root.integers(0, "i"), root.has(0)) == (None, (), (), False)
    with pytest.raises(ModelbuildError, match="header is missing"):
        root.required(0, "header")


@pytest.mark.parametrize("size", range(8))
def test_too_few_bytes_are_refused(size: int) -> None:
    with pytest.raises(ModelbuildError, match="is damaged"):
        flatbuffer.root(b"\x04\0\0\0\0\0\0\0"[:size], "test")


def test_a_vector_longer_than_the_file_is_refused() -> None:
    writer = Writer()
    data = bytearray(writer.finish(writer.table([offset(0, writer.content(b"abcd"))])))
    place = data.index(b"abcd") - 4
    data[place : place + 4] = (1 << 31).to_bytes(4, "little")
    with pytest.raises(ModelbuildError, match="elements") as caught:
        flatbuffer.root(bytes(data), "test").content(0)
    assert f"0x{place:x}" in str(caught.value)


def test_a_span_is_inside_of_the_file_and_counts_elements() -> None:
    writer = Writer()
    data = writer.finish(writer.table([offset(0, writer.numbers("q", [1, 2, 3]))]))
    root = flatbuffer.root(data, "test")
    start, count = root.span(0, 8)
    assert struct.unpack_from(f"<{count}q", data, start) == (1, 2, 3)
    assert root.span(1, 8) == (0, 0)
    with pytest.raises(ModelbuildError, match="is damaged"):
        flatbuffer.root(data, "test").span(0, len(data))


def test_a_table_that_contains_itself_is_refused() -> None:
    """table at 8 with vtable at 0 .. its only field refers back to the table."""
    data = struct.pack("<I", 12) + struct.pack("<HHHH", 6, 8, 4, 0) + struct.pack("<iI", 8, (1 << 32) - 4)
    root = flatbuffer.root(data, "test")
    with pytest.raises(ModelbuildError):
        root.table(0)


def test_the_tables_of_a_small_file_are_as_many_as_it_has_room_for() -> None:
    """References to one table over and over, as a table and its reference take 8 bytes at least."""

    def shared(count: int) -> bytes:
        writer = Writer()
        inner = writer.table([])
        return writer.finish(writer.table([offset(0, writer.offsets([inner] * count))]))

    assert len(flatbuffer.root(shared(100), "test").tables(0)) == 100
    with pytest.raises(ModelbuildError, match="too many tables"):
        flatbuffer.root(shared(300), "test").tables(0)
    writer = Writer()
    distinct = [writer.table([Field(0, "B", 1)]) for _ in range(300)]
    data = writer.finish(writer.table([offset(0, writer.offsets(distinct))]))
    assert len(flatbuffer.root(data, "test").tables(0)) == 300


def test_a_small_file_cannot_unfold_into_a_large_one() -> None:
    """A vector of 60,000 references to one string of 60,000 bytes."""
    writer = Writer()
    inner = writer.table([offset(0, writer.string("x" * 60_000))])
    data = writer.finish(writer.table([offset(0, writer.offsets([inner] * 10_000))]))
    with pytest.raises(ModelbuildError, match="overlap"):
        for table in flatbuffer.root(data, "test").tables(0):
            table.string(0)
    writer = Writer()
    inner = writer.table([])
    data = writer.finish(writer.table([offset(0, writer.offsets([inner] * 60_000))]))
    with pytest.raises(ModelbuildError, match="too many tables"):
        flatbuffer.root(data, "test").tables(0)


def test_a_value_that_does_not_fit_its_field_is_refused() -> None:
    with pytest.raises(ModelbuildError, match="does not fit"):
        Writer().table([Field(0, "b", 200)])
