"""Gemm and MatMul of floats on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.kpu.lowering.lowering import Lowering
from modelbuild.kpu.lowering.moving import Wanted
from modelbuild.kpu.lowering.windows import close

Tensor = QuantizedTensor


def matmul(lowering: Lowering, _: Wanted) -> None:
    """Gemm, and MatMul of two tensors or of one and a matrix."""
    node, found, y = lowering.node, lowering.weighted(), lowering.output()
    if found is None and node.op == "Gemm":
        lowering.fail("its matrix and bias must be constants and its input must not be transposed")
    a = lowering.tensor(node.inputs[0])
    if found is None:
        b, bias = lowering.tensor(node.inputs[1]), np.zeros(y.shape[-1] if y.shape else 1, np.float32)
    else:
        name = lowering.parts.names.fresh(f"{node.name}/matrix")
        b = lowering.constant(name, np.ascontiguousarray(found.weight.T, np.float32))
        bias = np.asarray(found.bias, np.float32)
    a, b = _matrices(lowering, a, b)
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    a, b = (_spread(lowering, each, shape[:-2]) for each in (a, b))
    out = y if y.shape == shape else lowering.float_between(shape, "product")
    if len(bias) != shape[-1]:
        bias = np.zeros(shape[-1], np.float32)
    lowering.emit("matmul", (a, b), out, {}, {"bias": bias, **lowering.bounds()})
    close(lowering, out, y)


def _matrices(lowering: Lowering, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors as a row before, and as a column behind."""
    if len(a.shape) == 1:
        a = _shaped(lowering, a, (1, *a.shape))
    if len(b.shape) == 1:
        b = _shaped(lowering, b, (*b.shape, 1))
    return a, b


def _spread(lowering: Lowering, x: Tensor, lead: tuple[int, ...]) -> Tensor:
    """As many matrices as there are in `lead`, or one."""
    count = math.prod(x.shape[:-2])
    if count in (1, math.prod(lead)):
        return x
    wide = lowering.between(x, (*lead, *x.shape[-2:]), "spread")
    lowering.emit("expand", (x,), wide, {})
    return wide


def _shaped(lowering: Lowering, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    made = lowering.between(x, shape, "matrix")
    lowering.emit("reshape", (x,), made, {})
    return made


BUILDERS: dict[str, Callable[[Lowering, Wanted], None]] = {
    "Gemm": matmul,
    "MatMul": matmul,
}
