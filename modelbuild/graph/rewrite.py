"""Local rewriting of a graph, with the maps of producers and consumers kept right on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from modelbuild.graph import kept_quantization
from modelbuild.graph.fresh_names import fresh
from modelbuild.graph.model import Array, Attribute, Graph, Node, Shape


class Editor:
    """Changes nodes of one graph in place. `changes` counts; `close` puts the node list in order."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.changes = 0
        self._producers = graph.producers()
        self._consumers: dict[str, list[Node]] = graph.consumers()
        self._removed: set[int] = set()
        self._before: dict[int, list[Node]] = {}
        self._after: dict[int, list[Node]] = {}
        self._names = {node.name for node in graph.nodes}
        self._tensors = {*graph.inputs, *graph.constants, *graph.shapes, *self._producers}

    def nodes(self, *ops: str) -> Iterator[Node]:
        """The standard nodes whose operator is among `ops` (none: all), skipping removed ones."""
        for node in list(self.graph.nodes):
            if id(node) not in self._removed and node.domain == "" and (not ops or node.op in ops):
                yield node

    def producer(self, tensor: str, *ops: str) -> Node | None:
        """The node that makes `tensor`, if there is one and its operator is among `ops`."""
        node = self._producers.get(tensor)
        return node if node is not None and node.domain == "" and (not ops or node.op in ops) else None

    def consumers(self, tensor: str) -> list[Node]:
        """The nodes that read `tensor`."""
        return list(self._consumers.get(tensor, []))

    def private(self, tensor: str) -> bool:
        """Whether one node alone reads `tensor` and it is no output of the model."""
        return len(self._consumers.get(tensor, [])) == 1 and tensor not in self.graph.outputs

    def constant(self, node: Node, index: int) -> Array | None:
        """The value of the node's input `index`, if it is a constant."""
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        return self.graph.constants.get(node.inputs[index])

    def shape(self, tensor: str) -> Shape:
        """The static shape of `tensor`."""
        return self.graph.shapes[tensor]

    def rank(self, tensor: str) -> int:
        """The number of dimensions of `tensor`."""
        return len(self.graph.shapes[tensor])

    def add_constant(self, base: str, value: Any) -> str:
        """A new constant whose name begins with `base`; its name."""
        array = np.ascontiguousarray(value)
        array = array.reshape(np.shape(value))
        name = self.tensor(base, array.shape, array.dtype)
        self.graph.constants[name] = array
        return name

    def laid_out(self, base: str, old: str, change: Callable[[Any], Any]) -> str:
        """A new constant, `change` of the constant `old`, which moves, repeats and leaves out values or puts
        zeros between them; its name. Its quantization in the source is that of `old`."""
        name = self.add_constant(base, change(self.graph.constants[old]))
        kept_quantization.derived(self.graph, old, name, change)
        return name

    def tensor(self, base: str, shape: Sequence[int], dtype: np.dtype[Any] | type = np.float32) -> str:
        """A new tensor name beginning with `base`."""
        name = fresh(base, self._tensors)
        self.graph.shapes[name], self.graph.dtypes[name] = tuple(int(n) for n in shape), np.dtype(dtype)
        return name

    def insert(
        self,
        anchor: Node,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: dict[str, Attribute] | None = None,
        origin: tuple[str, ...] | None = None,
        behind: bool = False,
    ) -> Node:
        """A new node in front of `anchor`, or `behind` it, named after it, for the same source nodes."""
        name = fresh(f"{anchor.name}_{op.lower()}", self._names)
        node = Node(op, name, list(inputs), list(outputs), attributes or {}, "", origin or anchor.origin)
        self._link(node)
        (self._after if behind else self._before).setdefault(id(anchor), []).append(node)
        return node

    def replace(
        self, node: Node, op: str, inputs: Sequence[str], attributes: dict[str, Attribute] | None = None
    ) -> None:
        """Makes `node` another operator; its name, outputs and origin stay."""
        self.set_inputs(node, inputs)
        node.op, node.domain, node.attributes = op, "", attributes or {}

    def set_inputs(self, node: Node, inputs: Sequence[str]) -> None:
        """Replaces all inputs of `node`."""
        for name in set(node.inputs):
            self._unread(name, node)
        node.inputs = list(inputs)
        for name in set(node.inputs):
            if name:
                self._consumers.setdefault(name, []).append(node)

    def redirect(self, old: str, new: str) -> None:
        """Makes every reader of the tensor `old` read `new`."""
        for node in self.consumers(old):
            self.set_inputs(node, [new if name == old else name for name in node.inputs])

    def remove(self, node: Node) -> None:
        """Takes `node` out; nothing may read its outputs any more."""
        self._removed.add(id(node))
        for name in set(node.inputs):
            self._unread(name, node)
        for name in node.outputs:
            if self._producers.get(name) is node:
                del self._producers[name]

    def bypass(self, node: Node, source: str) -> bool:
        """Removes `node`, whose first output equals the tensor `source`. False where the model's border
        forbids it: an output cannot be another output, an input or a constant."""
        target = node.outputs[0]
        if target not in self.graph.outputs:
            if self.private(source) and kept_quantization.entry(self.graph, source) is None:
                kept_quantization.renamed(self.graph, target, source)
            self.remove(node)
            self.redirect(target, source)
            return True
        maker = self._producers.get(source)
        if maker is None or source in self.graph.outputs:
            return False
        self.remove(node)
        if kept_quantization.entry(self.graph, target) is None:
            kept_quantization.renamed(self.graph, source, target)
        self.rename_output(maker, source, target)
        return True

    def rename_output(self, maker: Node, old: str, new: str) -> None:
        """Makes `maker` call its output `old` by the free name `new`, for all readers."""
        maker.outputs = [new if name == old else name for name in maker.outputs]
        self._producers.pop(old, None)
        self._producers[new] = maker
        self.graph.shapes[new] = self.graph.shapes.pop(old)
        self.graph.dtypes[new] = self.graph.dtypes.pop(old)
        self.redirect(old, new)

    def retarget(self, maker: Node, old: str, new: str) -> None:
        """Makes `maker` make the tensor `new` where it made `old`, which something else has to make."""
        maker.outputs = [new if name == old else name for name in maker.outputs]
        self._producers.pop(old, None)
        self._producers[new] = maker

    def absorb(self, into: Node, node: Node) -> bool:
        """Removes `node`, the only reader of `into`'s output, and lets `into` make its output instead."""
        old, new = into.outputs[0], node.outputs[0]
        self.remove(node)
        into.origin = merged(into.origin, node.origin)
        self.rename_output(into, old, new)
        return True

    def close(self) -> int:
        """Writes the node list back; the number of changes."""
        nodes: list[Node] = []
        for node in self.graph.nodes:
            self._emit(node, nodes)
        self.graph.nodes = nodes
        self._before, self._after, self._removed = {}, {}, set()
        _spread_quantization(self.graph)
        return self.changes

    def _emit(self, node: Node, nodes: list[Node]) -> None:
        for earlier in self._before.get(id(node), []):
            self._emit(earlier, nodes)
        if id(node) not in self._removed:
            nodes.append(node)
        for later in self._after.get(id(node), []):
            self._emit(later, nodes)

    def _link(self, node: Node) -> None:
        for name in node.outputs:
            self._producers[name] = node
        for name in set(node.inputs):
            if name:
                self._consumers.setdefault(name, []).append(node)

    def _unread(self, name: str, node: Node) -> None:
        self._consumers[name] = [item for item in self._consumers.get(name, []) if item is not node]


def _spread_quantization(graph: Graph) -> None:
    """What holds the same values has the same quantization: both sides of a Reshape or Transpose.

    Against the flow only where nothing else reads the tensor, which may be float there."""
    if not kept_quantization.is_kept(graph):
        return
    entries, found = kept_quantization.kept(graph), dict[str, kept_quantization.Kept]()
    moving = [node for node in graph.nodes if node.op in ("Reshape", "Transpose") and not node.domain]
    for node in moving:
        source, target = node.inputs[0], node.outputs[0]
        entry = entries.get(source) or found.get(source)
        if entry is not None and entry.axis is None and target not in entries:
            found[target] = entry
    readers = graph.consumers() if moving else {}
    for node in reversed(moving):
        source, target = node.inputs[0], node.outputs[0]
        entry = entries.get(target) or found.get(target)
        private = len(readers[source]) == 1 and source not in graph.outputs and source not in graph.constants
        if (
            entry is not None
            and entry.axis is None
            and source not in entries
            and source not in found
            and private
        ):
            found[source] = entry
    if found:
        kept_quantization.keep(graph, found)


def merged(*origins: tuple[str, ...]) -> tuple[str, ...]:
    """All names of `origins`, each once, in order."""
    return tuple(dict.fromkeys(name for origin in origins for name in origin))


def copied(graph: Graph) -> Graph:
    """A copy whose nodes and tables may change; the constants' arrays are shared."""
    nodes = [
        Node(n.op, n.name, list(n.inputs), list(n.outputs), dict(n.attributes), n.domain, n.origin)
        for n in graph.nodes
    ]
    result = Graph(graph.name, nodes, list(graph.inputs), list(graph.outputs), dict(graph.constants))
    result.shapes, result.dtypes = dict(graph.shapes), dict(graph.dtypes)
    result.opset, result.metadata = graph.opset, dict(graph.metadata)
    kept_quantization.copied(graph, result)
    return result
