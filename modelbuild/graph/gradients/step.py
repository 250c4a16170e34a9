"""One node during the backward walk: what its rule reads, and what it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelbuild.graph.fresh_names import fresh
from modelbuild.graph.model import Array, Attribute, Graph, Node, Shape


class NoRule(Exception):
    """The node has a form whose gradient is not known."""


@dataclass
class Step:
    """A node whose outputs' gradients are known (None where nothing depends on an output).

    A rule emits nodes and gives each wanted input its share of the gradient; the walk sums the shares.
    """

    node: Node
    graph: Graph
    gradients: Sequence[str | None]
    wanted: frozenset[int]
    taken: set[str]
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    given: list[tuple[str, str]] = field(default_factory=list)  # (input, its gradient's share)

    @property
    def gradient(self) -> str:
        """The gradient of the only output that has one."""
        found = self.gradients[0]
        if found is None or any(self.gradients[1:]):
            raise NoRule
        return found

    @property
    def x(self) -> str:
        """The first input."""
        return self.node.inputs[0]

    @property
    def y(self) -> str:
        """The first output."""
        return self.node.outputs[0]

    def shape(self, name: str) -> Shape:
        """The shape of a tensor of the model."""
        found = self.graph.shapes.get(name)
        return self.graph.constants[name].shape if found is None else found

    def optional(self, index: int) -> str | None:
        """Input `index`, None where it is absent."""
        return (self.node.inputs[index] or None) if index < len(self.node.inputs) else None

    def known(self, index: int) -> Array | None:
        """The constant input `index`, None where it is absent."""
        name = self.optional(index)
        if name is None:
            return None
        if name not in self.graph.constants:
            raise NoRule
        return self.graph.constants[name]

    def integers(self, index: int) -> list[int] | None:
        """The constant input `index` as integers."""
        found = self.known(index)
        return None if found is None else [int(value) for value in found.astype(np.int64).reshape(-1)]

    def only(self, *indices: int) -> None:
        """Raises NoRule where other inputs than `indices` want a gradient."""
        if self.wanted - set(indices):
            raise NoRule

    def give(self, index: int, gradient: str) -> None:
        """`gradient`, of the shape of input `index`, is added to that input's gradient."""
        self.given.append((self.node.inputs[index], gradient))

    def constant(self, value: Array) -> str:
        """A constant tensor."""
        name = fresh(f"{self.node.name}/constant", self.taken)
        self.constants[name] = value
        return name

    def number(self, value: float) -> str:
        """One float."""
        return self.constant(np.array(value, np.float32))

    def longs(self, values: Sequence[int]) -> str:
        """A list of integers."""
        return self.constant(np.array(values, np.int64))

    def emit(self, op: str, *inputs: str, **attributes: Attribute) -> str:
        """A node; its output's name."""
        return self.emit_many(op, inputs, 1, attributes)[0]

    def emit_many(
        self, op: str, inputs: Sequence[str], outputs: int, attributes: Mapping[str, Attribute]
    ) -> list[str]:
        """A node of several outputs."""
        made = [fresh(f"{self.node.name}/gradient", self.taken) for _ in range(outputs)]
        self.nodes.append(Node(op, made[0], list(inputs), made, dict(attributes)))
        return made

    def reshaped(self, name: str, shape: Sequence[int]) -> str:
        """The same numbers in another shape."""
        return self.emit("Reshape", name, self.longs(shape))

    def zeros(self, shape: Sequence[int]) -> str:
        """A tensor of zeros, made while the graph runs."""
        return self.emit("ConstantOfShape", self.longs(shape), value=np.zeros(1, np.float32))

    def summed(self, name: str, axes: Sequence[int], keepdims: bool = True) -> str:
        """The sums along axes."""
        return self.emit("ReduceSum", name, self.longs(axes), keepdims=int(keepdims))

    def narrowed(self, name: str, shape: Shape, to: Shape) -> str:
        """The gradient of a tensor of shape `to` from that of its broadcast form."""
        if shape == to:
            return name
        missing = len(shape) - len(to)
        wide = (1,) * missing + tuple(to)
        axes = [axis for axis, size in enumerate(shape) if size != wide[axis]]
        found = self.summed(name, axes) if axes else name
        return self.reshaped(found, to) if missing else found

    def give_narrowed(self, index: int, gradient: str) -> None:
        """As `give`, of a gradient of the output's shape where the input was broadcast."""
        to = self.shape(self.node.inputs[index])
        self.give(index, self.narrowed(gradient, self.shape(self.y), to))


Rule = Callable[[Step], None]
Rules = Mapping[str, Rule]


def attribute(step: Step, name: str, default: Any) -> Any:
    """An attribute, texts decoded."""
    value = step.node.attributes.get(name, default)
    return value.decode() if isinstance(value, bytes) else value
