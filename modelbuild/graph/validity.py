"""What ONNX's own shape inference lets through although no runtime can run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Array, Graph, Node

_LENGTHS = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 1, "pads": 2}
_LOWEST = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0, "pads": 0}


def check(graph: Graph, node: Node, values: Mapping[str, Array]) -> None:
    """Raises where attributes and shapes of `node` contradict each other. Shapes of its inputs are known."""
    function = _CHECKS.get(node.op)
    if function is None or node.domain:
        return
    reason = function(graph, node, values)
    if reason:
        raise ModelbuildError(f"{node.op} `{node.name}` is not valid", why=reason)


def _window(graph: Graph, node: Node) -> str:
    """Windows: as many numbers as spatial axes, none too small."""
    spatial = len(graph.shapes[node.inputs[0]]) - 2
    if spatial < 1:
        return "its input has no spatial axis"
    for name, lowest in _LOWEST.items():
        found = node.attributes.get(name)
        if found is None:
            continue
        numbers = node.ints(name, [])
        if len(numbers) != spatial * _LENGTHS[name]:
            return f"`{name}` has {len(numbers)} numbers for {spatial} spatial axes"
        if min(numbers) < lowest or max(numbers) >= 2**31:
            return f"`{name}` is {numbers}"
    if node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        return f"`auto_pad` is {node.attributes['auto_pad']!r}"
    return ""


def _pool(graph: Graph, node: Node, values: Mapping[str, Array]) -> str:
    reason = _window(graph, node)
    if reason:
        return reason
    kernel = node.ints("kernel_shape", [])
    pads = node.ints("pads", [0] * 2 * len(kernel))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, node.ints("dilations", [1] * len(kernel)), strict=True)]
    if any(pad >= span for pad, span in zip(pads, spans * 2, strict=True)):
        return f"pads {pads} as large as the window {kernel} leave windows without a cell"
    return ""


def _convolution(graph: Graph, node: Node, values: Mapping[str, Array]) -> str:
    reason = _window(graph, node)
    if reason:
        return reason
    given, weights = graph.shapes[node.inputs[0]], graph.shapes[node.inputs[1]]
    group = node.int("group", 1)
    if len(weights) != len(given):
        return f"weights {list(weights)} on a feature map {list(given)}"
    transposed = node.op == "ConvTranspose"
    inputs, outputs = (weights[0], weights[1] * group) if transposed else (weights[1] * group, weights[0])
    if group < 1 or inputs != given[1] or inputs % group or outputs % group:
        return f"{given[1]} channels, weights {list(weights)} and group {group} do not fit"
    if node.ints("kernel_shape", list(weights[2:])) != list(weights[2:]):
        return f"`kernel_shape` is {node.ints('kernel_shape', [])}, the weights are {list(weights)}"
    bias = graph.shapes[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else (outputs,)
    return "" if bias == (outputs,) else f"a bias {list(bias)} for {outputs} channels"


def _gemm(graph: Graph, node: Node, values: Mapping[str, Array]) -> str:
    a, b = graph.shapes[node.inputs[0]], graph.shapes[node.inputs[1]]
    if len(a) != 2 or len(b) != 2:
        return f"its factors are {list(a)} and {list(b)}"
    rows, outputs = a[1 if node.int("transA", 0) else 0], b[0 if node.int("transB", 0) else 1]
    bias = graph.shapes[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else ()
    return "" if _broadcasts(bias, (rows, outputs)) else f"a bias {list(bias)} for {[rows, outputs]}"


def _broadcasts(shape: Sequence[int], target: Sequence[int]) -> bool:
    pairs = zip(reversed(shape), reversed(target), strict=False)
    return len(shape) <= len(target) and all(size in (1, wanted) for size, wanted in pairs)


def _axis(graph: Graph, node: Node, values: Mapping[str, Array]) -> str:
    rank, axis = len(graph.shapes[node.inputs[0]]), node.int("axis", 0)
    highest = rank if node.op == "Flatten" else rank - 1
    return "" if -rank <= axis <= highest else f"`axis` is {axis}, the input has {rank} axes"


def _axes(graph: Graph, node: Node, values: Mapping[str, Array]) -> str:
    rank, axes = len(graph.shapes[node.inputs[0]]), node.ints("axes", [])
    return "" if all(-rank <= axis < rank for axis in axes) else f"`axes` is {axes} of {rank} axes"


def _transpose(graph: Graph, node: Node, values: Mapping[str, Array]) -> str:
    rank = len(graph.shapes[node.inputs[0]])
    perm = node.ints("perm", list(range(rank)))
    return "" if sorted(perm) == list(range(rank)) else f"`perm` is {perm} for {rank} axes"


def _batch_normalization(graph: Graph, node: Node, values: Mapping[str, Array]) -> str:
    given = graph.shapes[node.inputs[0]]
    channels = given[1] if len(given) > 1 else 1
    shapes = [graph.shapes[name] for name in node.inputs[1:]]
    return "" if all(s == (channels,) for s in shapes) else f"parameters {shapes} for {channels} channels"


def _clip(graph: Graph, node: Node, values: Mapping[str, Array]) -> str:
    bounds = [values.get(name) for name in node.inputs[1:3] if name]
    numbers = [float(np.asarray(b).reshape(-1)[0]) for b in bounds if b is not None and b.size == 1]
    return f"its bounds are {numbers}" if len(numbers) == 2 and not numbers[0] <= numbers[1] else ""


def _pad(graph: Graph, node: Node, values: Mapping[str, Array]) -> str:
    mode = node.attributes.get("mode", "constant")
    if mode not in ("constant", "edge", "reflect", "wrap"):
        return f"`mode` is {mode!r}"
    value = graph.shapes[node.inputs[2]] if len(node.inputs) > 2 and node.inputs[2] else ()
    return "" if value in ((), (1,)) else f"its value has the shape {list(value)}"


_REDUCTIONS = ("ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum")
_WITH_AXIS = ("ArgMax", "ArgMin", "Concat", "Flatten", "Gather", "LogSoftmax", "Softmax", "Split")
_CHECKS: Mapping[str, Callable[[Graph, Node, Mapping[str, Array]], str]] = {
    **dict.fromkeys(_WITH_AXIS, _axis),
    **dict.fromkeys(_REDUCTIONS, _axes),
    "AveragePool": _pool,
    "BatchNormalization": _batch_normalization,
    "Clip": _clip,
    "Conv": _convolution,
    "ConvTranspose": _convolution,
    "Gemm": _gemm,
    "MaxPool": _pool,
    "Pad": _pad,
    "Squeeze": _axes,
    "Transpose": _transpose,
}
