"""What stat(2) said of many files and their digests, in columns that one read brings back."""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
from array import array
from collections.abc import Iterator
from typing import Any

Signature = tuple[int, int, int, int]  # size, mtime_ns, inode, ctime_ns
UNKNOWN: Signature = (-1, 0, 0, 0)  # of a file that has to be looked at
ABSENT: Signature = (-2, 0, 0, 0)  # of a path where nothing is
# marshal's form belongs to a version of Python: another one's file is a miss
TAG = f"{sys.implementation.cache_tag} {sys.hexversion:x} {sys.byteorder}"
_DIGEST = 32  # bytes


def signature(found: os.stat_result) -> Signature:
    """What tells that a file is the one that was read."""
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns


def pack(value: Any) -> bytes:
    """A value of plain types after its SHA-256. Only this version of Python reads it."""
    body = marshal.dumps((TAG, value))
    return hashlib.sha256(body).digest() + body


def unpack(data: bytes | None) -> Any:
    """The inverse of `pack`; None for what is damaged, of another Python, or no data at all."""
    if data is None or len(data) <= _DIGEST:
        return None
    body = memoryview(data)[_DIGEST:]
    if hashlib.sha256(body).digest() != data[:_DIGEST]:
        return None
    tag, value = marshal.loads(body)
    return value if tag == TAG else None


class Rows:
    """Names with a signature and a digest each, in the order in which they were added."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._columns = (array("q"), array("q"), array("Q"), array("q"))
        self._digests = bytearray()

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[tuple[str, int, int, int, int]]:
        """(name, size, mtime, inode, ctime) of each row."""
        return zip(self.names, *self._columns, strict=True)

    def add(self, name: str, signature: Signature, digest: str) -> None:
        """Adds a row; `digest` is 64 hex digits."""
        self.names.append(name)
        for column, value in zip(self._columns, signature, strict=True):
            column.append(value)
        self._digests += bytes.fromhex(digest)

    def replace(self, index: int, signature: Signature, digest: str) -> None:
        """Puts other values into a row."""
        for column, value in zip(self._columns, signature, strict=True):
            column[index] = value
        self._digests[_DIGEST * index : _DIGEST * (index + 1)] = bytes.fromhex(digest)

    def put(self, index: int, name: str, signature: Signature, digest: str) -> None:
        """Puts another row in the place of one."""
        self.names[index] = name
        self.replace(index, signature, digest)

    def extend(self, other: Rows, start: int, stop: int) -> None:
        """Adds rows of another table."""
        self.names += other.names[start:stop]
        for column, values in zip(self._columns, other._columns, strict=True):
            column.extend(values[start:stop])
        self._digests += other._digests[_DIGEST * start : _DIGEST * stop]

    def signature(self, index: int) -> Signature:
        """The signature of a row."""
        size, mtime, inode, ctime = self._columns
        return size[index], mtime[index], inode[index], ctime[index]

    def digest(self, index: int) -> str:
        """The digest of a row."""
        return self._digests[_DIGEST * index : _DIGEST * (index + 1)].hex()

    def packed(self) -> tuple[Any, ...]:
        """Plain values for `pack`."""
        return "\0".join(self.names), *(column.tobytes() for column in self._columns), bytes(self._digests)

    @classmethod
    def unpacked(cls, packed: tuple[Any, ...]) -> Rows:
        """The inverse of `packed`."""
        names, *columns, digests = packed
        rows = cls()
        rows.names = names.split("\0") if digests else []
        for column, data in zip(rows._columns, columns, strict=True):
            column.frombytes(data)
        rows._digests += digests
        return rows
