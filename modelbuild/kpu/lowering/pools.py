"""Pools: which of the graph's the chip makes with the layer before them, and those that need a layer of their
own, which leaves bytes as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.graph.model import Node
from modelbuild.kpu.lowering.largest import GROW, emit_pools, pools_of
from modelbuild.kpu.lowering.layer import Trim, emit_layer
from modelbuild.kpu.lowering.lowering import Lowering
from modelbuild.kpu.lowering.unit import unit
from modelbuild.quantize.plan import Step

_OPERATORS = {"MaxPool": "max", "AveragePool": "mean"}
_NONE, _AFTER = [0, 0, 0, 0], [0, 0, 1, 1]


@dataclass(frozen=True)
class Pool:
    """A node of the graph, the chip's name for it, and its stride. `padded`: windows reach over the map's
    end, where nothing may lie."""

    node: Node
    name: str
    stride: int
    padded: bool = False


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
    padded = name == "max_2_s1" and pads == _AFTER
    return Pool(node, name, strides[0], padded) if name and same and (pads == _NONE or padded) else None


def _steps(lowering: Lowering, node: Node) -> tuple[str, ...]:
    """Those of a MaxPool."""
    shapes = lowering.graph.shapes
    return pools_of(node, shapes[node.inputs[0]][2:], shapes[node.outputs[0]][2:])


def begins(lowering: Lowering, tensor: str) -> bool:
    """Whether the layer that makes `tensor` can do the first step of the pool that alone reads it."""
    node = lowering.chains.sole_reader(tensor)
    if node is None or lowering.units.get(node.name) != "npu" or node.op != "MaxPool":
        return False
    steps = _steps(lowering, node)
    return len(steps) > 1 and steps[0] == GROW


def _in_steps(lowering: Lowering, steps: tuple[str, ...]) -> tuple[Node, ...]:
    """A MaxPool as several layers, of which the one before it may have done the first."""
    node, step = lowering.node, lowering.step
    begun = lowering.begun.get(node.inputs[0])
    x = begun or lowering.bytes(node.inputs[0])
    bounded, name = len(step.nodes) > 1, step.outputs[0]
    y = lowering.between(x, lowering.graph.shapes[name], "pooled") if bounded else lowering.new_bytes(name, x)
    lowering.begin(Step((node,)))
    emit_pools(lowering, x, steps[1:] if begun else steps, y)
    if bounded:
        _bounded(lowering, step, y)
    return step.nodes


def _bounded(lowering: Lowering, step: Step, y: QuantizedTensor) -> None:
    """The step's output: bytes within the bounds of an activation, which are the CPU's."""
    low, high = step.bounds
    lowering.begin(Step(step.nodes[1:]))
    lowering.lookup(y, lowering.new_bytes(step.outputs[0]), lambda values: np.clip(values, low, high))


def pool_alone(lowering: Lowering) -> tuple[Node, ...]:
    """A pool behind a layer of its own: a 1x1 convolution with the unit matrix, whose bytes are those that it
    reads, at their scale. Bounds behind a mean are a table."""
    node, step = lowering.node, lowering.step
    steps = _steps(lowering, node)
    pool = _made(node)
    if len(steps) > 1 or (pool is None and steps):
        return _in_steps(lowering, steps)
    if pool is None:
        lowering.fail("the KPU has no such pool")
    x = lowering.bytes(node.inputs[0])
    name = step.outputs[0]
    bounded = len(step.nodes) > 1
    shape = lowering.graph.shapes[node.outputs[0]]
    y = lowering.between(x, shape, "pooled") if bounded else lowering.new_bytes(name, x)
    made = (*y.shape[:2], *(size // pool.stride for size in x.shape[2:]))
    trim = None if made == y.shape else Trim(made, (0, 0, 0, 0), (1, 1, 1, 1))
    own = Step((node,))
    lowering.begin(own)
    emit_layer(lowering, unit(x, pool.name, own), y, trim)
    if bounded:
        _bounded(lowering, step, y)
    return step.nodes
