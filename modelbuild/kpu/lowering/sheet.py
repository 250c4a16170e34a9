"""Operations of floats one after the other: what formulas are written on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.kpu.lowering.limits import limits
from modelbuild.kpu.lowering.lowering import Lowering

Tensor = QuantizedTensor
Operand = QuantizedTensor | float
Binary = Literal["add", "sub", "mul", "div", "max", "min", "pow"]
Unary = Literal[
    "abs", "acos", "asin", "ceil", "cos", "erf", "exp", "floor", "log", "neg", "round", "rsqrt", "sigmoid",
    "sign", "sin", "sqrt", "square", "tanh",
]  # fmt: skip


class Sheet:
    """Operators in a row; the last one, which is given `y`, ends within the step's bounds."""

    def __init__(self, lowering: Lowering) -> None:
        self.lowering = lowering

    def binary(self, op: Binary, a: Operand, b: Operand, y: Tensor | None = None) -> Tensor:
        """One operation of two tensors, or of a tensor and a number."""
        left, right = self._tensor(a, b), self._tensor(b, a)
        shape = np.broadcast_shapes(*(each.shape for each in (left, right)))
        out = y or self.lowering.float_between(shape, op)
        ends = limits() if y is None else self.lowering.bounds()
        self.lowering.emit("binary", (left, right), out, {"op": op}, ends)
        return out

    def unary(self, op: Unary, x: Tensor, y: Tensor | None = None) -> Tensor:
        """One operation of one tensor."""
        out = y or self.lowering.float_between(x.shape, op)
        if op == "sigmoid":
            self.lowering.emit("sigmoid", (x,), out, {})
        else:
            self.lowering.emit("unary", (x,), out, {"op": op})
        return out

    def add(self, a: Operand, b: Operand, y: Tensor | None = None) -> Tensor:
        """a + b."""
        return self.binary("add", a, b, y)

    def sub(self, a: Operand, b: Operand, y: Tensor | None = None) -> Tensor:
        """a - b."""
        return self.binary("sub", a, b, y)

    def mul(self, a: Operand, b: Operand, y: Tensor | None = None) -> Tensor:
        """a b."""
        return self.binary("mul", a, b, y)

    def div(self, a: Operand, b: Operand, y: Tensor | None = None) -> Tensor:
        """a / b."""
        return self.binary("div", a, b, y)

    def max(self, a: Operand, b: Operand, y: Tensor | None = None) -> Tensor:
        """The larger of a and b."""
        return self.binary("max", a, b, y)

    def min(self, a: Operand, b: Operand, y: Tensor | None = None) -> Tensor:
        """The smaller of a and b."""
        return self.binary("min", a, b, y)

    def pow(self, a: Operand, b: Operand, y: Tensor | None = None) -> Tensor:
        """a to the power b."""
        return self.binary("pow", a, b, y)

    def abs(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """|x|."""
        return self.unary("abs", x, y)

    def asin(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The arc sine of x."""
        return self.unary("asin", x, y)

    def cos(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """cos x."""
        return self.unary("cos", x, y)

    def erf(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The error function of x."""
        return self.unary("erf", x, y)

    def exp(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """e to the power x."""
        return self.unary("exp", x, y)

    def log(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """ln x."""
        return self.unary("log", x, y)

    def neg(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """-x."""
        return self.unary("neg", x, y)

    def sigmoid(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """1 / (1 + e^-x)."""
        return self.unary("sigmoid", x, y)

    def sign(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """-1, 0 or 1."""
        return self.unary("sign", x, y)

    def sin(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """sin x."""
        return self.unary("sin", x, y)

    def sqrt(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The square root of x."""
        return self.unary("sqrt", x, y)

    def square(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """x²."""
        return self.unary("square", x, y)

    def tanh(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """tanh x."""
        return self.unary("tanh", x, y)

    def _tensor(self, value: Operand, other: Operand) -> Tensor:
        if isinstance(value, QuantizedTensor):
            return value
        return self.lowering.scalar(value, other if isinstance(other, QuantizedTensor) else None)


Formula = Callable[[Sheet, Tensor, Tensor], object]  # (sheet, x, y)
