"""How fields are encoded: element types, field ranges, and what all instructions have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar


class ElementType(IntEnum):
    """How one integer lies in memory, little endian: bit 0 is signed, bit 1 is 16 bits."""

    U8 = 0
    I8 = 1
    U16 = 2
    I16 = 3

    @property
    def size(self) -> int:
        """Bytes an element."""
        return 2 if self & 2 else 1

    @property
    def low(self) -> int:
        """The smallest integer of the type."""
        return -(1 << (8 * self.size - 1)) if self & 1 else 0

    @property
    def high(self) -> int:
        """The largest integer of the type."""
        return (1 << (8 * self.size - (self & 1))) - 1


@dataclass(frozen=True)
class Encoding:
    """`code` is a struct format character; a value outside `low`..`high` is malformed."""

    code: str
    low: int
    high: int


def encoded(code: str, low: int, high: int, kw_only: bool = False) -> Any:
    """A field of this encoding."""
    return field(metadata={"encoding": Encoding(code, low, high)}, kw_only=kw_only)


def stage() -> Any:
    """Where a function of each cell is done: 0 in a pass of its own, 1 on the way out of the array."""
    return field(metadata={"encoding": Encoding("B", 0, 1)}, default=0)


def element_type() -> Any:
    """A field that holds an ElementType."""
    return encoded("B", 0, 3)


def address() -> Any:
    """A byte address."""
    return encoded("I", 0, 2**32 - 1)


def extent(kw_only: bool = False) -> Any:
    """A number of things, at least one."""
    return encoded("I", 1, 2**31 - 1, kw_only)


def count() -> Any:
    """A number of things, perhaps none."""
    return encoded("I", 0, 2**31 - 1)


def small() -> Any:
    """A number from 1 to 65535."""
    return encoded("H", 1, 2**16 - 1)


def integer() -> Any:
    """A signed integer of 32 bits."""
    return encoded("i", -(2**31), 2**31 - 1)


@dataclass(frozen=True, slots=True)
class Instruction:
    """What all instructions have in common: nothing but an opcode."""

    opcode: ClassVar[int] = 0
