"""A gzip stream: unpacked piece by piece within a limit, and written in stored blocks of our own.

The writer makes the deflate blocks itself: no compressor's version decides a byte.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from modelbuild.formats.archive import MAX_SIZE, Refused
from modelbuild.formats.checksum import Checksum
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.parts import Part

MAGIC = b"\x1f\x8b"
FIXED_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255))  # deflate, no name, mtime 0, OS unknown
MAX_MEMBERS = 1024  # streams that one file is made of
_STORED = 65_535  # most bytes in one stored deflate block
_TRAILER = struct.Struct("<II")
_READ, _UNPACKED = 1 << 16, 1 << 18  # bytes at a time
_TEXT_FLAGS = ((0x08, "name"), (0x10, "comment"))
_NAME = "archive"


class Slices(Protocol):
    """Bytes that are taken in slices: such as lie in memory, or in a file that is read as they are taken."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: slice, /) -> bytes: ...


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


def is_stored(data: Slices) -> bool:
    """Whether the stream starts as `pack` starts one: our header, and a stored block."""
    return data[: len(FIXED_HEADER)] == FIXED_HEADER and data[10:11] in (b"\0", b"\1")


class Plain:
    """Bytes that are not packed, with the interface of `Unpacked`."""

    def __init__(self, data: Slices) -> None:
        self._data = data
        self.position = 0
        self.limit = MAX_SIZE

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
        while self.position < len(self._data):
            piece = self._data[self.position : self.position + _UNPACKED]
            self.position += len(piece)
            yield piece

    def parts(self) -> tuple[Part, ...]:
        """Nothing: the archive's own parts are those of the file."""
        return ()

    def checksums(self) -> tuple[Checksum, ...]:
        """None."""
        return ()


@dataclass
class _Member:
    """One of the streams that a file is made of: offsets of its header, its data and its trailer, which is -1
    until it was reached; what the trailer says, and what was counted."""

    start: int
    data: int
    end: int = -1
    stored: tuple[int, int] = (0, 0)
    crc: int = 0
    size: int = 0


class Unpacked:
    """Unpacks a gzip file piece by piece; refuses to become longer than `limit` bytes.

    It may be of several members, one behind the other, whose contents make one (RFC 1952, 2.2)."""

    def __init__(self, data: Slices, limit: int) -> None:
        self._data = data
        self._members: list[_Member] = []
        self._begin(0)
        self._ready, self._used = b"", 0
        self.limit = limit
        self.position = 0

    def _begin(self, start: int) -> None:
        """Go on with the member that begins there."""
        if len(self._members) == MAX_MEMBERS:
            raise Refused(f"it is made of more than {MAX_MEMBERS} gzip streams")
        self._place = _header_end(self._data, start)
        self._members.append(_Member(start, self._place))
        self._inflater = zlib.decompressobj(wbits=-15)

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Errors: ModelbuildError for what is damaged, truncated or too long."""
        content = io.BytesIO()  # which gives its bytes away without a copy
        for piece in self._pieces(size):
            content.write(piece)
        return content.getvalue()

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
        found = []
        for member in self._members:
            found.append(Part(member.start, member.data - member.start, "gzip header"))
            if member.end < 0:
                what = "deflate stream, not read to its end"
                found.append(Part(member.data, len(self._data) - member.data, what))
                continue
            found.append(Part(member.data, member.end - member.data, "deflate stream"))
            found.append(Part(member.end, _TRAILER.size, "gzip trailer: CRC-32 and size"))
        end = found[-1].offset + found[-1].size
        found.append(Part(end, len(self._data) - end, "padding"))
        return tuple(part for part in found if part.size)

    def checksums(self) -> tuple[Checksum, ...]:
        """The two of each trailer; to be asked for when all was read."""
        found = []
        for number, member in enumerate(self._members, start=1):
            if member.end >= 0:
                where = f", stream {number}" if len(self._members) > 1 else ""
                crc, size = member.stored
                found += [
                    Checksum(f"gzip, CRC-32 of what is unpacked{where}", crc, member.crc),
                    Checksum(f"gzip, unpacked size modulo 2^32{where}", size, member.size & 0xFFFFFFFF),
                ]
        return tuple(found)

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
        if self.position + size > self.limit:
            raise Refused(f"it unpacks to more than {self.limit} bytes")

    def _fill(self) -> bool:
        """Unpack some more; False at the end of the gzip stream."""
        self._ready, self._used = b"", 0
        while not self._ready:
            if self._inflater.eof:
                if not self._goes_on():
                    return False
                continue
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
        member = self._members[-1]
        member.crc = zlib.crc32(self._ready, member.crc)
        member.size += len(self._ready)
        return True

    def _goes_on(self) -> bool:
        """Read the trailer, once, and begin the next stream; nothing but zeros may follow the last."""
        member = self._members[-1]
        if member.end >= 0:
            return False
        end = self._place - len(self._inflater.unused_data)
        after = end + _TRAILER.size
        if after > len(self._data):
            raise damaged("it is truncated", _NAME, end)
        if self._data[after : after + len(MAGIC)] == MAGIC:
            self._begin(after)
        elif any(piece.strip(b"\0") for piece in _onwards(self._data, after)):
            raise damaged("there is data after the gzip stream", _NAME, after)
        member.end, member.stored = end, _TRAILER.unpack(self._data[end:after])
        return self._members[-1] is not member


def _onwards(data: Slices, start: int) -> Iterator[bytes]:
    for place in range(start, len(data), _UNPACKED):
        yield data[place : place + _UNPACKED]


def _zero(data: Slices, start: int) -> int:
    """Where the first zero byte lies from there on; -1 where there is none."""
    place = start
    for piece in _onwards(data, start):
        found = piece.find(b"\0")
        if found >= 0:
            return place + found
        place += len(piece)
    return -1


def _header_end(data: Slices, start: int) -> int:
    """Where the header at `start` ends. Errors: ModelbuildError for what is no header, or not all of one."""
    head = data[start : start + len(FIXED_HEADER)]
    if not head:
        raise damaged("it is truncated", _NAME, start)
    if head[:2] != MAGIC[: len(head)]:
        raise damaged("its compression is broken (no gzip header)", _NAME, start)
    if len(head) < len(FIXED_HEADER):
        raise damaged("it is truncated", _NAME, len(data))
    method, flags = head[2], head[3]
    if method != 8 or flags & 0xE0:
        raise damaged(f"its compression is broken (method {method}, flags {flags:#x})", _NAME, start + 2)
    place = start + len(FIXED_HEADER)
    if flags & 0x04:
        place += 2 + int.from_bytes(data[place : place + 2], "little")
    for flag, what in _TEXT_FLAGS:
        if flags & flag:
            end = _zero(data, place)
            if end < 0:
                raise damaged(f"the gzip header's {what} does not end", _NAME, place)
            place = end + 1
    place += 2 if flags & 0x02 else 0
    if place > len(data):
        raise damaged("it is truncated", _NAME, len(data))
    return place
