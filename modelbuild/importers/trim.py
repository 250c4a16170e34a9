"""Naming the nodes of a protobuf, and cutting away what the manifest does not want before it is looked at."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from onnx import ModelProto, NodeProto, ValueInfoProto

from modelbuild.graph.edit import Edit, cut_borders, resolve
from modelbuild.graph.order import unique_names


def name_nodes(model: ModelProto) -> None:
    """Gives every node a name of its own: the source's, or its operator, numbered where that is taken."""
    nodes = model.graph.node
    for node, name in zip(nodes, unique_names(node.name or node.op_type for node in nodes), strict=True):
        node.name = name


def cut_away(model: ModelProto, edits: Sequence[Edit]) -> None:
    """Deletes the nodes that no output of the leading `cut` edits needs, and makes the outputs the model's.

    Inputs stay: the nodes before a new input tell its shape.
    """
    for edit in itertools.takewhile(lambda edit: list(edit) == ["cut"], edits):
        _, outputs = cut_borders(edit["cut"])
        if outputs:
            _cut(model, outputs)


def _cut(model: ModelProto, outputs: Sequence[str]) -> None:
    graph = model.graph
    made = [name for node in graph.node for name in node.output if name]
    wanted = resolve(outputs, made, {node.name: node.output for node in graph.node})
    known = {value.name: value for value in graph.output}
    values = [known.get(name) or ValueInfoProto(name=name) for name in wanted]
    needed, kept = set(wanted), list[NodeProto]()
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    kept.reverse()
    for field, items in ((graph.output, values), (graph.node, kept)):
        del field[:]
        field.extend(items)
