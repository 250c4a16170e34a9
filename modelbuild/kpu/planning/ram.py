"""Places of maps in the KPU's RAM, for layers in a given order: shared by lifetime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelbuild.npu.planning.allocate import Lifetime, allocate

EFFORT = 200  # orders of placing that are tried where the simple ones do not fit


@dataclass(frozen=True)
class Held:
    """A map that lies in the RAM from operation `first` to `last` of a function, both included: operation 0
    is an upload, and a layer reads its input while it writes its output. `root` is what it is a part of, from
    byte `offset` on, or itself."""

    tensor: str
    size: int  # bytes
    first: int
    last: int
    root: str = ""
    offset: int = 0

    @property
    def group(self) -> str:
        """What all maps have in common that must lie at set distances."""
        return self.root or self.tensor


def together(a: Held, b: Held) -> bool:
    """Whether two maps live at a time."""
    return a.last >= b.first and b.last >= a.first


def held(
    operations: Sequence[tuple[Sequence[str], str]],
    sizes: Mapping[str, int],
    spots: Mapping[str, tuple[str, int]] | None = None,
) -> tuple[Held, ...]:
    """Lifetimes of what is uploaded and what layers write; `operations` are what each reads, of an upload
    nothing, and what it writes. `spots`: root and offset of parts."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for number, (read, written) in enumerate(operations):
        first[written] = last[written] = number
        last.update(dict.fromkeys(read, number))
    parts = spots or {}
    return tuple(Held(name, sizes[name], first[name], last[name], *parts.get(name, ())) for name in first)


def placed(maps: Sequence[Held], read: Mapping[str, str], room: int) -> list[int] | None:
    """The byte at which each map begins, a multiple of 64 as their sizes are; None where no place was found
    in `room` bytes. `read` is what the layer reads that writes a map."""
    if any(item.root for item in maps):
        return _in_groups(maps, room)
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
            if together(other, item) and offset < place + other.size and place < offset + item.size:
                return None
    return found


Group = tuple[Held, ...]


def _in_groups(maps: Sequence[Held], room: int) -> list[int] | None:
    """Each group of maps in turn at the lowest byte where none of them is in the way; a group that finds no
    place has its turn earlier from then on."""
    groups: dict[str, list[Held]] = {}
    for item in maps:
        groups.setdefault(item.group, []).append(item)
    for order in _orders([tuple(items) for items in groups.values()]):
        waiting = list(order)
        for _ in range(EFFORT // len(_KEYS)):
            found = _stacked(waiting, room)
            if not isinstance(found, int):
                return [found[item.group] + item.offset for item in maps]
            if not found:
                break
            waiting.insert(found // 2, waiting.pop(found))
    return None


_KEYS: tuple[Callable[[Group], tuple[int, ...]], ...] = (
    lambda group: (-_size(group), _first(group)),
    lambda group: (-sum(item.size * (item.last - item.first + 1) for item in group),),
    lambda group: (_first(group), -_size(group)),
    lambda group: (-max(item.last for item in group), -_size(group)),
)


def _orders(groups: Sequence[Group]) -> Iterator[list[Group]]:
    for key in _KEYS:
        yield sorted(groups, key=key)


def _size(group: Group) -> int:
    return max(item.offset + item.size for item in group)


def _first(group: Group) -> int:
    return min(item.first for item in group)


def _stacked(order: Sequence[Group], room: int) -> dict[str, int] | int:
    """Where each group begins; or the number of the first that found no place."""
    found: dict[str, int] = {}
    lying: list[tuple[Held, int]] = []
    for number, group in enumerate(order):
        place = _lowest(group, lying, room)
        if place is None:
            return number
        found[group[0].group] = place
        lying += [(item, place + item.offset) for item in group]
    return found


def _lowest(group: Group, lying: Sequence[tuple[Held, int]], room: int) -> int | None:
    """The lowest byte for a group: 0, or where one of its maps begins behind one that lies."""
    taken = [  # where the group must not begin: between two bytes, both left out
        (place - item.offset - item.size, place + other.size - item.offset)
        for item in group
        for other, place in lying
        if together(item, other)
    ]
    begin = 0
    for low, high in sorted(taken):
        if low < begin < high:
            begin = high
    return begin if begin + _size(group) <= room else None
