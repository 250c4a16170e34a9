"""Where the channels of an input or output are, as the nodes next to the border take them."""

from __future__ import annotations

from modelbuild.graph.model import Graph, Node

# Operators whose data are [N, C, places].
_SPATIAL = (
    "Conv",
    "ConvTranspose",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "BatchNormalization",
    "InstanceNormalization",
    "LRN",
    "DepthToSpace",
    "SpaceToDepth",
)
# Operators that leave each axis of their first input where it is.
_KEEPING = (
    *("Identity", "Cast", "QuantizeLinear", "DequantizeLinear", "Neg", "Abs", "Exp", "Sqrt", "Dropout"),
    *("Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus"),
    *("Add", "Sub", "Mul", "Div", "Pad", "Resize", "Concat", "Slice", "Split"),
)
_LAYOUTS = {1: "NCHW", 3: "NHWC"}


def layout_of(graph: Graph, name: str) -> str | None:
    """NCHW or NHWC of the input or output `name`, of four dimensions; None where no node tells, or nodes
    contradict each other."""
    found = {axis for axis in _axes(graph, name) if axis is not None}
    return _LAYOUTS.get(found.pop()) if len(found) == 1 else None


def _axes(graph: Graph, name: str) -> set[int | None]:
    if name in graph.inputs:
        return _read_as(graph, name)
    return {_made_as(graph, name)}


def _read_as(graph: Graph, name: str) -> set[int | None]:
    """Which axes of the tensor its readers take for the channels."""
    readers = graph.consumers()
    found: set[int | None] = set()
    waiting: list[tuple[str, tuple[int, ...]]] = [(name, (0, 1, 2, 3))]
    seen = set[str]()
    while waiting:
        tensor, axes = waiting.pop()
        for node in readers.get(tensor, ()) if tensor not in seen else ():
            if node.op in _SPATIAL and node.inputs[0] == tensor:
                found.add(axes[1])
            elif (onward := _behind(graph, node, axes)) is not None:
                waiting += [(output, onward) for output in node.outputs if output]
        seen.add(tensor)
    return found


def _made_as(graph: Graph, name: str) -> int | None:
    """Which axis of the tensor has the channels, by the node that it comes from."""
    makers = graph.producers()
    axes: tuple[int, ...] = (0, 1, 2, 3)  # axes[i] is the axis of `name` that is axis i of `tensor`
    tensor, seen = name, set[str]()
    while tensor in makers and tensor not in seen:
        seen.add(tensor)
        node = makers[tensor]
        if node.op in _SPATIAL:
            return axes[1]
        perm = _perm(node)
        if perm is not None:
            axes = tuple(axes[perm.index(axis)] for axis in range(4))
        elif node.op not in _KEEPING or len(graph.shapes.get(node.inputs[0], ())) != 4:
            return None
        tensor = node.inputs[0]
    return None


def _behind(graph: Graph, node: Node, axes: tuple[int, ...]) -> tuple[int, ...] | None:
    """The axes of what the node makes of a tensor of `axes`; None where they are others."""
    perm = _perm(node)
    if perm is not None:
        return tuple(axes[axis] for axis in perm)
    kept = node.op in _KEEPING and len(graph.shapes.get(node.outputs[0], ())) == 4
    return axes if kept else None


def _perm(node: Node) -> list[int] | None:
    if node.op != "Transpose":
        return None
    perm = node.ints("perm", [3, 2, 1, 0])
    return perm if sorted(perm) == [0, 1, 2, 3] else None
