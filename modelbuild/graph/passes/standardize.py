"""(x - mean) / sqrt(variance + epsilon) in terms of other operators: what normalizations have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelbuild.graph.model import Attribute, Node, Shape
from modelbuild.graph.rewrite import Editor


def standardized(editor: Editor, node: Node, axes: Sequence[int]) -> str:
    """The tensor of `node`'s first input with mean 0 and variance 1 along `axes`, made in front of `node`."""
    source = node.inputs[0]
    shape = editor.shape(source)
    reduced = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    along: dict[str, Attribute] = {"axes": list(axes), "keepdims": 1}
    epsilon = editor.add_constant(
        f"{node.name}_epsilon", np.array(node.attributes.get("epsilon", 1e-5), np.float32)
    )
    mean = made(editor, node, "ReduceMean", [source], reduced, along)
    centred = made(editor, node, "Sub", [source, mean], shape)
    squared = made(editor, node, "Mul", [centred, centred], shape)
    variance = made(editor, node, "ReduceMean", [squared], reduced, along)
    deviation = made(editor, node, "Sqrt", [made(editor, node, "Add", [variance, epsilon], reduced)], reduced)
    return made(editor, node, "Div", [centred, deviation], shape)


def made(
    editor: Editor,
    node: Node,
    op: str,
    inputs: list[str],
    shape: Shape,
    attributes: dict[str, Attribute] | None = None,
) -> str:
    """The output of a new node in front of `node`."""
    name = editor.tensor(f"{node.outputs[0]}_{op.lower()}", shape)
    editor.insert(node, op, inputs, [name], dict(attributes or {}))
    return name
