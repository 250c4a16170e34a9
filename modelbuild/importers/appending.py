"""A graph under construction, node by node: names, shapes, and values that do not depend on the input."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.graph import shapes
from modelbuild.graph.constant_operators import evaluate
from modelbuild.graph.fresh_names import fresh
from modelbuild.graph.model import Array, Attribute, Graph, Node

_MAX_KNOWN = 65_536  # values that nodes compute from constants are followed up to this size
_MAX_FIXED = 2**28  # bytes that nodes may compute from constants alone, in damaged files


class Appender:
    """Appends nodes to `graph`. Shapes are inferred at once, so that a node that is not valid is named."""

    def __init__(self, name: str, tensors: Iterable[str] = (), layers: Iterable[str] = ()) -> None:
        """`tensors` and `layers` are all the names that the source has: helpers get none of these."""
        self.graph = Graph(name, [], [], [], {})
        self._known: dict[str, Array] = {}  # tensor -> its value, the same for all inputs
        self._fixed: set[str] = set()  # tensors that are the same for all inputs, of any size
        self._fixed_bytes = 0
        self._tensors, self._nodes = set(tensors), set(layers)
        self._named = set[str]()
        self._layer = ""

    def begin(self, layer: str) -> None:
        """What follows stands for the source's `layer`. The first node gets its name, further ones
        `LAYER_OPERATOR`; all have it as their origin."""
        self._layer = layer

    def scratch(self, base: str) -> str:
        """A free name for a tensor between the nodes of one layer."""
        return fresh(base, self._tensors)

    def parameter(self, base: str, value: Array) -> str:
        """A constant as ONNX wants it (weights [O, I, H, W], a bias, axes); its name begins with `base`."""
        return self._place(self.scratch(base), value)

    def integers(self, base: str, values: Sequence[int]) -> str:
        """A parameter of int64."""
        return self.parameter(base, np.array(values, np.int64))

    def _place(self, name: str, value: Array) -> str:
        array = np.ascontiguousarray(value).reshape(np.shape(value))
        self.graph.constants[name] = self._known[name] = array
        self._fixed.add(name)
        self.graph.shapes[name], self.graph.dtypes[name] = array.shape, array.dtype
        return name

    def _append(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Attribute]
    ) -> None:
        node = Node(op, self._name(op), list(inputs), list(outputs), dict(attributes), "", (self._layer,))
        self.graph.nodes.append(node)
        for name, (shape, dtype) in shapes.node_types(self.graph, node, self._known).items():
            if 0 in shape:
                raise ModelbuildError(f"the tensor `{name}` of {op} `{node.name}` is empty: {list(shape)}")
            self.graph.shapes[name], self.graph.dtypes[name] = shape, dtype
        read = [name for name in inputs if name]
        if self._fixed.issuperset(read):
            self._follow(node)
        if all(name in self._known for name in read):
            self._compute(node)

    def _follow(self, node: Node) -> None:
        self._fixed.update(node.outputs)
        sizes = (math.prod(self.graph.shapes[n]) * self.graph.dtypes[n].itemsize for n in node.outputs)
        self._fixed_bytes += sum(sizes)
        if self._fixed_bytes > _MAX_FIXED:
            raise ModelbuildError(
                f"up to {node.op} `{node.name}` the model computes more than {_MAX_FIXED >> 20} MiB from "
                "constants alone"
            )

    def _compute(self, node: Node) -> None:
        names = [name for name in (*node.inputs, *node.outputs) if name]
        if max(math.prod(self.graph.shapes[name]) for name in names) > _MAX_KNOWN:
            return
        inputs = [self._known[name] if name else None for name in node.inputs]
        try:
            found = evaluate(node, inputs) or ()
        except (ValueError, IndexError, TypeError, OverflowError) as error:
            raise ModelbuildError(
                f"{node.op} `{node.name}` cannot be computed", why=str(error).split("\n")[0]
            ) from error
        self._known.update(zip(node.outputs, found, strict=False))

    def _name(self, op: str) -> str:
        if self._layer not in self._named and op != "Transpose":
            self._named.add(self._layer)
            self._nodes.add(self._layer)
            return self._layer
        return fresh(f"{self._layer}_{op.lower()}", self._nodes)

    def _rename(self, old: str, new: str) -> None:
        graph = self.graph
        for node in graph.nodes:
            node.inputs = [new if name == old else name for name in node.inputs]
            node.outputs = [new if name == old else name for name in node.outputs]
        tables: Sequence[dict[str, Any]] = (graph.constants, graph.shapes, graph.dtypes, self._known)
        for table in tables:
            if old in table:
                table[new] = table.pop(old)
