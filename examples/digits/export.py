"""The trained network -> ONNX: opset 17, batch 1, NCHW, BatchNormalization nodes as trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from network import EPSILON, BatchNorm, Conv3x3, Dense, GlobalAveragePool, ReLU6, Residual
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


class Exporter:
    """Appends a node a layer; `self.tensor` names the tensor that the next layer reads."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.tensor = "image"
        self.numbers: dict[str, int] = {}

    def node(self, op: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        """Adds a node that reads the current tensor and `inputs`; its output becomes the current one."""
        self.numbers[op] = self.numbers.get(op, 0) + 1
        name = f"{op.lower()}_{self.numbers[op]}"
        self.tensor, source = output or f"{name}_out", self.tensor
        self.nodes.append(helper.make_node(op, [source, *inputs], [self.tensor], name, **attributes))
        return name

    def constant(self, name: str, value: NDArray[np.float32]) -> str:
        """Adds an initializer."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name))
        return name

    def convolution(self, weight: NDArray[np.float32], stride: int, group: int) -> None:
        """A convolution without bias; `weight` is [O, C / group, k, k]."""
        size = weight.shape[2]
        name = self.constant(f"conv_{self.numbers.get('Conv', 0) + 1}_weight", weight)
        pads, strides = [size // 2] * 4, [stride, stride]
        self.node("Conv", [name], kernel_shape=[size, size], pads=pads, strides=strides, group=group)

    def layer(self, layer: Any) -> None:
        """Adds what stands for one layer of the network."""
        match layer:
            case Conv3x3(depthwise=True):
                weight = layer.parameters["weight"].T  # [C, 9]
                self.convolution(weight.reshape(-1, 1, 3, 3), layer.stride, len(weight))
            case Conv3x3():
                weight = layer.parameters["weight"].transpose(2, 1, 0)  # [O, C, 9]
                self.convolution(weight.reshape(*weight.shape[:2], 3, 3), layer.stride, 1)
            case Dense() if "bias" in layer.parameters:
                weight = self.constant("fc_weight", layer.parameters["weight"].T)
                self.node("Flatten", [], axis=1)
                self.node("Gemm", [weight, self.constant("fc_bias", layer.parameters["bias"])], transB=1)
            case Dense():
                self.convolution(layer.parameters["weight"].T[:, :, None, None], 1, 1)
            case BatchNorm():
                self.batch_norm(layer)
            case ReLU6():
                self.node("Clip", ["zero", "six"])
            case GlobalAveragePool():
                self.node("GlobalAveragePool", [])
            case Residual():
                before = self.tensor
                for inner in layer.body:
                    self.layer(inner)
                self.node("Add", [before])

    def batch_norm(self, layer: BatchNorm) -> None:
        """Scale, bias, mean and variance become initializers."""
        prefix = f"bn_{self.numbers.get('BatchNormalization', 0) + 1}"
        values = {**layer.parameters, "mean": layer.mean, "variance": layer.variance}
        names = [self.constant(f"{prefix}_{role}", value) for role, value in values.items()]
        self.node("BatchNormalization", names, epsilon=EPSILON)


def to_onnx(layers: list[Any], size: int) -> bytes:
    """The model: input `image` [1, 1, size, size], output `probabilities` [1, 10]."""
    exporter = Exporter()
    exporter.constant("zero", np.array(0))
    exporter.constant("six", np.array(6))
    for layer in layers:
        exporter.layer(layer)
    exporter.node("Softmax", [], output="probabilities", axis=1)
    graph = helper.make_graph(
        exporter.nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, size, size])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 10])],
        exporter.constants,
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(
        graph, opset_imports=opset, ir_version=8, producer_name="examples/digits/train.py"
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)
