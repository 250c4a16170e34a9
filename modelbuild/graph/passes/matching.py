"""Looking around a node: who reads a tensor, and what the patterns of the recognising passes consist of."""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Node
from modelbuild.graph.rewrite import Editor, merged


def is_standard(node: Node, *ops: str) -> bool:
    """Whether `node` is a standard operator among `ops`."""
    return node.domain == "" and node.op in ops


def sole_reader(editor: Editor, tensor: str, *ops: str) -> Node | None:
    """The node that alone reads `tensor`, which is no output of the model, if it is a standard operator among
    `ops`."""
    node = editor.consumers(tensor)[0] if editor.private(tensor) else None
    return node if node is not None and is_standard(node, *ops) else None


def is_read(editor: Editor, tensor: str) -> bool:
    """Whether a node reads `tensor`, or it is an output of the model."""
    return bool(tensor) and bool(editor.consumers(tensor) or tensor in editor.graph.outputs)


def number(editor: Editor, name: str) -> float | None:
    """The value of a constant of one number."""
    value = editor.graph.constants.get(name)
    return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None


def near(value: float | None, wanted: float) -> bool:
    """Whether a constant is `wanted`, as an exporter rounds it."""
    return value is not None and abs(value - wanted) <= 1e-5 * max(abs(wanted), 1e-3)


def with_number(editor: Editor, node: Node | None, op: str) -> tuple[str, float] | None:
    """x and c of `node`, if it is x `op` c or c `op` x with one number c that changes no shape."""
    if node is None or node.op != op or len(node.inputs) != 2:
        return None
    for index in (1, 0):
        value, other = number(editor, node.inputs[index]), node.inputs[1 - index]
        if value is not None and editor.shape(other) == editor.shape(node.outputs[0]):
            return other, value
    return None


def factors(editor: Editor, name: str, most: int = 6) -> tuple[list[str], float, list[Node]]:
    """The tensors whose product the tensor `name` is, the number before them, and the Muls that make it.

    A Mul is opened up where nothing else reads its result, the outermost in any case."""
    open_, tensors, scale = [name], list[str](), 1.0
    nodes: list[Node] = []
    while open_:
        item = open_.pop()
        value, maker = number(editor, item), editor.producer(item, "Mul")
        if value is not None:
            scale *= value
        elif maker is not None and len(nodes) < most and _may_open(editor, maker, item == name):
            nodes.append(maker)
            open_ += maker.inputs
        else:
            tensors.append(item)
    return tensors, scale, nodes


def _may_open(editor: Editor, maker: Node, is_outermost: bool) -> bool:
    """Whether a Mul stands for its product alone: a number may have more axes than what it multiplies."""
    made = maker.outputs[0]
    others = [item for item in maker.inputs if number(editor, item) is None]
    same_shape = len(others) != 1 or editor.shape(others[0]) == editor.shape(made)
    return same_shape and (is_outermost or editor.private(made))


def become(
    editor: Editor,
    node: Node,
    op: str,
    inputs: list[str],
    attributes: dict[str, float | int],
    parts: list[Node],
) -> None:
    """Makes `node` the operator that it and `parts` computed together."""
    node.origin = merged(*(part.origin for part in parts), node.origin)
    editor.replace(node, op, inputs, {**attributes})
    editor.changes += 1


def is_float(editor: Editor, name: str) -> bool:
    """Whether the tensor holds float32 numbers."""
    return bool(editor.graph.dtypes[name] == np.float32)
