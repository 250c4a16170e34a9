"""How much SRAM an operator with a loop of its own needs at the least."""

from __future__ import annotations

import math
from collections.abc import Callable

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.npu.planning.memory import ALIGNMENT, align


def least_workspace(model: FixedModel, operator: FixedOperator) -> int:
    """Bytes, not too few: what the smallest step of the operator holds at once."""
    found = _LEAST.get(operator.kind)
    return found(model, operator) if found else 4 * ALIGNMENT


def _matmul(model: FixedModel, operator: FixedOperator) -> int:
    first, second = (model.tensors[name] for name in operator.inputs)
    inner = first.shape[-1]
    return align(inner * first.dtype.itemsize) + align(inner * second.dtype.itemsize) + 3 * ALIGNMENT


def _rows(model: FixedModel, operator: FixedOperator) -> int:
    source, target = model.tensors[operator.inputs[0]], model.tensors[operator.outputs[0]]
    axes = operator.parameters["axis" if operator.kind == "softmax" else "axes"]
    along = axes if isinstance(axes, tuple) else (axes,)
    length = math.prod(source.shape[axis] for axis in along if isinstance(axis, int))
    results = length if operator.kind == "softmax" else 1
    table = 4 * (256 * source.dtype.itemsize + 1) if operator.kind == "softmax" else ALIGNMENT
    return align(length * source.dtype.itemsize) + align(results * target.dtype.itemsize) + align(table)


def _concat(model: FixedModel, operator: FixedOperator) -> int:
    return 4 * ALIGNMENT * len(operator.inputs)


_LEAST: dict[str, Callable[[FixedModel, FixedOperator], int]] = {
    "concat": _concat,
    "matmul": _matmul,
    "reduce_max": _rows,
    "reduce_sum": _rows,
    "softmax": _rows,
}
