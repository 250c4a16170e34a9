"""A neural network as plain data: nodes in topological order, constants, static shapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from modelbuild.graph.kept_quantization import Kept

Array = NDArray[np.generic]
Attribute = int | float | str | bytes | list[int] | list[float] | list[str] | Array
Shape = tuple[int, ...]


@dataclass
class Node:
    """One operator. An empty string among `inputs` is an absent optional input."""

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Attribute] = field(default_factory=dict)
    domain: str = ""
    origin: tuple[str, ...] = ()  # names of the source model's nodes that this one stands for

    def ints(self, name: str, default: list[int]) -> list[int]:
        """The attribute `name` as a list of integers."""
        value = self.attributes.get(name, default)
        assert isinstance(value, list)
        return [int(item) for item in value]

    def int(self, name: str, default: int) -> int:
        """The attribute `name` as an integer."""
        value = self.attributes.get(name, default)
        assert isinstance(value, int)
        return value


@dataclass
class Graph:
    """A model. `shapes` and `dtypes` cover every tensor once the graph is normalised; all dims are > 0."""

    name: str
    nodes: list[Node]
    inputs: list[str]
    outputs: list[str]
    constants: dict[str, Array]
    shapes: dict[str, Shape] = field(default_factory=dict)
    dtypes: dict[str, np.dtype[np.generic]] = field(default_factory=dict)
    opset: int = 17
    metadata: dict[str, str] = field(default_factory=dict)
    # `graph.kept_quantization` alone looks at it: None while what a source says is unread in `metadata`
    quantization: dict[str, Kept] | None = None

    def producers(self) -> dict[str, Node]:
        """Tensor name -> the node that makes it."""
        return {output: node for node in self.nodes for output in node.outputs if output}

    def consumers(self) -> dict[str, list[Node]]:
        """Tensor name -> the nodes that read it, in graph order."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                if name:
                    found.setdefault(name, []).append(node)
        return found
