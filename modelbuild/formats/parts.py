"""What every byte of a file is: the parts that a reader knows, and the gaps between them that it does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """`size` bytes at `offset` of the file. `known` is false where nobody knows what they mean."""

    offset: int
    size: int
    what: str
    known: bool = True


def covered(parts: Iterable[Part], size: int) -> tuple[Part, ...]:
    """The parts in the order of their offsets, with an unknown part for each gap up to `size` bytes.

    Empty parts are left out. A part inside another one, as a section in a module, does not end that one.
    """
    found: list[Part] = []
    end = 0
    for part in sorted((part for part in parts if part.size), key=lambda part: (part.offset, -part.size)):
        if part.offset > end:
            found.append(Part(end, part.offset - end, "unknown", known=False))
        found.append(part)
        end = max(end, part.offset + part.size)
    if end < size:
        found.append(Part(end, size - end, "unknown", known=False))
    return tuple(found)


def filled(parts: list[Part], data: bytes | memoryview, start: int = 0) -> list[Part]:
    """The parts, and each gap between them up to the end of the data: padding where it is zero, else unknown.

    `start` is where the data begin in the file; the parts' offsets are the file's."""
    found: list[Part] = []
    end = start
    stop = start + len(data)
    for part in [*sorted(parts, key=lambda part: (part.offset, -part.size)), Part(stop, 0, "")]:
        if part.offset > end:
            gap = bytes(data[end - start : part.offset - start])
            zero = not gap.strip(b"\0")
            found.append(Part(end, len(gap), "padding" if zero else "unknown", zero))
        if part.size:
            found.append(part)
        end = max(end, part.offset + part.size)
    return found
