"""Pools: which of the graph's the chip makes with the layer before them, and those that need a layer of their
own, which leaves bytes as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.graph.chains import Chain
from modelbuild.graph.model import Node, Shape
from modelbuild.kpu.lowering.dividing import emit_layer
from modelbuild.kpu.lowering.largest import GROW, emit_pools, pools_of
from modelbuild.kpu.lowering.layer import Trim
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
    y = bounded_bytes(lowering, x, lowering.graph.shapes[node.outputs[0]])
    lowering.begin(Step((node,)))
    emit_pools(lowering, x, steps[1:] if begun else steps, y)
    _bounded(lowering, step, y)
    return step.nodes


def _bounded(lowering: Lowering, step: Step, y: QuantizedTensor) -> None:
    """The step's output: bytes within the bounds of an activation, which are the CPU's."""
    if len(step.nodes) > 1:
        lowering.begin(Step(step.nodes[1:], step.bounds))
        within_bounds(lowering, y)


def begin(lowering: Lowering, node: Node, chain: Chain, pool: Pool | None) -> None:
    """The step of a layer, of the functions behind it and of the pool behind these."""
    pooled = Step(()) if pool is None else lowering.step_of(pool.node)
    lowering.begin(Step((node, *chain.nodes, *pooled.nodes), pooled.bounds))


def pool_alone(lowering: Lowering) -> tuple[Node, ...]:
    """A pool behind a layer of its own: a 1x1 convolution with the unit matrix, whose bytes are those that it
    reads, at their scale."""
    node, step = lowering.node, lowering.step
    steps = _steps(lowering, node)
    pool = _made(node)
    if len(steps) > 1 or (pool is None and steps):
        return _in_steps(lowering, steps)
    if pool is None:
        lowering.fail("the KPU has no such pool")
    x = lowering.bytes(node.inputs[0])
    y = bounded_bytes(lowering, x, lowering.graph.shapes[node.outputs[0]])
    made = (*y.shape[:2], *(size // pool.stride for size in x.shape[2:]))
    trim = None if made == y.shape else Trim(made, (0, 0, 0, 0), (1, 1, 1, 1))
    own = Step((node,))
    lowering.begin(own)
    emit_layer(lowering, unit(x, pool.name, own), y, trim)
    _bounded(lowering, step, y)
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
