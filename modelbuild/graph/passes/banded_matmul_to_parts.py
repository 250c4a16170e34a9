"""MatMul with a constant matrix of a narrow band -> MatMuls of parts; with one 1 a column -> Gather.

Why: a picture is resized by such a matrix along each side, which has a few numbers in each column and zeros
beside them: as long as the side, and multiplied one by one where a CPU does it.
Legal: what is left out is zero. The sums are the same but for their order; picking cells moves them only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.matching import is_float, sole_reader
from modelbuild.graph.rewrite import Editor, merged

Indices = NDArray[np.int64]
COLUMNS = 8  # of a part: fewer are more operators, more are more zeros
_WORTH = 3  # times less to multiply


def run(graph: Graph) -> int:
    """Number of MatMuls replaced."""
    editor = Editor(graph)
    for node in editor.nodes("MatMul"):
        matrix = editor.constant(node, 1)
        if matrix is None or matrix.ndim != 2 or node.inputs[0] in graph.constants:
            continue
        if editor.rank(node.inputs[0]) < 2 or not is_float(editor, node.inputs[0]) or 0 in matrix.shape:
            continue
        cells = _picked(matrix)
        if cells is not None:
            _gather(editor, node, cells)
            editor.changes += 1
            continue
        starts, ends = _spans(matrix)
        blocks = [slice(at, min(at + COLUMNS, matrix.shape[1])) for at in range(0, matrix.shape[1], COLUMNS)]
        rows = [slice(int(starts[block].min()), int(ends[block].max())) for block in blocks]
        if max(row.stop - row.start for row in rows) * _WORTH <= matrix.shape[0]:
            _divide(editor, node, matrix, blocks, rows)
            editor.changes += 1
    return editor.close()


def _picked(matrix: Any) -> Indices | None:
    """The row of the only 1 of each column; None where a column has anything else."""
    if not (np.count_nonzero(matrix, axis=0) == 1).all() or not np.isin(matrix, (0, 1)).all():
        return None
    return np.asarray(matrix.argmax(axis=0), np.int64)


def _spans(matrix: Any) -> tuple[Indices, Indices]:
    """The first row that a column needs, and the one behind its last; of zeros alone, the first."""
    there = matrix != 0
    empty = ~there.any(axis=0)
    starts = np.where(empty, 0, there.argmax(axis=0))
    ends = np.where(empty, 1, matrix.shape[0] - there[::-1].argmax(axis=0))
    return starts, ends


def _gather(editor: Editor, node: Node, cells: Indices) -> None:
    """Along the last axis; between two Transposes that exchange the last two, along the one before."""
    axis, source = editor.rank(node.inputs[0]) - 1, node.inputs[0]
    indices = editor.add_constant(f"{node.name}_cells", cells)
    before, after = editor.producer(source, "Transpose"), sole_reader(editor, node.outputs[0], "Transpose")
    exchange = [*range(axis - 1), axis, axis - 1]
    turned = before is not None and after is not None and editor.private(source)
    if turned and before is not None and after is not None:
        turned = before.ints("perm", []) == exchange == after.ints("perm", [])
        if turned:
            after.origin = merged(before.origin, node.origin, after.origin)
            editor.replace(after, "Gather", [before.inputs[0], indices], {"axis": axis - 1})
            editor.remove(node)
            editor.remove(before)
            return
    editor.replace(node, "Gather", [source, indices], {"axis": axis})


def _divide(editor: Editor, node: Node, matrix: Any, blocks: list[slice], rows: list[slice]) -> None:
    source, target = node.inputs[0], node.outputs[0]
    axis, parts = editor.rank(source) - 1, []
    shape = editor.shape(source)[:-1]
    for block, row in zip(blocks, rows, strict=True):
        parts.append(editor.tensor(f"{target}_part", (*shape, block.stop - block.start)))
        cells = _picked(matrix[:, block])
        if cells is not None:
            indices = editor.add_constant(f"{node.name}_cells", cells)
            editor.insert(node, "Gather", [source, indices], [parts[-1]], {"axis": axis})
            continue
        ends = {"starts": [row.start], "ends": [row.stop], "axes": [axis], "steps": [1]}
        names = [editor.add_constant(f"{node.name}_{key}", np.array(ends[key], np.int64)) for key in ends]
        held = editor.tensor(f"{source}_part", (*shape, row.stop - row.start))
        editor.insert(node, "Slice", [source, *names], [held])
        weights = editor.add_constant(f"{node.inputs[1]}_part", matrix[row, block])
        editor.insert(node, "MatMul", [held, weights], [parts[-1]])
    editor.replace(node, "Concat", parts, {"axis": axis})
