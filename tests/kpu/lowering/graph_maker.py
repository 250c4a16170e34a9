"""A graph in the making, whose nodes are random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from modelbuild.graph.model import Graph, Node, Shape
from modelbuild.graph.shapes import node_types

F = np.float32


class Maker:
    """A graph in the making. `known`: tensors that nodes may read."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.graph = Graph("random", [], [], [], {})
        self.known: list[str] = []

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def pick(self, items: Sequence[Any]) -> Any:
        return items[self.whole(0, len(items) - 1)]

    def shape(self, name: str) -> Shape:
        return self.graph.shapes[name]

    def given(self, *shape: int) -> str:
        name = f"in{len(self.graph.inputs)}"
        self.graph.inputs.append(name)
        self.graph.shapes[name], self.graph.dtypes[name] = shape, np.dtype(F)
        self.known.append(name)
        return name

    def constant(self, values: Any) -> str:
        name, array = f"k{len(self.graph.constants)}", np.asarray(values)
        self.graph.constants[name] = array
        self.graph.shapes[name], self.graph.dtypes[name] = array.shape, array.dtype
        return name

    def longs(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def floats(self, *shape: int, scale: float = 0.5) -> str:
        return self.constant((self.rng.normal(0, scale, shape)).astype(F))

    def add(self, op: str, inputs: Sequence[str], count: int = 1, **attributes: Any) -> list[str]:
        number = len(self.graph.nodes)
        outputs = [f"t{number}" + (f"_{index}" if index else "") for index in range(count)]
        node = Node(op, f"{op}{number}", list(inputs), outputs, attributes)
        values = {name: self.graph.constants[name] for name in inputs if name in self.graph.constants}
        for name, (shape, dtype) in node_types(self.graph, node, values).items():
            self.graph.shapes[name], self.graph.dtypes[name] = shape, dtype
        self.graph.nodes.append(node)
        return outputs

    def one(self, op: str, *inputs: str, **attributes: Any) -> str:
        return self.add(op, inputs, **attributes)[0]


Step = Callable[[Maker, str], str | None]  # a node or a few behind a tensor: what they make
