"""Naming the nodes of a protobuf, and cutting away what the manifest does not want before it is looked at."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

from modelbuild.errors import ModelbuildError
from modelbuild.graph.edits import CONSTANT, INPUT, Edit, leading_cuts, resolve
from modelbuild.graph.fresh_names import fresh
from modelbuild.graph.order import unique_names

_TEXTS = ("name", "op_type", "domain", "key", "value", "producer_name", "producer_version")


def check_text(model: ModelProto) -> None:
    """Raises where a name is not UTF-8: protobuf gives such a name as bytes, or fails when it is read."""
    try:
        damaged = bytes in set(map(type, _texts(model)))
    except UnicodeDecodeError:
        damaged = True
    if damaged:
        raise ModelbuildError("a name in the model is not text", why="the file is damaged")


def _texts(model: ModelProto) -> list[str | bytes]:
    """All names of the model."""
    messages: list[Any] = [model, *model.metadata_props, *model.opset_import, *model.functions]
    texts: list[str | bytes] = [text for item in model.functions for text in (*item.input, *item.output)]
    bodies = [function.node for function in model.functions]
    waiting = [model.graph]
    while waiting:
        graph = waiting.pop()
        messages += [graph, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
        messages += [entry for tensor in graph.initializer for entry in tensor.external_data]
        messages += [tensor.values for tensor in graph.sparse_initializer]
        bodies.append(graph.node)
        waiting += [g for node in graph.node for item in node.attribute for g in (item.g, *item.graphs)]
    for node in itertools.chain(*bodies):
        texts += (node.name, node.op_type, node.domain)
        texts += node.input
        texts += node.output
        messages += node.attribute
        messages += node.metadata_props
    return texts + [getattr(message, name) for message in messages for name in _fields(message.DESCRIPTOR)]


@cache
def _fields(descriptor: Any) -> list[str]:
    return [name for name in _TEXTS if name in descriptor.fields_by_name]


def name_nodes(model: ModelProto) -> None:
    """Gives every node a name of its own: the source's, or its operator, numbered where that is taken."""
    nodes = model.graph.node
    for node, name in zip(nodes, unique_names(node.name or node.op_type for node in nodes), strict=True):
        node.name = name


def name_parts(model: ModelProto) -> bool:
    """Names the outputs of Splits that have no name since nothing reads them; whether there are any: then
    onnxruntime, 1.31 for one, crashes on the file."""
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    taken |= {value.name for value in model.graph.input} | {tensor.name for tensor in model.graph.initializer}
    before = len(taken)
    for node in model.graph.node:
        if node.op_type == "Split":
            node.output[:] = [name or fresh(f"{node.name}_unused", taken) for name in node.output]
    return len(taken) > before


def check_names(model: ModelProto) -> None:
    """Raises for inputs and outputs without a name or with one that is there twice."""
    for what, values in (("input", model.graph.input), ("output", model.graph.output)):
        names = [value.name for value in values]
        if "" in names:
            raise ModelbuildError(f"an {what} of the model has no name")
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ModelbuildError(f"the model has two {what}s `{twice[0]}`")
    tensors = Counter(tensor.name for tensor in model.graph.initializer)
    tensors.update(tensor.values.name for tensor in model.graph.sparse_initializer)
    twice = [name for name, count in tensors.items() if count > 1]
    if twice:
        raise ModelbuildError(f"the model has two initializers `{twice[0]}`")


def cut_away(model: ModelProto, edits: Sequence[Edit]) -> None:
    """Deletes the nodes that no output of the leading `cut` edits needs, and makes the outputs the model's.

    Inputs stay: the nodes before a new input tell its shape.
    """
    for cut in leading_cuts(edits):
        if cut.outputs:
            with cut.numbered:
                _cut(model, cut.outputs)


def makers_of(nodes: Iterable[NodeProto]) -> dict[str, list[NodeProto]]:
    """Tensor name -> the nodes that make it; more than one in a damaged model."""
    found = dict[str, list[NodeProto]]()
    for node in nodes:
        for name in node.output:
            if name:
                found.setdefault(name, []).append(node)
    return found


def needed(makers: Mapping[str, Sequence[NodeProto]], wanted: Iterable[str]) -> list[NodeProto]:
    """The nodes that the tensors `wanted` need, in no order."""
    found = dict[int, NodeProto]()
    waiting, seen = list(wanted), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in makers.get(name, ()):
            if id(node) not in found:
                found[id(node)] = node
                waiting += _read(node)
    return list(found.values())


def drop_unused(model: ModelProto, notes: list[str]) -> None:
    """Deletes the nodes and initializers that no output needs: an optimizer's state, and more."""
    graph = model.graph
    before = len(graph.node)
    kept = keep_needed(graph, [value.name for value in graph.output])
    read = {name for node in kept for name in _read(node)} | {value.name for value in graph.output}
    if before > len(kept):
        notes.append(f"{before - len(kept)} nodes that no output needs left out")
    gone = set[str]()
    for tensors, name_of in ((graph.initializer, _name), (graph.sparse_initializer, _sparse_name)):
        unused = [index for index, tensor in enumerate(tensors) if name_of(tensor) not in read]
        gone |= {name_of(tensors[index]) for index in unused}
        for index in reversed(unused):
            del tensors[index]
    for index in reversed([index for index, value in enumerate(graph.input) if value.name in gone]):
        del graph.input[index]  # IR 3 lists initializers among the inputs


def _name(tensor: Any) -> str:
    return str(tensor.name)


def _sparse_name(tensor: Any) -> str:
    return str(tensor.values.name)


def _read(node: NodeProto) -> list[str]:
    """The tensors that a node reads, also in its branches and loop bodies."""
    return [*(name for name in node.input if name), *read_inside(node)]


def read_inside(node: NodeProto) -> list[str]:
    """The tensors that the branches and loop bodies of a node read, their own among them."""
    found, waiting = list[str](), [node]
    while waiting:
        for attribute in waiting.pop().attribute:
            for graph in (attribute.g, *attribute.graphs):
                waiting += graph.node
                found += [name for item in graph.node for name in item.input if name]
                found += [value.name for value in graph.output]
    return found


def keep_needed(graph: GraphProto, outputs: Sequence[str]) -> list[NodeProto]:
    """Deletes the nodes of `graph` that `outputs` do not need; the others, in their order."""
    listed = list(graph.node)
    wanted = {id(node) for node in needed(makers_of(listed), outputs)}
    kept = [node for node in listed if id(node) in wanted]
    if len(kept) < len(listed):
        del graph.node[:]
        graph.node.extend(kept)
    return kept


def _cut(model: ModelProto, outputs: Sequence[str]) -> None:
    graph = model.graph
    made = [name for node in graph.node for name in node.output if name]
    others = dict.fromkeys((value.name for value in graph.input), INPUT)
    others |= dict.fromkeys((tensor.name for tensor in graph.initializer), CONSTANT)
    made += [value.name for value in graph.output]
    wanted = resolve(outputs, made, {node.name: node.output for node in graph.node}, others)
    known = {value.name: value for value in graph.output}
    values = [known.get(name) or ValueInfoProto(name=name) for name in wanted]
    del graph.output[:]
    graph.output.extend(values)
    keep_needed(graph, wanted)
