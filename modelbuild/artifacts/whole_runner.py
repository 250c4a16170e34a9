"""A model whose tail runs after the chip, as one: the source's inputs in, the source's outputs out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.arithmetic.number import dequantize_array
from modelbuild.artifacts.runner import Array, Arrays, Port, Runner
from modelbuild.graph.after_chip import AfterChip
from modelbuild.quantize.split_graph import Pieces


class WholeRunner:
    """The part on the chip in any form, and `after` it the float part. Outputs of the chip that are outputs
    of the whole are as the chip has them; those made after it are real numbers."""

    def __init__(self, chip: Runner, after: AfterChip) -> None:
        self.chip, self._after = chip, after
        self.level = chip.level
        self.preprocess, self.in_model, self.layouts = chip.preprocess, chip.in_model, chip.layouts
        known = {port.name: port for port in chip.outputs}
        further = after.further_inputs([*(port.name for port in chip.inputs), *known])
        self.inputs = (*chip.inputs, *(Port(name, *about) for name, about in further.items()))
        self.outputs = tuple(
            known[name] if name in known else Port(name, after.shape(name), after.dtype(name))
            for name in after.outputs
        )

    def run(self, inputs: Mapping[str, Array], layers: bool = False) -> Arrays:
        own = {port.name: inputs[port.name] for port in self.chip.inputs}
        found = self.chip.run(own, layers)
        made = self._after.run(
            self._real({port.name: found[port.name] for port in self.chip.outputs}), self._real(inputs)
        )
        whole = {name: made[name] if name in self._after.own else found[name] for name in self._after.outputs}
        return {**found, **whole} if layers else whole

    def _real(self, values: Mapping[str, Array]) -> Arrays:
        quantized = self.chip.tensors()
        return {
            name: dequantize_array(value, quantized[name]).astype(np.float32)
            if name in quantized and not quantized[name].whole
            else value
            for name, value in values.items()
        }

    def tensors(self) -> Mapping[str, QuantizedTensor]:
        """How the tensors that the chip makes are quantized."""
        return self.chip.tensors()

    def factors(self) -> Mapping[str, NDArray[np.float32]]:
        """Of the tensors that the chip makes."""
        return self.chip.factors()

    def pieces(self) -> Mapping[str, Pieces]:
        """Of the tensors that the chip divides."""
        return self.chip.pieces()
