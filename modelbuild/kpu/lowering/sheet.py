"""Operations of floats one after the other: what formulas are written on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.kpu.lowering.lowering import Lowering, limits

Tensor = QuantizedTensor


class Sheet:
    """Operators in a row; the last one, which is given `y`, ends within the step's bounds."""

    def __init__(self, lowering: Lowering) -> None:
        self.lowering = lowering

    def __getattr__(self, op: str) -> Callable[..., Tensor]:
        """add, sub, mul, div, min, max, pow: of two tensors or numbers; every other name: of one tensor."""
        if op in ("add", "sub", "mul", "div", "min", "max", "pow"):
            return lambda a, b, y=None: self.binary(op, a, b, y)
        return lambda x, y=None: self.unary(op, x, y)

    def binary(self, op: str, a: Tensor | float, b: Tensor | float, y: Tensor | None = None) -> Tensor:
        """One operation of two tensors, or of a tensor and a number."""
        left, right = self._tensor(a, b), self._tensor(b, a)
        shape = np.broadcast_shapes(*(each.shape for each in (left, right)))
        out = y or self.lowering.float_between(shape, op)
        ends = limits() if y is None else self.lowering.bounds()
        self.lowering.emit("binary", (left, right), out, {"op": op}, ends)
        return out

    def unary(self, op: str, x: Tensor, y: Tensor | None = None) -> Tensor:
        """One operation of one tensor."""
        out = y or self.lowering.float_between(x.shape, op)
        if op == "sigmoid":
            self.lowering.emit("sigmoid", (x,), out, {})
        else:
            self.lowering.emit("unary", (x,), out, {"op": op})
        return out

    def _tensor(self, value: Tensor | float, other: Tensor | float) -> Tensor:
        if isinstance(value, QuantizedTensor):
            return value
        return self.lowering.scalar(value, other if isinstance(other, QuantizedTensor) else None)


Formula = Callable[[Sheet, Tensor, Tensor], object]  # (sheet, x, y)
