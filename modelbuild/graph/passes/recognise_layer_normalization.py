"""(x - mean) / sqrt(variance + epsilon) · scale + bias over the last axes -> LayerNormalization.

Why: exporters before operator set 17 write it in nine pieces, whose squares need far more range than their
sum; a chip with the operator takes it whole, for others the recipe takes it apart, always in the same way.
Legal: it is ONNX's definition; scale and bias are constants that broadcast along the normalized axes, and
nothing else reads the pieces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.matching import is_float, near, number, sole_reader, with_number
from modelbuild.graph.rewrite import Editor, merged


@dataclass(frozen=True)
class _Found:
    source: str
    first_axis: int
    epsilon: float
    pieces: tuple[Node, ...]


def run(graph: Graph) -> int:
    """Number of normalizations recognised."""
    editor = Editor(graph)
    for node in editor.nodes("Div"):
        found = _standardized(editor, node)
        if found is not None and is_float(editor, found.source):
            _replace(editor, node, found)
            editor.changes += 1
    return editor.close()


def _standardized(editor: Editor, node: Node) -> _Found | None:
    """What `node` divides by its standard deviation, if it does."""
    centred, root = editor.producer(node.inputs[0], "Sub"), editor.producer(node.inputs[1], "Sqrt")
    total = editor.producer(root.inputs[0], "Add") if root is not None else None
    sum_ = with_number(editor, total, "Add")
    if centred is None or root is None or total is None or sum_ is None:
        return None
    mean, variance = editor.producer(centred.inputs[1], "ReduceMean"), editor.producer(sum_[0], "ReduceMean")
    square = editor.producer(variance.inputs[0], "Mul", "Pow") if variance is not None else None
    if mean is None or variance is None or square is None or mean.inputs[0] != centred.inputs[0]:
        return None
    rank, difference = editor.rank(centred.inputs[0]), centred.outputs[0]
    axes = mean.ints("axes", [])
    last = axes == list(range(rank - len(axes), rank)) and axes == variance.ints("axes", []) and bool(axes)
    kept = mean.int("keepdims", 1) == variance.int("keepdims", 1) == 1
    pieces = (root, total, variance, square, centred, mean)
    alone = all(editor.private(piece.outputs[0]) for piece in pieces if piece is not centred)
    readers = {id(reader) for reader in editor.consumers(difference)} == {id(square), id(node)}
    readers &= difference not in editor.graph.outputs
    if not (last and kept and alone and readers and _squares(editor, square, difference)):
        return None
    return _Found(centred.inputs[0], axes[0], sum_[1], pieces)


def _squares(editor: Editor, square: Node, of: str) -> bool:
    if square.op == "Mul":
        return square.inputs == [of, of]
    return square.inputs[0] == of and near(number(editor, square.inputs[1]), 2.0)


def _replace(editor: Editor, node: Node, found: _Found) -> None:
    shape = editor.shape(found.source)[found.first_axis :]
    names = []
    for op in ("Mul", "Add"):
        taken = _constant_after(editor, node, op, shape)
        if taken is not None:
            after, value = taken
            names.append(editor.add_constant(f"{node.name}_{op.lower()}", value))
            editor.absorb(node, after)
        elif op == "Mul":
            names.append(editor.add_constant(f"{node.name}_mul", np.ones(shape, np.float32)))
    for piece in found.pieces:
        node.origin = merged(piece.origin, node.origin)
    attributes = {"axis": found.first_axis, "epsilon": float(np.float32(found.epsilon))}
    editor.replace(node, "LayerNormalization", [found.source, *names], {**attributes})
    for piece in found.pieces:
        editor.remove(piece)


def _constant_after(
    editor: Editor, node: Node, op: str, shape: tuple[int, ...]
) -> tuple[Node, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] | None:
    """The one reader of `node` if it is `op` with a constant, and that constant as [normalized axes]."""
    target = node.outputs[0]
    after = sole_reader(editor, target, op)
    if after is None or after.inputs.count(target) != 1:
        return None
    value = editor.constant(after, 1 - after.inputs.index(target))
    if value is None or value.dtype != np.float32 or editor.shape(after.outputs[0]) != editor.shape(target):
        return None
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = value[0]
    if value.ndim > len(shape):
        return None
    return after, np.ascontiguousarray(np.broadcast_to(value.astype(np.float32), shape))
