"""Pools: which of the graph's the chip makes with the layer before them, and those that need a layer of their
own, which leaves bytes as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.graph.model import Node, Shape
from modelbuild.kpu.lowering.layer import Trim, emit_layer
from modelbuild.kpu.lowering.lowering import Lowering
from modelbuild.kpu.lowering.unit import unit
from modelbuild.quantize.plan import Step

_OPERATORS = {"MaxPool": "max", "AveragePool": "mean"}
_NONE = [0, 0, 0, 0]


@dataclass(frozen=True)
class Pool:
    """A node of the graph, the chip's name for it, and its stride."""

    node: Node
    name: str
    stride: int


def pool_behind(lowering: Lowering, tensor: str) -> Pool | None:
    """The pool that alone reads `tensor`, where the chip makes it with a layer of stride 1."""
    node = lowering.chains.sole_reader(tensor)
    if node is None or node.op not in _OPERATORS or lowering.units.get(node.name) != "fused":
        return None
    return _made(node)


def _made(node: Node) -> Pool | None:
    """As the chip has it."""
    if len([name for name in node.outputs if name]) > 1 or node.int("ceil_mode", 0):
        return None
    kernel, strides = node.ints("kernel_shape", []), node.ints("strides", [1, 1])
    pads, dilations = node.ints("pads", _NONE), node.ints("dilations", [1, 1])
    of = _OPERATORS[node.op]
    known = {(2, 2): f"{of}_2_s2", (4, 4): f"{of}_4_s4", (2, 1): f"{of}_2_s1"}
    name = known.get((kernel[0], strides[0]))
    same = len(set(kernel)) == len(set(strides)) == 1 and dilations == [1, 1]
    return Pool(node, name, strides[0]) if name is not None and same and pads == _NONE else None


def pool_alone(lowering: Lowering) -> tuple[Node, ...]:
    """A pool behind a layer of its own: a 1x1 convolution with the unit matrix, whose bytes are those that it
    reads, at their scale."""
    node, step = lowering.node, lowering.step
    pool = _made(node)
    if pool is None:
        lowering.fail("the KPU has no such pool")
    x = lowering.bytes(node.inputs[0])
    y = bounded_bytes(lowering, x, lowering.graph.shapes[node.outputs[0]])
    made = (*y.shape[:2], *(size // pool.stride for size in x.shape[2:]))
    trim = None if made == y.shape else Trim(made, (0, 0, 0, 0), (1, 1, 1, 1))
    emit_layer(lowering, unit(x, pool.name, step), y, trim)
    within_bounds(lowering, y)
    return step.nodes


def bounded_bytes(lowering: Lowering, form: QuantizedTensor, shape: Shape) -> QuantizedTensor:
    """What a layer makes at the scale of `form` for the step: its output, or what its bounds are to cut."""
    if _cuts(lowering.step, form):
        return lowering.between(form, shape, "pooled")
    return lowering.new_bytes(lowering.step.outputs[0], form)


def within_bounds(lowering: Lowering, made: QuantizedTensor) -> None:
    """The step's output of what `bounded_bytes` is: bounds behind a mean are a table."""
    low, high = lowering.step.bounds
    if _cuts(lowering.step, made):
        y = lowering.new_bytes(lowering.step.outputs[0])
        lowering.lookup(made, y, lambda values: np.minimum(np.maximum(values, low), high))


def _cuts(step: Step, form: QuantizedTensor) -> bool:
    """Whether some byte stands for a number beyond the step's bounds."""
    least, most = (form.scale * (byte - form.zero_point) for byte in (0, 255))
    return bool(least < step.bounds[0] or most > step.bounds[1])
