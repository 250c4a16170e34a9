"""What a node is, as operator rules ask for it: windows, axes, constants, with ONNX's defaults filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from modelbuild.graph import whole_numbers
from modelbuild.graph.chains import Chains
from modelbuild.graph.model import Attribute, Graph, Node, Shape


class Undetermined(Exception):
    """What a condition asks for is not in the graph: it is computed while the model runs."""


@dataclass(frozen=True)
class Subject:
    """A node in its graph, and the units of the nodes before it."""

    node: Node
    graph: Graph
    units: Mapping[str, str]
    producers: Mapping[str, Node]
    consumers: Mapping[str, Sequence[Node]]
    _chains: list[Chains] = field(
        default_factory=list
    )  # of the graph, once somebody asks; one for all subjects
    _chosen: list[frozenset[str]] = field(default_factory=list)

    @property
    def chosen(self) -> frozenset[str]:
        """The tensors that are made with whole numbers (graph/whole_numbers.py)."""
        if not self._chosen:
            nodes = whole_numbers.chosen(self.graph)
            self._chosen.append(frozenset(name for node in nodes for name in node.outputs))
        return self._chosen[0]

    @property
    def chains(self) -> Chains:
        """The runs of functions in the graph."""
        if not self._chains:
            self._chains.append(Chains(self.graph))
        return self._chains[0]

    def at(self, node: Node) -> Subject:
        """Another node of the same graph."""
        return replace(self, node=node)

    def shape(self, index: int = 0) -> Shape:
        """The shape of input `index`."""
        return self._shape_of(self._input(index))

    def output_shape(self) -> Shape:
        """The shape of the first output."""
        return self._shape_of(self.node.outputs[0])

    def constant(self, index: int) -> list[float]:
        """The values of constant input `index`."""
        name = self._input(index)
        if name not in self.graph.constants:
            raise Undetermined(f"input {index} (`{name}`) is not a constant")
        return [float(value) for value in self.graph.constants[name].ravel()]

    def has_input(self, index: int) -> bool:
        """Whether input `index` is there."""
        return index < len(self.node.inputs) and self.node.inputs[index] != ""

    def attribute(self, name: str, default: Attribute) -> Any:
        """An attribute, or ONNX's default for it."""
        value = self.node.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def _input(self, index: int) -> str:
        if not self.has_input(index):
            raise Undetermined(f"input {index} is absent")
        return self.node.inputs[index]

    def _shape_of(self, name: str) -> Shape:
        if name in self.graph.constants:
            return self.graph.constants[name].shape
        if name not in self.graph.shapes:
            raise Undetermined(f"the shape of `{name}` is not known")
        return self.graph.shapes[name]


RESHAPES = ("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
Numbers = Callable[[Subject], Sequence[float]]

_WINDOWED_WEIGHTS = ("Conv", "ConvTranspose")


def spatial(subject: Subject, name: str) -> list[int]:
    """An attribute with one number a spatial axis; ONNX's default for these is 1."""
    default = [1] * (len(subject.shape()) - 2)
    return [int(value) for value in subject.attribute(name, default)]


def kernel(subject: Subject) -> list[int]:
    """The window: rows, columns. For an operator over the whole map, the map."""
    if "kernel_shape" in subject.node.attributes:
        return [int(value) for value in subject.attribute("kernel_shape", [])]
    if subject.node.op in _WINDOWED_WEIGHTS:
        return list(subject.shape(1)[2:])
    return list(subject.shape()[2:])


def strides(subject: Subject) -> list[int]:
    """The steps of the window: rows, columns."""
    return spatial(subject, "strides")


def pads(subject: Subject) -> list[float]:
    """How many cells are added before and after each axis."""
    if subject.node.op == "Pad":
        return subject.constant(1)
    return [float(value) for value in subject.attribute("pads", [0])]


def spatial_pads(subject: Subject) -> list[float]:
    """As `pads`, without the batch and the channels."""
    found = pads(subject)
    if subject.node.op != "Pad":
        return found
    rank = len(found) // 2
    return [*found[2:rank], *found[rank + 2 :]]


def pad_value(subject: Subject) -> list[float]:
    """What a Pad fills with."""
    return subject.constant(2) if subject.has_input(2) else [0.0]


def bound(index: int, unbounded: float) -> Numbers:
    """A bound of a Clip: constant input `index`, or `unbounded` where it is absent."""

    def values(subject: Subject) -> Sequence[float]:
        return subject.constant(index) if subject.has_input(index) else [unbounded]

    return values


def steps(subject: Subject) -> list[float]:
    """The steps of a Slice."""
    return subject.constant(4) if subject.has_input(4) else [1.0]


def changed_axes(subject: Subject) -> list[int]:
    """The axes whose size the operator changes."""
    before, after = subject.shape(), subject.output_shape()
    if len(before) != len(after):
        before = (1,) * (len(after) - len(before)) + before
    return [axis for axis, (old, new) in enumerate(zip(before, after, strict=False)) if old != new]


def _moved_axes(subject: Subject) -> list[int]:
    return [axis for axis, source in enumerate(permutation(subject)) if axis != source]


def permutation(subject: Subject) -> list[int]:
    """Where each axis of a Transpose comes from."""
    return [int(axis) for axis in subject.attribute("perm", list(reversed(range(len(subject.shape())))))]


def _axis_attribute(default: int) -> Callable[[Subject], list[int]]:
    return lambda subject: _positive(subject, [int(subject.attribute("axis", default))])


def _reduced_axes(subject: Subject) -> list[int]:
    axes = subject.attribute("axes", [])
    if not axes and subject.has_input(1):
        axes = subject.constant(1)
    return _positive(subject, axes or range(len(subject.shape())))


def _positive(subject: Subject, axes: Sequence[float]) -> list[int]:
    rank = len(subject.shape())
    return sorted(int(axis) % rank for axis in axes)


def _padded_axes(subject: Subject) -> list[int]:
    pads = subject.constant(1)
    rank = len(pads) // 2
    return [axis for axis in range(rank) if pads[axis] or pads[axis + rank]]


_AXES: dict[str, Callable[[Subject], list[int]]] = {
    "ArgMax": _axis_attribute(0),
    "Concat": _axis_attribute(0),
    "CumSum": lambda subject: _positive(subject, subject.constant(1)),
    "Expand": changed_axes,
    "Flatten": _axis_attribute(1),
    "Gather": _axis_attribute(0),
    "LayerNormalization": _axis_attribute(-1),
    "Pad": _padded_axes,
    "RMSNormalization": _axis_attribute(-1),
    "ReduceMax": _reduced_axes,
    "ReduceMean": _reduced_axes,
    "ReduceMin": _reduced_axes,
    "ReduceSum": _reduced_axes,
    "Resize": changed_axes,
    "Slice": changed_axes,
    "Softmax": _axis_attribute(-1),
    "Split": _axis_attribute(0),
    "Transpose": _moved_axes,
}


def axes(subject: Subject) -> list[int]:
    """The axes that the operator acts on, counted from 0."""
    return _AXES.get(subject.node.op, changed_axes)(subject)


def moves_nothing(subject: Subject) -> bool:
    """Whether the node gives memory another shape alone: a Reshape, a Transpose of axes of one cell."""
    if subject.node.op in RESHAPES:
        return True
    if subject.node.op != "Transpose":
        return False
    shape = subject.shape()
    kept = [axis for axis in permutation(subject) if shape[axis] != 1]
    return kept == sorted(kept)
