"""Assembles code of the stack machine from symbolic instructions, and takes it apart again.

Both follow the tables of one release; no stack is followed here, `disassembly` does that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.kmodel import stackvm_isa
from modelbuild.formats.kmodel.records import NAME, Enum, named, number, packed
from modelbuild.formats.kmodel.stackvm_isa import CODES, OPCODES, TENSOR, Isa, Operand
from modelbuild.formats.kmodel.types import DEVELOPMENT_LOCATIONS, LOCATIONS

PREFIX = "tensor."  # of tensor functions
TARGET = "target"  # the operand of a branch: bytes from the next instruction
Value = int | float | str  # a bool is an int; names of enums and of labels are texts


@dataclass(frozen=True)
class Statement:
    """An instruction as the disassembly calls it, "ldc_i4" or "tensor.quantize", and its operands by name.
    Operands that have names are given by name, a branch's target by that of a label or in bytes."""

    name: str
    operands: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Label:
    """The place of the next instruction; `name` is no word of the machine."""

    name: str


Line = Statement | Label


def op(name: str, **operands: Value) -> Statement:
    """A statement in short."""
    return Statement(name, operands)


@dataclass(frozen=True)
class _Form:
    """How an instruction is stored: the bytes that it starts with, and its operands."""

    name: str
    start: bytes
    operands: tuple[Operand, ...]

    @property
    def size(self) -> int:
        return len(self.start) + sum(struct.calcsize("<" + CODES[item.kind]) for item in self.operands)


def assemble(lines: Iterable[Line], isa: Isa | None = None) -> bytes:
    """The code, by the table of nncase 1.9 unless told. ModelbuildError for names that are none, operands
    that are missing or not held, and branches out of the code: its end is no target, `ret` leaves."""
    isa = isa or stackvm_isa.tables()[0]
    forms = {form.name: form for form in _forms(isa)}
    labels: dict[str, int] = {}
    placed: list[tuple[_Form, Statement, int]] = []
    place = 0
    for line in lines:
        if isinstance(line, Label):
            if line.name in labels:
                raise ModelbuildError(f"label {line.name} is there twice")
            labels[line.name] = place
            continue
        form = forms.get(line.name)
        if form is None:
            advice = did_you_mean(line.name, forms)
            raise ModelbuildError(f"there is no instruction {line.name} in {isa.versions[0]}", advice=advice)
        placed.append((form, line, place))
        place += form.size
    return b"".join(
        form.start + _operands(form, statement, isa, _Places(labels, at + form.size, place))
        for form, statement, at in placed
    )


def disassemble(code: bytes, isa: Isa | None = None) -> tuple[Line, ...]:
    """The inverse of `assemble`. Labels, "label0" and so on, stand where branches go that meet an
    instruction. ModelbuildError with the offset in `code` for what is none of the table's."""
    isa = isa or stackvm_isa.tables()[0]
    forms = {form.start: form for form in _forms(isa)}
    found: dict[int, tuple[Statement, int]] = {}
    place = 0
    while place < len(code):
        length = 3 if code[place] == TENSOR else 1
        form = forms.get(code[place : place + length])
        if form is None:
            raise damaged(f"there is no instruction 0x{code[place : place + length].hex()}", NAME, place)
        if place + form.size > len(code):
            raise damaged(f"{form.name} ends after the code", NAME, place)
        found[place] = (_statement(form, code, place, isa), place + form.size)
        place += form.size
    branches = {
        place: after + int(statement.operands[TARGET])
        for place, (statement, after) in found.items()
        if TARGET in statement.operands
    }
    met = sorted({target for target in branches.values() if target in found})
    names = {target: f"label{index}" for index, target in enumerate(met)}
    lines: list[Line] = []
    for place, (statement, _) in found.items():
        if place in names:
            lines.append(Label(names[place]))
        if branches.get(place) in names:
            label = names[branches[place]]
            statement = Statement(statement.name, {**statement.operands, TARGET: label})
        lines.append(statement)
    return tuple(lines)


def _forms(isa: Isa) -> Iterable[_Form]:
    """All instructions of a release whose operands are published."""
    for opcode, item in enumerate(OPCODES):
        yield _Form(item.name, bytes((opcode,)), item.operands)
    for index, name in enumerate(isa.names):
        function = isa.functions[index]
        if function is not None:
            yield _Form(PREFIX + name, struct.pack("<BH", TENSOR, index), function.operands)


@dataclass(frozen=True)
class _Places:
    """Where labels are, where the next instruction begins, and where the code ends."""

    labels: Mapping[str, int]
    after: int
    end: int


def _operands(form: _Form, statement: Statement, isa: Isa, places: _Places) -> bytes:
    names = [operand.name for operand in form.operands]
    for name in statement.operands:
        if name not in names:
            raise ModelbuildError(f"{form.name} has no operand {name}", advice=did_you_mean(name, names))
    written = []
    for operand in form.operands:
        if operand.name not in statement.operands:
            raise ModelbuildError(f"{form.name} needs the operand {operand.name}")
        what = f"{form.name}, {operand.name}"
        value = statement.operands[operand.name]
        if operand.name == TARGET:
            value = _target(value, places, what)
        written.append(packed(CODES[operand.kind], _number(operand, value, isa, what), what=what))
    return b"".join(written)


def _target(value: Value, places: _Places, what: str) -> Value:
    """Bytes from the next instruction to where a branch goes, which lies in the code."""
    if isinstance(value, str):
        if value not in places.labels:
            advice = did_you_mean(value, places.labels)
            raise ModelbuildError(f"{what}: there is no label {value}", advice=advice)
        value = places.labels[value] - places.after
    if not 0 <= places.after + value < places.end:
        raise ModelbuildError(f"{what} lies outside of the code", advice="`ret` leaves the function")
    return value


def _number(operand: Operand, value: Value, isa: Isa, what: str) -> float:
    """What is stored for the value of an operand."""
    enum = _enum(operand, isa)
    if operand.kind == "bool":
        fits = isinstance(value, bool)
    elif enum is not None:
        fits = isinstance(value, str)
    elif operand.kind == "f32":
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        fits = isinstance(value, int) and not isinstance(value, bool)
    if not fits:
        raise ModelbuildError(f"{what} does not hold {value!r}")
    if isinstance(value, str):
        return number(enum or {}, value, what)
    return value


def _statement(form: _Form, code: bytes, place: int, isa: Isa) -> Statement:
    layout = "<" + "".join(CODES[operand.kind] for operand in form.operands)
    numbers = struct.unpack_from(layout, code, place + len(form.start))
    operands: dict[str, Value] = {}
    for operand, stored in zip(form.operands, numbers, strict=True):
        enum = _enum(operand, isa)
        if enum is not None and stored not in enum:
            raise damaged(f"{form.name} has {operand.name} {stored}, which is none", NAME, place)
        if operand.kind == "bool":
            operands[operand.name] = bool(stored)
        else:
            operands[operand.name] = stored if enum is None else named(enum, stored)
    return Statement(form.name, operands)


def _enum(operand: Operand, isa: Isa) -> Enum | None:
    if operand.kind == "location":
        return LOCATIONS if isa.layout == "release" else DEVELOPMENT_LOCATIONS
    return isa.enum(operand.kind)
