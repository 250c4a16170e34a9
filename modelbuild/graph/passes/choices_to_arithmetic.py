"""Comparisons, logic, Where, and Casts between truth and numbers -> arithmetic on 0.0 and 1.0.

Why: a chip that computes with floats alone has no truth values. The choice of Where is m · x + (1 - m) · y.
Legal: a difference of floats is 0 for equal ones alone, and 1 · x + 0 · y is x, as long as what is not chosen
is finite: infinite constants become the largest float32. Truth values that are an input or an output of the
model stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelbuild.graph.model import Attribute, Graph, Node
from modelbuild.graph.passes.standardize import made
from modelbuild.graph.rewrite import Editor
from modelbuild.graph.whole_numbers import TYPES

_MOVES = ("Concat", "Expand", "Gather", "Reshape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze")
_LARGEST = np.finfo(np.float32).max


def run(graph: Graph) -> int:
    """Number of nodes rewritten."""
    editor = Editor(graph)
    masks = _Masks(editor)
    for node in editor.nodes("Where", "Cast"):
        made_of = graph.dtypes[node.outputs[0]]
        wanted = made_of == np.float32 or (node.op == "Cast" and made_of in TYPES)
        if wanted and masks.known(node.inputs[0]):
            masks.node = node
            (_where if node.op == "Where" else _cast)(masks)
            editor.changes += 1
    for node in reversed(graph.nodes):
        if masks.is_made(node) and not any(editor.consumers(name) for name in node.outputs):
            editor.remove(node)
    return editor.close()


class _Masks:
    """Truth values as 0.0 and 1.0, made in front of `node`, which asks for them first."""

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self.node: Node
        self._masks: dict[str, str] = {}

    def is_made(self, node: Node) -> bool:
        """Whether all outputs of a node have masks, and none leaves the model."""
        return all(name in self._masks and name not in self.editor.graph.outputs for name in node.outputs)

    def known(self, name: str) -> bool:
        """Whether a tensor holds truth values that can be made numbers."""
        graph, producer = self.editor.graph, self.editor.producer(name)
        if graph.dtypes[name] != np.bool_ or name in graph.constants or producer is None:
            return graph.dtypes[name] == np.bool_ and name in graph.constants
        if producer.op in _COMPARISONS or producer.op == "Cast":
            return all(graph.dtypes[item] == np.float32 for item in producer.inputs)
        if producer.op in _LOGIC:
            return all(map(self.known, producer.inputs))
        return producer.op in _MOVES and all(map(self.known, _data(producer)))

    def mask(self, name: str) -> str:
        """The tensor of 0.0 and 1.0."""
        if name not in self._masks:
            value = self.editor.graph.constants.get(name)
            if value is not None:
                self._masks[name] = self.editor.add_constant(f"{name}_mask", value.astype(np.float32))
            else:
                self._masks[name] = self._of(name)
        return self._masks[name]

    def _of(self, name: str) -> str:
        producer = self.editor.producer(name)
        assert producer is not None
        if producer.op == "Cast":
            return self.make("Abs", self.make("Sign", producer.inputs[0]))
        if producer.op in _COMPARISONS:
            return _COMPARISONS[producer.op](self, *map(self.finite, producer.inputs))
        if producer.op in _LOGIC:
            return _LOGIC[producer.op](self, *map(self.mask, producer.inputs))
        inputs = [*map(self.mask, _data(producer)), *producer.inputs[len(_data(producer)) :]]
        shape, attributes = self.editor.shape(name), dict(producer.attributes)
        return made(self.editor, self.node, producer.op, inputs, shape, attributes)

    def make(self, op: str, *inputs: str, attributes: dict[str, Attribute] | None = None) -> str:
        """The output of a new node."""
        shape = np.broadcast_shapes(*(self.editor.shape(name) for name in inputs))
        return made(self.editor, self.node, op, list(inputs), shape, attributes)

    def step(self, larger: str, smaller: str) -> str:
        """1.0 where the first is larger than the second."""
        return self.make("Relu", self.make("Sign", self.make("Sub", larger, smaller)))

    def other(self, mask: str) -> str:
        """1 - mask."""
        value = self.editor.graph.constants.get(mask)
        if value is not None:
            return self.editor.add_constant(f"{mask}_other", np.float32(1) - value.astype(np.float32))
        one = self.editor.add_constant(f"{self.node.name}_one", np.array(1, np.float32))
        return self.make("Sub", one, mask)

    def finite(self, name: str) -> str:
        """A tensor; of a constant with infinite numbers one with the largest instead."""
        value = self.editor.graph.constants.get(name)
        if value is None or np.isfinite(value).all():
            return name
        near = np.clip(value.astype(np.float32), -_LARGEST, _LARGEST)
        return self.editor.add_constant(f"{name}_finite", near)


def _data(node: Node) -> list[str]:
    return node.inputs if node.op == "Concat" else node.inputs[:1]


def _equal(masks: _Masks, a: str, b: str) -> str:
    return masks.other(masks.make("Abs", masks.make("Sign", masks.make("Sub", a, b))))


def _cast(masks: _Masks) -> None:
    node, mask = masks.node, masks.mask(masks.node.inputs[0])
    if masks.editor.graph.dtypes[node.outputs[0]] == np.float32:
        masks.editor.replace(node, "Identity", [mask])
    else:
        masks.editor.replace(node, "Cast", [mask], {"to": node.int("to", 0)})


def _where(masks: _Masks) -> None:
    node = masks.node
    mask = masks.mask(node.inputs[0])
    x, y = map(masks.finite, node.inputs[1:])
    chosen, rest = masks.make("Mul", mask, x), masks.make("Mul", masks.other(mask), y)
    masks.editor.replace(node, "Add", [chosen, rest])


_COMPARISONS: Mapping[str, Callable[[_Masks, str, str], str]] = {
    "Equal": _equal,
    "Greater": lambda masks, a, b: masks.step(a, b),
    "GreaterOrEqual": lambda masks, a, b: masks.other(masks.step(b, a)),
    "Less": lambda masks, a, b: masks.step(b, a),
    "LessOrEqual": lambda masks, a, b: masks.other(masks.step(a, b)),
}
_LOGIC: Mapping[str, Callable[..., str]] = {
    "And": lambda masks, a, b: masks.make("Mul", a, b),
    "Not": lambda masks, a: masks.other(a),
    "Or": lambda masks, a, b: masks.make("Max", a, b),
    "Xor": lambda masks, a, b: masks.make("Abs", masks.make("Sub", a, b)),
}
