"""Putting nodes behind a tensor: its readers read what they make, and the border keeps its names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelbuild.graph import kept_quantization
from modelbuild.graph.edits.names import rename_tensor
from modelbuild.graph.fresh_names import fresh_in
from modelbuild.graph.model import Attribute, Graph, Node
from modelbuild.graph.order import in_order
from modelbuild.graph.quantized_border import is_port

Constants = Mapping[str, Any]  # a name for each further input, in order -> its value


def real_input(graph: Graph, name: str) -> str:
    """The tensor of real numbers that an input of codes stands for; any other tensor itself."""
    readers = [node for node in graph.nodes if name in node.inputs]
    codes = name in graph.inputs and len(readers) == 1 and is_port(graph, name)
    return readers[0].outputs[0] if codes else name


def of_input(
    graph: Graph, name: str, op: str, constants: Constants, attributes: dict[str, Attribute]
) -> None:
    """A node between the input `name` and its readers: `op(name, *constants)` is what these read. Of an input
    of codes, those of the real numbers that it stands for.

    The quantization of an input of real numbers in the source, if it has one, belongs to what they read."""
    source = real_input(graph, name)
    inner = fresh_in(graph, f"{name}_{op.lower()}")
    for node in graph.nodes:
        node.inputs = [inner if read == source else read for read in node.inputs]
    if source == name:
        kept_quantization.renamed(graph, name, inner)
    _add(graph, op, op.lower(), source, inner, constants, attributes)


def of_output(
    graph: Graph,
    name: str,
    op: str,
    constants: Constants,
    attributes: dict[str, Attribute],
    label: str | None = None,
) -> None:
    """A node in front of the model's output `name`; the tensor that was called so has another name now. In
    front of an output of codes it is before these are made."""
    inner = fresh_in(graph, f"{name}_before_{op.lower()}")
    maker = graph.producers()[name]
    if maker.op == "QuantizeLinear" and is_port(graph, name):
        source, maker.inputs[0] = maker.inputs[0], inner
        entry = kept_quantization.entry(graph, source)
        kept_quantization.keep(graph, {} if entry is None else {inner: entry})
        _add(graph, op, label or op.lower(), source, inner, constants, attributes)
        return
    rename_tensor(graph, name, inner)
    graph.outputs = [name if output == inner else output for output in graph.outputs]
    _add(graph, op, label or op.lower(), inner, name, constants, attributes)


def of_tensor(
    graph: Graph, name: str, op: str, constants: Constants, attributes: dict[str, Attribute], label: str
) -> None:
    """A node between any tensor and its readers; before an output of the model, in front of that."""
    if name in graph.outputs:
        of_output(graph, name, op, constants, attributes, label)
        return
    inner = fresh_in(graph, f"{name}_{op.lower()}")
    for node in graph.nodes:
        node.inputs = [inner if read == name else read for read in node.inputs]
    _add(graph, op, label, name, inner, constants, attributes)


def _add(
    graph: Graph,
    op: str,
    label: str,
    source: str,
    target: str,
    constants: Constants,
    attributes: dict[str, Attribute],
) -> None:
    label = fresh_in(graph, label)
    names: Sequence[str] = [fresh_in(graph, f"{label}_{key}") for key in constants]
    for constant, value in zip(names, constants.values(), strict=True):
        graph.constants[constant] = np.asarray(value)
    graph.nodes.append(Node(op, label, [source, *names], [target], attributes, "", (label,)))
    graph.nodes = in_order(graph.nodes, graph)
