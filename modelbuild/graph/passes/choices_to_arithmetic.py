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

_MOVES = (
    "Concat",
    "Expand",
    "Gather",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
)
_LARGEST = np.finfo(np.float32).max


def run(graph: Graph) -> int:
    """Number of nodes rewritten."""
    editor = Editor(graph)
    _Rewriting(editor).all()
    return editor.close()


class _Rewriting:
    """`_masks`: truth values -> the tensor that has them as 0.0 and 1.0."""

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self.node: Node
        self._masks: dict[str, str] = {}

    def all(self) -> None:
        """Node by node, in order."""
        for node in self.editor.nodes():
            self.node = node
            if node.op in _RULES:
                _RULES[node.op](self)
            elif node.op in _MOVES and self._has_masks(node.inputs[: _data_inputs(node)]):
                self._move()

    def make(self, op: str, *inputs: str, attributes: dict[str, Attribute] | None = None) -> str:
        """The output of a new node in front of this one."""
        shape = np.broadcast_shapes(*(self.editor.shape(name) for name in inputs))
        return made(self.editor, self.node, op, list(inputs), shape, attributes)

    def number(self, value: float) -> str:
        """A constant."""
        return self.editor.add_constant(f"{self.node.name}_number", np.array(value, np.float32))

    def step(self, larger: str, smaller: str) -> str:
        """1.0 where the first is larger than the second."""
        return self.make("Relu", self.make("Sign", self.make("Sub", larger, smaller)))

    def other(self, mask: str) -> str:
        """1 - mask."""
        value = self.editor.graph.constants.get(mask)
        if value is not None:
            return self.editor.add_constant(f"{mask}_other", np.float32(1) - value)
        return self.make("Sub", self.number(1.0), mask)

    def mask(self, name: str) -> str | None:
        """The floats of truth values; None where they are not known as such."""
        value = self.editor.graph.constants.get(name)
        if name not in self._masks and value is not None and value.dtype == np.bool_:
            self._masks[name] = self.editor.add_constant(f"{name}_mask", value.astype(np.float32))
        return self._masks.get(name)

    def know(self, mask: str) -> None:
        """The node's truth values are those of `mask`; whoever reads them is rewritten in turn."""
        self._masks[self.node.outputs[0]] = mask
        self.editor.changes += self.node.outputs[0] not in self.editor.graph.outputs

    def floats(self) -> bool:
        """Whether all inputs of the node hold float32."""
        dtypes = self.editor.graph.dtypes
        return all(dtypes.get(name) == np.float32 for name in self.node.inputs)

    def finite(self, name: str) -> str:
        """A tensor; of a constant with infinite numbers one with the largest instead."""
        value = self.editor.graph.constants.get(name)
        if value is None or np.isfinite(value).all():
            return name
        near = np.nan_to_num(value, nan=np.nan, posinf=_LARGEST, neginf=-_LARGEST)
        return self.editor.add_constant(f"{name}_finite", near.astype(np.float32))

    def _has_masks(self, names: list[str]) -> bool:
        known = [self.mask(name) for name in names if name]
        return any(known) and all(known)

    def _move(self) -> None:
        node, editor = self.node, self.editor
        count = _data_inputs(node)
        inputs = [self.mask(name) or name for name in node.inputs[:count]] + node.inputs[count:]
        outputs = [editor.tensor(f"{name}_mask", editor.shape(name)) if name else "" for name in node.outputs]
        editor.insert(node, node.op, inputs, outputs, dict(node.attributes))
        self._masks |= {name: mask for name, mask in zip(node.outputs, outputs, strict=True) if name}
        editor.changes += not any(name in editor.graph.outputs for name in node.outputs)


def _data_inputs(node: Node) -> int:
    return len(node.inputs) if node.op == "Concat" else 1


def _comparison(rule: Callable[[_Rewriting, str, str], str]) -> Callable[[_Rewriting], None]:
    def rewrite(work: _Rewriting) -> None:
        if work.floats():
            a, b = map(work.finite, work.node.inputs)
            work.know(rule(work, a, b))
        elif work.node.op == "Equal":
            masks = [work.mask(name) for name in work.node.inputs]
            if all(masks):
                a, b = (mask or "" for mask in masks)
                work.know(work.other(work.make("Abs", work.make("Sub", a, b))))

    return rewrite


def _equal(work: _Rewriting, a: str, b: str) -> str:
    return work.other(work.make("Abs", work.make("Sign", work.make("Sub", a, b))))


def _logic(rule: Callable[[_Rewriting, list[str]], str]) -> Callable[[_Rewriting], None]:
    def rewrite(work: _Rewriting) -> None:
        masks = [work.mask(name) for name in work.node.inputs]
        if all(masks):
            work.know(rule(work, [mask for mask in masks if mask]))

    return rewrite


def _cast(work: _Rewriting) -> None:
    node, editor = work.node, work.editor
    source, target = node.inputs[0], node.outputs[0]
    mask = work.mask(source)
    if mask is not None and editor.graph.dtypes[target] == np.float32:
        editor.replace(node, "Identity", [mask])
        editor.changes += 1
    elif editor.graph.dtypes[target] == np.bool_ and editor.graph.dtypes[source] == np.float32:
        work.know(work.make("Abs", work.make("Sign", source)))


def _where(work: _Rewriting) -> None:
    node, editor = work.node, work.editor
    mask = work.mask(node.inputs[0])
    if mask is None or editor.graph.dtypes[node.outputs[0]] != np.float32:
        return
    x, y = map(work.finite, node.inputs[1:])
    chosen, rest = work.make("Mul", mask, x), work.make("Mul", work.other(mask), y)
    editor.replace(node, "Add", [chosen, rest])
    editor.changes += 1


_RULES: Mapping[str, Callable[[_Rewriting], None]] = {
    "And": _logic(lambda work, masks: work.make("Mul", *masks)),
    "Cast": _cast,
    "Equal": _comparison(_equal),
    "Greater": _comparison(lambda work, a, b: work.step(a, b)),
    "GreaterOrEqual": _comparison(lambda work, a, b: work.other(work.step(b, a))),
    "Less": _comparison(lambda work, a, b: work.step(b, a)),
    "LessOrEqual": _comparison(lambda work, a, b: work.other(work.step(a, b))),
    "Not": _logic(lambda work, masks: work.other(masks[0])),
    "Or": _logic(lambda work, masks: work.make("Max", *masks)),
    "Where": _where,
    "Xor": _logic(lambda work, masks: work.make("Abs", work.make("Sub", *masks))),
}
