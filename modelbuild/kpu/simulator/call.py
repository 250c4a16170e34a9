"""One call of a tensor function: its operands by name, tensors read and written with checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelbuild.kpu.simulator import scalars
from modelbuild.kpu.simulator.limits import PYTHON_LOOP, refused
from modelbuild.kpu.simulator.memory import Array, elements, extent, row_major
from modelbuild.kpu.simulator.run import Frame
from modelbuild.kpu.simulator.scalars import Value
from modelbuild.kpu.simulator.types import F32, dtype_of, raw

Shape = tuple[int, ...]
Padding = tuple[int, int, int]  # before, after, interior


@dataclass(frozen=True)
class Call:
    """`operands` are the numbers in the instruction, `stack` what was taken from the stack, by name."""

    frame: Frame
    name: str
    operands: Mapping[str, int | float]
    stack: Mapping[str, Value | Padding]
    keep: bool

    def number(self, name: str) -> int:
        """A whole number of the instruction."""
        return int(self.operands[name])

    def flag(self, name: str) -> bool:
        """A truth value of the instruction."""
        return bool(self.operands[name])

    def float32(self, name: str) -> np.float32:
        """A real number of the instruction."""
        return np.float32(self.operands[name])

    def shape(self, name: str) -> Shape:
        """What the shape register holds that the operand names."""
        found = self.frame.module.shapes.get(self.number(name))
        if found is None:
            raise refused(f"{self.name} reads shape register {self.number(name)}, which holds nothing")
        return found

    def sizes(self, name: str) -> Shape:
        """A shape of a tensor; one of no dimensions the runtime cannot walk through."""
        found = self.shape(name)
        if not found or 0 in found:
            raise refused(f"{self.name} has a tensor of shape {list(found)}")
        elements(found)
        return found

    def paddings(self, name: str) -> tuple[Padding, ...]:
        """What the padding register holds that the operand names."""
        found = self.frame.module.paddings.get(self.number(name))
        if found is None:
            raise refused(f"{self.name} reads padding register {self.number(name)}, which holds nothing")
        return found

    def padding(self, name: str) -> Padding:
        """A padding from the stack."""
        found = self.stack[name]
        assert isinstance(found, tuple)
        return found

    def value(self, name: str) -> Value:
        """A number from the stack."""
        found = self.stack[name]
        assert not isinstance(found, tuple)
        return found

    def address(self, name: str) -> int:
        """An address from the stack."""
        return scalars.whole(self.value(name))

    def moved(self) -> np.dtype:
        """The unsigned type of the size of the operand's type: for functions that only move elements."""
        return raw(self.number("datatype"))

    def only(self, *codes: int) -> np.dtype:
        """The operand's type, which must be one of those that the kernel has."""
        code = self.number("datatype")
        if code not in codes:
            raise refused(f"{self.name} has no kernel for {dtype_of(code)}")
        return dtype_of(code)

    def spend(self, work: int, rounds: int = 0) -> None:
        """Counts work before it is done: elements, and rounds of a loop of ours."""
        self.frame.run.budget.spend(work + rounds * PYTHON_LOOP)

    def load(
        self, what: str, shape: Sequence[int], strides: Sequence[int] | None = None, dtype: np.dtype = F32
    ) -> Array:
        """The tensor at the address of this name; without strides there are no gaps."""
        steps = row_major(shape) if strides is None else strides
        return self.frame.run.load(what, self.keep, self.address(what), dtype, shape, steps)

    def store(
        self, what: str, values: Array, strides: Sequence[int] | None = None, *, anywhere: bool = False
    ) -> None:
        """Writes the tensor to the address of this name; without strides there are no gaps."""
        steps = row_major(values.shape) if strides is None else strides
        self.frame.run.store(what, self.keep, self.address(what), values, steps, anywhere)

    def fits(self, what: str, shape: Sequence[int], dtype: np.dtype, strides: Sequence[int]) -> None:
        """That a result will have room, before it is made."""
        region, offset = self.frame.run.memory.place(self.address(what))
        if elements(shape):
            extent(region, offset, dtype, shape, strides)

    def clamped(self, values: Array) -> Array:
        """float32 within the instruction's bounds, as the runtime compares: NaN and -0.0 stay."""
        low, high = self.float32("fused_clamp_low"), self.float32("fused_clamp_high")
        if low == -np.inf and high == np.inf:
            return values
        values = np.where(high < values, high, values)
        return np.where(values < low, low, values)

    def inexact(self) -> None:
        """Marks the call: the vendor's result may differ in the last bits."""
        self.frame.run.recorder.exact = False

    def fail(self, why: str) -> Exception:
        """The error of this call."""
        return refused(f"{self.name}: {why}")
