"""Nodes that do the same on the same inputs -> one.

Why: exporters repeat casts, reshapes and whole branches, each with constants of its own.
Legal: operators are functions, and constants are the same where all their bits are; outputs of the model keep
their own node.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph import kept_quantization
from modelbuild.graph.model import Array, Attribute, Graph, Node
from modelbuild.graph.repeated import distinct, is_repeated
from modelbuild.graph.rewrite import Editor, merged

_FEW = 4096  # bytes that tell weights of another layer


def run(graph: Graph) -> int:
    """Number of nodes removed."""
    editor = Editor(graph)
    alike: dict[Hashable, list[Node]] = {}
    for node in editor.nodes():
        found = alike.setdefault(_outline(graph, node), [])
        original = next((other for other in found if _same_constants(graph, node, other)), None)
        if original is None:
            found.append(node)
            continue
        if any(name in graph.outputs for name in node.outputs):
            continue
        editor.remove(node)
        original.origin = merged(original.origin, node.origin)
        for mine, kept in zip(node.inputs, original.inputs, strict=True):
            entry = kept_quantization.entry(graph, mine)
            if entry is not None and mine in graph.constants and kept_quantization.entry(graph, kept) is None:
                kept_quantization.keep(graph, {kept: entry})
        for mine, kept in zip(node.outputs, original.outputs, strict=True):
            editor.redirect(mine, kept)
        editor.changes += 1
    return editor.close()


def _outline(graph: Graph, node: Node) -> Hashable:
    """All that has to agree but the values of constants."""
    attributes = tuple((name, _frozen(value)) for name, value in sorted(node.attributes.items()))
    inputs = tuple(_input(graph, name) for name in node.inputs)
    return (node.op, inputs, attributes, tuple(bool(name) for name in node.outputs))


def _input(graph: Graph, name: str) -> Hashable:
    value = graph.constants.get(name)
    return name if value is None else (str(value.dtype), value.shape)


def _same_constants(graph: Graph, node: Node, other: Node) -> bool:
    pairs = [pair for pair in zip(node.inputs, other.inputs, strict=True) if pair[0] in graph.constants]
    return all(a == b or _same(graph.constants[a], graph.constants[b]) for a, b in pairs)


def _same(a: Array, b: Array) -> bool:
    """Whether all bits are the same: -0 is not 0, and a value that is not a number is itself. The first few
    are looked at first, and of arrays of one repeated value nothing else."""
    if a is b:
        return True
    if is_repeated(a) and is_repeated(b):
        a, b = distinct(a), distinct(b)
    first, second = _bytes(a), _bytes(b)
    return np.array_equal(first[:_FEW], second[:_FEW]) and np.array_equal(first, second)


def _bytes(value: Array) -> NDArray[np.uint8]:
    return np.ascontiguousarray(value).reshape(-1).view(np.uint8)


def _frozen(value: Attribute) -> Hashable:
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, value.tobytes())
    return tuple(value) if isinstance(value, list) else value
