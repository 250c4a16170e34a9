"""A placed graph as layers: each NPU node with what was fused into it, and the work that it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from modelbuild.graph.model import Graph, Node, Shape

Kind = Literal["window", "pointwise", "depthwise", "elementwise", "movement", "alias"]


@dataclass(frozen=True)
class Work:
    """Multiply-accumulates as a loop nest: rows x columns of outputs, `taps` cells of window, channels of one
    group. `operations` counts element-wise steps. All are counts for one inference."""

    kind: Kind
    rows: int = 0
    columns: int = 0
    taps: int = 0
    input_channels: int = 0
    output_channels: int = 0
    groups: int = 1
    operations: int = 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates without any rounding up."""
        channels = self.input_channels * self.output_channels * self.groups
        return self.rows * self.columns * self.taps * channels


@dataclass(frozen=True)
class Layer:
    """A node and the nodes fused into it. `reads` and `writes` name feature maps; `weights` is bytes at 8
    bits a weight and 32 bits a bias."""

    name: str
    op: str
    origin: tuple[str, ...]
    unit: str
    work: Work
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    weights: int


def layers(graph: Graph, units: Mapping[str, str]) -> tuple[Layer, ...]:
    """The layers in execution order. Fused nodes belong to the layer that makes their first input."""
    members: dict[str, list[Node]] = {}
    head: dict[str, str] = {}  # tensor -> name of the first node of the layer that makes it
    for node in graph.nodes:
        fused = units[node.name] == "fused" and node.inputs[0] in head
        name = head[node.inputs[0]] if fused else node.name
        members.setdefault(name, []).append(node)
        head.update((output, name) for output in node.outputs)
    return tuple(_layer(graph, nodes, units[nodes[0].name]) for nodes in members.values())


def _layer(graph: Graph, nodes: list[Node], unit: str) -> Layer:
    first, last = nodes[0], nodes[-1]
    inside = {output for node in nodes[:-1] for output in node.outputs}
    named = dict.fromkeys(name for node in nodes for name in node.inputs if name)
    reads = tuple(name for name in named if name not in inside and name not in graph.constants)
    return Layer(
        name=first.name,
        op=first.op,
        origin=tuple(dict.fromkeys(name for node in nodes for name in node.origin or (node.name,))),
        unit=unit,
        work=work(graph, first),
        reads=reads,
        writes=tuple(output for output in last.outputs if output),
        weights=sum(_constant_bytes(graph, name) for name in named if name in graph.constants),
    )


def _constant_bytes(graph: Graph, name: str) -> int:
    constant = graph.constants[name]
    return constant.size if constant.ndim > 1 else 4 * constant.size


def work(graph: Graph, node: Node) -> Work:
    """The work of one node."""
    if node.op in ("Conv", "ConvTranspose"):
        return _convolution(graph, node)
    if node.op in ("Gemm", "MatMul"):
        return _product(graph, node)
    if node.op in _ALIASES:
        return Work("alias")
    sizes = [prod(_shape(graph, name)) for name in (*node.inputs[:1], *node.outputs) if name]
    return Work("movement" if node.op in _MOVEMENTS else "elementwise", operations=max(sizes, default=0))


# Neither computed nor moved: the same cells under another shape, or laid side by side by whoever makes them.
_ALIASES = ("Concat", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
_MOVEMENTS = ("DepthToSpace", "Expand", "Gather", "Pad", "Slice", "SpaceToDepth", "Split", "Transpose")


def _shape(graph: Graph, name: str) -> Shape:
    constant = graph.constants.get(name)
    return graph.shapes[name] if constant is None else constant.shape


def _convolution(graph: Graph, node: Node) -> Work:
    transposed = node.op == "ConvTranspose"
    weight = _shape(graph, node.inputs[1])
    swept = _shape(graph, node.inputs[0] if transposed else node.outputs[0])
    groups = node.int("group", 1)
    taps = prod(weight[2:])
    depthwise = groups > 1 and weight[1] == 1 and weight[0] == groups
    return Work(
        "depthwise" if depthwise else "pointwise" if taps == 1 else "window",
        rows=swept[0] * prod(swept[2:-1]),
        columns=swept[-1],
        taps=taps,
        input_channels=weight[0] // groups if transposed else weight[1],
        output_channels=weight[1] if transposed else weight[0] // groups,
        groups=groups,
    )


def _product(graph: Graph, node: Node) -> Work:
    left, output = _shape(graph, node.inputs[0]), _shape(graph, node.outputs[0])
    summed = left[0] if node.op == "Gemm" and node.int("transA", 0) else left[-1]
    return Work(
        "pointwise",
        rows=prod(output[:-1]),
        columns=1,
        taps=1,
        input_channels=summed,
        output_channels=output[-1],
    )
