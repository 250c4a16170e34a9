"""Removes nodes whose output is one of their inputs, bit for bit.

Why: Identity, Dropout and the like are left over from training and from other passes.
Legal: always, except between two borders of the model (an output that is an input keeps its Identity).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.matching import is_read
from modelbuild.graph.rewrite import Editor

Test = Callable[[Editor, Node], int | None]  # the index of the input that passes through, or None


def run(graph: Graph) -> int:
    """Number of nodes removed."""
    editor = Editor(graph)
    for node in editor.nodes(*_TESTS):
        index = _TESTS[node.op](editor, node)
        if index is not None and not any(is_read(editor, name) for name in node.outputs[1:]):
            editor.changes += editor.bypass(node, node.inputs[index])
    return editor.close()


def _always(editor: Editor, node: Node) -> int | None:
    return 0


def _same_shape(editor: Editor, node: Node) -> bool:
    return editor.shape(node.inputs[0]) == editor.shape(node.outputs[0])


def _reshaped(editor: Editor, node: Node) -> int | None:
    return 0 if _same_shape(editor, node) else None


def _cast(editor: Editor, node: Node) -> int | None:
    return 0 if editor.graph.dtypes[node.inputs[0]] == editor.graph.dtypes[node.outputs[0]] else None


def _transpose(editor: Editor, node: Node) -> int | None:
    rank = editor.rank(node.inputs[0])
    return 0 if node.ints("perm", list(range(rank))[::-1]) == list(range(rank)) else None


def _slice(editor: Editor, node: Node) -> int | None:
    steps = editor.constant(node, 4)
    forward = len(node.inputs) < 5 or not node.inputs[4] or (steps is not None and min(steps.tolist()) > 0)
    return 0 if forward and _same_shape(editor, node) else None


def _pad(editor: Editor, node: Node) -> int | None:
    pads = editor.constant(node, 1)
    return 0 if pads is not None and not pads.any() else None


def _one_input(editor: Editor, node: Node) -> int | None:
    return 0 if len(node.inputs) == 1 else None


def _one_output(editor: Editor, node: Node) -> int | None:
    return 0 if len(node.outputs) == 1 else None


def _clip(editor: Editor, node: Node) -> int | None:
    return 0 if not any(node.inputs[1:]) else None


def _resize(editor: Editor, node: Node) -> int | None:
    if node.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        return None
    scales = editor.constant(node, 2)
    whole = scales is None or bool(np.all(scales == 1))
    return 0 if whole and _same_shape(editor, node) else None


def _pool(editor: Editor, node: Node) -> int | None:
    plain = {*node.ints("kernel_shape", []), *node.ints("strides", [1])} == {1}
    return 0 if plain and _same_shape(editor, node) else None


def _neutral(value: float, either_side: bool) -> Test:
    def test(editor: Editor, node: Node) -> int | None:
        for index in (1, 0) if either_side else (1,):
            constant = editor.constant(node, index)
            other = node.inputs[1 - index]
            if constant is not None and bool(np.all(constant == value)):
                return 1 - index if editor.shape(other) == editor.shape(node.outputs[0]) else None
        return None

    return test


_TESTS: Mapping[str, Test] = {
    "Add": _neutral(0, True),
    "AveragePool": _pool,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _one_input,
    "Div": _neutral(1, False),
    "Dropout": _always,
    "Expand": _reshaped,
    "Flatten": _reshaped,
    "GlobalAveragePool": _reshaped,
    "GlobalMaxPool": _reshaped,
    "Identity": _always,
    "Max": _one_input,
    "MaxPool": _pool,
    "Mean": _one_input,
    "Min": _one_input,
    "Mul": _neutral(1, True),
    "Pad": _pad,
    "ReduceMax": _reshaped,
    "ReduceMean": _reshaped,
    "ReduceMin": _reshaped,
    "ReduceSum": _reshaped,
    "Reshape": _reshaped,
    "Resize": _resize,
    "Slice": _slice,
    "Split": _one_output,
    "Squeeze": _reshaped,
    "Sub": _neutral(0, False),
    "Sum": _one_input,
    "Tile": _reshaped,
    "Transpose": _transpose,
    "Unsqueeze": _reshaped,
}
