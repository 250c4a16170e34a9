"""How long single operations take on the chip: cycles of a KPU layer, of transfers, operations of the CPU.

The KPU reads one row of 64 bytes a cycle and multiplies it with one window: a pass goes down one strip of a
map for one output channel. Fitted to times that users measured on the chip (docs/k210.md has them): layers of
a face detector (kendryte/nncase issue 77), and Sipeed's 3x3 convolutions of 128 channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.kpu.cycles import array_cycles, written_cycles

_MOVES = {"transpose", "slice", "concat", "join", "pad", "expand", "gather", "resize_nearest"}
_BYTE = 2  # operations: it is read and written
# Operations for each cell of the larger of first input and output.
_CELL: Mapping[str, int] = {
    "quantize": 6,
    "dequantize": 6,
    "lookup": 2,
    "softmax": 16,
    "sigmoid": 16,
    "resize_bilinear": 24,
}
_OTHERWISE = 4


@dataclass(frozen=True)
class LayerCycles:
    """Of one KPU layer: `array` while rows go through the units, `written` for its rows of output and the
    ends of its channels; `macs` are multiplied."""

    array: int
    written: int
    macs: int
    weight_bytes: int


def layer_cycles(model: FixedModel, operator: FixedOperator) -> LayerCycles:
    """Without what starting the layer takes, and its weights. Pools work on rows that are there anyway."""
    source, made = (model.tensors[name] for name in (operator.inputs[0], operator.outputs[0]))
    outputs, depthwise = made.shape[1], bool(operator.parameters["depthwise"])
    batches, _, height, width = source.shape
    weight = model.constants[operator.constants["weight"]]
    return LayerCycles(
        array_cycles(source.shape, outputs, depthwise),
        written_cycles(source.shape, outputs),
        batches * height * width * weight.size,
        batches * weight.size,
    )


@dataclass(frozen=True)
class Work:
    """Of a tensor function on the CPU. `of` says what was counted: multiplications, cells, bytes moved, or
    nothing, where memory gets another shape."""

    operations: int
    of: str
    bytes: int = 0


def work(model: FixedModel, operator: FixedOperator, moved: int | None = None) -> Work:
    """`moved`: bytes that are copied of a concatenation whose other parts are made in place."""
    kind = operator.kind
    made = model.tensors[operator.outputs[0]]
    cells = prod(made.shape)
    if kind == "reshape":
        return Work(0, "nothing")
    if kind in _MOVES:
        size = 2 * (cells * made.dtype.itemsize if moved is None else moved)
        return Work(size // 2 * _BYTE, "bytes moved", size)
    if kind == "conv":
        weight = model.constants[operator.constants["weight"]]
        return Work(cells * prod(weight.shape[1:]), "multiplications")
    if kind == "matmul":
        return Work(cells * model.tensors[operator.inputs[0]].shape[-1], "multiplications")
    read = prod(model.tensors[operator.inputs[0]].shape) if operator.inputs else 0
    if kind == "window":
        return Work(cells * prod(_sizes(operator, "kernel")), "cells")
    return Work(max(cells, read) * _CELL.get(kind, _OTHERWISE), "cells")


def _sizes(operator: FixedOperator, name: str) -> list[int]:
    given = operator.parameters[name]
    assert isinstance(given, tuple)
    return [each for each in given if isinstance(each, int)]
