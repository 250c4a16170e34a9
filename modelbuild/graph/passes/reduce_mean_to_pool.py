"""ReduceMean and ReduceMax over all spatial axes, and pools of the whole picture -> global pools.

Why: one form for global pooling, the one that chips know.
Legal: x is [N, C, spatial ...] and every spatial axis is reduced whole, without padding. keepdims = 0 needs a
Reshape: it stays one node, unless Reshapes alone read it (`flat_mean_to_pool` does it for chips that want
it).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.matching import is_standard
from modelbuild.graph.rewrite import Editor

_GLOBAL = {
    "ReduceMean": "GlobalAveragePool",
    "ReduceMax": "GlobalMaxPool",
    "AveragePool": "GlobalAveragePool",
    "MaxPool": "GlobalMaxPool",
}


def run(graph: Graph) -> int:
    """Number of nodes replaced."""
    return replace_means(graph, is_free)


def replace_means(graph: Graph, wanted: Callable[[Editor, Node], bool]) -> int:
    """Replaces the nodes of which `wanted` holds; their number."""
    editor = Editor(graph)
    for node in editor.nodes(*_GLOBAL):
        shape = editor.shape(node.inputs[0])
        if len(shape) < 3 or len(node.outputs) > 1 or graph.dtypes[node.inputs[0]] != np.float32:
            continue
        whole = _pools_all(node, shape[2:]) if node.op.endswith("Pool") else _reduces_all(node, len(shape))
        if whole and wanted(editor, node):
            _replace(editor, node, (*shape[:2], *(1,) * (len(shape) - 2)))
    return editor.close()


def is_free(editor: Editor, node: Node) -> bool:
    """Whether one node is enough in place of this one."""
    target = node.outputs[0]
    if editor.rank(target) == editor.rank(node.inputs[0]):
        return True
    readers = editor.consumers(target)
    reshaped = bool(readers) and all(is_standard(reader, "Reshape") for reader in readers)
    return reshaped and target not in editor.graph.outputs


def _reduces_all(node: Node, rank: int) -> bool:
    return sorted(axis % rank for axis in node.ints("axes", [])) == list(range(2, rank))


def _pools_all(node: Node, spatial: tuple[int, ...]) -> bool:
    plain = not any(node.ints("pads", [])) and set(node.ints("dilations", [1])) == {1}
    return plain and tuple(node.ints("kernel_shape", [])) == spatial and "auto_pad" not in node.attributes


def _replace(editor: Editor, node: Node, pooled: tuple[int, ...]) -> None:
    made = editor.shape(node.outputs[0])
    op, editor.changes = _GLOBAL[node.op], editor.changes + 1
    if made == pooled:
        editor.replace(node, op, [node.inputs[0]])
        return
    inner = editor.tensor(f"{node.outputs[0]}_pooled", pooled)
    target = editor.add_constant(f"{node.name}_shape", np.array(made, np.int64))
    editor.insert(node, op, [node.inputs[0]], [inner])
    editor.replace(node, "Reshape", [inner, target])
