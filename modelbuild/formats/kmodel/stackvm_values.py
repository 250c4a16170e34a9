"""What is read of code of the stack machine: instructions, registers, places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelbuild.formats.kmodel.model import Span
from modelbuild.formats.kmodel.stackvm_isa import Instruction, Isa


@dataclass(frozen=True, slots=True)
class Address:
    """A place in memory: `location` as its number (-1: null), `subresource` (0 in all files seen), and offset
    in bytes; inputs, and outputs, lie one after the other."""

    location: int
    subresource: int
    offset: int


Value = int | float | Address | None  # None: not known
NULL = Address(-1, 0, 0)


@dataclass(frozen=True, slots=True)
class Register:
    """A register that holds a shape, strides or paddings; `value` is None where it is not known."""

    number: int
    value: tuple[Value, ...] | None


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction at `offset` of the file. `operands` are inside it, `stack` it took from there."""

    offset: int
    size: int
    name: str
    operands: tuple[tuple[str, object], ...] = ()
    stack: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class Code:
    """The text of one function, and what bounds its operands: bytes of each memory by the location's number,
    and how many functions each module has."""

    span: Span
    memory: Mapping[int, int] = field(default_factory=dict)
    functions: Sequence[int] = ()


@dataclass
class Attempt:
    """What one table makes of all functions: the lines of each, and where and why it cannot go on. Only the
    first attempt that is clean keeps its lines, or the one that came furthest where none is."""

    isa: Isa
    lines: list[list[Line]]
    failed: int | None = None  # an offset of the file
    why: str = ""
    count: int = 0  # instructions decoded
    agrees: bool = True  # says the same as the attempt that keeps its lines; of clean ones only
    used: dict[int, Instruction | None] = field(default_factory=dict)  # of the table
    uses_unary: bool = False
    uses_paddings: bool = False

    def holds_for(self, isa: Isa) -> bool:
        """Whether this table says the same of everything that was used."""
        if self.uses_unary and isa.unary != self.isa.unary:
            return False
        if self.uses_paddings and isa.padding_words != self.isa.padding_words:
            return False
        return all(function(isa, number) == found for number, found in self.used.items())


def function(isa: Isa, number: int) -> Instruction | None:
    """The tensor function of a number; None if there is none, or none with published operands."""
    return isa.functions[number] if number < len(isa.functions) else None
