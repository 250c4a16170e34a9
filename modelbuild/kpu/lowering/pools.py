"""Pools: which of the graph's the chip makes with the layer before them, and those that need a layer of their
own, which leaves bytes as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelbuild.graph.model import Node
from modelbuild.kpu.lowering.layer import Trim, emit_layer
from modelbuild.kpu.lowering.lowering import Lowering
from modelbuild.kpu.lowering.unit import unit

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
    reads, at their scale. Bounds behind a mean are a table."""
    node, step = lowering.node, lowering.step
    pool = _made(node)
    if pool is None:
        lowering.fail("the KPU has no such pool")
    x = lowering.bytes(node.inputs[0])
    name = step.outputs[0]
    bounded = len(step.nodes) > 1
    shape = lowering.graph.shapes[node.outputs[0]]
    y = lowering.between(x, shape, "pooled") if bounded else lowering.new_bytes(name, x)
    made = (*y.shape[:2], *(size // pool.stride for size in x.shape[2:]))
    trim = None if made == y.shape else Trim(made, (0, 0, 0, 0), (1, 1, 1, 1))
    emit_layer(lowering, unit(x, pool.name, step), y, trim)
    if bounded:
        low, high = step.bounds
        lowering.lookup(y, lowering.new_bytes(name), lambda values: np.clip(values, low, high))
    return step.nodes
