"""Small ONNX networks with random weights, for the vendor's compiler: name, target and the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IMAGE = (1, 3, 16, 16)


class Network:
    """A graph in the making: each step gives the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(7)

    def constant(self, values: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def floats(self, *shape: int) -> str:
        return self.constant(self.random.normal(0, 0.3, shape).astype(np.float32))

    def whole(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def step(self, operator: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        """The first result; the next ones have a `_1` and so on behind its name."""
        name = f"t{len(self.nodes)}"
        names = [name, *(f"{name}_{index}" for index in range(1, outputs))]
        self.nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return name

    def conv(self, x: str, ic: int, oc: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> str:
        weights, biases = self.floats(oc, ic // groups, kernel, kernel), self.floats(oc)
        pads = [kernel // 2] * 4
        return self.step("Conv", x, weights, biases, pads=pads, strides=[stride] * 2, group=groups)

    def save(self, path: Path, inputs: dict[str, tuple[int, ...]], outputs: tuple[str, ...]) -> None:
        given = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()
        ]
        graph = helper.make_graph(
            self.nodes, "g", given, [onnx.ValueInfoProto(name=name) for name in outputs]
        )
        graph.initializer.extend(self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        onnx.checker.check_model(model)
        onnx.save(model, path)


@dataclass(frozen=True)
class Case:
    """What `build` makes of a network of inputs `x` and `y`: its outputs."""

    name: str
    target: str
    build: Callable[[Network], str | tuple[str, ...]]
    inputs: int = 1
    shape: tuple[int, ...] = IMAGE

    def write(self, path: Path) -> list[list[np.ndarray]]:
        """Writes the model; gives two sets of inputs."""
        network = Network()
        outputs = self.build(network)
        names = "xy"[: self.inputs]
        network.save(
            path, dict.fromkeys(names, self.shape), (outputs,) if isinstance(outputs, str) else outputs
        )
        random = np.random.default_rng(3)
        return [[random.random(self.shape, dtype=np.float32) for _ in names] for _ in range(2)]


def separable(net: Network) -> str:
    x = net.step("Relu", net.conv("x", 3, 8, stride=2))
    x = net.step("Relu", net.conv(x, 8, 8, groups=8))
    x = net.step("Relu", net.conv(x, 8, 12, kernel=1))
    x = net.step("GlobalAveragePool", x)
    return net.step("Softmax", net.step("Flatten", x), axis=1)


def residual(net: Network) -> str:
    x = net.step("Relu", net.conv("x", 3, 8))
    y = net.conv(net.step("Relu", net.conv(x, 8, 8)), 8, 8)
    return net.conv(net.step("Relu", net.step("Add", x, y)), 8, 4, kernel=1)


def interrupted(net: Network) -> str:
    """Layers of the KPU with work of the CPU between them: several functions."""
    x = net.step("Softmax", net.conv("x", 3, 8), axis=1)
    x = net.step("Softmax", net.conv(x, 8, 8), axis=1)
    return net.conv(x, 8, 4, kernel=1)


def branches(net: Network) -> tuple[str, ...]:
    x = net.step("LeakyRelu", net.conv("x", 3, 8), alpha=0.1)
    one, other = net.conv(x, 8, 4, kernel=1), net.step("Sigmoid", net.conv(x, 8, 6))
    return one, net.step("Concat", one, other, axis=1)


def pooled(operator: str) -> Callable[[Network], str]:
    return lambda net: net.step(operator, net.conv("x", 3, 8), kernel_shape=[2, 2], strides=[2, 2])


def classified(net: Network) -> str:
    x = net.step("Flatten", net.step("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2]))
    return net.step("Gemm", x, net.floats(192, 10), net.floats(10))


def mathematics(net: Network) -> str:
    x = "x"
    for operator in ("Exp", "Neg", "Abs", "Sqrt", "Sigmoid", "Tanh", "Ceil"):
        x = net.step(operator, x)
    return net.step("Div", x, net.floats(1, 3, 1, 1))


def halves(net: Network) -> tuple[str, ...]:
    first = net.step("Split", "x", outputs=2, axis=2)
    return first, net.step("Relu", f"{first}_1")


def scaled(mode: str) -> Callable[[Network], str]:
    scales = np.array([1, 1, 2, 2], np.float32)

    def build(net: Network) -> str:
        return net.step("Resize", "x", net.constant(np.zeros(0, np.float32)), net.constant(scales), mode=mode)

    return build


CASES = (
    Case("conv", "cpu", lambda net: net.step("Relu", net.conv("x", 3, 8))),
    Case("depthwise", "cpu", lambda net: net.conv("x", 3, 3, groups=3, stride=2)),
    Case("classified", "cpu", classified),
    Case("softmax", "cpu", lambda net: net.step("Softmax", "x", axis=1)),
    Case("mathematics", "cpu", mathematics),
    Case("sum of two", "cpu", lambda net: net.step("Add", "x", "y"), inputs=2),
    Case("two outputs", "cpu", halves),
    Case("slice", "cpu", lambda net: net.step("Slice", "x", net.whole(2), net.whole(9), net.whole(3))),
    Case("pad", "cpu", lambda net: net.step("Pad", "x", net.whole(0, 0, 1, 2, 0, 0, 3, 0))),
    Case("transpose", "cpu", lambda net: net.step("Transpose", "x", perm=[0, 2, 3, 1])),
    Case("nearest", "cpu", scaled("nearest")),
    Case("linear", "cpu", scaled("linear")),
    Case("mean", "cpu", lambda net: net.step("ReduceMean", "x", axes=[2], keepdims=0)),
    Case("average pool", "cpu", lambda net: net.step("AveragePool", "x", kernel_shape=[3, 3], pads=[1] * 4)),
    Case("gather", "cpu", lambda net: net.step("Gather", "x", net.whole(2, 0), axis=1)),
    Case(
        "matrices", "cpu", lambda net: net.step("MatMul", "x", net.floats(1, 3, 16, 5)), shape=(1, 3, 7, 16)
    ),
    Case("largest", "cpu", lambda net: net.step("ArgMax", "x", axis=1)),
    Case("odd sizes", "cpu", lambda net: net.step("Relu", "x"), shape=(1, 1, 3, 1)),
    Case("conv", "k210", lambda net: net.step("Relu", net.conv("x", 3, 8))),
    Case("pointwise", "k210", lambda net: net.conv("x", 70, 20, kernel=1), shape=(1, 70, 9, 33)),
    Case("separable", "k210", separable),
    Case("max pool", "k210", pooled("MaxPool")),
    Case("average pool", "k210", pooled("AveragePool")),
    Case("residual", "k210", residual),
    Case("interrupted", "k210", interrupted),
    Case("branches", "k210", branches),
    Case("many loads", "k210", lambda net: net.conv("x", 128, 96), shape=(1, 128, 8, 8)),
    Case("sum of two", "k210", lambda net: net.conv(net.step("Add", "x", "y"), 3, 4), inputs=2),
)
