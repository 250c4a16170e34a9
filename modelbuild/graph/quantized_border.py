"""Inputs and outputs that hold codes (int8, uint8) in the source, and so in the float graph made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from modelbuild.graph.fresh_names import fresh, tensors
from modelbuild.graph.kept_quantization import CODES, Kept, keep
from modelbuild.graph.model import Graph, Node

CODE_TYPES = ("int8", "uint8")  # of ports; QuantizeLinear of operator set 17 makes no others


def dequantize_input(graph: Graph, name: str, entry: Kept) -> str:
    """Makes the input `name` hold codes, and a DequantizeLinear make floats of them for all its readers.

    Returns the float tensor's name; it gets the entry. `entry` is one scale, of a type of `CODE_TYPES`.
    """
    inner = fresh(f"{name}_dequantized", tensors(graph))
    for node in graph.nodes:
        node.inputs = [inner if item == name else item for item in node.inputs]
    parameters = _constants(graph, name, entry)
    graph.nodes.insert(0, _node(graph, "DequantizeLinear", name, [name, *parameters], inner, (name,)))
    graph.dtypes[inner] = np.dtype(np.float32)
    if name in graph.shapes:
        graph.shapes[inner] = graph.shapes[name]
    graph.dtypes[name] = np.dtype(entry.dtype)
    keep(graph, {inner: entry})
    return inner


def quantize_output(graph: Graph, name: str, entry: Kept) -> str:
    """Makes the output `name` hold codes, made by a QuantizeLinear of the floats that were called so.

    Returns the float tensor's new name; it gets the entry.
    """
    inner = fresh(f"{name}_quantized", tensors(graph))
    origin: Sequence[str] = (name,)
    for node in graph.nodes:
        node.inputs = [inner if item == name else item for item in node.inputs]
        if name in node.outputs:
            node.outputs = [inner if item == name else item for item in node.outputs]
            origin = node.origin
    parameters = _constants(graph, name, entry)
    graph.nodes.append(_node(graph, "QuantizeLinear", name, [inner, *parameters], name, origin))
    graph.dtypes[inner] = np.dtype(np.float32)
    if name in graph.shapes:
        graph.shapes[inner] = graph.shapes[name]
    graph.dtypes[name] = np.dtype(entry.dtype)
    keep(graph, {inner: entry})
    return inner


def is_port(graph: Graph, tensor: str) -> bool:
    """Whether `tensor` is an input that a DequantizeLinear alone reads, or an output of a QuantizeLinear."""
    dtype = graph.dtypes.get(tensor)
    if dtype is None or str(dtype) not in CODE_TYPES:
        return False
    if tensor in graph.inputs:
        return all(node.op == "DequantizeLinear" for node in graph.nodes if tensor in node.inputs)
    return tensor in graph.outputs and not any(tensor in node.inputs for node in graph.nodes)


def scale_and_zero(graph: Graph, node: Node) -> tuple[float, int]:
    """The constants of a DequantizeLinear or QuantizeLinear of the border."""
    scale, zero = (graph.constants[name] for name in node.inputs[1:3])
    return float(np.asarray(scale).reshape(-1)[0]), int(np.asarray(zero).reshape(-1)[0])


def _constants(graph: Graph, name: str, entry: Kept) -> list[str]:
    values: Mapping[str, np.generic] = {
        "scale": np.float32(entry.scale[0]),
        "zero_point": np.dtype(entry.dtype).type(entry.zero_point[0]),
    }
    assert CODES[entry.dtype][0] <= entry.zero_point[0] <= CODES[entry.dtype][1]
    names = []
    for role, value in values.items():
        free = fresh(f"{name}_{role}", tensors(graph))
        array = np.asarray(value)
        graph.constants[free], graph.shapes[free], graph.dtypes[free] = array, (), array.dtype
        names.append(free)
    return names


def _node(graph: Graph, op: str, base: str, inputs: list[str], output: str, origin: Sequence[str]) -> Node:
    taken = {node.name for node in graph.nodes}
    name = base if base not in taken else fresh(f"{base}_{op}", taken)
    return Node(op, name, inputs, [output], origin=tuple(origin))
