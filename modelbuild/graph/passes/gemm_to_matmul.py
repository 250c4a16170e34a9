"""Gemm of two computed matrices -> Transpose, MatMul, Mul, Add; a bias that differs from row to row -> Add.

Why: a layer has constant weights, and one number that it adds for each column.
Legal: it is ONNX's own definition. A Gemm with constant weights and a bias a column stays.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.standardize import made
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of Gemms rewritten."""
    editor = Editor(graph)
    for node in editor.nodes("Gemm"):
        floats = all(graph.dtypes[name] == np.float32 for name in node.inputs if name)
        if floats and not (editor.constant(node, 1) is not None and _is_row(editor, node)):
            _rewrite(editor, node)
            editor.changes += 1
    return editor.close()


def _is_row(editor: Editor, node: Node) -> bool:
    """Whether its bias, if it has one, is a constant and the same for every row."""
    if len(node.inputs) < 3 or not node.inputs[2]:
        return True
    value = editor.constant(node, 2)
    columns = editor.shape(node.outputs[0])[1]
    return value is not None and value.size in (1, columns) and value.shape[-1:] in ((), (value.size,))


def _rewrite(editor: Editor, node: Node) -> None:
    shape, bias = editor.shape(node.outputs[0]), (*node.inputs, "")[2]
    parts = [_product(editor, node, shape)]
    parts += [_weighed(editor, node, bias, "beta")] if bias else []
    if len(parts) == 2:
        editor.replace(node, "Add", parts)
    else:
        editor.replace(node, "Identity", parts)


def _product(editor: Editor, node: Node, shape: tuple[int, ...]) -> str:
    if editor.constant(node, 1) is not None:
        return made(editor, node, "Gemm", node.inputs[:2], shape, {**node.attributes, "beta": 1.0})
    sides = [_turned(editor, node, index, key) for index, key in enumerate(("transA", "transB"))]
    return _weighed(editor, node, made(editor, node, "MatMul", sides, shape), "alpha")


def _turned(editor: Editor, node: Node, index: int, key: str) -> str:
    name = node.inputs[index]
    if not node.int(key, 0):
        return name
    return made(editor, node, "Transpose", [name], editor.shape(name)[::-1], {"perm": [1, 0]})


def _weighed(editor: Editor, node: Node, name: str, key: str) -> str:
    factor = cast(float, node.attributes.get(key, 1.0))
    if factor == 1:
        return name
    number = editor.add_constant(f"{node.name}_{key}", np.array(factor, np.float32))
    return made(editor, node, "Mul", [name, number], editor.shape(name))
