"""Headers of tar: ustar, GNU and pax, read; ustar, written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.formats.archive import HEADERS, SIZE, UTF8, Findings
from modelbuild.formats.flatbuffer import damaged

BLOCK = 512
MAX_HEADER_DATA = 64 << 10  # of a pax or long-name header
FILE, FOLDER = "file", "folder"
EXTENSIONS = (b"x", b"g", b"L", b"K")
_KINDS = {
    b"0": FILE,
    b"\0": FILE,
    b"7": FILE,
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "device",
    b"4": "device",
    b"5": FOLDER,
    b"6": "FIFO",
    b"S": "sparse file",
}
_NO_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")
_MAX_TIME = 8**11 - 1
_NAME = "archive"


@dataclass(frozen=True)
class Header:
    """One header block. `kind` is a word, `code` the byte it came from; `time` in seconds since 1970."""

    name: str
    code: bytes
    kind: str
    size: int
    mode: int | None
    time: int | None
    user: int | None
    group: int | None
    user_name: str
    group_name: str
    link: str

    @property
    def stored(self) -> int:
        """Bytes of content that follow: links, devices and folders have none, whatever their size says."""
        return 0 if self.code in _NO_DATA else self.size


def write(name: str, size: int, time: int) -> bytes:
    """The ustar header of a file of owner 0 and mode 0644. Errors: ModelbuildError for a long name."""
    encoded = name.encode("utf-8")
    if len(encoded) > 100:
        raise ModelbuildError(f"{name!r} is too long for a tar archive", why="100 bytes are the limit")
    if not 0 <= time <= _MAX_TIME:
        raise ModelbuildError(f"the time {time} has no place in a tar archive", why=f"0 to {_MAX_TIME} have")
    fields = (
        encoded.ljust(100, b"\0"),
        b"0000644\0",
        b"0000000\0" * 2,
        f"{size:011o}\0{time:011o}\0".encode(),
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


def is_header(block: bytes) -> bool:
    """Whether this is a header block whose checksum holds."""
    stored = block[148:156].strip(b" \0")
    if len(block) < BLOCK or not stored or stored.strip(b"01234567"):
        return False
    return _fits(block, int(stored, 8))


def read(block: bytes, place: int, findings: Findings) -> Header:
    """A header block. Errors: ModelbuildError where its checksum or a number does not hold."""
    if not _fits(block, _octal(block[148:156], "the checksum", place)):
        raise damaged("the checksum of a member's header does not agree", _NAME, place)
    ustar = block[257:263] == b"ustar\0"
    name, prefix = text(block[:100], findings), text(block[345:500], findings) if ustar else ""
    code = block[156:157]
    kind = _KINDS.get(code, f"entry of the unknown kind {code!r}")
    if kind == FILE and name.endswith("/"):
        kind = FOLDER  # how tar said it before there was a kind for it
    return Header(
        name=f"{prefix}/{name}" if prefix else name,
        code=b"5" if kind == FOLDER else code,
        kind=kind,
        size=_number(block[124:136], "a size", place),
        mode=_told(block[100:108]),
        time=_told(block[136:148]),
        user=_told(block[108:116]),
        group=_told(block[116:124]),
        user_name=text(block[265:297], findings) if block[257:262] == b"ustar" else "",
        group_name=text(block[297:329], findings) if block[257:262] == b"ustar" else "",
        link=text(block[157:257], findings),
    )


def records(code: bytes, data: bytes, place: int, findings: Findings) -> dict[str, str]:
    """What a pax or long-name header says of the next member: path, size, and whether it is sparse.

    Errors: ModelbuildError for what is not made of records.
    """
    if code in (b"L", b"K"):
        return {"path": text(data, findings)} if code == b"L" else {}
    found: dict[str, str] = {}
    sparse = ""  # what a sparse file is called; its `path` is made up by the program that packed it
    at = 0
    while at < len(data):
        length, _, _ = data[at : at + 8].partition(b" ")
        count = int(length) if length.isdigit() and len(length) <= 6 else 0
        if not len(length) < count <= len(data) - at:
            raise damaged("a pax header is not made of records", _NAME, place)
        key, _, value = data[at + len(length) + 1 : at + count].rstrip(b"\n").partition(b"=")
        at += count
        if key in (b"path", b"size"):
            found[key.decode()] = text(value, findings)
        elif key.startswith(b"GNU.sparse."):
            found["sparse"] = "yes"
            if key == b"GNU.sparse.name":
                sparse = text(value, findings)
    if sparse:
        found["path"] = sparse
    if code == b"g" and found:
        findings.add(HEADERS, "a global header renames members")
        return {}
    return found


def size_of(override: Mapping[str, str], header: Header, findings: Findings) -> int | None:
    """The bytes that follow the header, by what a pax header says; None where that is no size."""
    told = override.get("size")
    if told is None and header.stored >= 0:
        return header.stored
    told = str(header.stored) if told is None else told
    if told.isascii() and told.isdigit() and len(told) < 20:
        return 0 if header.code in _NO_DATA else int(told)
    findings.add(SIZE, f"a member has the size {told[:40]!r}")
    return None


def text(field: bytes, findings: Findings) -> str:
    """The text of a field that ends in a zero byte."""
    field = field.split(b"\0", 1)[0]
    try:
        return field.decode("utf-8")
    except UnicodeDecodeError:
        findings.add(UTF8, f"the name {field[:40]!r} is not UTF-8")
        return field.decode("utf-8", "backslashreplace")


def _fits(block: bytes, stored: int) -> bool:
    """Whether that is the sum of the bytes with blanks for the checksum, or as some old programs add signed
    ones."""
    counted = block[:148] + block[156:BLOCK]
    total = sum(counted) + 8 * 32
    return stored == total or stored == total - 256 * sum(byte > 127 for byte in counted)


def _number(field: bytes, what: str, place: int) -> int:
    """A number in octal digits, or, as GNU's tar has large and negative ones, in bytes behind a set first
    bit."""
    return _binary(field) if field[0] & 0x80 else _octal(field, what, place)


def _binary(field: bytes) -> int:
    """The number of two's complement in all bits but the first."""
    sign = 1 << (8 * len(field) - 2)
    value = int.from_bytes(field, "big") & (2 * sign - 1)
    return value - 2 * sign if value & sign else value


def _octal(field: bytes, what: str, place: int) -> int:
    digits = field.strip(b" \0")
    if not digits or digits.strip(b"01234567"):
        raise damaged(f"{what} is {field!r}, not an octal number", _NAME, place)
    return int(digits, 8)


def _told(field: bytes) -> int | None:
    """A number that decides nothing; None where it is none."""
    digits = field.strip(b" \0")
    if field[0] & 0x80:
        return _binary(field)
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None
