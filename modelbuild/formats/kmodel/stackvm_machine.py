"""Follows the stack and the registers of the stack machine through the code of a function."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from modelbuild.formats.kmodel.records import named
from modelbuild.formats.kmodel.stackvm_isa import CODES, OPCODES, TENSOR, Instruction, Isa, Operand
from modelbuild.formats.kmodel.stackvm_values import (
    NULL,
    Address,
    Attempt,
    Code,
    Line,
    Register,
    Value,
    function,
)
from modelbuild.formats.kmodel.types import DATATYPES

MAX_INSTRUCTIONS = 50_000  # of a file; the rest is left undecoded
MAX_RANK = 32
_STRUCTS = {
    item: struct.Struct("<" + "".join(CODES[operand.kind] for operand in item.operands)) for item in OPCODES
}


class ImplausibleError(Exception):
    """Why these bytes are no instruction, or none that a compiler would write."""


class Machine:
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
        """Decode to the end. Raises `ImplausibleError`, `place` being the instruction that is none."""
        end = self.code.span.end
        room = MAX_INSTRUCTIONS - self.attempt.count
        while self.place < end:
            if len(self.lines) >= room:
                raise ImplausibleError(f"more than {MAX_INSTRUCTIONS} instructions")
            self.place += self._step(self.place, end)
        if self.straight and self.stack:
            raise ImplausibleError(f"{len(self.stack)} values are left on the stack at the end")
        starts = {line.offset for line in self.lines} if self.targets else set()
        for target in self.targets:
            if target not in starts and target != end:
                raise ImplausibleError(f"a branch goes to 0x{target:x}, where no instruction begins")

    def _step(self, place: int, end: int) -> int:
        opcode = self.data[place]
        if opcode == TENSOR:
            return self._tensor(place, end)
        if opcode >= len(OPCODES):
            raise ImplausibleError(f"there is no opcode 0x{opcode:02x}")
        item = OPCODES[opcode]
        layout = _STRUCTS[item]
        size = 1 + layout.size
        if place + size > end:
            raise ImplausibleError(f"{item.name} ends after the code")
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
            raise ImplausibleError(f"{name} stores {rank} dimensions")
        paddings = name == "stpaddings"
        count = rank * (self.isa.padding_words if paddings else 1)
        self.attempt.uses_paddings |= paddings
        taken = tuple(reversed([self._pop() for _ in range(count)]))
        if any(isinstance(value, (float, Address)) for value in taken):
            raise ImplausibleError(f"{name} stores something that is no whole number")
        self.registers["padding" if paddings else "shape"][number] = taken
        return Register(number, taken)

    def _branch(self, target: int | None) -> None:
        if target is not None:
            if not self.code.span.offset <= target <= self.code.span.end:
                raise ImplausibleError(f"a branch goes to 0x{target & 0xFFFFFFFF:x}, outside of the code")
            self.targets.append(target)
        self.straight = False
        self.stack.clear()

    def _tensor(self, place: int, end: int) -> int:
        if place + 3 > end:
            raise ImplausibleError("a tensor instruction ends after the code")
        number = int.from_bytes(self.data[place + 1 : place + 3], "little")
        item = function(self.isa, number)
        self.attempt.used[number] = item
        if item is None:
            known = number < len(self.isa.names)
            why = f"has no published operands ({self.isa.names[number]})" if known else "is none"
            raise ImplausibleError(f"tensor function {number} {why}")
        layout = _struct(item)
        size = 3 + layout.size
        if place + size > end:
            raise ImplausibleError(f"{item.name} ends after the code")
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
                raise ImplausibleError(
                    f"{item.name} reads {operand.kind} register {value}, which holds nothing"
                )
            return Register(value, held)
        self.attempt.uses_unary |= operand.kind == "unary"
        enum = self.isa.enum(operand.kind)
        if enum is None:
            return value
        if value not in enum:
            raise ImplausibleError(f"{item.name} has {operand.name} {value}, which is none")
        return bool(value) if operand.kind == "bool" else named(enum, value)

    def _arguments(self, item: Instruction, operands: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
        variable = _VARIABLE.get(item.name.partition("@")[0])
        if variable is None:
            return self._take(item.takes)
        taken = self._take(tuple(variable(self, operands)))
        return tuple((name, self._meaning(name, value)) for name, value in taken)

    def _meaning(self, name: str, value: object) -> object:
        """An argument that is the number of a type or of a register."""
        if not isinstance(value, int):
            return value
        if name.endswith("_type"):
            if value not in DATATYPES:
                raise ImplausibleError(f"{name} is {value}, which is none")
            return DATATYPES[value]
        held = self.registers["shape"].get(value)
        if held is None and self.straight:
            raise ImplausibleError(f"{name} is shape register {value}, which holds nothing")
        return Register(value, held)

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
                    raise ImplausibleError(f"{name} is the number {value}, not an address")
                found.append((name, value))
        return tuple(reversed(found))

    def _number(self, name: str) -> Value:
        value = self._pop()
        if isinstance(value, Address):
            raise ImplausibleError(f"{name} is an address, not a number")
        return value

    def _pop(self) -> Value:
        if self.stack:
            return self.stack.pop()
        if self.straight:
            raise ImplausibleError("it takes a value from the empty stack")
        return None

    def _check_address(self, address: Address) -> None:
        """That an address lies in the memory that the file asks for."""
        size = self.code.memory.get(address.location)
        if size is None:
            raise ImplausibleError(f"the module has no memory of location {address.location}")
        if address.offset > size:
            raise ImplausibleError(f"an address lies at {address.offset} of {size} bytes")

    def call(self, operands: Mapping[str, object]) -> list[str]:
        """What a call takes: for each argument address, type, shape register and stride register."""
        module, target = operands.get("module_id"), operands.get("function_id", 0)
        if not isinstance(module, int) or not isinstance(target, int):
            raise ImplausibleError("a call has no module")
        if module >= len(self.code.functions) or target >= self.code.functions[module]:
            raise ImplausibleError(f"there is no function {target} of module {module}")
        names = []
        for count, what in (("num_src", "input"), ("num_dst", "output")):
            for index in range(int(str(operands[count]))):
                names += [
                    f"{what}{index}",
                    *(f"#{what}{index}_{item}" for item in ("type", "shape", "strides")),
                ]
        return names

    def concat(self, operands: Mapping[str, object]) -> list[str]:
        """What a concatenation takes: address and stride register of each input, and the output."""
        names = []
        for index in range(int(str(operands["num_src"]))):
            names += [f"input{index}", f"#input{index}_strides"]
        return [*names, "output"]


_VARIABLE = {"call": Machine.call, "concat": Machine.concat}
_CONSTANTS: dict[str, Value] = {"ldnull": NULL, "ldc_i4": None, "ldc_i4_0": 0, "ldc_i4_1": 1, "ldc_r4": None}


def _struct(item: Instruction) -> struct.Struct:
    found = _STRUCTS.get(item)
    if found is None:
        found = struct.Struct("<" + "".join(CODES[operand.kind] for operand in item.operands))
        _STRUCTS[item] = found
    return found
