"""ONNX nodes and initializers under unique names, and the steps into and out of integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from modelbuild.quantize.names import Names

NEARLY_ONE = 1e-3  # a factor this close to 1 comes from rounding a multiplier


class Drawing:
    """`real` maps a tensor to the float edge that carries its dequantized value."""

    def __init__(self, model: FixedModel) -> None:
        self.model = model
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.constants: dict[str, None] = {}  # of the model's constants, those that are initializers
        self.real: dict[str, str] = {}
        self._names = Names([*model.tensors, *model.constants])
        self._steps: dict[str, tuple[str, str]] = {}

    def node(
        self, op: str, name: str, inputs: list[str], attributes: dict[str, Any] | None = None, out: str = ""
    ) -> str:
        """Add a node with one output; the output's name."""
        out = out or self._names.fresh(f"{name}/{op}")
        self.nodes.append(helper.make_node(op, inputs, [out], name=f"{out}/node", **(attributes or {})))
        return out

    def initializer(self, wanted: str, values: NDArray[Any]) -> str:
        """Add numbers that only onnxruntime needs; their name."""
        name = self._names.fresh(wanted)
        self.initializers.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def constant(self, name: str) -> str:
        """Make one of the model's constants an initializer under its own name."""
        if name not in self.constants:
            self.constants[name] = None
            values = np.asarray(self.model.constants[name], order="C")
            self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def floats(self, wanted: str, values: object) -> str:
        """A float32 initializer."""
        return self.initializer(wanted, np.asarray(values, np.float32))

    def longs(self, wanted: str, values: object) -> str:
        """An int64 initializer."""
        return self.initializer(wanted, np.asarray(values, np.int64))

    def step(self, tensor: QuantizedTensor) -> tuple[str, str]:
        """The initializers of a tensor's scale and zero point."""
        if tensor.name not in self._steps:
            scale = self.floats(f"{tensor.name}/scale", tensor.scale)
            zero = self.initializer(f"{tensor.name}/zero_point", np.array(tensor.zero_point, tensor.dtype))
            self._steps[tensor.name] = scale, zero
        return self._steps[tensor.name]

    def quantize(self, tensor: QuantizedTensor, real: str) -> None:
        """From the float edge `real` to integers and back."""
        integers = self.node("QuantizeLinear", tensor.name, [real, *self.step(tensor)])
        self.dequantize(tensor, integers)

    def dequantize(self, tensor: QuantizedTensor, integers: str) -> None:
        """From integers to the float edge that consumers read; an output's edge has the output's name."""
        out = (
            tensor.name if tensor.name in self.model.outputs and tensor.name not in self.model.inputs else ""
        )
        inputs = [integers, *self.step(tensor)]
        self.real[tensor.name] = self.node("DequantizeLinear", tensor.name, inputs, out=out)

    def finish(self, bound: Bound, real: str) -> None:
        """Clamp to the operator's bounds and quantize."""
        y = bound.output
        if "low" in bound.operator.parameters:
            low, high = bound.number("low"), bound.number("high")
            if low == y.zero_point and high == y.high and low > y.low:
                real = self.node("Relu", bound.operator.name, [real])
            elif low > y.low or high < y.high:
                ends = [self.floats(f"{y.name}/bound", (end - y.zero_point) * y.scale) for end in (low, high)]
                real = self.node("Clip", bound.operator.name, [real, *ends])
        self.quantize(y, real)

    def scaled(self, bound: Bound, real: str, factor: float) -> str:
        """`real` times a factor, where it is not 1."""
        if abs(factor - 1.0) <= NEARLY_ONE:
            return real
        name = bound.operator.name
        return self.node("Mul", name, [real, self.floats(f"{name}/factor", factor)])
