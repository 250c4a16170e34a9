"""Nodes that do the same on the same inputs -> one.

Why: exporters repeat casts, reshapes and whole branches.
Legal: operators are functions; outputs of the model keep their own node.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from modelbuild.graph.model import Attribute, Graph, Node
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of nodes removed."""
    editor = Editor(graph)
    first: dict[Hashable, Node] = {}
    for node in editor.nodes():
        attributes = tuple((name, _frozen(value)) for name, value in sorted(node.attributes.items()))
        original = first.setdefault((node.op, tuple(node.inputs), attributes, len(node.outputs)), node)
        if original is node or any(name in graph.outputs for name in node.outputs):
            continue
        if [bool(name) for name in original.outputs] != [bool(name) for name in node.outputs]:
            continue
        editor.remove(node)
        for mine, kept in zip(node.outputs, original.outputs, strict=True):
            editor.redirect(mine, kept)
        editor.changes += 1
    return editor.close()


def _frozen(value: Attribute) -> Hashable:
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, value.tobytes())
    return tuple(value) if isinstance(value, list) else value
