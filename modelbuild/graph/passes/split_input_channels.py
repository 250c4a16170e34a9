"""Conv and Gemm that read more than 1024 channels -> a sum of several that read part of them each.

Why: a layer reads no more channels than its registers count. As a sum, each part keeps weights of 8 bits and
runs on the array; what is added are two or three outputs.
Legal: a convolution is a sum over its input channels. One group, weights are constants; the first part keeps
the bias.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.standardize import made
from modelbuild.graph.rewrite import Editor

LIMIT = 1024  # channels


def run(graph: Graph, limit: int = LIMIT) -> int:
    """Number of nodes divided."""
    editor = Editor(graph)
    for node in editor.nodes("Conv", "Gemm"):
        weights, shape = editor.constant(node, 1), editor.shape(node.inputs[0])
        plain = node.int("group", 1) == 1 and not node.int("transA", 0)
        rows = node.op == "Conv" or node.int("transB", 0) == 1
        if weights is not None and plain and rows and len(shape) in (2, 4) and shape[1] > limit:
            _divide(editor, node, -(-shape[1] // limit))
            editor.changes += 1
    return editor.close()


def _divide(editor: Editor, node: Node, count: int) -> None:
    """As evenly as can be."""
    channels, target = editor.shape(node.inputs[0])[1], editor.shape(node.outputs[0])
    ends = [channels * number // count for number in range(count + 1)]
    total = ""
    for number, (start, end) in enumerate(pairwise(ends)):
        part = _slice(editor, node, start, end)
        weights = editor.laid_out(f"{node.name}_weights", node.inputs[1], _columns(start, end))
        inputs = [part, weights, *(node.inputs[2:] if number == 0 else [])]
        product = made(editor, node, node.op, inputs, target, dict(node.attributes))
        if number == count - 1:
            editor.replace(node, "Add", [total, product])
        else:
            total = made(editor, node, "Add", [total, product], target) if total else product


def _columns(start: int, end: int) -> Callable[[Any], Any]:
    return lambda weights: weights[:, start:end]


def _slice(editor: Editor, node: Node, start: int, end: int) -> str:
    source = node.inputs[0]
    shape = list(editor.shape(source))
    shape[1] = end - start
    numbers = [
        editor.add_constant(f"{node.name}_cut", np.array([value], np.int64)) for value in (start, end, 1, 1)
    ]
    return made(editor, node, "Slice", [source, *numbers], tuple(shape))
