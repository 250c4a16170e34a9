"""Tar and .tar.gz archives: written so that equal members give equal bytes, read so that none can do harm.

`survey` tells what is in any archive and which of the rules of the vendor's loader it breaks; `read` and
`members` refuse what breaks one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from modelbuild.formats import gzip_stream, tar_header, tar_writing
from modelbuild.formats.archive import (
    COUNT,
    FREE_SIZE,
    MAX_ENTRIES,
    MAX_RATIO,
    MAX_SIZE,
    REGULAR,
    SIZE,
    TWICE,
    Findings,
    Refused,
    plain_name,
    unpacked_limit,
)
from modelbuild.formats.checks import Check
from modelbuild.formats.checksum import Checksum
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.gzip_stream import Slices
from modelbuild.formats.parts import Part
from modelbuild.formats.tar_header import BLOCK, EXTENSIONS, FILE, FOLDER, MAX_HEADER_DATA, Header

__all__ = [
    "FREE_SIZE",
    "MAX_ENTRIES",
    "MAX_RATIO",
    "MAX_SIZE",
    "Entry",
    "Member",
    "Tar",
    "is_tar",
    "members",
    "names",
    "read",
    "survey",
    "write",
]

_ZEROS = bytes(BLOCK)
_NAME = "archive"


@dataclass(frozen=True)
class Member:
    """A file in an archive."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Entry:
    """A header and what follows it. `path` is the safe name of a file, `data` its content; both are empty
    for what is no file or breaks a rule. `offset` is that of the content in the unpacked archive."""

    name: str
    kind: str
    size: int
    offset: int
    header: Header
    path: str = ""
    data: bytes = b""

    @cached_property
    def sha256(self) -> str:
        """The digest of the content, in hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Tar:
    """An archive as found. `parts` are those of the file, `unpacked_parts` those of the tar in a gzip, whose
    size is `unpacked_size`. `checks` are the rules, `first` the first finding against one of them."""

    packed: bool
    entries: tuple[Entry, ...]
    checks: tuple[Check, ...]
    checksums: tuple[Checksum, ...]
    parts: tuple[Part, ...]
    unpacked_parts: tuple[Part, ...]
    unpacked_size: int
    first: str

    @property
    def members(self) -> tuple[Member, ...]:
        """The files that may be unpacked, in the order of the archive."""
        return tuple(Member(entry.path, entry.data) for entry in self.entries if entry.path)

    @property
    def times(self) -> frozenset[int | None]:
        """The times of all entries."""
        return frozenset(entry.header.time for entry in self.entries)

    def is_canonical(self, data: Slices) -> bool:
        """Whether `data`, which this was read from, are the bytes that `write` gives for its members."""
        files, times = self.members, self.times
        names = [entry.path for entry in self.entries]
        sorted_ones = all(before < after for before, after in pairwise(names))
        if not gzip_stream.is_stored(data) or not all(names) or not sorted_ones or len(times) > 1:
            return False
        time = next(iter(times), 0)
        short = all(len(member.name.encode()) <= 100 for member in files)
        return (
            time is not None
            and short
            and tar_writing.begins(data, tar_writing.pieces({one.name: one.data for one in files}, time))
        )


def write(files: Mapping[str, bytes] | Iterable[Member], time: int = 0) -> bytes:
    """A .tar.gz of these files: sorted by name, owner 0, mode 0644, all of one `time`, in stored blocks.

    Errors: ModelbuildError for a name that `read` would refuse, that comes twice, or has more than 100 bytes.
    """
    if isinstance(files, Mapping):
        return b"".join(tar_writing.pieces(files, time))
    by_name: dict[str, bytes] = {}
    for member in files:
        if member.name in by_name:
            raise Refused(f"{member.name!r} is in it twice")
        by_name[member.name] = member.data
    return b"".join(tar_writing.pieces(by_name, time))


def read(data: Slices) -> list[Member]:
    """Every file of a .tar.gz or tar, in the order of the archive. Errors: see `members`."""
    return list(members(data))


def members(data: Slices) -> Iterator[Member]:
    """The files of a .tar.gz or tar one by one; folders are passed over.

    Errors: ModelbuildError (exit code 2) for anything that is not a complete archive with right checksums,
    and for links, devices, paths that leave the folder, confusable or repeated names, sizes out of bounds.
    """
    reader = _Reader(data)
    for entry in reader.entries():
        if reader.findings.first:
            raise Refused(reader.findings.first)
        if entry.path:
            yield Member(entry.path, entry.data)
    if reader.findings.first:
        raise Refused(reader.findings.first)
    wrong = next((item.what for item in reader.source.checksums() if not item.ok), None)
    if wrong:
        raise damaged(f"its compression is broken ({wrong})", _NAME, 0)


def survey(data: Slices) -> Tar:
    """What is in an archive, safe or not. Content of what breaks a rule is left out.

    Errors: ModelbuildError (exit code 2) for what is not a complete archive.
    """
    reader = _Reader(data)
    entries = tuple(reader.leniently())
    own, inner = reader.source.parts(), tuple(reader.parts)
    packed = data[:2] == gzip_stream.MAGIC
    return Tar(
        packed=packed,
        entries=entries,
        checks=reader.findings.checks(),
        checksums=reader.source.checksums(),
        parts=own if packed else inner,
        unpacked_parts=inner if packed else (),
        unpacked_size=reader.source.position,
        first=reader.findings.first,
    )


def names(data: Slices) -> Iterator[str]:
    """The names of the entries one by one, safe or not. Errors: as `survey`."""
    for entry in _Reader(data, keep=False).leniently():
        yield entry.name


def is_tar(block: bytes) -> bool:
    """Whether a file that starts with these 512 bytes is a tar that is not packed."""
    return len(block) >= BLOCK and tar_header.is_header(block[:BLOCK])


class _Reader:
    """Goes through an archive once. Stops early where a limit is reached: the rest stays unread."""

    def __init__(self, data: Slices, keep: bool = True) -> None:
        packed = data[:2] == gzip_stream.MAGIC or not is_tar(data[:BLOCK])
        self.source = (
            gzip_stream.Unpacked(data, unpacked_limit(len(data))) if packed else gzip_stream.Plain(data)
        )
        self.findings = Findings()
        self.parts: list[Part] = []
        self._seen: set[str] = set()
        self._keep = keep

    def leniently(self) -> Iterator[Entry]:
        """Every entry up to a limit, which is a finding here and no error."""
        try:
            yield from self.entries()
        except Refused as error:
            self.findings.add(SIZE, error.why)

    def entries(self) -> Iterator[Entry]:
        """Every entry. Errors: ModelbuildError for damage."""
        override: dict[str, str] = {}
        start, headers, count = 0, 0, 0
        while True:
            place = self.source.position
            block = self.source.take(BLOCK)
            if block == _ZEROS:
                self._end(place)
                return
            header = tar_header.read(block, place, self.findings)
            headers += 1
            if count == MAX_ENTRIES or headers > 3 * MAX_ENTRIES:
                self.findings.add(COUNT, f"it has more than {MAX_ENTRIES} entries")
                return
            if header.code in EXTENSIONS:
                if not 0 <= header.size <= MAX_HEADER_DATA:
                    self.findings.add(SIZE, f"an extended header has {header.size} bytes")
                    return
                content = self.source.take(header.size)
                self.source.skip(-header.size % BLOCK)
                override |= tar_header.records(header.code, content, place, self.findings)
                continue
            size = tar_header.size_of(override, header, self.findings)
            self.parts.append(Part(start, self.source.position - start, f"header of {header.name}"))
            if size is None or self._is_too_much(size, header, place):
                yield Entry(override.get("path", header.name), header.kind, 0, self.source.position, header)
                return
            yield self._entry(override, header, size)
            override, start, count = {}, self.source.position, count + 1

    def _is_too_much(self, size: int, header: Header, place: int) -> bool:
        """Whether a member is said to be larger than the whole archive may become."""
        too_much = self.source.position + size > self.source.limit
        if too_much:
            said = f"{header.name[:80]!r} is said to have {size} bytes, offset 0x{place:x}"
            self.findings.add(SIZE, f"it unpacks to more than {self.source.limit} bytes: {said}")
        return too_much

    def _entry(self, override: Mapping[str, str], header: Header, size: int) -> Entry:
        name = override.get("path", header.name)
        kind = "sparse file" if "sparse" in override else header.kind
        path = self._path(name, kind)
        offset = self.source.position
        kept = bool(path) and self._keep
        content = self.source.take(size) if kept else b""
        self.source.skip(0 if kept else size)
        self.source.skip(-size % BLOCK)
        self.parts.append(Part(offset, size, name))
        self.parts.append(Part(offset + size, -size % BLOCK, "padding"))
        return Entry(name, kind, size, offset, header, path, content)

    def _path(self, name: str, kind: str) -> str:
        """The safe path of a file; nothing for what is none, or breaks a rule."""
        if kind == FOLDER:
            stripped = name.rstrip("/").removeprefix("./")
            if stripped not in ("", "."):
                plain_name(stripped, self.findings)
            elif name.startswith("/") or not name:
                plain_name(name, self.findings)
            return ""
        if kind != FILE:
            self.findings.add(REGULAR, f"{name[:80]!r} is a {kind}; only regular files are allowed")
            return ""
        plain = plain_name(name, self.findings)
        if plain in self._seen:
            self.findings.add(TWICE, f"{plain!r} is in it twice")
            return ""
        self._seen.add(plain or "")
        return plain or ""

    def _end(self, place: int) -> None:
        """A second zero block, and nothing but zeros to the end of the file."""
        if self.source.take(BLOCK) != _ZEROS:
            raise damaged("there is data after its end", _NAME, place + BLOCK)
        for piece in self.source.rest():
            if piece.count(0) != len(piece):
                raise damaged("there is data after its end", _NAME, self.source.position)
        self.parts.append(Part(place, self.source.position - place, "end of the archive"))
