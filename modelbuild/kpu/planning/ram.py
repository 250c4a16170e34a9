"""Places of maps in the KPU's RAM, for layers in a given order: shared by lifetime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelbuild.npu.planning.allocate import Lifetime, allocate

EFFORT = 200  # orders of placing that are tried where the simple ones do not fit


@dataclass(frozen=True)
class Held:
    """A map that lies in the RAM from operation `first` to `last` of a function, both included: operation 0
    is the upload, and k the k-th layer, which reads its input while it writes its output."""

    tensor: str
    size: int  # bytes
    first: int
    last: int


def held(source: str, steps: Sequence[tuple[str, str]], sizes: Mapping[str, int]) -> tuple[Held, ...]:
    """Lifetimes of the uploaded `source` and of what the layers write; `steps` are input and output of each
    layer in order."""
    last = {source: 0}
    for number, (read, written) in enumerate(steps, 1):
        last[read] = last[written] = number
    first = {written: number for number, (_, written) in enumerate(steps, 1)}
    return tuple(Held(name, sizes[name], first.get(name, 0), end) for name, end in last.items())


def placed(maps: Sequence[Held], read: Mapping[str, str], room: int) -> list[int] | None:
    """The byte at which each map begins, a multiple of 64 as their sizes are; None where no place was found
    in `room` bytes. `read` is what the layer reads that writes a map."""
    spans = [Lifetime(item.size, item.first, item.last) for item in maps]
    for found in (allocate(spans, EFFORT, room), _two_ends(maps, read, room)):
        if found is not None and all(
            offset + item.size <= room for offset, item in zip(found, maps, strict=True)
        ):
            return found
    return None


def _two_ends(maps: Sequence[Held], read: Mapping[str, str], room: int) -> list[int] | None:
    """What a layer writes lies at the other end than what it reads: right wherever nothing else lives. None
    where two maps that live at a time would overlap."""
    at_end: dict[str, bool] = {}
    for item in sorted(maps, key=lambda item: item.first):
        at_end[item.tensor] = item.tensor in read and not at_end[read[item.tensor]]
    found = [room - item.size if at_end[item.tensor] else 0 for item in maps]
    spans = list(zip(maps, found, strict=True))
    for index, (item, offset) in enumerate(spans):
        for other, place in spans[:index]:
            together = other.last >= item.first and item.last >= other.first
            if together and offset < place + other.size and place < offset + item.size:
                return None
    return found
