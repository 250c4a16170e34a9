"""Inputs and outputs that hold codes of the source's: in the fixed model, integers that mean themselves."""

from __future__ import annotations

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.graph.model import Graph
from modelbuild.graph.quantized_border import is_port


def means_itself(tensor: QuantizedTensor) -> bool:
    """Whether the tensor's integers are the numbers that they stand for, as those of a port of codes are."""
    return (tensor.scale, tensor.zero_point) == (1.0, 0)


def port_tensor(graph: Graph, name: str) -> QuantizedTensor | None:
    """The tensor of a port of codes (scale 1, zero point 0); None for float tensors."""
    if not is_port(graph, name):
        return None
    dtype = graph.dtypes[name]
    return QuantizedTensor(name, graph.shapes[name], 8 * dtype.itemsize, dtype.kind == "i", 1.0, 0)
