"""Counts axes from the front, and writes out starts, ends, axes and steps of Slice.

Why: the rooms below then need one case, not three.
Legal: always; ONNX defines negative axes as counted from the end and Slice bounds as clamped.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.rewrite import Editor
from modelbuild.graph.slicing import kept

# operator -> its default axis (ONNX operator set 17)
_AXIS: Mapping[str, int] = {
    "ArgMax": 0, "ArgMin": 0, "Concat": 0, "Gather": 0, "GatherElements": 0, "Hardmax": -1,
    "LayerNormalization": -1, "LogSoftmax": -1, "ScatterElements": 0, "Softmax": -1, "Split": 0, "TopK": -1,
}  # fmt: skip
_REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "ReduceSumSquare",
)  # fmt: skip


def run(graph: Graph) -> int:
    """Number of nodes changed."""
    editor = Editor(graph)
    for node in editor.nodes(*_AXIS, *_REDUCTIONS, "Slice", "Transpose"):
        rank = editor.rank(node.inputs[0])
        if node.op in _AXIS:  # a single number has none to count
            editor.changes += rank > 0 and _set(node, "axis", node.int("axis", _AXIS[node.op]) % rank)
        elif node.op == "Slice":
            editor.changes += _slice(editor, node)
        elif node.op == "Transpose":
            editor.changes += _set(node, "perm", node.ints("perm", list(range(rank))[::-1]))
        else:
            editor.changes += _reduction(editor, node)
    return editor.close()


def _set(node: Node, name: str, value: int | list[int]) -> bool:
    changed = node.attributes.get(name) != value
    node.attributes[name] = value
    return changed


def _reduction(editor: Editor, node: Node) -> bool:
    rank = editor.rank(node.inputs[0])
    if node.op != "ReduceSum":
        axes = sorted({axis % rank for axis in node.ints("axes", [])}) or list(range(rank))
        return _set(node, "axes", axes) | _set(node, "keepdims", node.int("keepdims", 1))
    given = editor.constant(node, 1)
    if given is None and len(node.inputs) > 1 and node.inputs[1]:
        return False
    found = [] if given is None else [int(axis) for axis in given.reshape(-1)]
    if not found and node.int("noop_with_empty_axes", 0):
        return False
    node.attributes.pop("noop_with_empty_axes", None)
    axes = sorted({axis % rank for axis in found}) or list(range(rank))
    changed = _set(node, "keepdims", node.int("keepdims", 1))
    if found != axes:
        editor.set_inputs(
            node, [node.inputs[0], editor.add_constant(f"{node.name}_axes", np.array(axes, np.int64))]
        )
        changed = True
    return changed


def _slice(editor: Editor, node: Node) -> bool:
    values = [editor.constant(node, index) for index in (1, 2, 3, 4)]
    if any(value is None and len(node.inputs) > i and node.inputs[i] for i, value in enumerate(values, 1)):
        return False
    starts, ends = ([int(item) for item in value] if value is not None else [] for value in values[:2])
    shape = editor.shape(node.inputs[0])
    axes = list(range(len(starts))) if values[2] is None else [int(a) % len(shape) for a in values[2]]
    steps = [1] * len(starts) if values[3] is None else [int(step) for step in values[3]]
    for index, (axis, step) in enumerate(zip(axes, steps, strict=True)):
        cells = kept(starts[index], ends[index], step, shape[axis])
        starts[index], ends[index] = cells.start, cells.stop if cells.stop >= 0 else -(shape[axis] + 1)
    wanted = [np.array(item, np.int64) for item in (starts, ends, axes, steps)]
    if all(
        v is not None and v.dtype == np.int64 and np.array_equal(v, w)
        for v, w in zip(values, wanted, strict=True)
    ):
        return False
    names = [
        editor.add_constant(f"{node.name}_{which}", value)
        for which, value in zip(("starts", "ends", "axes", "steps"), wanted, strict=True)
    ]
    editor.set_inputs(node, [node.inputs[0], *names])
    return True
