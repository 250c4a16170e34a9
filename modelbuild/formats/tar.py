"""Flat .tar.gz archives: written so that equal members give equal bytes, read so that none can do harm.

The writer makes stored deflate blocks itself: no compressor's version decides a byte. The reader keeps the
rules of the vendor's loader: regular files only, no path out of the folder, nothing twice, bounded sizes.
"""

from __future__ import annotations

import struct
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.formats.flatbuffer import damaged

MAX_ENTRIES = 2048
MAX_RATIO = 64  # bytes that one compressed byte may become
FREE_SIZE = 64 << 20  # unpacked bytes that are always allowed
MAX_SIZE = 8 << 30
_BLOCK = 512
_MAX_HEADER_DATA = 64 << 10  # of a pax or long-name header
_STORED = 65_535  # most bytes in one stored deflate block
_GZIP_HEADER = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255))  # deflate, no name, mtime 0, OS unknown
_SLASHES = "\u2044\u2215\u29f8\uff0f\\"
_FORBIDDEN_CATEGORIES = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
_LINKS = {
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "device",
    b"4": "device",
    b"5": "folder",
    b"6": "FIFO",
}


@dataclass(frozen=True)
class Member:
    """A file in an archive."""

    name: str
    data: bytes


def write(members: Mapping[str, bytes]) -> bytes:
    """A .tar.gz of these files, sorted by name, owner 0, mode 0644, time 0."""
    parts: list[bytes] = []
    for name in sorted(members):
        _check_name(name)
        data = members[name]
        parts += [_header(name, len(data)), data, bytes(-len(data) % _BLOCK)]
    parts.append(bytes(2 * _BLOCK))
    return _gzip(b"".join(parts))


def read(data: bytes) -> list[Member]:
    """Every file of a .tar.gz, in the order of the archive. Errors: see `members`."""
    return list(members(data))


def members(data: bytes) -> Iterator[Member]:
    """The files of a .tar.gz one by one.

    Errors: ModelbuildError (exit code 2) for anything that is not a complete gzip of a complete tar, and for
    links, folders, devices, paths that leave the folder, confusable or repeated names, sizes out of bounds.
    """
    stream = _Stream(data)
    seen: set[str] = set()
    override: dict[str, str] = {}
    while True:
        block = stream.take(_BLOCK)
        if not any(block):
            stream.expect_zeros()
            return
        kind, size, name = _read_header(block, stream.position - _BLOCK)
        if kind in (b"x", b"g", b"L"):
            override |= _extension(kind, stream, size)
            continue
        size = _pax_size(override, size)
        name = override.get("path", name)
        if kind not in (b"0", b"\0", b"7"):
            what = _LINKS.get(kind, f"entry of the unknown kind {kind!r}")
            raise _refused(f"{name!r} is a {what}; only regular files are allowed")
        name = _check_name(name)
        if name in seen:
            raise _refused(f"{name!r} is in it twice")
        seen.add(name)
        if len(seen) > MAX_ENTRIES:
            raise _refused(f"it has more than {MAX_ENTRIES} entries")
        override = {}
        yield Member(name, stream.take(size))
        stream.take(-size % _BLOCK)


class _Stream:
    """Unpacks a gzip stream piece by piece, within the limits."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._inflater = zlib.decompressobj(wbits=31)
        self._place = 0
        self._ready = bytearray()
        self._limit = min(MAX_SIZE, max(FREE_SIZE, MAX_RATIO * len(data)))
        self.position = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if self.position + size > self._limit:
            raise _refused(f"it unpacks to more than {self._limit} bytes")
        while len(self._ready) < size:
            if not self._fill():
                raise damaged("it ends in the middle of a member", "archive", self.position)
        piece = bytes(self._ready[:size])
        del self._ready[:size]
        self.position += size
        return piece

    def expect_zeros(self) -> None:
        """Require a second zero block and nothing but zeros to the end of the file."""
        second = self.take(_BLOCK)
        while True:
            if any(second):
                raise damaged("there is data after its end", "archive", self.position)
            self.position += len(self._ready)
            second = bytes(self._ready)
            self._ready.clear()
            if self.position > self._limit:
                raise _refused(f"it unpacks to more than {self._limit} bytes")
            if not second and not self._fill():
                return

    def _fill(self) -> bool:
        """Unpack some more; False at the end of the gzip stream."""
        inflater = self._inflater
        if inflater.eof:
            if any(inflater.unused_data) or any(self._data[self._place :]):
                raise damaged("there is data after the gzip stream", "archive", self._place)
            return False
        source = inflater.unconsumed_tail
        if not source:
            source = self._data[self._place : self._place + (1 << 16)]
            self._place += len(source)
        try:
            piece = inflater.decompress(source, 1 << 18)
        except zlib.error as error:
            raise damaged(f"its compression is broken ({error})", "archive", self._place) from None
        if not piece and not source and not inflater.eof:
            raise damaged("it is truncated", "archive", self._place)
        self._ready += piece
        return True


def _refused(why: str) -> ModelbuildError:
    return ModelbuildError(
        f"the archive is refused: {why}", advice="do not unpack it; get it from its maker again"
    )


def _check_name(name: str) -> str:
    """The normalized name, once it is sure to be a plain file in the archive's own folder."""
    plain = name.removeprefix("./")
    pieces = plain.split("/")
    if not plain or plain.startswith("/") or (len(plain) > 1 and plain[1] == ":"):
        raise _refused(f"{name!r} is an absolute or empty path")
    if ".." in pieces or "." in pieces or "" in pieces:
        raise _refused(f"{name!r} leaves its folder or is not a plain path")
    bad = [char for char in plain if char in _SLASHES or unicodedata.category(char) in _FORBIDDEN_CATEGORIES]
    if bad or unicodedata.normalize("NFKC", plain) != plain:
        raise _refused(f"{name!r} has characters that can be mistaken for others")
    return plain


def _header(name: str, size: int) -> bytes:
    encoded = name.encode("utf-8")
    if len(encoded) > 100:
        raise ModelbuildError(f"{name!r} is too long for a tar archive", why="100 bytes are the limit")
    fields = (
        encoded.ljust(100, b"\0"),
        b"0000644\0",
        b"0000000\0" * 2,
        f"{size:011o}\0{0:011o}\0".encode(),
        b" " * 8,
        b"0",
        bytes(100),
        b"ustar\x0000",
        bytes(64),
        b"0000000\0" * 2,
        bytes(167),
    )
    block = b"".join(fields)
    return block[:148] + f"{sum(block):06o}\0 ".encode() + block[156:]


def _gzip(data: bytes) -> bytes:
    parts = [_GZIP_HEADER]
    for start in range(0, len(data), _STORED):
        piece = data[start : start + _STORED]
        last = start + _STORED >= len(data)
        parts += [struct.pack("<BHH", last, len(piece), len(piece) ^ 0xFFFF), piece]
    return b"".join(parts) + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def _read_header(block: bytes, place: int) -> tuple[bytes, int, str]:
    """(kind, size, name) of a header block whose checksum holds."""
    stored = _octal(block[148:156], place)
    if stored != sum(block[:148]) + 8 * 32 + sum(block[156:]):
        raise damaged("the checksum of a member's header does not agree", "archive", place)
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return block[156:157], _octal(block[124:136], place), f"{prefix}/{name}" if prefix else name


def _octal(field: bytes, place: int) -> int:
    text = field.strip(b" \0")
    if not text or text.strip(b"01234567"):
        raise damaged(f"{field!r} is not an octal number", "archive", place)
    return int(text, 8)


def _text(field: bytes) -> str:
    try:
        return field.split(b"\0", 1)[0].decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(f"the name {field[:40]!r} is not UTF-8") from None


def _extension(kind: bytes, stream: _Stream, size: int) -> dict[str, str]:
    """What a pax or long-name header says about the next member; only path and size matter here."""
    if size > _MAX_HEADER_DATA:
        raise _refused(f"an extended header has {size} bytes")
    data = stream.take(size)
    stream.take(-size % _BLOCK)
    if kind == b"L":
        return {"path": _text(data)}
    found: dict[str, str] = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or len(length) > 6 or not len(length) < int(length) <= len(data):
            raise damaged("a pax header is not made of records", "archive", stream.position)
        key, _, value = data[len(length) + 1 : int(length)].rstrip(b"\n").partition(b"=")
        data = data[int(length) :]
        if key in (b"path", b"size", b"linkpath"):
            found[key.decode()] = _text(value)
    if kind == b"g" and found:
        raise _refused("a global header renames members")
    return found


def _pax_size(override: Mapping[str, str], size: int) -> int:
    text = override.get("size")
    if text is None:
        return size
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise _refused(f"a member has the size {text!r}")
    return int(text)
