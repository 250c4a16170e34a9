"""ONNX nodes and initializers under unique names, and the steps into and out of integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from modelbuild.arithmetic.binding import Bound
from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from modelbuild.quantize.names import Names


class Drawing:
    """`integers` maps a tensor to the edge that carries it. An edge of *steps* carries integer less zero
    point as float32, one of *doubles* as float64: whole numbers both, so that sums of them are exact."""

    def __init__(self, model: FixedModel) -> None:
        self.model = model
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.constants: dict[str, None] = {}  # of the model's constants, those that are initializers
        self.integers: dict[str, str] = {}
        self._names = Names([*model.tensors, *model.constants])
        self._numbers: dict[tuple[float, np.dtype[Any]], str] = {}
        self._scales: dict[str, str] = {}
        self._steps: dict[tuple[str, int], str] = {}
        self._doubles: dict[str, str] = {}

    def node(
        self,
        op: str,
        name: str,
        inputs: Sequence[str],
        attributes: dict[str, Any] | None = None,
        out: str = "",
    ) -> str:
        """Add a node with one output; the output's name."""
        out = out or self._names.fresh(f"{name}/{op}")
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=f"{out}/node", **(attributes or {})))
        return out

    def node_of(
        self, op: str, name: str, inputs: Sequence[str], count: int, attributes: dict[str, Any]
    ) -> list[str]:
        """Add a node with several outputs; their names."""
        outs = [self._names.fresh(f"{name}/{op}") for _ in range(count)]
        self.nodes.append(helper.make_node(op, list(inputs), outs, name=f"{outs[0]}/node", **attributes))
        return outs

    def initializer(self, wanted: str, values: NDArray[Any]) -> str:
        """Numbers that only onnxruntime needs; their name."""
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

    def number(self, value: float, dtype: DTypeLike = np.float64) -> str:
        """An initializer of one number, the same for all who want it."""
        key = value, np.dtype(dtype)
        if key not in self._numbers:
            self._numbers[key] = self.initializer(f"{key[1].name}/{value:g}", np.array(value, dtype))
        return self._numbers[key]

    def longs(self, wanted: str, values: object) -> str:
        """An int64 initializer."""
        return self.initializer(wanted, np.asarray(values, np.int64))

    def steps(self, tensor: QuantizedTensor, zero: int) -> str:
        """The edge of steps of a tensor, counted from `zero`."""
        key = tensor.name, zero
        if key not in self._steps:
            inputs = [self.integers[tensor.name], self.number(1, np.float32), self.number(zero, tensor.dtype)]
            self._steps[key] = self.node("DequantizeLinear", tensor.name, inputs)
        return self._steps[key]

    def doubles(self, edge: str) -> str:
        """The same numbers in float64."""
        if edge not in self._doubles:
            self._doubles[edge] = self.node("Cast", edge, [edge], {"to": TensorProto.DOUBLE})
        return self._doubles[edge]

    def quantize(self, tensor: QuantizedTensor, steps: str, zero: int) -> None:
        """From an edge of steps to integers; where the model gives the tensor out, to its real numbers."""
        scale = self._scale(tensor)
        real = self.node("Mul", tensor.name, [steps, scale])
        ends = [scale, self.number(zero, tensor.dtype)]
        self.put(tensor, self.node("QuantizeLinear", tensor.name, [real, *ends]))

    def put(self, tensor: QuantizedTensor, integers: str) -> None:
        """The edge that carries a tensor, integers or, of a floating one, floats. Whole numbers leave the
        model as they are."""
        self.integers[tensor.name] = integers
        if tensor.name not in self.model.outputs or tensor.name in self.model.inputs:
            return
        if tensor.floating or tensor.whole:
            self.node("Identity", tensor.name, [integers], out=tensor.name)
        else:
            ends = [self._scale(tensor), self.number(tensor.zero_point, tensor.dtype)]
            self.node("DequantizeLinear", tensor.name, [integers, *ends], out=tensor.name)

    def _scale(self, tensor: QuantizedTensor) -> str:
        if tensor.name not in self._scales:
            scale = np.array(tensor.scale, np.float32)
            self._scales[tensor.name] = self.initializer(f"{tensor.name}/scale", scale)
        return self._scales[tensor.name]

    def take(self, tensor: QuantizedTensor) -> None:
        """An input of the model: from real numbers, rounded half to even. Others as they are."""
        if tensor.floating or tensor.whole:
            self.integers[tensor.name] = tensor.name
            return
        scale = self.number(tensor.scale)
        exact = self.node("Div", tensor.name, [self.doubles(tensor.name), scale])
        whole = self.node("Round", tensor.name, [exact])
        zero = tensor.zero_point
        self.quantize(tensor, self.clipped(tensor.name, whole, tensor.low - zero, tensor.high - zero), zero)

    def clipped(self, name: str, doubles: str, low: int, high: int) -> str:
        """Saturated, as steps."""
        kept = self.node("Clip", name, [doubles, self.number(low), self.number(high)])
        return self.node("Cast", name, [kept], {"to": TensorProto.FLOAT})

    def rescaled(self, bound: Bound, doubles: str, factor: NDArray[np.float64]) -> str:
        """Accumulators times M / 2^s, rounded half up, saturated: steps of the output.

        A product longer than 53 bits is rounded, by less than what parts it from the next rounding edge as
        long as it is not far outside the bounds: `arithmetic.requantize` has the proof.
        """
        name, zero = bound.operator.name, bound.number("output_zero")
        if (factor != 1.0).any():
            doubles = self.node("Mul", name, [doubles, self.initializer(f"{name}/factor", factor)])
        if (factor != np.rint(factor)).any():
            doubles = self.node("Floor", name, [self.node("Add", name, [doubles, self.number(0.5)])])
        return self.clipped(name, doubles, bound.number("low") - zero, bound.number("high") - zero)

    def finish(self, bound: Bound, doubles: str, factor: NDArray[np.float64]) -> None:
        """As `rescaled`, to the output's integers."""
        self.quantize(bound.output, self.rescaled(bound, doubles, factor), bound.number("output_zero"))


Drawer = Callable[[Drawing, Bound], None]
