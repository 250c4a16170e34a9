"""Operators that move values: bytes where bytes are there or wanted, floats elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.kpu.lowering.lowering import BYTES, FLOATS, Lowering
from modelbuild.quantize.builders import movement
from modelbuild.quantize.builders.resize import check_resize, nearest_cells
from modelbuild.quantize.emission import Emission
from modelbuild.quantize.plan import Step

Wanted = frozenset[str]  # the tensors that somebody reads as bytes


class Moves(Emission):
    """The builders of movements, which know one form of a tensor, on a lowering."""

    def __init__(self, lowering: Lowering, form: str) -> None:
        self.graph = lowering.graph
        self._lowering, self._form = lowering, form

    @property
    def step(self) -> Step:
        """The nodes that are being built."""
        return self._lowering.step

    def tensor(self, name: str) -> QuantizedTensor:
        """An input of the step, in the form that is moved."""
        return self._lowering.form(name, self._form)

    def output(self, index: int = 0) -> QuantizedTensor:
        """An output of the step, in the input's format."""
        name = self.step.outputs[index]
        if self._lowering.has(name, self._form):
            return self._lowering.form(name, self._form)
        return self._lowering.new(name, self._form, self.tensor(self.node.inputs[0]))

    def between(self, like: QuantizedTensor, shape: tuple[int, ...], role: str) -> QuantizedTensor:
        """A tensor that no node of the graph has."""
        return self._lowering.between(like, shape, role)

    def emit(
        self,
        kind: str,
        inputs: Sequence[QuantizedTensor],
        output: QuantizedTensor,
        parameters: Mapping[str, Parameter],
        constants: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """The operator as `kpu@1` has it."""
        if kind == "pad":
            constants = {"value": self._pad_value(output, parameters["value"])}
            ends = {key: parameters[key] for key in ("before", "after")}
            parameters = {**ends, "mode": "constant"}
        elif kind == "transpose":
            parameters = {"permutation": parameters["perm"]}
        elif kind == "reshape":
            parameters = {}
        self._lowering.emit(kind, inputs, output, parameters, constants)

    def _pad_value(self, output: QuantizedTensor, code: Parameter) -> NDArray[Any]:
        if not output.floating:
            return np.array(code, np.uint8)
        name = self.node.inputs[2] if self.node.op == "Pad" and len(self.node.inputs) > 2 else ""
        value = self.graph.constants[name].reshape(-1)[0] if name else 0.0
        return np.array(value, np.float32)


def form_of(lowering: Lowering, wanted: Wanted) -> str:
    """The form in which the step's first input is moved."""
    name = lowering.node.inputs[0]
    as_bytes = any(output in wanted for output in lowering.step.outputs)
    if lowering.has(name, BYTES):
        return FLOATS if lowering.has(name, FLOATS) and not as_bytes else BYTES
    return BYTES if as_bytes else FLOATS


def move(lowering: Lowering, wanted: Wanted) -> None:
    """Whatever `quantize/builders/movement.py` has but Concat."""
    movement.BUILDERS[lowering.node.op](Moves(lowering, form_of(lowering, wanted)))  # type: ignore[arg-type]


def concat(lowering: Lowering, wanted: Wanted) -> None:
    """Bytes side by side at one scale where they are wanted, or all there at that scale; else floats."""
    node, name = lowering.node, lowering.step.outputs[0]
    inputs = node.inputs
    as_bytes = name in wanted
    if as_bytes:
        y = lowering.recorded(name)
        parts = [lowering.bytes_at(each, y) for each in inputs]
        out = lowering.new_bytes(name, y)
    elif _share(lowering, inputs):
        parts = [lowering.bytes(each) for each in inputs]
        out = lowering.new_bytes(name, parts[0])
    else:
        parts = [lowering.floats(each) for each in inputs]
        out = lowering.new_floats(name)
    lowering.emit("concat", parts, out, {"axis": node.int("axis", 0) % len(out.shape)})


def _share(lowering: Lowering, names: Sequence[str]) -> bool:
    if not all(lowering.has(name, BYTES) and not lowering.has(name, FLOATS) for name in names):
        return False
    return len({(x.scale, x.zero_point) for x in map(lowering.bytes, names)}) == 1


def resize(lowering: Lowering, wanted: Wanted) -> None:
    """Nearest neighbours are moved; of lines between neighbours, floats."""
    from modelbuild.kpu.lowering.resizing import bilinear

    if check_resize(lowering) == "linear":
        bilinear(lowering)
        return
    moves = Moves(lowering, form_of(lowering, wanted))
    x, y = moves.tensor(lowering.node.inputs[0]), moves.output()
    cells = nearest_cells(moves)
    if len(x.shape) == 4 and all(_is_even(cells[axis], x.shape[axis], y.shape[axis]) for axis in range(4)):
        lowering.emit("resize_nearest", (x,), y, {"align_corners": 0, "half_pixel": 0})
    else:
        movement.gather_axes(moves, x, cells, y)


def _is_even(cells: NDArray[np.int64], size: int, out: int) -> bool:
    """Whether each cell is repeated equally often, which the runtime's own Resize does exactly."""
    return out % size == 0 and np.array_equal(cells, np.arange(out) // (out // size))


BUILDERS: dict[str, Callable[[Lowering, Wanted], None]] = {
    **{op: move for op in movement.BUILDERS if op != "Concat"},
    "Concat": concat,
    "Resize": resize,
    "Upsample": resize,
}
