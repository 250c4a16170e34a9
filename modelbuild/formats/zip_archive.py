"""ZIP archives, read only: every record bounds-checked, nothing unpacked beyond a limit."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from modelbuild.formats.archive import (
    COUNT,
    MAX_ENTRIES,
    REGULAR,
    RULES,
    SIZE,
    TWICE,
    Findings,
    plain_name,
    unpacked_limit,
)
from modelbuild.formats.checks import Check
from modelbuild.formats.checksum import Checksum
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.parts import Part
from modelbuild.formats.zip_directory import Directory, Record, decode_name

MAGIC = b"PK\x03\x04"
APART = "no member inside another"
ALIKE = "both headers of a member say the same"
READABLE = "members that can be unpacked"
_RULES = (*RULES, APART, ALIKE, READABLE)
_LOCAL = struct.Struct("<4s5H3I2H")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _DESCRIPTOR = 1, 8
_TYPE = 0o170000  # of the bits of a Unix mode
_KINDS = {
    0o120000: "symbolic link",
    0o20000: "device",
    0o60000: "device",
    0o10000: "FIFO",
    0o140000: "socket",
}
_PIECE = 1 << 18
_NAME = "ZIP"


@dataclass(frozen=True)
class Entry:
    """A member. `path` is the safe name of a file whose content can be read; empty for any other. `start` is
    where its header lies, `offset` and `packed` where its packed bytes lie, and how many."""

    name: str
    kind: str
    size: int
    packed: int
    start: int
    offset: int
    method: int
    crc: int
    path: str = ""


@dataclass(frozen=True)
class Zip:
    """An archive as found: members, the rules, the checksums of what could be read, and what each byte is."""

    data: bytes
    entries: tuple[Entry, ...]
    checks: tuple[Check, ...]
    checksums: tuple[Checksum, ...]
    parts: tuple[Part, ...]
    comment: str

    def content(self, entry: Entry, limit: int | None = None) -> bytes:
        """The first `limit` bytes of a member with a `path`, or all; as many as its record says at most."""
        wanted = entry.size if limit is None else min(limit, entry.size)
        content = io.BytesIO()  # which gives its bytes away without a copy
        for piece in _unpacked(self.data, entry):
            wanted -= content.write(piece[:wanted])
            if not wanted:
                break
        return content.getvalue()

    @property
    def members(self) -> tuple[Entry, ...]:
        """The files that may be unpacked."""
        return tuple(entry for entry in self.entries if entry.path)


def names(data: bytes) -> list[str]:
    """The members' names as stored. Errors: ModelbuildError for a directory that is none."""
    return [record.name for record in Directory(data, Findings(), MAX_ENTRIES).records]


def survey(data: bytes, budget: int | None = None, most: int = MAX_ENTRIES) -> Zip:
    """What is in an archive, safe or not; `budget` bounds what may be unpacked, by default by the rules, and
    `most` how many entries are gone through.

    Errors: ModelbuildError (exit code 2) where the directory at the end is no complete one.
    """
    findings = Findings()
    directory = Directory(data, findings, most)
    reader = _Reader(data, directory, findings)
    entries = _apart([reader.entry(record) for record in directory.records], findings)
    left = unpacked_limit(len(data)) if budget is None else budget
    checksums: list[Checksum] = []
    found: list[Entry] = []
    seen: set[str] = set()
    for entry in entries:
        if entry.path in seen and entry.path:
            findings.add(TWICE, f"{entry.path!r} is in it twice")
            entry = _shut(entry)
        seen.add(entry.path)
        if entry.path and entry.size > left:
            findings.add(SIZE, f"{entry.path!r} unpacks to {entry.size} bytes, {left} are left of the limit")
            entry = _shut(entry)
        if entry.path:
            left -= entry.size
            checksum = _verified(data, entry, findings)
            entry = entry if checksum else _shut(entry)
            checksums += [checksum] if checksum else []
        found.append(entry)
    return Zip(
        data,
        tuple(found),
        tuple(
            replace(check, what=f"at most {most} entries") if check.what == COUNT else check
            for check in findings.checks(_RULES)
        ),
        tuple(checksums),
        _parts(data, directory, found),
        directory.comment,
    )


class _Reader:
    """Follows records to their members."""

    def __init__(self, data: bytes, directory: Directory, findings: Findings) -> None:
        self._data, self._findings = data, findings
        self._start, self._end = directory.start, directory.directory_end - directory.size

    def entry(self, record: Record) -> Entry:
        """The member of a record. Errors: ModelbuildError where its header is none."""
        place = self._start + record.place
        if place + _LOCAL.size > len(self._data) or self._data[place : place + 4] != MAGIC:
            raise damaged(f"{record.name[:80]!r} is not where its directory says", _NAME, place)
        fields = _LOCAL.unpack_from(self._data, place)
        name_end = place + _LOCAL.size + fields[9]
        offset = name_end + fields[10]
        if offset + record.packed > self._end:
            raise damaged(f"{record.name[:80]!r} ends outside of it", _NAME, place)
        name = decode_name(self._data[place + _LOCAL.size : name_end], fields[2], Findings())
        if name != record.name or fields[3] != record.method:
            self._findings.add(ALIKE, f"{record.name[:80]!r} is {name[:80]!r} in its own header")
        kind = _kind(record)
        return Entry(
            record.name,
            kind,
            record.size,
            record.packed,
            place,
            offset,
            record.method,
            record.crc,
            self._path(record, kind),
        )

    def _path(self, record: Record, kind: str) -> str:
        if kind == "folder":
            plain_name(record.name.rstrip("/") or "/", self._findings)
            return ""
        if kind != "file":
            self._findings.add(REGULAR, f"{record.name[:80]!r} is a {kind}")
            return ""
        plain = plain_name(record.name, self._findings) or ""
        if record.flags & _ENCRYPTED or record.method not in (_STORED, _DEFLATED):
            how = "encrypted" if record.flags & _ENCRYPTED else f"packed by method {record.method}"
            self._findings.add(READABLE, f"{record.name[:80]!r} is {how}")
            return ""
        return plain


def _kind(record: Record) -> str:
    return _KINDS.get(record.mode & _TYPE, "folder" if record.name.endswith("/") else "file")


def _apart(entries: Sequence[Entry], findings: Findings) -> list[Entry]:
    """The entries; those whose bytes belong to another one, too, without a path: bombs are made that way."""
    shared: set[int] = set()
    order = sorted(range(len(entries)), key=lambda index: (entries[index].start, entries[index].packed))
    furthest = 0
    for before, after in pairwise(order):
        furthest = max(furthest, entries[before].offset + entries[before].packed)
        if entries[after].start < furthest:
            findings.add(APART, f"{entries[after].name[:80]!r} begins inside {entries[before].name[:80]!r}")
            shared |= {before, after}
    return [_shut(entry) if index in shared else entry for index, entry in enumerate(entries)]


def _shut(entry: Entry) -> Entry:
    return replace(entry, path="")


def _verified(data: bytes, entry: Entry, findings: Findings) -> Checksum | None:
    """The member's checksum; None where it cannot be unpacked, or to another size than told."""
    crc, size = 0, 0
    try:
        for piece in _unpacked(data, entry):
            crc, size = zlib.crc32(piece, crc), size + len(piece)
            if size > entry.size:
                break
    except zlib.error as error:
        findings.add(READABLE, f"the compression of {entry.path!r} is broken ({error})")
        return None
    if size != entry.size:
        findings.add(SIZE, f"{entry.path!r} unpacks to another size than {entry.size}")
        return None
    return Checksum(f"CRC-32 of {entry.path}", entry.crc, crc)


def _unpacked(data: bytes, entry: Entry) -> Iterator[bytes]:
    """The content in pieces, of one more than its size says at most."""
    if entry.method == _STORED:
        for start in range(entry.offset, entry.offset + entry.packed, _PIECE):
            yield data[start : min(start + _PIECE, entry.offset + entry.packed)]
        return
    inflater = zlib.decompressobj(wbits=-15)
    place, end, left = entry.offset, entry.offset + entry.packed, entry.size + 1
    while left > 0 and not inflater.eof:
        source = inflater.unconsumed_tail or data[place : min(place + _PIECE, end)]
        place += 0 if inflater.unconsumed_tail else len(source)
        piece = inflater.decompress(source, min(left, _PIECE))
        if not piece and not source:
            return
        left -= len(piece)
        if piece:
            yield piece


def _parts(data: bytes, directory: Directory, entries: Sequence[Entry]) -> tuple[Part, ...]:
    """Headers, members, what may follow them, the directory and its end."""
    first = directory.directory_end - directory.size
    described = {
        entry.start
        for entry, record in zip(entries, directory.records, strict=True)
        if record.flags & _DESCRIPTOR
    }
    order = sorted(entries, key=lambda entry: entry.start)
    limits = [entry.start for entry in order[1:]] + [first]
    found: list[Part] = []
    for entry, limit in zip(order, limits, strict=False):  # of no members there is still one limit
        end = entry.offset + entry.packed
        found.append(Part(entry.start, entry.offset - entry.start, f"header of {entry.name}"))
        found.append(Part(entry.offset, entry.packed, entry.name))
        if entry.start in described and 12 <= limit - end <= 24:
            found.append(Part(end, limit - end, "data descriptor"))
    end64 = directory.end - directory.directory_end
    found.append(Part(first, directory.size, "directory"))
    found.append(Part(directory.directory_end, end64, "64-bit end of the directory"))
    found.append(Part(directory.end, len(data) - directory.end, "end of the directory"))
    return tuple(part for part in found if part.size)
