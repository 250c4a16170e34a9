"""gzip: stored blocks out, any stream in, within a limit."""

from __future__ import annotations

import gzip
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats import gzip_stream
from modelbuild.formats.gzip_stream import Unpacked
from modelbuild.formats.parts import covered


@given(st.binary(max_size=200_000))
def test_what_is_packed_is_unpacked(data: bytes) -> None:
    packed = gzip_stream.pack(data)
    assert gzip.decompress(packed) == data
    assert gzip_stream.is_stored(packed)
    stream = Unpacked(packed, len(data))
    assert b"".join(stream.rest()) == data
    assert all(item.ok for item in stream.checksums()) and len(stream.checksums()) == 2


def test_every_field_of_a_header_is_passed_over() -> None:
    body = gzip.compress(b"hello", mtime=0)[10:]
    header = b"\x1f\x8b\x08\x1e" + bytes(6) + struct.pack("<H", 3) + b"abc" + b"name\0" + b"note\0" + b"\0\0"
    stream = Unpacked(header + body, 100)
    assert stream.take(5) == b"hello"
    assert list(stream.rest()) == []
    assert stream.parts()[0].size == len(header)


def test_parts_cover_the_file() -> None:
    data = gzip.compress(bytes(5000), mtime=0) + bytes(7)
    stream = Unpacked(data, 5000)
    stream.skip(5000)
    list(stream.rest())
    found = covered(stream.parts(), len(data))
    assert [part.what for part in found] == [
        "gzip header",
        "deflate stream",
        "gzip trailer: CRC-32 and size",
        "padding",
    ]
    assert all(part.known for part in found)


def test_streams_one_behind_the_other_are_one() -> None:
    """As `cat a.gz b.gz` makes them, and programs that pack in parallel."""
    pieces = [b"hello ", b"", bytes(100_000), b"world"]
    data = b"".join(gzip.compress(piece, mtime=0) for piece in pieces) + bytes(5)
    assert gzip.decompress(data) == b"".join(pieces)
    stream = Unpacked(data, 200_000)
    assert stream.take(100_008) == b"".join(pieces)[:100_008]
    assert b"".join(stream.rest()) == b"rld"
    found = covered(stream.parts(), len(data))
    assert [part.what for part in found].count("gzip header") == 4 and found[-1].what == "padding"
    assert all(part.known for part in found)
    assert [item.what for item in stream.checksums()][-2:] == [
        "gzip, CRC-32 of what is unpacked, stream 4",
        "gzip, unpacked size modulo 2^32, stream 4",
    ]
    assert len(stream.checksums()) == 8 and all(item.ok for item in stream.checksums())


def test_of_several_streams_each_is_checked() -> None:
    one, two = gzip.compress(b"one", mtime=0), bytearray(gzip.compress(b"two", mtime=0))
    two[-8] ^= 1
    stream = Unpacked(one + bytes(two), 100)
    assert b"".join(stream.rest()) == b"onetwo"
    assert [item.ok for item in stream.checksums()] == [True, True, False, True]
    with pytest.raises(ModelbuildError, match="truncated") as caught:
        list(Unpacked(one + bytes(two)[:5], 100).rest())
    assert caught.value.problems[0].where == f"offset 0x{len(one) + 5:x}"


def test_the_number_of_streams_and_what_they_become_are_bounded() -> None:
    many = gzip.compress(b"", mtime=0) * (gzip_stream.MAX_MEMBERS + 1)
    with pytest.raises(ModelbuildError, match="more than 1024 gzip streams"):
        list(Unpacked(many, 100).rest())
    with pytest.raises(ModelbuildError, match="unpacks to more than"):
        list(Unpacked(gzip.compress(bytes(90), mtime=0) * 2, 100).rest())


def test_wrong_checksums_are_told_one_by_one() -> None:
    data = bytearray(gzip.compress(b"hello", mtime=0))
    data[-8] ^= 1
    stream = Unpacked(bytes(data), 100)
    list(stream.rest())
    assert [item.ok for item in stream.checksums()] == [False, True]
    assert stream.checksums()[0].stored ^ stream.checksums()[0].computed == 1


def test_nothing_beyond_the_limit_is_unpacked() -> None:
    data = gzip.compress(bytes(10 << 20), mtime=0)
    with pytest.raises(ModelbuildError, match="unpacks to more than"):
        list(Unpacked(data, 1 << 20).rest())
    with pytest.raises(ModelbuildError, match="unpacks to more than"):
        Unpacked(data, 1 << 20).take(1 << 40)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated"),
        (b"\x1f", "truncated"),
        (b"\x1f\x8b\x08", "truncated"),
        (b"\x1f\x8b\x07" + bytes(20), "method 7"),
        (b"\x1f\x8b\x08\x80" + bytes(20), "flags 0x80"),
        (b"\x1f\x8b\x08\x04" + bytes(6) + b"\xff\xff", "truncated"),
        (b"\x1f\x8b\x08\x08" + bytes(6) + b"endless", "name does not end"),
        (gzip.compress(b"x" * 99, mtime=0)[:-9], "truncated"),
        (gzip.compress(b"x" * 99, mtime=0)[:-1], "truncated"),
        (gzip.compress(b"x", mtime=0) + b"more", "after the gzip stream"),
    ],
)
def test_what_is_no_stream_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ModelbuildError, match=message):
        list(Unpacked(data, 1000).rest())


def test_small_pieces_and_large_ones() -> None:
    content = bytes(range(256)) * 4096
    buffer = io.BytesIO()
    with gzip.GzipFile("x", "wb", 9, buffer, 0) as file:
        file.write(content)
    stream, place = Unpacked(buffer.getvalue(), len(content)), 0
    for size in (1, 511, 300_000, 2, 0, len(content) - 300_514):
        assert stream.take(size) == content[place : place + size]
        place += size
    assert stream.position == len(content)
