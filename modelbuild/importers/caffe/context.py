"""What the translation of one layer may see and do: its tensors, parameters and weights, and new nodes."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.graph import shapes
from modelbuild.graph.fresh_names import fresh
from modelbuild.graph.model import Attribute, Graph, Node, Shape
from modelbuild.importers.caffe.message import Message
from modelbuild.importers.caffe.weights import Blob
from modelbuild.importers.caffe.wiring import Step

Attributes = Mapping[str, Attribute]


@dataclass
class Writer:
    """A graph under construction; every tensor's shape is known as soon as it is made."""

    graph: Graph
    taken: set[str]  # names of tensors, those still to come included
    nodes: set[str]  # the same of nodes

    def tensor(self, base: str) -> str:
        """A free name that begins with `base`."""
        return fresh(base, self.taken)

    def constant(self, base: str, value: Any) -> str:
        """A new constant; its name."""
        array = np.ascontiguousarray(value).reshape(np.shape(value))
        name = self.tensor(base)
        self.graph.constants[name] = array
        self.graph.shapes[name], self.graph.dtypes[name] = array.shape, array.dtype
        return name

    def append(self, node: Node) -> None:
        """Adds a node whose inputs are known. Raises where they do not fit it."""
        self.graph.nodes.append(node)
        known = {name: self.graph.constants[name] for name in node.inputs if name in self.graph.constants}
        for name, (shape, dtype) in shapes.node_types(self.graph, node, known).items():
            self.graph.shapes[name], self.graph.dtypes[name] = shape, dtype


@dataclass
class Context:
    """One layer. `parameters` is its own message, such as `convolution_param`."""

    writer: Writer
    step: Step
    parameters: Message
    blobs: Sequence[Blob] | None
    stored: Collection[str] = ()  # the names of the layers that the caffemodel has weights of
    input: str = field(init=False)

    def __post_init__(self) -> None:
        self.input = self.step.inputs[0] if self.step.inputs else ""

    @property
    def label(self) -> str:
        """What errors call the layer."""
        return self.step.layer.label

    def shape(self, tensor: str = "") -> Shape:
        """The shape of `tensor`, or of the layer's first input."""
        return self.writer.graph.shapes[tensor or self.input]

    def fail(self, what: str, why: str = "", advice: str = "") -> NoReturn:
        """Raises for this layer, with its place in the prototxt."""
        raise ModelbuildError(
            f"{self.label} {what}", where=self.step.layer.message.where, why=why, advice=advice
        )

    def expect(self, bottoms: int | tuple[int, int], tops: int = 1) -> None:
        """Raises where the layer has another number of inputs (or one outside of a range) or outputs."""
        low, high = (bottoms, bottoms) if isinstance(bottoms, int) else bottoms
        if not low <= len(self.step.inputs) <= high:
            wanted = str(low) if low == high else f"{low} to {high}" if high < 1000 else f"at least {low}"
            self.fail(f"has {len(self.step.inputs)} bottoms, where {wanted} belong")
        if len(self.step.outputs) != tops:
            self.fail(f"has {len(self.step.outputs)} tops, where {tops} belong")

    def axis(self, name: str, default: int, extra: int = 0) -> int:
        """The axis in the field `name`, counted from the front; up to the rank less one, plus `extra`."""
        rank = len(self.shape())
        value = self.parameters.integer(name, default)
        if not -rank - extra <= value < rank + extra:
            self.fail(f"has `{name}: {value}`; its input has {rank} axes")
        return value if value >= 0 else value + rank + extra

    def blob(self, index: int, shape: Shape) -> Blob:
        """The layer's weights number `index`, which must be as many as `shape` holds."""
        if self.blobs is None:
            self.fail(
                "has no weights in the caffemodel",
                why=_listed(self.stored),
                advice=did_you_mean(self.step.layer.name, self.stored)
                or "give the caffemodel saved with this prototxt",
            )
        if index >= len(self.blobs):
            self.fail(f"needs {index + 1} blobs of weights; the caffemodel has {len(self.blobs)}")
        blob = self.blobs[index]
        if blob.size != math.prod(shape):
            self.fail(
                f"needs weights of the shape {list(shape)}",
                why=f"the caffemodel has {list(blob.shape)}",
                advice="give the caffemodel saved with this prototxt",
            )
        return blob.reshape(shape)

    def constant(self, kind: str, value: Any) -> str:
        """A constant of this layer; its name."""
        return self.writer.constant(f"{self.step.name}_{kind}", value)

    def number(self, kind: str, value: float) -> str:
        """A scalar constant of float32."""
        return self.constant(kind, np.float32(value))

    def integers(self, kind: str, values: Sequence[int]) -> str:
        """A constant of int64."""
        return self.constant(kind, np.array(values, np.int64))

    def emit(self, op: str, inputs: Sequence[str], attributes: Attributes | None = None) -> str:
        """A node before the layer's last one; the name of the tensor that it makes."""
        name = fresh(f"{self.step.name}_{op.lower()}", self.writer.nodes)
        output = self.writer.tensor(name)
        self._append(op, name, inputs, [output], attributes)
        return output

    def finish(self, op: str, inputs: Sequence[str], attributes: Attributes | None = None) -> None:
        """The layer's last node, which has its name and makes its tops."""
        self._append(op, self.step.name, inputs, self.step.outputs, attributes)

    def copy(self, output: str, last: bool = False) -> None:
        """Makes the top `output` equal to the first input; `last` for the node with the layer's name."""
        name = self.step.name if last else fresh(f"{self.step.name}_identity", self.writer.nodes)
        self._append("Identity", name, [self.input], [output], None)

    def reshape(self, tensor: str, shape: Sequence[int]) -> str:
        """`tensor` in another shape."""
        return self.emit("Reshape", [tensor, self.integers("shape", shape)])

    def _append(
        self, op: str, name: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Attributes | None
    ) -> None:
        node = Node(op, name, list(inputs), list(outputs), dict(attributes or {}), "", (self.step.name,))
        try:
            self.writer.append(node)
        except ModelbuildError as error:
            problem = error.problems[0]
            self.fail(
                "does not fit its inputs",
                why=f"{problem.what}: {problem.why}" if problem.why else problem.what,
            )


def _listed(stored: Collection[str]) -> str:
    if not stored:
        return "it holds no weights at all"
    shown = ", ".join(f"`{name}`" for name in list(stored)[:5])
    return f"it has those of {shown}" + (f" and {len(stored) - 5} more" if len(stored) > 5 else "")


def channelwise(values: Blob, axis: int, rank: int) -> Blob:
    """`values` in a shape that broadcasts onto a tensor of `rank`, beginning at its `axis`."""
    return values.reshape(values.shape + (1,) * (rank - axis - values.ndim))
