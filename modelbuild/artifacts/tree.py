"""The object of `inspect` as a tree of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_HEXADECIMAL = ("address", "stored", "computed", "kn_number")
_MAX_LINE = 100


def render(described: Mapping[str, Any]) -> str:
    """One line a value, two spaces a level; empty values are left out; ends in a newline."""
    return "\n".join(_mapping(described, "")) + "\n"


def _mapping(values: Mapping[str, Any], indent: str) -> Iterable[str]:
    for key, value in values.items():
        if value is None or value == [] or value == {} or value == "":
            continue
        yield from _entry(key, value, indent)


def _entry(key: str, value: Any, indent: str) -> Iterable[str]:
    label = _printable(key.replace("_", " "))
    if isinstance(value, Mapping):
        line = _inline(value)
        if len(indent) + len(label) + len(line) < _MAX_LINE and not _nested(value):
            yield f"{indent}{label}: {line}"
        else:
            yield f"{indent}{label}:"
            yield from _mapping(value, indent + "  ")
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        yield f"{indent}{label}:"
        for item in value:
            yield from _item(item, indent + "  ")
    else:
        yield f"{indent}{label}: {_scalar(key, value)}"


def _item(value: Mapping[str, Any], indent: str) -> Iterable[str]:
    """An element of a list: on one line, or under its name."""
    if not _nested(value):
        yield f"{indent}{_inline(value)}"
        return
    heads = [
        f"{key} {_scalar(key, value[key])}"
        for key in ("id", "name", "version")
        if value.get(key) not in (None, "")
    ]
    yield f"{indent}{', '.join(heads) or '-'}"
    rest = {key: item for key, item in value.items() if key not in ("id", "name", "version")}
    yield from _mapping(rest, indent + "  ")


def _nested(value: Mapping[str, Any]) -> bool:
    lists = (item for item in value.values() if isinstance(item, list))
    return any(isinstance(item, Mapping) for item in value.values()) or any(
        isinstance(element, Mapping) for item in lists for element in item
    )


def _inline(value: Mapping[str, Any]) -> str:
    shown = [(key, item) for key, item in value.items() if item is not None and item != "" and item != []]
    return ", ".join(
        _scalar(key, item)
        if key in ("name", "what", "shape", "dtype", "layout")
        else f"{_printable(key)} {_scalar(key, item)}"
        for key, item in shown
    )


def _scalar(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key in _HEXADECIMAL and isinstance(value, int):
        return f"0x{value:08x}"
    if key == "shape" and isinstance(value, Sequence):
        return "x".join("?" if item is None else str(item) for item in value)
    if isinstance(value, list):
        return ", ".join(_scalar("", item) for item in value)
    if isinstance(value, float):
        return f"{value:.9g}"
    return _printable(str(value).strip())


def _printable(text: str) -> str:
    """Text without control characters: what a container holds must not steer a terminal."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
