"""The central directory at the end of a ZIP archive, every record bounds-checked."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.formats import flatbuffer
from modelbuild.formats.archive import COUNT, UTF8, Findings
from modelbuild.formats.flatbuffer import damaged

EMPTY_MAGIC = b"PK\x05\x06"
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_UTF8_FLAG = 0x800
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_NAME = "ZIP"


@dataclass(frozen=True)
class Record:
    """An entry of the central directory, as it stands there."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    place: int  # of the local header
    mode: int


class Directory:
    """The central directory. `start` is where the archive begins in the file: others may stand before it."""

    def __init__(self, data: bytes, findings: Findings, most: int) -> None:
        self._data, self._findings, self._most = data, findings, most
        self.end = self._find_end()
        count, size, offset, comment = self._end_record()
        self.comment = comment.decode("utf-8", "backslashreplace")
        self.size = size
        self.start = self.directory_end - size - offset
        if self.start < 0 or size > self.directory_end:
            raise damaged(f"its directory of {size} bytes at {offset} lies outside of it", _NAME, self.end)
        self.records = self._records(count)

    def _find_end(self) -> int:
        data = self._data
        place = data.rfind(EMPTY_MAGIC, max(0, len(data) - _END.size - _FULL16))
        while place >= 0:
            if place + _END.size <= len(data):
                (length,) = struct.unpack_from("<H", data, place + _END.size - 2)
                if place + _END.size + length == len(data):
                    return place
            place = data.rfind(EMPTY_MAGIC, max(0, len(data) - _END.size - _FULL16), place + 3)
        raise damaged("its directory's end is missing; it may be truncated", _NAME, len(data))

    def _end_record(self) -> tuple[int, int, int, bytes]:
        """(entries, bytes of the directory, its offset, comment); where the directory ends is kept."""
        _, disk, first, here, count, size, offset, _ = _END.unpack_from(self._data, self.end)
        comment = self._data[self.end + _END.size :]
        self.directory_end = self.end
        large = _FULL16 in (disk, first, here, count) or _FULL32 in (size, offset)
        place = self.end - _LOCATOR.size
        if large and place >= 0 and self._data[place : place + 4] == b"PK\x06\x07":
            _, _, end64, _ = _LOCATOR.unpack_from(self._data, place)
            if end64 + _END64.size > place or self._data[end64 : end64 + 4] != b"PK\x06\x06":
                raise damaged("its 64-bit end is not where it should be", _NAME, place)
            *_, disk, first, here, count, size, offset = _END64.unpack_from(self._data, end64)
            self.directory_end = end64
        if disk or first or here != count:
            raise damaged("it is one of several parts", _NAME, self.end)
        return count, size, offset, comment

    def _records(self, count: int) -> list[Record]:
        place, end = self.directory_end - self.size, self.directory_end
        found: list[Record] = []
        while place < end and len(found) < count:
            if len(found) == self._most:
                self._findings.add(COUNT, f"it has {count} entries")
                break
            if place + _CENTRAL.size > end or self._data[place : place + 4] != b"PK\x01\x02":
                raise damaged("its directory is not made of records", _NAME, place)
            fields = _CENTRAL.unpack_from(self._data, place)
            name, extra, comment = fields[10:13]
            after = place + _CENTRAL.size + name + extra + comment
            if after > end:
                raise damaged("a record of its directory does not end", _NAME, place)
            found.append(self._record(fields, place + _CENTRAL.size))
            place = after
        if len(found) < min(count, self._most):
            raise damaged(f"its directory has {len(found)} records, not {count}", _NAME, place)
        return found

    def _record(self, fields: Sequence[int], place: int) -> Record:
        length, extra = fields[10], fields[11]
        raw = self._data[place : place + length]
        packed, size, local = _wide(
            self._data[place + length : place + length + extra], fields[8], fields[9], fields[16]
        )
        name = decode_name(raw, fields[3], self._findings)
        return Record(name, fields[3], fields[4], fields[7], packed, size, local, fields[15] >> 16)


def end_of(data: flatbuffer.Readable, start: int) -> int:
    """Where the last ZIP ends that begins at `start` or behind it; -1 where none has an end. What is inside
    is not looked at."""
    place = data.rfind(EMPTY_MAGIC, start)
    end = place + _END.size
    if place < 0 or end > len(data):
        return -1
    end += struct.unpack_from("<H", data, end - 2)[0]
    return end if end <= len(data) else -1


def decode_name(raw: bytes, flags: int, findings: Findings) -> str:
    """A name is in UTF-8, or, without that flag, in the code page of the first PCs; ASCII is both."""
    try:
        return raw.decode("utf-8" if flags & _UTF8_FLAG else "cp437")
    except UnicodeDecodeError:
        findings.add(UTF8, f"the name {raw[:40]!r} is not UTF-8")
        return raw.decode("utf-8", "backslashreplace")


def _wide(extra: bytes, packed: int, size: int, place: int) -> tuple[int, int, int]:
    """The three numbers, from the 64-bit field of the extra data where they are full."""
    at = 0
    while at + 4 <= len(extra):
        code, length = struct.unpack_from("<2H", extra, at)
        if code == 1:
            field = extra[at + 4 : at + 4 + length]
            values = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            size = next(values, size) if size == _FULL32 else size
            packed = next(values, packed) if packed == _FULL32 else packed
            place = next(values, place) if place == _FULL32 else place
        at += 4 + length
    return packed, size, place
