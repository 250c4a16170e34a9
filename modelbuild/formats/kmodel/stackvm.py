"""Reads code of the stack machine of version 5, and finds out by which release's table it was written."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelbuild.formats.kmodel import stackvm_isa
from modelbuild.formats.kmodel.model import Span
from modelbuild.formats.kmodel.records import named
from modelbuild.formats.kmodel.stackvm_isa import CODES, OPCODES, TENSOR, Instruction, Isa, Operand

MAX_INSTRUCTIONS = 100_000  # of a file; the rest is left undecoded
MAX_WORK = 300_000  # instructions decoded over all tables
MAX_RANK = 32
_STRUCTS = {
    item: struct.Struct("<" + "".join(CODES[operand.kind] for operand in item.operands))
    for item in OPCODES
}


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
    """One instruction at `offset` of the file. `operands` are inside it, `stack` is what it took from there."""

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
    """What one table makes of all functions: the lines of each, and where and why it cannot go on."""

    isa: Isa
    lines: list[list[Line]]
    failed: int | None = None  # an offset of the file
    why: str = ""
    used: dict[int, Instruction | None] = field(default_factory=dict)  # of the table
    uses_unary: bool = False
    uses_paddings: bool = False

    @property
    def count(self) -> int:
        """Instructions decoded."""
        return sum(len(lines) for lines in self.lines)

    def holds_for(self, isa: Isa) -> bool:
        """Whether this table says the same of everything that was used."""
        if self.uses_unary and isa.unary != self.isa.unary:
            return False
        if self.uses_paddings and isa.padding_words != self.isa.padding_words:
            return False
        return all(function(isa, number) == found for number, found in self.used.items())


class _ImplausibleError(Exception):
    """Why these bytes are no instruction, or none that a compiler would write."""


def function(isa: Isa, number: int) -> Instruction | None:
    """The tensor function of a number; None if there is none, or none with published operands."""
    return isa.functions[number] if number < len(isa.functions) else None


def attempts(data: bytes, codes: Sequence[Code], layout: str) -> list[Attempt]:
    """What each table of this layout makes of the code, newest first."""
    found: list[Attempt] = []
    work = 0
    for isa in stackvm_isa.tables():
        if isa.layout != layout:
            continue
        same = next((item for item in found if item.holds_for(isa)), None)
        if same is not None:
            found.append(
                Attempt(isa, same.lines, same.failed, same.why, same.used, same.uses_unary, same.uses_paddings)
            )
            continue
        if work >= MAX_WORK:
            found.append(Attempt(isa, [], codes[0].span.offset if codes else 0, "not tried: too much code"))
            continue
        found.append(_attempt(data, codes, isa))
        work += found[-1].count
    return found


def _attempt(data: bytes, codes: Sequence[Code], isa: Isa) -> Attempt:
    attempt = Attempt(isa, [])
    for code in codes:
        machine = _Machine(data, code, isa, attempt)
        attempt.lines.append(machine.lines)
        try:
            machine.run()
        except _ImplausibleError as error:
            if attempt.failed is None:
                attempt.failed, attempt.why = machine.place, str(error)
    return attempt


class _Machine:
    """Follows the stack and the registers through straight code; after a branch they are not known."""

    def __init__(self, data: bytes, code: Code, isa: Isa, attempt: Attempt) -> None:
        self.data, self.code, self.isa, self.attempt = data, code, isa, attempt
        self.place = code.span.offset
        self.lines: list[Line] = []
        self.stack: list[Value] = []
        self.registers: dict[str, dict[int, tuple[Value, ...]]] = {"shape": {}, "padding": {}}
        self.straight = True
        self.targets: list[int] = []

    def run(self) -> None:
        """Decode to the end. Raises `_ImplausibleError`, `place` being the instruction that is none."""
        end = self.code.span.end
        room = MAX_INSTRUCTIONS - self.attempt.count
        while self.place < end:
            if len(self.lines) >= room:
                raise _ImplausibleError(f"more than {MAX_INSTRUCTIONS} instructions")
            self.place += self._step(self.place, end)
        if self.straight and self.stack:
            raise _ImplausibleError(f"{len(self.stack)} values are left on the stack at the end")
        starts = {line.offset for line in self.lines}
        for target in self.targets:
            if target not in starts and target != end:
                raise _ImplausibleError(f"a branch goes to 0x{target:x}, where no instruction begins")

    def _step(self, place: int, end: int) -> int:
        opcode = self.data[place]
        if opcode == TENSOR:
            return self._tensor(place, end)
        if opcode >= len(OPCODES):
            raise _ImplausibleError(f"there is no opcode 0x{opcode:02x}")
        item = OPCODES[opcode]
        layout = _STRUCTS[item]
        size = 1 + layout.size
        if place + size > end:
            raise _ImplausibleError(f"{item.name} ends after the code")
        numbers = layout.unpack_from(self.data, place + 1)
        taken = self._take(item.takes)
        operands = tuple(zip((operand.name for operand in item.operands), numbers, strict=True))
        stack, shown = self._effect(item, numbers, place + size)
        self.lines.append(Line(place, size, item.name, shown or operands, stack or taken))
        return size

    def _effect(
        self, item: Instruction, numbers: tuple[int, ...], after: int
    ) -> tuple[tuple[tuple[str, object], ...], tuple[tuple[str, object], ...]]:
        """What a plain instruction does to stack and registers; what to show instead of the raw operands."""
        name = item.name
        if name in _CONSTANTS:
            self.stack.append(numbers[0] if numbers else _CONSTANTS[name])
        elif name == "lea_buffer":
            address = Address(*numbers)
            self._check_address(address)
            self.stack.append(address)
            return (), (("address", address),)
        elif name == "dup":
            self.stack += [self._pop()] * 2
        elif name in ("stshape", "stpaddings"):
            return (), (("register", self._store(name, *numbers)),)
        elif name.startswith("br"):
            self._branch(after + numbers[0] if numbers else None)
        elif name == "ret":
            self._branch(None)
        else:
            self.stack += [None] * item.gives
        return (), ()

    def _store(self, name: str, number: int, rank: int) -> Register:
        if rank > MAX_RANK:
            raise _ImplausibleError(f"{name} stores {rank} dimensions")
        paddings = name == "stpaddings"
        count = rank * (self.isa.padding_words if paddings else 1)
        self.attempt.uses_paddings |= paddings
        taken = tuple(reversed([self._pop() for _ in range(count)]))
        if any(isinstance(value, (float, Address)) for value in taken):
            raise _ImplausibleError(f"{name} stores something that is no whole number")
        self.registers["padding" if paddings else "shape"][number] = taken
        return Register(number, taken)

    def _branch(self, target: int | None) -> None:
        if target is not None:
            if not self.code.span.offset <= target <= self.code.span.end:
                raise _ImplausibleError(f"a branch goes to 0x{target & 0xFFFFFFFF:x}, outside of the code")
            self.targets.append(target)
        self.straight = False
        self.stack.clear()

    def _tensor(self, place: int, end: int) -> int:
        if place + 3 > end:
            raise _ImplausibleError("a tensor instruction ends after the code")
        number = int.from_bytes(self.data[place + 1 : place + 3], "little")
        item = function(self.isa, number)
        self.attempt.used[number] = item
        if item is None:
            known = number < len(self.isa.names)
            why = f"has no published operands ({self.isa.names[number]})" if known else "is none"
            raise _ImplausibleError(f"tensor function {number} {why}")
        layout = _struct(item)
        size = 3 + layout.size
        if place + size > end:
            raise _ImplausibleError(f"{item.name} ends after the code")
        values = layout.unpack_from(self.data, place + 3)
        operands = tuple(
            (operand.name, self._operand(item, operand, value))
            for operand, value in zip(item.operands, values, strict=True)
        )
        stack = self._arguments(item, dict(operands))
        self.lines.append(Line(place, size, f"tensor.{item.name.partition('@')[0]}", operands, stack))
        return size

    def _operand(self, item: Instruction, operand: Operand, value: int) -> object:
        """The operand with its meaning; implausible if it has none."""
        if operand.kind in self.registers:
            self.attempt.uses_paddings |= operand.kind == "padding"
            held = self.registers[operand.kind].get(value)
            if held is None and self.straight:
                raise _ImplausibleError(f"{item.name} reads {operand.kind} register {value}, which holds nothing")
            return Register(value, held)
        self.attempt.uses_unary |= operand.kind == "unary"
        enum = self.isa.enum(operand.kind)
        if enum is None:
            return value
        if value not in enum:
            raise _ImplausibleError(f"{item.name} has {operand.name} {value}, which is none")
        return bool(value) if operand.kind == "bool" else named(enum, value)

    def _arguments(self, item: Instruction, operands: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
        variable = _VARIABLE.get(item.name.partition("@")[0])
        if variable is None:
            return self._take(item.takes)
        return self._take(tuple(variable(self, operands)))

    def _take(self, takes: Sequence[str]) -> tuple[tuple[str, object], ...]:
        """Pop arguments, the last one first, and tell each by name in the order they were pushed."""
        found: list[tuple[str, object]] = []
        for name in reversed(takes):
            kind, name = (name[0], name[1:]) if name[0] in "#%*" else ("", name)
            if kind == "%":
                self.attempt.uses_paddings = True
                values = tuple(reversed([self._number(name) for _ in range(self.isa.padding_words)]))
                found.append((name, values))
            elif kind == "*":
                found.append((name or "value", self._pop()))
            elif kind == "#":
                found.append((name, self._number(name)))
            else:
                value = self._pop()
                if isinstance(value, (int, float)):
                    raise _ImplausibleError(f"{name} is the number {value}, not an address")
                found.append((name, value))
        return tuple(reversed(found))

    def _number(self, name: str) -> Value:
        value = self._pop()
        if isinstance(value, Address):
            raise _ImplausibleError(f"{name} is an address, not a number")
        return value

    def _pop(self) -> Value:
        if self.stack:
            return self.stack.pop()
        if self.straight:
            raise _ImplausibleError("it takes a value from the empty stack")
        return None

    def _check_address(self, address: Address) -> None:
        """That an address lies in the memory that the file asks for."""
        size = self.code.memory.get(address.location)
        if size is None:
            raise _ImplausibleError(f"the module has no memory of location {address.location}")
        if address.offset > size:
            raise _ImplausibleError(f"an address lies at {address.offset} of {size} bytes")

    def call(self, operands: Mapping[str, object]) -> list[str]:
        """What a call takes: for each argument address, type, shape register and stride register."""
        module, target = operands.get("module_id"), operands.get("function_id", 0)
        if not isinstance(module, int) or not isinstance(target, int):
            raise _ImplausibleError("a call has no module")
        if module >= len(self.code.functions) or target >= self.code.functions[module]:
            raise _ImplausibleError(f"there is no function {target} of module {module}")
        names = []
        for count, what in (("num_src", "input"), ("num_dst", "output")):
            for index in range(int(str(operands[count]))):
                names += [f"{what}{index}", *(f"#{what}{index}_{item}" for item in ("type", "shape", "strides"))]
        return names

    def concat(self, operands: Mapping[str, object]) -> list[str]:
        """What a concatenation takes: address and stride register of each input, and the output."""
        names = []
        for index in range(int(str(operands["num_src"]))):
            names += [f"input{index}", f"#input{index}_strides"]
        return [*names, "output"]


_VARIABLE = {"call": _Machine.call, "concat": _Machine.concat}
_CONSTANTS: dict[str, Value] = {"ldnull": NULL, "ldc_i4": None, "ldc_i4_0": 0, "ldc_i4_1": 1, "ldc_r4": None}


def _struct(item: Instruction) -> struct.Struct:
    found = _STRUCTS.get(item)
    if found is None:
        found = struct.Struct("<" + "".join(CODES[operand.kind] for operand in item.operands))
        _STRUCTS[item] = found
    return found
