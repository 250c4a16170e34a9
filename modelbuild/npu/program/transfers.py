"""Control and transfers: layers, host segments, strided rectangles between DRAM and SRAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modelbuild.npu.program.encoding import (
    Instruction,
    address,
    count,
    element_type,
    encoded,
    extent,
    integer,
)

MAX_LAYERS = 2**16 - 2
MAX_LOOPS = 8
RAW, SHORT = 0, 1  # codecs of constants


@dataclass(frozen=True, slots=True)
class Loop:
    """One level of a strided transfer, outermost first. Strides in bytes."""

    count: int
    dram_stride: int
    sram_stride: int


@dataclass(frozen=True, slots=True)
class Layer(Instruction):
    """Waits for all engines; what follows belongs to the group of layers that entry `index` of the
    descriptor's layers is the first of."""

    opcode: ClassVar[int] = 0x01
    index: int = encoded("H", 0, MAX_LAYERS - 1)


@dataclass(frozen=True, slots=True)
class Yield(Instruction):
    """Waits for all engines, lets the host run its segment, and goes on."""

    opcode: ClassVar[int] = 0x02
    segment: int = encoded("H", 0, 2**16 - 1)


@dataclass(frozen=True, slots=True)
class End(Instruction):
    """The last instruction of a stream."""

    opcode: ClassVar[int] = 0x03


@dataclass(frozen=True, slots=True)
class Output(Instruction):
    """The next tile writes planes from `plane`, rows from `row` of the first output of `layer`, which never
    reaches DRAM. For whoever wants to see it; costs nothing."""

    opcode: ClassVar[int] = 0x04
    layer: int = encoded("H", 0, MAX_LAYERS - 1)
    plane: int = count()
    row: int = count()


@dataclass(frozen=True, slots=True)
class Transfer(Instruction):
    """`length` contiguous bytes, repeated by the loops. `dram` is an offset in DRAM or in the constants."""

    dram: int = address()
    sram: int = address()
    length: int = extent()
    loops: tuple[Loop, ...] = ()


@dataclass(frozen=True, slots=True)
class Load(Transfer):
    """DRAM to SRAM."""

    opcode: ClassVar[int] = 0x10


@dataclass(frozen=True, slots=True)
class LoadConstants(Transfer):
    """Constants (the weights section, or the host section's own) to SRAM: `stored` bytes become `length`."""

    opcode: ClassVar[int] = 0x11
    codec: int = encoded("B", RAW, SHORT, kw_only=True)
    stored: int = extent(kw_only=True)


@dataclass(frozen=True, slots=True)
class Store(Transfer):
    """SRAM to DRAM."""

    opcode: ClassVar[int] = 0x12


@dataclass(frozen=True, slots=True)
class Fill(Instruction):
    """`count` elements of one value to SRAM."""

    opcode: ClassVar[int] = 0x13
    output_type: int = element_type()
    value: int = integer()
    output: int = address()
    count: int = extent()
