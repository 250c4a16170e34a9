"""MatMul with a constant matrix of a narrow band -> Conv, or MatMuls of parts; of one 1 a column -> Gather.

Why: a picture is resized by such a matrix along each side, which has a few numbers in each column and zeros
beside them: as long as the side, and multiplied one by one where a CPU does it.
Legal: what is left out is zero. The sums are the same but for their order, and for numbers that a filter of
whole periods has in other places with other last bits; picking cells moves them only.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Attribute, Graph, Node
from modelbuild.graph.passes.filter_phases import Phases, phases
from modelbuild.graph.passes.matching import is_float, sole_reader
from modelbuild.graph.preprocess_nodes import FLAT
from modelbuild.graph.rewrite import Editor, merged

Indices = NDArray[np.int64]
COLUMNS = 8  # of a part: fewer are more operators, more are more zeros
_WORTH = 3  # times less to multiply
_RANK = 4  # of pictures
_TOGETHER = 1 << 16  # floats of a picture that are made at once
_MOVED = 8  # products take as long as a float that is moved


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
        if _is_long(matrix, ends - starts) and _convolve(editor, node, matrix, ends - starts):
            editor.changes += 1
            continue
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


def _is_long(matrix: Any, lengths: Indices) -> bool:
    return bool(matrix.shape[1] > COLUMNS and lengths.max() * _WORTH <= len(matrix))


def _untangled(editor: Editor, node: Node) -> tuple[Node, str, int]:
    """What is to be replaced, what it reads, and the axis: the last; of a product between two Transposes that
    exchange the last two, which go, the one before."""
    axis, source = editor.rank(node.inputs[0]) - 1, node.inputs[0]
    before, after = editor.producer(source, "Transpose"), sole_reader(editor, node.outputs[0], "Transpose")
    exchange = [*range(axis - 1), axis, axis - 1]
    if before is None or after is None or not editor.private(source):
        return node, source, axis
    if not before.ints("perm", []) == exchange == after.ints("perm", []):
        return node, source, axis
    after.origin = merged(before.origin, node.origin, after.origin)
    inner = before.inputs[0]
    editor.replace(after, "Identity", [inner])
    editor.remove(node)
    editor.remove(before)
    return after, inner, axis - 1


def _gather(editor: Editor, node: Node, cells: Indices) -> None:
    indices = editor.add_constant(f"{node.name}_cells", cells)
    end, source, axis = _untangled(editor, node)
    editor.replace(end, "Gather", [source, indices], {"axis": axis})


def _convolve(editor: Editor, node: Node, matrix: Any, lengths: Indices) -> bool:
    """A window that moves by periods, an output channel for each column of one; whether that is less work."""
    found = phases(matrix) if editor.rank(node.inputs[0]) == _RANK else None
    if found is None:
        return False
    count, width = found.weights.shape
    if width * _WORTH > len(matrix):
        return False
    step = len(matrix) / matrix.shape[1]
    part = (COLUMNS - 1) * step + float(lengths.max())
    if width + (_MOVED if count > 1 else 0) >= part * (1 + _MOVED / COLUMNS) + _MOVED:
        return False
    end, source, axis = _untangled(editor, node)
    _emit_conv(editor, end, source, axis, found)
    return True


def _emit_conv(editor: Editor, end: Node, source: str, axis: int, found: Phases) -> None:
    """Of large pictures channel by channel, whose floats need not be there together."""
    batch, channels, *sides = editor.shape(source)
    down = axis == _RANK - 2
    each = 1 if math.prod((batch, channels, *sides)) > _TOGETHER else channels
    count, cells = found.weights.shape
    weights = found.weights.reshape((count, 1, cells, 1) if down else (count, 1, 1, cells))
    filter_ = editor.add_constant(f"{end.name}_filter", np.tile(weights, (each, 1, 1, 1)))
    parts = []
    for channel in range(0, channels, each):
        held = source
        if channels > each:
            ends = {"starts": [channel], "ends": [channel + each], "axes": [1], "steps": [1]}
            names = [editor.add_constant(f"{end.name}_{key}", np.array(ends[key], np.int64)) for key in ends]
            held = editor.tensor(f"{source}_channel", (batch, each, *sides))
            editor.insert(end, "Slice", [source, *names], [held])
        parts.append(_filtered(editor, end, [held, filter_], down, found))
    _join(editor, end, parts, count, down)


def _join(editor: Editor, end: Node, parts: list[str], count: int, down: bool) -> None:
    """Channels after each other; the columns of each period, which are channels, beside each other."""
    if count == 1:
        editor.replace(end, *(("Concat", parts, {"axis": 1}) if len(parts) > 1 else ("Identity", parts)))
        return
    batch, made, height, width = editor.shape(parts[0])
    joined, channels = parts[0], made * len(parts)
    if len(parts) > 1:
        joined = editor.tensor(f"{end.outputs[0]}_channels", (batch, channels, height, width))
        editor.insert(end, "Concat", parts, [joined], {"axis": 1})
    opened = (batch * channels // count, count, height, width)
    order = [0, 2, 1, 3] if down else [0, 2, 3, 1]
    names = [
        editor.tensor(f"{end.outputs[0]}_{role}", shape)
        for role, shape in (("opened", opened), ("turned", [opened[place] for place in order]))
    ]
    shapes = (opened, editor.shape(end.outputs[0]))
    sizes = [editor.add_constant(f"{end.name}_shape", np.array(shape, np.int64)) for shape in shapes]
    editor.insert(end, "Reshape", [joined, sizes[0]], [names[0]])
    editor.insert(end, "Transpose", [names[0]], [names[1]], {"perm": order})
    editor.replace(end, "Reshape", [names[1], sizes[1]])


def _filtered(editor: Editor, end: Node, inputs: list[str], down: bool, found: Phases) -> str:
    """[N, C, H, W] in windows; the columns of a period are channels. Where a window is cut, its rest counts
    more."""
    batch, channels, height, width = editor.shape(inputs[0])
    count, cells = found.weights.shape
    height, width = (height // found.step, width) if down else (height, width // found.step)
    attributes: dict[str, Attribute] = {
        "kernel_shape": [cells, 1] if down else [1, cells],
        "strides": [found.step, 1] if down else [1, found.step],
        "pads": [found.before, 0, found.after, 0] if down else [0, found.before, 0, found.after],
        # It says nothing of windows of one cell; an NPU, which would round between the sides, has none such.
        "dilations": [1, FLAT] if down else [FLAT, 1],
        "group": channels,
    }
    made = editor.tensor(f"{end.outputs[0]}_phases", (batch, channels * count, height, width))
    editor.insert(end, "Conv", inputs, [made], attributes)
    if (found.factors == 1).all():
        return made
    factors = np.tile(found.factors.reshape(-1, count).T, (channels if count > 1 else 1, 1))
    factors = factors.reshape((1, len(factors), -1, 1) if down else (1, len(factors), 1, -1))
    scaled = editor.tensor(f"{end.outputs[0]}_scaled", editor.shape(made))
    editor.insert(end, "Mul", [made, editor.add_constant(f"{end.name}_factors", factors)], [scaled])
    return scaled


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
