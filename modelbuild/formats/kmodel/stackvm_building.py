"""Builds the code of a function of the stack machine: pushes arguments, keeps registers, calls functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.formats.kmodel import stackvm_isa
from modelbuild.formats.kmodel.records import number
from modelbuild.formats.kmodel.stackvm_assembly import PREFIX, Label, Line, Value, assemble, op
from modelbuild.formats.kmodel.stackvm_isa import Isa, Operand
from modelbuild.formats.kmodel.types import DATATYPES

REGISTERS = 256  # of shapes, and as many of paddings
# What tensor functions take from the stack as a whole number: always, or if the elements are of these types.
# The runtime converts nothing, and has no values of other types there.
_REAL = {"float32": False, "bfloat16": False}
_SCALAR = {**dict.fromkeys(("int8", "int16", "int32", "uint8", "uint16", "uint32"), True), **_REAL}
WHOLE = {"h", "w"}
OF_ELEMENTS: Mapping[str, Mapping[str, bool]] = {
    "pad": _SCALAR,
    "lut1d": _SCALAR,
    "reduce": {"int32": True, "int64": True, "float32": False},
}


@dataclass(frozen=True)
class Place:
    """A byte of a memory: a name of `types.LOCATIONS`, and the offset there."""

    location: str
    offset: int


@dataclass(frozen=True)
class Argument:
    """A tensor that a call hands over, elements in row-major order."""

    place: Place
    datatype: str
    shape: tuple[int, ...]


Padding = tuple[int, int, int]  # before, after, interior
Given = Value | Place | Sequence[Any]  # what a register holds: numbers, or paddings


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides, in elements, of a tensor without gaps; also of dimensions of 1, as nncase writes them."""
    strides = [1] * len(shape)
    for index in range(len(shape) - 1, 0, -1):
        strides[index - 1] = strides[index] * shape[index]
    return tuple(strides)


class Builder:
    """Collects the instructions of one function of module `module`.

    What a register holds is known as long as the code runs straight on, and not stored again."""

    def __init__(self, module: int = 0, isa: Isa | None = None) -> None:
        self.lines: list[Line] = []
        self._module = module
        self._isa = isa or stackvm_isa.tables()[0]
        self._functions = {item.name: item for item in self._isa.functions if item is not None}
        self._held: dict[str, dict[tuple[int, ...], int]] = {"shape": {}, "padding": {}}

    def code(self) -> bytes:
        """The bytes so far. Errors: those of `assemble`."""
        return assemble(self.lines, self._isa)

    def emit(self, name: str, **operands: Value) -> None:
        """Any instruction as it is."""
        self.lines.append(op(name, **operands))

    def label(self, name: str) -> None:
        """The next instruction may be reached from elsewhere: registers are not known any more."""
        self.lines.append(Label(name))
        self._forget()

    def integer(self, value: int) -> None:
        """Push a whole number of 32 bits with sign; 0 and 1 have instructions of their own, of one byte."""
        if value in (0, 1) and isinstance(value, int):
            self.emit(f"ldc_i4_{value:d}")
        else:
            self.emit("ldc_i4", imm=value)

    def number(self, value: float) -> None:
        """Push a float32."""
        self.emit("ldc_r4", imm=value)

    def address(self, place: Place) -> None:
        """Push the address of a place."""
        self.emit("lea_buffer", location=place.location, subres_id=0, offset=place.offset)

    def shape(self, values: Sequence[int]) -> int:
        """The register that holds a shape, strides, axes or a permutation."""
        return self._register("shape", "stshape", tuple(values), len(values))

    def paddings(self, values: Sequence[Padding]) -> int:
        """The register that holds paddings of each dimension."""
        flat = tuple(number for padding in values for number in self._padding(padding))
        return self._register("padding", "stpaddings", flat, len(values))

    def tensor(self, name: str, **given: Given) -> None:
        """Call a tensor function: its operands and what it takes from the stack, all by name. Registers are
        given by what they hold. ModelbuildError for a name that is none, missing, or of the wrong kind."""
        item = self._functions.get(name)
        if item is None:
            raise ModelbuildError(
                f"there is no tensor function {name}", advice=did_you_mean(name, self._functions)
            )
        takes = {word.lstrip("#%"): word[0] for word in item.takes}
        known = {operand.name for operand in item.operands} | set(takes)
        for word in given:
            if word not in known:
                raise ModelbuildError(f"{name} has no argument {word}", advice=did_you_mean(word, known))
        for word in known:
            if word not in given:
                raise ModelbuildError(f"{name} needs the argument {word}")
        for word, kind in takes.items():
            self._push(name, word, kind, given)
        operands = {operand.name: self._operand(name, operand, given) for operand in item.operands}
        self.emit(PREFIX + name, **operands)

    def call(
        self, module: int, function: int, inputs: Sequence[Argument], outputs: Sequence[Argument]
    ) -> None:
        """Call a function of a module with these tensors."""
        if 2 * len((*inputs, *outputs)) > REGISTERS:
            raise ModelbuildError(
                f"a call has {len((*inputs, *outputs))} arguments; there is room for {REGISTERS // 2}",
                advice="divide the function: fewer tensors may go to it and come from it",
            )
        for item in (*inputs, *outputs):
            registers = self.shape(item.shape), self.shape(row_major(item.shape))
            self.address(item.place)
            for value in (number(DATATYPES, item.datatype, "type of an argument"), *registers):
                self.integer(value)
        self.emit(
            PREFIX + "call", function_id=function, module_id=module, num_src=len(inputs), num_dst=len(outputs)
        )
        if module == self._module:
            self._forget()

    def _push(self, function: str, name: str, kind: str, given: Mapping[str, Given]) -> None:
        """One argument on the stack; `kind` is the first letter in the table."""
        value = given[name]
        what = f"{function}, {name}"
        if kind == "%" and isinstance(value, tuple | list):
            for part in self._padding(value):
                self.integer(part)
        elif kind == "#" and isinstance(value, int | float) and not isinstance(value, bool):
            if _is_whole(function, name, given):
                self.integer(value)  # type: ignore[arg-type]  # assembling refuses a fraction
            else:
                self.number(value)
        elif kind not in "#%" and isinstance(value, Place):
            self.address(value)
        else:
            raise ModelbuildError(f"{what} does not hold {value!r}")

    def _operand(self, function: str, operand: Operand, given: Mapping[str, Given]) -> Value:
        value = given[operand.name]
        if operand.kind in self._held:
            if isinstance(value, tuple | list):
                return self.shape(value) if operand.kind == "shape" else self.paddings(value)
        elif isinstance(value, Value):
            return value
        raise ModelbuildError(f"{function}, {operand.name} does not hold {value!r}")

    def _padding(self, value: Sequence[int]) -> Sequence[int]:
        if len(value) != self._isa.padding_words:
            raise ModelbuildError(f"a padding has {self._isa.padding_words} numbers, not {len(value)}")
        return value

    def _register(self, kind: str, instruction: str, values: tuple[int, ...], rank: int) -> int:
        """The register that holds the values; if none does, the one unused longest is stored."""
        held = self._held[kind]
        register = held.pop(values, None)
        if register is None:
            register = len(held)
            if register == REGISTERS:
                register = held.pop(next(iter(held)))
            for value in values:
                self.integer(value)
            name = "rshape" if kind == "shape" else "rpaddings"
            self.emit(instruction, **{name: register, "rank": rank})
        held[values] = register
        return register

    def _forget(self) -> None:
        for held in self._held.values():
            held.clear()


def _is_whole(function: str, name: str, given: Mapping[str, Given]) -> bool:
    """Whether the machine takes this number as a whole one."""
    types = OF_ELEMENTS.get(function)
    if types is None:
        return name in WHOLE
    whole = types.get(str(given["datatype"]))
    if whole is None:
        raise ModelbuildError(f"{function}, {name}: the runtime takes no value of {given['datatype']}")
    return whole
