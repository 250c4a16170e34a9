"""The header of a .npy array, read without evaluating or unpickling anything."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from modelbuild.formats.flatbuffer import damaged

MAGIC = b"\x93NUMPY"
MAX_HEADER = 64 << 10
_MAX_RANK = 64
_DTYPE = re.compile(r"'descr'\s*:\s*'([<>|=])([biufcSUVOmM?])(\d{0,9})(\[[A-Za-z0-9/]{1,20}\])?'")
_ORDER = re.compile(r"'fortran_order'\s*:\s*(True|False)")
_SHAPE = re.compile(r"'shape'\s*:\s*\(([0-9, L]*)\)")
_KINDS = {"i": "int", "u": "uint", "f": "float", "c": "complex"}


@dataclass(frozen=True)
class Array:
    """What a header says. `dtype` is the name of a number's type, or the text of the header where it is
    none, then with an `item_size` of 0. `offset` is where the values begin."""

    dtype: str
    shape: tuple[int, ...]
    fortran_order: bool
    item_size: int
    offset: int

    @property
    def size(self) -> int | None:
        """Bytes of the values; None where an item's size is not known."""
        return math.prod(self.shape) * self.item_size if self.item_size else None


def read(head: bytes, name: str) -> Array:
    """The header at the start of `head`, of `MAX_HEADER` + 12 bytes or the whole file.

    Errors: ModelbuildError naming `name` for what is no complete header.
    """
    if head[:6] != MAGIC or len(head) < 10:
        raise damaged("it does not start with a .npy header", name, 0)
    wide = head[6] >= 2
    if head[6] not in (1, 2, 3) or (wide and len(head) < 12):
        raise damaged(f"its .npy header has version {head[6]}.{head[7]}", name, 6)
    length = int.from_bytes(head[8 : 12 if wide else 10], "little")
    start = 12 if wide else 10
    if length > MAX_HEADER or start + length > len(head):
        raise damaged(f"its .npy header of {length} bytes does not end", name, 8)
    text = head[start : start + length].decode("latin-1")
    shape, order = _SHAPE.search(text), _ORDER.search(text)
    if shape is None or order is None:
        raise damaged("its .npy header has no shape or order", name, start)
    dims = [dim.strip().removesuffix("L") for dim in shape[1].split(",")]
    dims = [dim for dim in dims if dim]
    if len(dims) > _MAX_RANK or not all(dim.isdigit() and len(dim) < 19 for dim in dims):
        raise damaged("its .npy header's shape is none", name, start)
    dtype, item_size = _dtype(text)
    return Array(dtype, tuple(int(dim) for dim in dims), order[1] == "True", item_size, start + length)


def _dtype(text: str) -> tuple[str, int]:
    """(name, bytes of an item)"""
    found = _DTYPE.search(text)
    if found is None:
        return f"unknown: {text[:80].strip()}", 0
    order, code, digits, unit = found.groups()
    size = int(digits or 0)
    swapped = " big endian" if order == ">" and size > 1 else ""
    if code in _KINDS and size in (1, 2, 4, 8, 16, 32):
        return f"{_KINDS[code]}{8 * size}{swapped}", size
    if code in "b?":
        return "bool", 1
    if code == "O":
        return "objects (pickled, not opened)", 0
    return f"{code}{digits}{unit or ''}{swapped}", size * (4 if code == "U" else 1)
