"""Pools behind a KPU layer: which of the graph's the chip makes with the layer."""

from __future__ import annotations

from dataclasses import dataclass

from modelbuild.graph.model import Node
from modelbuild.kpu.lowering.lowering import Lowering

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
    if len([name for name in node.outputs if name]) > 1 or node.int("ceil_mode", 0):
        return None
    kernel, strides = node.ints("kernel_shape", []), node.ints("strides", [1, 1])
    pads, dilations = node.ints("pads", _NONE), node.ints("dilations", [1, 1])
    of = _OPERATORS[node.op]
    known = {(2, 2): f"{of}_2_s2", (4, 4): f"{of}_4_s4", (2, 1): f"{of}_2_s1"}
    name = known.get((kernel[0], strides[0]))
    same = len(set(kernel)) == len(set(strides)) == 1 and dilations == [1, 1]
    return Pool(node, name, strides[0]) if name is not None and same and pads == _NONE else None
