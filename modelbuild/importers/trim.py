"""Naming the nodes of a protobuf, and cutting away what the manifest does not want before it is looked at."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from onnx import ModelProto, NodeProto, ValueInfoProto

from modelbuild.errors import ModelbuildError
from modelbuild.graph.edits import Edit, cut_borders, resolve
from modelbuild.graph.order import unique_names

_TEXTS = ("name", "op_type", "domain", "key", "value", "producer_name", "producer_version")


def check_text(model: ModelProto) -> None:
    """Raises where a name is not UTF-8: protobuf gives such a name as bytes, or fails when it is read."""
    graph = model.graph
    messages: list[Any] = [model, graph, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    messages += [*model.metadata_props, *model.opset_import, *graph.node]
    messages += [entry for tensor in graph.initializer for entry in tensor.external_data]
    messages += [entry for node in graph.node for entry in node.metadata_props]
    messages += [attribute for node in graph.node for attribute in node.attribute]
    try:
        texts = [getattr(message, name) for message in messages for name in _TEXTS if hasattr(message, name)]
        texts += [text for node in graph.node for text in (*node.input, *node.output)]
        damaged = any(isinstance(text, bytes) for text in texts)
    except UnicodeDecodeError:
        damaged = True
    if damaged:
        raise ModelbuildError("a name in the model is not text", why="the file is damaged")


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
    del graph.output[:]
    del graph.node[:]
    graph.output.extend(values)
    graph.node.extend(kept)
