"""Gather of evenly spaced constant indices -> Slice.

Why: exporters write x[:, 2:4] as Gather, which few NPUs run; Slice many do. x[:, 0] takes the axis away, too,
for which Slice needs a Reshape: it stays one node, unless that costs nothing because Reshapes alone read it
or the axis has one cell (`index_to_slice` does it for chips that want it).
Legal: indices are constants in steps of one length, forwards or backwards, within the axis.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.matching import is_standard
from modelbuild.graph.passes.merge_slices import write
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of Gathers replaced."""
    return replace_gathers(graph, is_free)


def replace_gathers(graph: Graph, wanted: Callable[[Editor, Node, int], bool]) -> int:
    """Replaces the Gathers of which `wanted` (editor, node, axis) holds; their number."""
    editor = Editor(graph)
    for node in editor.nodes("Gather"):
        indices = editor.constant(node, 1)
        if indices is None or node.inputs[0] in graph.constants or indices.ndim > 1:
            continue
        axis = node.int("axis", 0) % editor.rank(node.inputs[0])
        size = editor.shape(node.inputs[0])[axis]
        cells = _evenly([int(index) + size * (int(index) < 0) for index in indices.reshape(-1)])
        if cells is not None and wanted(editor, node, axis):
            _replace(editor, node, axis, cells)
            editor.changes += 1
    return editor.close()


def is_free(editor: Editor, node: Node, axis: int) -> bool:
    """Whether one node is enough in place of the Gather."""
    source, target = node.inputs[0], node.outputs[0]
    if editor.rank(target) == editor.rank(source) or editor.shape(source)[axis] == 1:
        return True
    readers = editor.consumers(target)
    reshaped = bool(readers) and all(is_standard(reader, "Reshape") for reader in readers)
    return reshaped and target not in editor.graph.outputs


def _evenly(indices: list[int]) -> range | None:
    """The indices as a range, if they are one."""
    steps = {after - before for before, after in pairwise(indices)} or {1}
    if len(steps) != 1 or 0 in steps or not indices:
        return None
    (step,) = steps
    return range(indices[0], indices[-1] + (1 if step > 0 else -1), step)


def _replace(editor: Editor, node: Node, axis: int, cells: range) -> None:
    source, target = node.inputs[0], node.outputs[0]
    shape = editor.shape(source)
    kept = tuple(len(cells) if index == axis else size for index, size in enumerate(shape))
    if editor.shape(target) == kept:
        write(editor, node, source, {axis: cells})
        return
    part = editor.tensor(f"{target}_part", kept, editor.graph.dtypes[source])
    write(editor, editor.insert(node, "Slice", [source], [part]), source, {axis: cells})
    to_shape = editor.add_constant(f"{node.name}_shape", np.array(editor.shape(target), np.int64))
    editor.replace(node, "Reshape", [part, to_shape])
