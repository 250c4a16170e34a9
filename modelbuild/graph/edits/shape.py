"""`shape: {x: [4, 3, 224, 224], y: [4, 1000]}`: other shapes of inputs and outputs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.graph import shapes
from modelbuild.graph.edits import behind
from modelbuild.graph.edits.names import border
from modelbuild.graph.fresh_names import fresh_in
from modelbuild.graph.model import Graph, Shape

# What onnxruntime says of a node that fails; not the place in its own source.
_FAILED = re.compile(r"Name:'(.*?)' Status Message: (?:/\S+ .*\(.*?\) )?(.*)")

_NOT_THERE = "NOT_IMPLEMENTED"  # by onnxruntime, whatever the shape


def apply(graph: Graph, settings: object) -> None:
    """Inputs get their shape and the model is computed anew with it; outputs are reshaped, and keep their
    values. Raises where the model cannot take a shape, naming the node, or an output has other values."""
    if not isinstance(settings, Mapping) or not settings:
        raise ModelbuildError(
            "`shape` needs inputs or outputs", advice="write `shape: {image: [1, 3, 224, 224]}`"
        )
    wanted = {border(graph, str(name)): _read(name, given) for name, given in settings.items()}
    inputs = {name: shape for name, shape in wanted.items() if name in graph.inputs}
    if inputs:
        _set_inputs(graph, inputs)
    for name, shape in wanted.items():
        if name not in graph.inputs:
            _reshape_output(graph, name, shape)


def _read(name: str, given: object) -> Shape:
    sizes = given if isinstance(given, list | tuple) else ()
    if not sizes or not all(type(size) is int and size > 0 for size in sizes):
        raise ModelbuildError(f"`shape: {{{name}: {given}}}` is not a list of sizes from 1")
    return tuple(sizes)


def _set_inputs(graph: Graph, inputs: Mapping[str, Shape]) -> None:
    for name, shape in inputs.items():
        before = graph.shapes[name]
        if len(shape) != len(before):
            raise ModelbuildError(
                f"the shape {list(shape)} of the input `{name}` has {len(shape)} dimensions",
                why=f"the model's has {len(before)}: {list(before)}",
            )
    if any(shape[0] != graph.shapes[name][0] for name, shape in inputs.items()):
        _free_batches(graph, {graph.shapes[name][0] for name in inputs})
    graph.shapes.update(inputs)
    listed = _listed(graph, list(inputs))
    try:
        shapes.infer(graph)
        _try(graph)
    except ModelbuildError as error:
        raise ModelbuildError(
            f"the model cannot take {listed}: {error.problems[0].what}",
            why="; ".join(filter(None, (_at_node(graph), error.problems[0].why))),
            advice="take a size that fits this node, or export the model for this shape",
        ) from error


def _at_node(graph: Graph) -> str:
    """What the node reads at which the inference of shapes stopped; nothing where it did not."""
    node = next((n for n in graph.nodes if any(o and o not in graph.shapes for o in n.outputs)), None)
    return "" if node is None else f"it reads {_listed(graph, node.inputs)}"


def _listed(graph: Graph, names: Sequence[str]) -> str:
    return ", ".join(f"`{name}` {list(graph.shapes[name])}" for name in names if name)


def _try(graph: Graph) -> None:
    """Runs the model once: what ONNX infers of a shape leaves much to those who compute it (a Reshape to as
    many values as before, an index that is too large now). Raises naming the node and what it reads."""
    from modelbuild.graph.session import FloatSession  # loads onnxruntime

    zeros = {name: np.zeros(graph.shapes[name], graph.dtypes[name]) for name in graph.inputs}
    try:
        FloatSession(graph).run(zeros)
    except ModelbuildError as error:
        if _NOT_THERE in error.problems[0].why:
            return
        named = _FAILED.search(error.problems[0].why)
        node = next((node for node in graph.nodes if named and node.name == named[1]), None)
        if named is None or node is None:
            raise
        raise ModelbuildError(
            f"{node.op} `{node.name}` does not fit",
            why=f"it reads {_listed(graph, node.inputs)} for {_listed(graph, node.outputs)}: {named[2]}",
        ) from error


def _free_batches(graph: Graph, batches: set[int]) -> None:
    """A Reshape that writes out the old batch, and reads it in its place, copies what it reads."""
    for node in graph.nodes:
        target = graph.constants.get(node.inputs[1]) if node.op == "Reshape" else None
        if target is None or target.size == 0 or node.int("allowzero", 0):
            continue
        source = graph.shapes[node.inputs[0]]
        if source and source[0] in batches and int(target.reshape(-1)[0]) == source[0]:
            freed = np.array([0, *target.reshape(-1)[1:]], np.int64)
            graph.constants[name := fresh_in(graph, f"{node.inputs[1]}_any_batch")] = freed
            node.inputs[1] = name


def _reshape_output(graph: Graph, name: str, shape: Sequence[int]) -> None:
    has = graph.shapes[name]
    if math.prod(has) != math.prod(shape):
        raise ModelbuildError(
            f"the output `{name}` cannot have the shape {list(shape)}",
            why=f"it has {math.prod(has)} values, {list(has)}, and that are {math.prod(shape)}",
        )
    if tuple(shape) != tuple(has):
        behind.of_output(graph, name, "Reshape", {"shape": np.array(shape, np.int64)}, {})
