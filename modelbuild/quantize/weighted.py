"""Nodes that multiply by constants, each as weights [O, ...] and biases [O] in one layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph, Node, Shape
from modelbuild.graph.repeated import each_distinct
from modelbuild.quantize.in_order import sum_in_order
from modelbuild.quantize.windows import coverage

Real = NDArray[Any]


@dataclass(frozen=True)
class Weighted:
    """`weight` is [O, C/g, kh, kw] (a correlation over the padded input) or [O, K]; `name` is the constant's,
    or the node's where there is none that could be shown. `coverage` [kh, kw]: the share of the outputs in
    which a tap meets a value of the input, not a zero beside or between them."""

    name: str
    weight: Real
    bias: Real
    group: int = 1
    coverage: Real | None = None

    @property
    def channels(self) -> int:
        """How many input channels it reads."""
        return self.group * int(self.weight.shape[1])

    def multiplies(self, shape: Shape) -> bool:
        """Whether the channels of an input of `shape` (axis 1) are what the weights multiply: rows of more
        than two axes have what is multiplied on the last."""
        rows = self.weight.ndim == 2
        return len(shape) > 1 and shape[1] == self.channels and (len(shape) == 2 or not rows)

    def over_taps(self, values: Real) -> Real:
        """[O, C/g]: the sum of `values` [O, C/g, ...] over the taps, each as often as it meets the input."""
        covered = values if self.coverage is None else values * self.coverage
        return sum_in_order(covered.reshape(*values.shape[:2], -1))

    def mean_of(self, input_mean: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean output [O] of `weight` for a mean input [C], over all of the output's positions."""
        taps = self.over_taps(weight).reshape(self.group, -1, weight.shape[1])
        channels = input_mean.reshape(self.group, 1, -1)
        return sum_in_order(taps * channels).reshape(len(weight))


def weighted(graph: Graph, node: Node) -> Weighted | None:
    """The node's weights, or None if it has none that are constant. Raises (exit 2) for a Gemm whose bias
    differs from row to row."""
    reader = _READERS.get(node.op)
    return None if reader is None else reader(graph, node)


def _bias(graph: Graph, node: Node, index: int, count: int) -> Real | None:
    name = node.inputs[index] if len(node.inputs) > index else ""
    if not name:
        return np.zeros(count, np.float32)
    bias = graph.constants.get(name)
    if bias is None:
        return None
    if bias.size != 1 and (bias.size != count or bias.shape[-1] != count):
        raise ModelbuildError(
            f"the bias of the node {node.name!r} ({node.op}) cannot be quantized",
            why=f"it is {list(bias.shape)}: one number for all {count} output channels, or one for each, "
            "are what a layer adds",
            advice="add it by an Add behind the node",
        )
    return np.broadcast_to(bias.reshape(-1), (count,))


def _conv(graph: Graph, node: Node) -> Weighted | None:
    weight = graph.constants.get(node.inputs[1])
    if weight is None:
        return None
    bias = _bias(graph, node, 2, weight.shape[0])
    if bias is None:
        return None
    shares = _coverage(graph, node, weight.shape[2:])
    return Weighted(node.inputs[1], weight, bias, node.int("group", 1), shares)


def _coverage(graph: Graph, node: Node, kernel: Shape) -> Real | None:
    """None for three axes and more, which nothing here builds."""
    size, out = (graph.shapes[name][2:] for name in (node.inputs[0], node.outputs[0]))
    return coverage(node, size, kernel, out) if len(size) in (1, 2) else None


def _conv_transpose(graph: Graph, node: Node) -> Weighted | None:
    """[C, O/g, kh, kw] -> the correlation [O, C/g, kh, kw] over the zero-stuffed input."""
    stored = graph.constants.get(node.inputs[1])
    if stored is None:
        return None
    group = node.int("group", 1)
    channels, per_group, *kernel = stored.shape
    parts = stored.reshape(group, channels // group, per_group, *kernel).swapaxes(1, 2)
    weight = parts.reshape(group * per_group, channels // group, *kernel)
    flipped = np.flip(weight, axis=tuple(range(2, weight.ndim)))
    bias = _bias(graph, node, 2, group * per_group)
    if bias is None:
        return None
    shares = _coverage(graph, node, tuple(kernel))
    return Weighted(node.inputs[1], flipped, bias, group, None if shares is None else np.flip(shares))


def _gemm(graph: Graph, node: Node) -> Weighted | None:
    weight = graph.constants.get(node.inputs[1])
    if weight is None or node.int("transA", 0):
        return None
    weight = weight if node.int("transB", 0) else weight.T
    bias = _bias(graph, node, 2, weight.shape[0])
    if bias is None:
        return None
    alpha, beta = (np.float64(_number(node, key)) for key in ("alpha", "beta"))
    weight = each_distinct(weight, lambda values: values.astype(np.float64) * alpha)
    return Weighted(node.inputs[1], weight, bias.astype(np.float64) * beta)


def _number(node: Node, key: str) -> float:
    value = node.attributes.get(key, 1.0)
    assert isinstance(value, int | float)
    return float(value)


def _matmul(graph: Graph, node: Node) -> Weighted | None:
    weight = graph.constants.get(node.inputs[1])
    if weight is None or weight.ndim != 2 or node.inputs[0] in graph.constants:
        return None
    return Weighted(node.inputs[1], weight.T, np.zeros(weight.shape[1], np.float32))


def _per_channel(graph: Graph, node: Node, index: int) -> Real | None:
    """The constant input `index` as one number a channel of the other input [N, C, H, W]."""
    value = graph.constants.get(node.inputs[index])
    other = node.inputs[1 - index]
    if value is None or other in graph.constants or len(graph.shapes[other]) != 4:
        return None
    channels = graph.shapes[other][1]
    padded = value.reshape((1,) * (4 - value.ndim) + value.shape) if value.ndim <= 4 else value
    if padded.shape != (1, channels, 1, 1) or channels == 1:
        return None
    return padded.reshape(-1).astype(np.float64)


def _affine(name: str, factor: Real, offset: Real) -> Weighted:
    """y = factor x + offset a channel, as a depthwise 1x1 convolution."""
    count = len(factor)
    return Weighted(name, factor.reshape(count, 1, 1, 1), offset, count)


def _scaled(graph: Graph, node: Node) -> Weighted | None:
    for index in (1, 0):
        values = _per_channel(graph, node, index)
        if values is None or (node.op == "Div" and index == 0):
            continue
        factor = 1.0 / values if node.op == "Div" else values
        return _affine(node.inputs[index], factor, np.zeros(len(values)))
    return None


def _shifted(graph: Graph, node: Node) -> Weighted | None:
    for index in (1, 0):
        values = _per_channel(graph, node, index)
        if values is not None:
            sign_x = -1.0 if node.op == "Sub" and index == 0 else 1.0
            sign_c = -1.0 if node.op == "Sub" and index == 1 else 1.0
            return _affine(node.inputs[index], np.full(len(values), sign_x), sign_c * values)
    return None


def _batch_normalization(graph: Graph, node: Node) -> Weighted | None:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias, on four axes."""
    found = [graph.constants.get(name) for name in node.inputs[1:5]]
    if len(graph.shapes[node.inputs[0]]) != 4:
        return None
    values = [value.astype(np.float64) for value in found if value is not None]
    if len(values) != 4:
        return None
    scale, bias, mean, variance = values
    epsilon = node.attributes.get("epsilon", 1e-5)
    assert isinstance(epsilon, float)
    factor = scale / np.sqrt(variance + epsilon)
    return _affine(node.inputs[1], factor, bias - mean * factor)


_READERS = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Mul": _scaled,
    "Div": _scaled,
    "Add": _shifted,
    "Sub": _shifted,
    "BatchNormalization": _batch_normalization,
}
