"""How numbers of a file read in text: places and checksums hexadecimal, shapes with a cross."""

from __future__ import annotations

from typing import Any

from modelbuild.artifacts.columns import printable

_HEXADECIMAL = frozenset(
    {"address", "stored", "computed", "kn_number", "offset", "uuid", "entry", "magic", "crc"}
)
_SHAPES = frozenset({"shape", "npu_shape", "signature", "input", "output"})
_VERSIONS = frozenset({"listed_version"})  # decimal in the file; elsewhere they are four hexadecimal digits


def worded(key: str, value: Any) -> str | None:
    """The text of a value that is a place, a checksum or a shape by its key; None for all others."""
    if key in _VERSIONS and isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return f"{value}, which is {int(value):04x}"
    if _is_whole(value):
        is_place = key in _HEXADECIMAL or key.replace("_", " ").endswith(" address")
        return f"0x{value:08x}" if is_place and value >= 0 else None
    if key == "shape" and value is None:
        return "unknown rank"
    if key in _SHAPES and isinstance(value, list) and all(map(_is_size, value)):
        return "x".join("?" if item is None else printable(str(item)) for item in value) or "scalar"
    return None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return value is None or isinstance(value, int | str)
