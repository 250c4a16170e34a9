"""The operations of a K210 module as they are written: one frozen record a kind, to bytes and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.kmodel import kpu_operations, kpu_registers
from modelbuild.formats.kmodel.kpu_registers import Layer
from modelbuild.formats.kmodel.records import NAME
from modelbuild.formats.kmodel.types import LOCATIONS

Shape = tuple[int, int, int, int]  # batches, channels, rows, columns


@dataclass(frozen=True)
class MemoryRange:
    """`size` bytes at `start` of a memory: names of `types.LOCATIONS` and `types.DATATYPES`."""

    location: str
    datatype: str
    start: int
    size: int
    shared_module: int = 0


NOWHERE = MemoryRange("input", "int8", 0, 0)


@dataclass(frozen=True)
class KpuUpload:
    """From main memory into the RAM of the KPU, in rows of 64 bytes. 44 bytes."""

    input: MemoryRange
    output: MemoryRange
    in_shape: Shape


@dataclass(frozen=True)
class KpuDownload:
    """From the RAM of the KPU to main memory. 44 bytes."""

    input: MemoryRange
    output: MemoryRange
    in_shape: Shape


@dataclass(frozen=True)
class KpuConv2d:
    """A layer of the KPU. With `main_mem_output` its result goes to main memory, too. 152 bytes."""

    weights: MemoryRange
    batch_norm: MemoryRange
    activation: MemoryRange
    layer: Layer
    main_mem_output: MemoryRange = NOWHERE
    batches: int = 1


@dataclass(frozen=True)
class Copy:
    """Inside of main memory; strides in elements. 76 bytes."""

    input: MemoryRange
    output: MemoryRange
    in_shape: Shape
    in_strides: Shape
    out_strides: Shape


KpuOperation = KpuUpload | KpuDownload | KpuConv2d | Copy
_CLASSES: tuple[type[KpuOperation], ...] = (KpuUpload, KpuDownload, KpuConv2d, Copy)  # by number
_KINDS = kpu_operations.kinds(LOCATIONS)


def pack(operations: Iterable[KpuOperation]) -> bytes:
    """The code of a function. ModelbuildError for a number that its field does not hold."""
    return b"".join(map(_packed, operations))


def unpack(data: bytes) -> tuple[KpuOperation, ...]:
    """The operations of a function's code: the inverse of `pack`. ModelbuildError with the offset in `data`
    for what `pack` would not write."""
    found: list[KpuOperation] = []
    place = 0
    while place < len(data):
        code = data[place]
        if code not in _KINDS:
            raise damaged(f"there is no operation {code}", NAME, place)
        layout = _KINDS[code][1]
        values = layout.shown(layout.read(data, place))
        try:
            operation = _CLASSES[code](
                **{field.name: _value(values[field.name]) for field in fields(_CLASSES[code])}
            )
            again = _packed(operation)
        except ModelbuildError as error:
            raise damaged(error.problems[0].what, NAME, place) from None
        if again != data[place : place + layout.size]:
            raise damaged("reserved bytes of an operation are not 0", NAME, place)
        found.append(operation)
        place += layout.size
    return tuple(found)


def _packed(operation: KpuOperation) -> bytes:
    code = _CLASSES.index(type(operation))
    values: dict[str, object] = {"opcode": code, "reserved": (0, 0, 0)}
    for field in fields(operation):
        value = getattr(operation, field.name)
        if isinstance(value, MemoryRange):
            value = {item.name: getattr(value, item.name) for item in fields(value)}
        values[field.name] = kpu_registers.pack(value) if isinstance(value, Layer) else value
    return _KINDS[code][1].pack(values)


def _value(value: Any) -> Any:
    """What a field of the record is in the class."""
    if isinstance(value, Mapping):
        return MemoryRange(**value)
    if isinstance(value, list):
        return kpu_registers.unpack(value) if len(value) == kpu_registers.COUNT else tuple(value)
    return value
