"""What the fixed model's tensors will be: which nodes melt into one, which tensors share a scale.

Decided from the lowered graph alone, so that `quantize` and `apply` agree on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph.kept_quantization import Kept, kept
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.quantized_border import is_port
from modelbuild.quantize.selecting import selected

# Operators that leave integers as they are: output and first input have one scale.
SHARING = frozenset(
    {"MaxPool", "GlobalMaxPool", "ReduceMax", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"}
    | {"Slice", "Split", "Pad", "Resize", "Gather", "DepthToSpace", "SpaceToDepth", "Expand", "Tile"}
)
# Operators that end in a rescaling with bounds, into which a Relu or Clip melts.
BOUNDED = frozenset(
    {"Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "BatchNormalization"}
    | {"AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum"}
)
ACTIVATIONS = frozenset({"Relu", "Clip"})
# The range of the function itself, used whatever was observed.
NATURAL: Mapping[str, tuple[float, float]] = {
    "Softmax": (0.0, 1.0),
    "Sigmoid": (0.0, 1.0),
    "HardSigmoid": (0.0, 1.0),
    "Tanh": (-1.0, 1.0),
    "Erf": (-1.0, 1.0),
    "Softsign": (-1.0, 1.0),
}
GATES = frozenset({"Sigmoid", "HardSigmoid"})


@dataclass(frozen=True)
class Step:
    """Nodes that become one operator (or a short run of them): `nodes[0]` leads, the rest melted into it."""

    nodes: tuple[Node, ...]
    bounds: tuple[float, float] = (-math.inf, math.inf)

    @property
    def node(self) -> Node:
        """The leading node."""
        return self.nodes[0]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The tensors that are left: those of the last node."""
        return tuple(name for name in self.nodes[-1].outputs if name)


@dataclass(frozen=True)
class Plan:
    """`share` maps a tensor to the one whose scale it takes; tensors on their own are not in it."""

    steps: tuple[Step, ...]
    share: Mapping[str, str]
    natural: Mapping[str, tuple[float, float]]

    def root(self, tensor: str) -> str:
        """The tensor whose scale `tensor` has."""
        while tensor in self.share:
            tensor = self.share[tensor]
        return tensor

    def tensors(self, graph: Graph) -> tuple[str, ...]:
        """Every tensor of the fixed model that is not a constant, in the order of execution."""
        return (*graph.inputs, *(name for step in self.steps for name in step.outputs))


def make_plan(graph: Graph, *, floats_only: bool = True) -> Plan:
    """The plan of a lowered graph. Raises (exit 1) where a node is in no shape to be quantized, because it
    holds what is no float, unless `floats_only` is false."""
    if floats_only:
        _require_floats(graph)
    consumers = graph.consumers()
    steps = _steps(graph, consumers)
    share: dict[str, str] = {}
    natural: dict[str, tuple[float, float]] = {}
    for step in steps:
        if shares(graph, step):
            share.update(dict.fromkeys(step.outputs, step.node.inputs[0]))
        if step.nodes[-1].op in NATURAL:
            natural.update(dict.fromkeys(step.outputs, NATURAL[step.nodes[-1].op]))
    made_by = {name: step for step in steps for name in step.outputs}
    entries = kept(graph)
    for step in reversed(steps):
        if step.node.op == "Concat":
            for name in step.node.inputs:
                own = _own_scale(entries, name, step.outputs[0])
                if not own and _may_take_scale(graph, consumers, made_by.get(name), name):
                    share[name] = step.outputs[0]
                    natural.pop(name, None)
    return Plan(tuple(steps), share, natural)


def melted(graph: Graph) -> frozenset[str]:
    """The tensors between the nodes of a step: the fixed model has none of them, on any chip."""
    steps = _steps(graph, graph.consumers())
    return frozenset(name for step in steps for node in step.nodes[:-1] for name in node.outputs if name)


def constant_bounds(graph: Graph, node: Node) -> tuple[float, float] | None:
    """What a Relu or Clip keeps its values between; None if a bound is not a constant."""
    if node.op == "Relu":
        return 0.0, math.inf
    found = []
    for index, default in ((1, -math.inf), (2, math.inf)):
        name = node.inputs[index] if len(node.inputs) > index else ""
        if name and name not in graph.constants:
            return None
        found.append(float(np.asarray(graph.constants[name]).reshape(-1)[0]) if name else default)
    return found[0], found[1]


def _steps(graph: Graph, consumers: Mapping[str, list[Node]]) -> list[Step]:
    steps: list[Step] = []
    taken: set[str] = set()
    for node in graph.nodes:
        if node.name in taken:
            continue
        nodes, bounds = [node], (-math.inf, math.inf)
        gated = _gated(graph, consumers, node)
        if gated is not None:
            nodes.append(gated)
        elif node.op in BOUNDED:
            follower = _sole_consumer(graph, consumers, node.outputs[0])
            while follower is not None and follower.op in ACTIVATIONS:
                further = constant_bounds(graph, follower)
                if further is None:
                    break
                bounds = _within(bounds, further)
                nodes.append(follower)
                follower = _sole_consumer(graph, consumers, follower.outputs[0])
        elif node.op in ACTIVATIONS:
            bounds = constant_bounds(graph, node) or bounds
        taken.update(melted.name for melted in nodes)
        steps.append(Step(tuple(nodes), bounds))
    return steps


def _within(outer: tuple[float, float], inner: tuple[float, float]) -> tuple[float, float]:
    """The bounds of clamping to `outer` first and to `inner` then."""
    low, high = (min(max(end, inner[0]), inner[1]) for end in outer)
    return low, high


def _sole_consumer(graph: Graph, consumers: Mapping[str, list[Node]], tensor: str) -> Node | None:
    readers = consumers.get(tensor, [])
    return readers[0] if len(readers) == 1 and tensor not in graph.outputs else None


def _gated(graph: Graph, consumers: Mapping[str, list[Node]], node: Node) -> Node | None:
    """The Mul of x * gate(x) after a gate (SiLU, HardSwish): one table stands for both."""
    if node.op not in GATES:
        return None
    follower = _sole_consumer(graph, consumers, node.outputs[0])
    if follower is None or follower.op != "Mul":
        return None
    return follower if set(follower.inputs) == {node.inputs[0], node.outputs[0]} else None


def _may_take_scale(
    graph: Graph, consumers: Mapping[str, list[Node]], step: Step | None, tensor: str
) -> bool:
    """Whether what makes a Concat's input can make it at the Concat's scale at no cost."""
    if step is None or _sole_consumer(graph, consumers, tensor) is None:
        return False
    return not shares(graph, step) and step.node.op != "Softmax"


def shares(graph: Graph, step: Step) -> bool:
    """Whether a step leaves integers as they are."""
    if step.node.op in SHARING:
        return step.node.inputs[0] not in graph.constants
    return len(step.nodes) == 1 and selected(graph, step.node) is not None


def _own_scale(entries: Mapping[str, Kept], tensor: str, joined: str) -> bool:
    """Whether the source quantizes a Concat's input otherwise than the Concat."""
    entry = entries.get(tensor)
    return entry is not None and entry != entries.get(joined)


def _require_floats(graph: Graph) -> None:
    for name in (*graph.inputs, *(made for node in graph.nodes for made in node.outputs if made)):
        dtype = graph.dtypes.get(name)
        if dtype is None or name not in graph.shapes:
            raise ModelbuildError(f"the type or shape of {name!r} is not known", exit_code=EXIT_FAILED)
        if dtype.kind != "f" and not is_port(graph, name):
            raise ModelbuildError(
                f"the tensor {name!r} holds {dtype}; only float tensors can be quantized",
                advice="cut the model before it: `edit: [{cut: {outputs: [...]}}]`",
                exit_code=EXIT_FAILED,
            )
