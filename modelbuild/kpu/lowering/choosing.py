"""ArgMax, ArgMin, TopK, conversions to whole numbers, and what moves these: on the CPU, behind all floats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedOperator, QuantizedTensor, whole_tensor
from modelbuild.graph.model import Node
from modelbuild.graph.whole_numbers import is_whole
from modelbuild.kpu.lowering.lowering import FLOATS, Lowering
from modelbuild.kpu.lowering.moving import Moves
from modelbuild.kpu.lowering.sheet import Sheet
from modelbuild.quantize.builders import movement
from modelbuild.quantize.plan import Step

_ENDS = {"ArgMax": "max", "ArgMin": "min"}


class Behind(Moves):
    """The builders of movements on floats and whole numbers; `kept` are outputs of the model."""

    def __init__(self, lowering: Lowering, nodes: Sequence[Node], kept: Sequence[str]) -> None:
        super().__init__(lowering, FLOATS)
        self._nodes, self._kept = nodes, kept
        self._whole: dict[str, QuantizedTensor] = {}
        self._done: set[str] = set()

    def build(self) -> None:
        """All nodes, in order."""
        for node in self._nodes:
            if node.name not in self._done:
                self._lowering.begin(Step((node,)))
                if node.op in BUILDERS:
                    BUILDERS[node.op](self)
                elif node.op in movement.BUILDERS:
                    movement.BUILDERS[node.op](self)  # type: ignore[arg-type]
                else:
                    self.fail("it reads whole numbers, or what was chosen by them")

    def tensor(self, name: str) -> QuantizedTensor:
        """Whole numbers or floats, as the graph has them."""
        if name in self._whole:
            return self._whole[name]
        return self._lowering.floats(name)

    def output(self, index: int = 0) -> QuantizedTensor:
        """An output of the node, of the type that the graph has."""
        return self.declared(self.node.outputs[index])

    def declared(self, name: str) -> QuantizedTensor:
        """A tensor of the graph that is made now, or was declared before."""
        if not is_whole(self.graph, name):
            return self._lowering.form(name, FLOATS) if self._lowering.has(name, FLOATS) else self._new(name)
        if name not in self._whole:
            bits = 8 * self.graph.dtypes[name].itemsize
            self._whole[name] = whole_tensor(name, self.graph.shapes[name], bits)
            self._lowering.parts.tensors[name] = self._whole[name]
        return self._whole[name]

    def _new(self, name: str) -> QuantizedTensor:
        return self._lowering.new_floats(name)

    def narrowed(self, name: str) -> str:
        """The tensor of 32 bits that alone is made of one of 64: its node is done with the node before."""
        readers = [node for node in self._nodes if name in node.inputs]
        if name in self._kept or len(readers) != 1 or readers[0].op != "Cast":
            return name
        made = readers[0].outputs[0]
        if self.graph.dtypes[made] != np.int32:
            return name
        self._done.add(readers[0].name)
        return made

    def places_and_values(self, axis: int, k: int) -> None:
        """The k least or largest of the first input, these as the least of what is turned around 0: of equal
        ones the first, as ONNX has it."""
        node, lowering = self.node, self._lowering
        x, largest = self.tensor(node.inputs[0]), bool(node.int("largest", 1))
        given = Sheet(lowering).neg(x) if largest else x
        values, places = node.outputs
        shape = self.graph.shapes[values]
        made = lowering.float_between(shape, "least") if largest else self.declared(values)
        names = (made.name, self.declared(places).name)
        parameters = {"axis": axis, "k": k}
        operator = FixedOperator("topk", node.name, (given.name,), names, parameters, {}, (node.name,), "cpu")
        lowering.parts.append(operator)
        if largest and self._is_read(values):
            Sheet(lowering).neg(made, self.declared(values))

    def _is_read(self, name: str) -> bool:
        return name in self._kept or any(name in node.inputs for node in self._nodes)


def _choose(behind: Behind) -> None:
    """ArgMax and ArgMin."""
    node = behind.node
    x, y = behind.tensor(node.inputs[0]), behind.declared(behind.narrowed(node.outputs[0]))
    axis = node.int("axis", 0) % len(x.shape)
    behind.emit("arg", (x,), y, {"op": _ENDS[node.op], "axis": axis, "keep": node.int("keepdims", 1)})


def _top(behind: Behind) -> None:
    node = behind.node
    count = behind.graph.constants.get(node.inputs[1])
    if count is None:
        behind.fail("how many it takes must be a constant")
    axis = node.int("axis", -1) % len(behind.graph.shapes[node.inputs[0]])
    behind.places_and_values(axis, int(count.reshape(-1)[0]))


def _cast(behind: Behind) -> None:
    x, y = behind.tensor(behind.node.inputs[0]), behind.output()
    behind.emit("reshape" if x.dtype == y.dtype else "convert", (x,), y, {})


def _concat(behind: Behind) -> None:
    y = behind.output()
    parts = [behind.tensor(name) for name in behind.node.inputs]
    behind.emit("concat", parts, y, {"axis": behind.node.int("axis", 0) % len(y.shape)})


BUILDERS: Mapping[str, Callable[[Behind], None]] = {
    "ArgMax": _choose,
    "ArgMin": _choose,
    "Cast": _cast,
    "Concat": _concat,
    "TopK": _top,
}
