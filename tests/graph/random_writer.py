"""Writing one small random ONNX model: the current tensor, its history, constants in either form."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Writer:
    """Builds one model; `x` is the current tensor of shape `shape`."""

    def __init__(self, dice: Random, opset: int) -> None:
        self.dice, self.opset = dice, opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.x = "input"
        self.shape = [1, dice.choice([1, 2, 4]), dice.randint(3, 9), dice.randint(3, 9)]
        self.input_shape = list(self.shape)
        self.history: list[tuple[str, list[int]]] = []  # earlier tensors and their shapes
        self.ends: list[tuple[str, list[int]]] = []  # where a branch was left for another
        self.inputs: dict[str, tuple[int, list[int]]] = {}  # further inputs: type and shape
        self.values = np.random.default_rng(dice.getrandbits(32))

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """An initializer, or a Constant node."""
        name = f"c{len(self.constants)}_{len(self.nodes)}"
        tensor = numpy_helper.from_array(np.asarray(value, dtype), name)
        if self.dice.random() < 0.3:
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.constants.append(tensor)
        return name

    def weights(self, *shape: int) -> str:
        return self.constant(self.values.normal(0, 0.5, shape))

    def add(self, op: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list[str]:
        """A node; the names of its outputs."""
        names = [f"t{len(self.nodes)}_{index}" for index in range(outputs)]
        label = f"n{len(self.nodes)}" if self.dice.random() < 0.7 else ""
        self.nodes.append(helper.make_node(op, list(inputs), names, label, **attributes))
        return names

    def step(self, op: str, *inputs: str, shape: Sequence[int] | None = None, **attributes: Any) -> None:
        """A node that becomes the current tensor."""
        self.history.append((self.x, list(self.shape)))
        self.x = self.add(op, inputs, **attributes)[0]
        self.shape = list(self.shape if shape is None else shape)

    def axes(self, since: int, name: str, axes: list[int]) -> tuple[list[str], dict[str, Any]]:
        """Axes as an input from operator set `since` on, before as the attribute `name`."""
        return ([self.constant(axes, np.int64)], {}) if self.opset >= since else ([], {name: axes})

    def input(self, kind: int, shape: Sequence[int]) -> str:
        """Another input of the model."""
        name = f"input_{len(self.inputs)}"
        self.inputs[name] = (kind, list(shape))
        return name

    def infer(self) -> None:
        """Sets the current shape from ONNX's own inference."""
        model = self.model()
        for name, shape in self.history:  # for operators that ONNX infers nothing for
            if name != "input" and all(shape):
                model.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        found = next(value for value in model.graph.output if value.name == self.x)
        self.shape = [dim.dim_value for dim in found.type.tensor_type.shape.dim]

    def model(self) -> onnx.ModelProto:
        """The finished model; its outputs are the current tensor and up to two earlier ones."""
        names = [self.x]
        for name in (self.history[-1:] or [("input", [])]) + self.ends[:1]:
            if name[0] not in ("input", *names, *self.inputs):
                names.append(name[0])
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
        inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, self.input_shape)]
        inputs += [helper.make_tensor_value_info(n, k, s) for n, (k, s) in self.inputs.items()]
        ir = 3 if self.opset <= 8 else 8
        if ir == 3:  # initializers had to be inputs
            inputs += [helper.make_tensor_value_info(c.name, c.data_type, c.dims) for c in self.constants]
        graph = helper.make_graph(self.nodes, "random", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=ir, producer_name="random")
