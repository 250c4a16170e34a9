"""Convolutions that make nothing: each output copies one value of the input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.kept_quantization import kept
from modelbuild.graph.model import Graph, Node


def selected(graph: Graph, node: Node) -> NDArray[np.int64] | None:
    """[O]: the input channel that each output channel of a Conv copies (a channel shuffle or a focus, as
    passes write them); None where weights are others than one 1 a row, and where the source quantized it."""
    if node.op != "Conv" or node.domain or node.inputs[0] in graph.constants:
        return None
    weight, *bias = (graph.constants.get(name) for name in node.inputs[1:] if name)
    if weight is None or any(each is None or np.asarray(each).any() for each in bias):
        return None
    rows = weight.reshape(*weight.shape[:2], -1)
    if np.count_nonzero(rows[:1]) != 1:  # most weights show it there
        return None
    if not ((rows == 0) | (rows == 1)).all() or (np.count_nonzero(rows, axis=(1, 2)) != 1).any():
        return None
    if _is_the_sources(graph, node):
        return None
    per_group = len(weight) // node.int("group", 1)
    first = np.arange(len(weight)) // per_group * weight.shape[1]
    return np.asarray(first + rows.any(axis=2).argmax(axis=1), np.int64)


def _is_the_sources(graph: Graph, node: Node) -> bool:
    entries: Any = kept(graph)
    return any(name in entries for name in (*node.inputs, *node.outputs))
