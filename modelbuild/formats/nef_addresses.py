"""The DRAM addresses that a setup block repeats, and how they follow when a model is moved."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, fields

from modelbuild.errors import ModelbuildError
from modelbuild.formats import setup_flatbuffer, setup_legacy
from modelbuild.formats.fw_info import Record, Region

REGIONS = tuple(field.name for field in fields(Record) if field.name not in ("id", "version"))


@dataclass(frozen=True)
class Place:
    """A word at `offset` of a setup block that holds an address in the region `region`; "" for any region."""

    offset: int
    region: str
    value: int


def moved(setup: bytes, generation: str, old: Record, new: Record) -> bytes:
    """The setup block of a model whose regions were `old` and are `new`.

    A block counts either from each region's own start, and then nothing changes, or in DRAM addresses, each
    of which moves with the region it lies in. Errors: ModelbuildError where it does neither.
    """
    places = _places(setup, generation)
    if relative(places, old):
        return setup
    changed = bytearray(setup)
    for place in places:
        if place.region:
            shift = _shift(place.value, [getattr(old, place.region)], [getattr(new, place.region)])
        else:
            shift = _shift(
                place.value, *([getattr(record, name) for name in REGIONS] for record in (old, new))
            )
        if shift is None:
            raise ModelbuildError(
                f"an address in the setup of model {old.id} lies in no region of the model",
                where=f"offset 0x{place.offset:x} of the setup",
                why=f"it is 0x{place.value:x}",
            )
        struct.pack_into("<I", changed, place.offset, place.value + shift)
    return bytes(changed)


def relative(places: Sequence[Place], record: Record) -> bool:
    """Whether addresses count from the start of their own region: no named one is the region's address."""
    named = [place for place in places if place.region]
    return all(place.value == 0 for place in named) and any(
        getattr(record, place.region).address for place in named
    )


def movable(setup: bytes, generation: str, record: Record) -> bool:
    """Whether the setup says that the program counts from its regions, wherever they are: it holds no DRAM
    address, or is a FlatBuffer of relative addressing, for which the firmware takes the default, too."""
    if generation == "flatbuffer":
        return setup_flatbuffer.addressing(setup) in (setup_flatbuffer.RELATIVE, 0)
    return relative(_places(setup, generation), record)


def _places(setup: bytes, generation: str) -> list[Place]:
    if generation == "flatbuffer":
        return [
            Place(offset, region if region in REGIONS else "", value)
            for offset, region, value in setup_flatbuffer.addresses(setup)
        ]
    found = setup_legacy.addresses(setup, generation.removeprefix("legacy"))
    return [Place(offset, region, value) for offset, region, value in found]


def _shift(value: int, old: Sequence[Region], new: Sequence[Region]) -> int | None:
    """How far the region that `value` lies in has moved; None where it lies in none."""
    inside = [
        after.address - before.address
        for before, after in zip(old, new, strict=True)
        if before.address <= value < before.address + max(before.size, 1)
    ]
    return inside[0] if inside else None
