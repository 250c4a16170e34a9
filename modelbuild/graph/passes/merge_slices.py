"""A Slice that reads a Slice reads that one's input instead.

Why: exporters write x[:, :, ::2, 1::2] as one Slice an axis (the Focus of a YOLO: eight in place of four).
Legal: bounds and steps are constants; the first Slice has no other readers, so that it goes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.matching import is_standard
from modelbuild.graph.rewrite import Editor, merged
from modelbuild.graph.slicing import kept

Cells = dict[int, range]  # axis -> the indices that are kept


def run(graph: Graph) -> int:
    """Number of Slices removed."""
    editor = Editor(graph)
    for node in editor.nodes("Slice"):
        readers = editor.consumers(node.outputs[0])
        outer = cells(editor, node)
        if outer is None or not readers or node.outputs[0] in graph.outputs:
            continue
        if any(not is_standard(reader, "Slice") or cells(editor, reader) is None for reader in readers):
            continue
        for reader in readers:
            inner = cells(editor, reader)
            assert inner is not None
            write(editor, reader, node.inputs[0], _composed(outer, inner))
            reader.origin = merged(node.origin, reader.origin)
        editor.remove(node)
        editor.changes += 1
    return editor.close()


def cells(editor: Editor, node: Node) -> Cells | None:
    """What the Slice `node` keeps of the axes that it names; None where a bound is no constant."""
    values = [editor.constant(node, index) for index in range(1, 5)]
    if len(node.inputs) < 5 or any(value is None for value in values):
        return None
    starts, ends, axes, steps = ([int(n) for n in value.reshape(-1)] for value in values if value is not None)
    shape = editor.shape(node.inputs[0])
    return {
        axis % len(shape): kept(start, end, step, shape[axis])
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True)
    }


def _composed(outer: Cells, inner: Cells) -> Cells:
    """What is kept of the first input; the cells of `inner` count those that `outer` keeps."""
    found = dict(outer)
    for axis, taken in inner.items():
        found[axis] = _through(outer[axis], taken) if axis in outer else taken
    return dict(sorted(found.items()))


def _through(outer: range, inner: range) -> range:
    stop = outer.start + inner.stop * outer.step
    return range(outer.start + inner.start * outer.step, stop, inner.step * outer.step)


def write(editor: Editor, node: Node, source: str, wanted: Mapping[int, range]) -> None:
    """Makes `node` a Slice that keeps the cells `wanted` of the tensor `source`."""
    size, cuts = editor.shape(source), wanted.values()
    ends = [cut.stop if cut.stop >= 0 else -(size[axis] + 1) for axis, cut in wanted.items()]
    values = ([cut.start for cut in cuts], ends, list(wanted), [cut.step for cut in cuts])
    names = [
        editor.add_constant(f"{node.name}_{which}", np.array(value, np.int64))
        for which, value in zip(("starts", "ends", "axes", "steps"), values, strict=True)
    ]
    editor.replace(node, "Slice", [source, *names])
