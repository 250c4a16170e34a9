"""What moves values: the form of a tensor that is moved, and the builders of movements on a lowering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.kpu.lowering.lowering import BYTES, FLOATS, Lowering
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
