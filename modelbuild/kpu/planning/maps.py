"""Sizes of tensors: dense in main memory, in rows of 64 bytes in the KPU's RAM."""

from __future__ import annotations

import math

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, QuantizedTensor
from modelbuild.formats.kmodel.kpu_registers import row_layout, shape_bytes

LAYER = "kpu_conv"
JOINS = ("concat", "join")


def dense_bytes(tensor: QuantizedTensor) -> int:
    """Bytes of the elements without gaps."""
    return math.prod(tensor.shape) * tensor.dtype.itemsize


def ram_bytes(tensor: QuantizedTensor) -> int:
    """Bytes of a map [N, C, H, W] in the KPU's RAM."""
    return shape_bytes(tensor.shape)


def readers(model: FixedModel) -> dict[str, list[int]]:
    """The operators (by index) that read each tensor, in order."""
    found: dict[str, list[int]] = {}
    for index, operator in enumerate(model.operators):
        for name in dict.fromkeys(operator.inputs):
            found.setdefault(name, []).append(index)
    return found


def beside(model: FixedModel, operator: FixedOperator) -> dict[str, int] | None:
    """Where the inputs of a concat begin in its output, in bytes of the KPU's RAM: maps whose channels follow
    each other there are one map of all. None where they cannot: the channels of each but the last must end
    with a row, and no input may be a constant or come twice."""
    tensors = [model.tensors[name] for name in operator.inputs]
    shape = model.tensors[operator.outputs[0]].shape
    if operator.kind not in JOINS or len(shape) != 4 or shape[0] != 1:
        return None
    known = any(name in model.constants for name in operator.inputs)
    if operator.parameters["axis"] not in (1, -3) or known or len(set(operator.inputs)) != len(tensors):
        return None
    in_a_row = row_layout(shape[3])[0]
    if tensors[0].floating or any(tensor.shape[1] % in_a_row for tensor in tensors[:-1]):
        return None
    places, end = {}, 0
    for tensor in tensors:
        places[tensor.name] = end
        end += ram_bytes(tensor)
    return places
