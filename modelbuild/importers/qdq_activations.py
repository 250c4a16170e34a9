"""Whether a quantization's saturation stands for an activation that the file leaves out."""

from __future__ import annotations

import numpy as np

from modelbuild.graph.kept_quantization import CODES, Kept
from modelbuild.graph.model import Graph, Node

# Operators into which quantizing exporters fold a Relu or Relu6.
_TAKE_ACTIVATIONS = frozenset(
    {"Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "BatchNormalization"}
)
_SUMS = frozenset({"Add", "Mul"})  # of what is not negative, not negative
_AT_LEAST_ZERO = frozenset({"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", "Exp", "Softplus", "Sqrt"})
_CHOOSING = frozenset(
    {"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMax", "ReduceMean", "ReduceSum"}
    | {"DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Resize"}
    | {"Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
)
_CHOOSING_AMONG_ALL = frozenset({"Concat", "Max"})


class Signs:
    """The tensors that cannot be negative, found node by node in the order of execution."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._at_least_zero: set[str] = set()
        self._makers: dict[str, str] = {}

    def saturates(self, tensor: str, entry: Kept) -> bool:
        """Whether quantizing `tensor` with `entry` cuts off what the operators before let through.

        So it is where the zero point is the lowest code, an operator that takes up activations makes the
        tensor, and nothing says that it cannot be negative.
        """
        lowest = entry.zero_point[0] == CODES[entry.dtype][0]
        return lowest and self._makers.get(tensor) in _TAKE_ACTIVATIONS and not self._known(tensor)

    def add(self, node: Node, entry: Kept | None) -> None:
        """Takes note of `node`, whose first output is quantized with `entry`."""
        self._makers.update(dict.fromkeys(node.outputs, node.op))
        lowest = entry is not None and entry.zero_point[0] == CODES[entry.dtype][0]
        if lowest or self._makes_no_negatives(node):
            self._at_least_zero.update(node.outputs)

    def _makes_no_negatives(self, node: Node) -> bool:
        if node.op == "Clip":
            return _clips_at_zero(self._graph, node)
        if node.op in _SUMS | _CHOOSING_AMONG_ALL:
            return all(self._known(name) for name in node.inputs)
        first = node.inputs[0] if node.inputs else ""
        return node.op in _AT_LEAST_ZERO or (node.op in _CHOOSING and self._known(first))

    def _known(self, tensor: str) -> bool:
        value = self._graph.constants.get(tensor)
        if value is not None:
            return bool(value.dtype.kind == "f" and np.all(value.astype(np.float32) >= 0))
        return tensor in self._at_least_zero


def _clips_at_zero(graph: Graph, node: Node) -> bool:
    low = node.attributes.get("min")
    if isinstance(low, int | float):
        return low >= 0
    bound = graph.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    return bound is not None and float(np.min(bound.astype(np.float64))) >= 0
