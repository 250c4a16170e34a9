"""Accounts for every byte: what lies between the parts that a reader knows is padding, or unknown."""

from __future__ import annotations

from collections.abc import Iterable

from modelbuild.formats.kmodel.model import Unknown
from modelbuild.formats.parts import Part


def filled(data: bytes, parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts by offset, and one for each gap: padding if it holds only zeros, else unknown."""
    found: list[Part] = []
    end = 0
    last = Part(len(data), 1, "")
    for part in [
        *sorted((part for part in parts if part.size), key=lambda part: (part.offset, -part.size)),
        last,
    ]:
        if part.offset > end:
            zeros = data.count(0, end, part.offset) == part.offset - end
            found.append(Part(end, part.offset - end, "padding" if zeros else "unknown", zeros))
        if part is not last:
            found.append(part)
        end = max(end, part.offset + part.size)
    return tuple(found)


def reserved(what: str, offset: int, *values: int) -> list[Unknown]:
    """Words of 32 bits that nobody documents, where they are not zero."""
    return [Unknown(what, offset + 4 * index, value) for index, value in enumerate(values) if value]
