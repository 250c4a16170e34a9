"""A gzip stream: unpacked piece by piece within a limit, and written in stored blocks of our own.

The writer makes the deflate blocks itself: no compressor's version decides a byte.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

from modelbuild.formats.archive import Refused
from modelbuild.formats.checksum import Checksum
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.parts import Part

MAGIC = b"\x1f\x8b"
FIXED_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255))  # deflate, no name, mtime 0, OS unknown
_STORED = 65_535  # most bytes in one stored deflate block
_TRAILER = struct.Struct("<II")
_READ, _UNPACKED = 1 << 16, 1 << 18  # bytes at a time
_TEXT_FLAGS = ((0x08, "name"), (0x10, "comment"))
_NAME = "archive"


def pack(data: bytes) -> bytes:
    """A gzip file of these bytes in stored blocks."""
    return b"".join(packed([data]))


def packed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same, of bytes that come in pieces, in pieces."""
    yield FIXED_HEADER
    waiting, crc, size = bytearray(), 0, 0
    for piece in pieces:
        crc, size = zlib.crc32(piece, crc), size + len(piece)
        view = memoryview(piece)
        while len(waiting) + len(view) > _STORED:  # one block always waits: it may be the last
            room = _STORED - len(waiting)
            yield from (_block(_STORED, last=False), bytes(waiting), bytes(view[:room]))
            waiting.clear()
            view = view[room:]
        waiting += view
    yield from (_block(len(waiting), last=True), bytes(waiting), _TRAILER.pack(crc, size & 0xFFFFFFFF))


def _block(size: int, last: bool) -> bytes:
    return struct.pack("<BHH", last, size, size ^ 0xFFFF)


def is_stored(data: bytes) -> bool:
    """Whether the stream starts as `pack` starts one: our header, and a stored block."""
    return data[: len(FIXED_HEADER)] == FIXED_HEADER and data[10:11] in (b"\0", b"\1")


class Plain:
    """Bytes that are not packed, with the interface of `Unpacked`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Errors: ModelbuildError where there are not as many."""
        if self.position + size > len(self._data):
            raise damaged("it ends in the middle of a member", _NAME, self.position)
        piece = self._data[self.position : self.position + size]
        self.position += size
        return piece

    def skip(self, size: int) -> None:
        """As `take`, without the bytes."""
        if self.position + size > len(self._data):
            raise damaged("it ends in the middle of a member", _NAME, self.position)
        self.position += size

    def rest(self) -> Iterator[bytes]:
        """What is left, in pieces."""
        piece = self._data[self.position :]
        self.position = len(self._data)
        yield piece

    def parts(self) -> tuple[Part, ...]:
        """Nothing: the archive's own parts are those of the file."""
        return ()

    def checksums(self) -> tuple[Checksum, ...]:
        """None."""
        return ()


class Unpacked:
    """Unpacks a gzip stream piece by piece; refuses to become longer than `limit` bytes."""

    def __init__(self, data: bytes, limit: int) -> None:
        self._data = data
        self._start = _header_end(data)
        self._inflater = zlib.decompressobj(wbits=-15)
        self._place = self._start
        self._ready, self._used = b"", 0
        self._limit = limit
        self._crc, self._size = 0, 0
        self._trailer: tuple[int, int, int] | None = None  # offset, CRC-32, size
        self.position = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Errors: ModelbuildError for what is damaged, truncated or too long."""
        return b"".join(self._pieces(size))

    def skip(self, size: int) -> None:
        """As `take`, without the bytes."""
        for _ in self._pieces(size):
            pass

    def rest(self) -> Iterator[bytes]:
        """What is left, in pieces."""
        while self._used < len(self._ready) or self._fill():
            piece = self._ready[self._used :]
            self._ready, self._used = b"", 0
            self.position += len(piece)
            self._bound(0)
            yield piece

    def parts(self) -> tuple[Part, ...]:
        """Header, packed data, trailer and padding; to be asked for when all was read."""
        end = len(self._data) if self._trailer is None else self._trailer[0]
        stream = "deflate stream" if self._trailer is not None else "deflate stream, not read to its end"
        found = [Part(0, self._start, "gzip header"), Part(self._start, end - self._start, stream)]
        if self._trailer is not None:
            found.append(Part(end, _TRAILER.size, "gzip trailer: CRC-32 and size"))
            found.append(Part(end + _TRAILER.size, len(self._data) - end - _TRAILER.size, "padding"))
        return tuple(part for part in found if part.size)

    def checksums(self) -> tuple[Checksum, ...]:
        """The trailer's two; to be asked for when all was read."""
        if self._trailer is None:
            return ()
        _, crc, size = self._trailer
        unpacked = Checksum("gzip, unpacked size modulo 2^32", size, self._size & 0xFFFFFFFF)
        return Checksum("gzip, CRC-32 of what is unpacked", crc, self._crc), unpacked

    def _pieces(self, size: int) -> Iterator[bytes]:
        self._bound(size)
        while size:
            if self._used == len(self._ready) and not self._fill():
                raise damaged("it ends in the middle of a member", _NAME, self.position)
            piece = self._ready[self._used : self._used + size]
            self._used += len(piece)
            self.position += len(piece)
            size -= len(piece)
            yield piece

    def _bound(self, size: int) -> None:
        if self.position + size > self._limit:
            raise Refused(f"it unpacks to more than {self._limit} bytes")

    def _fill(self) -> bool:
        """Unpack some more; False at the end of the gzip stream."""
        self._ready, self._used = b"", 0
        while not self._ready:
            if self._inflater.eof:
                return self._finish()
            source = self._inflater.unconsumed_tail
            if not source:
                source = self._data[self._place : self._place + _READ]
                self._place += len(source)
            try:
                self._ready = self._inflater.decompress(source, _UNPACKED)
            except zlib.error as error:
                raise damaged(f"its compression is broken ({error})", _NAME, self._place) from None
            if not self._ready and not source and not self._inflater.eof:
                raise damaged("it is truncated", _NAME, self._place)
        self._crc = zlib.crc32(self._ready, self._crc)
        self._size += len(self._ready)
        return True

    def _finish(self) -> bool:
        """Read the trailer, once; nothing but zeros may follow it."""
        end = self._place - len(self._inflater.unused_data)
        after = end + _TRAILER.size
        if after > len(self._data):
            raise damaged("it is truncated", _NAME, end)
        if self._trailer is None and self._data[after:].strip(b"\0"):
            raise damaged("there is data after the gzip stream", _NAME, after)
        self._trailer = (end, *_TRAILER.unpack_from(self._data, end))
        return False


def _header_end(data: bytes) -> int:
    """Where the header ends. Errors: ModelbuildError for what is no gzip, or not all of a header."""
    if not data:
        raise damaged("it is truncated", _NAME, 0)
    if data[:2] != MAGIC[: len(data)]:
        raise damaged("its compression is broken (no gzip header)", _NAME, 0)
    if len(data) < len(FIXED_HEADER):
        raise damaged("it is truncated", _NAME, len(data))
    method, flags = data[2], data[3]
    if method != 8 or flags & 0xE0:
        raise damaged(f"its compression is broken (method {method}, flags {flags:#x})", _NAME, 2)
    place = len(FIXED_HEADER)
    if flags & 0x04:
        place += 2 + int.from_bytes(data[place : place + 2], "little")
    for flag, what in _TEXT_FLAGS:
        if flags & flag:
            end = data.find(b"\0", place)
            if end < 0:
                raise damaged(f"the gzip header's {what} does not end", _NAME, place)
            place = end + 1
    place += 2 if flags & 0x02 else 0
    if place > len(data):
        raise damaged("it is truncated", _NAME, len(data))
    return place
