"""Small ONNX models for the judge's compiler: chains of layers with random weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = tuple[int, ...]
TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}


@dataclass
class Network:
    """A model that is being written: every method adds a node and tells its output's name."""

    seed: int = 0
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    inputs: list[tuple[str, Shape]] = field(default_factory=list)
    opset: int = 12

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def input(self, *shape: int) -> str:
        """A float32 input."""
        self.inputs.append((f"x{len(self.inputs)}", shape))
        return self.inputs[-1][0]

    def constant(self, values: np.ndarray) -> str:
        """An initializer."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def weights(self, *shape: int, scale: float = 1.0) -> str:
        """Random weights, normally distributed."""
        return self.constant((self.random.standard_normal(shape) * scale).astype(np.float32))

    def numbers(self, *values: int) -> str:
        """Whole numbers."""
        return self.constant(np.array(values, np.int64))

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        """A node; the name of its first output."""
        names = [f"t{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0]

    def conv(
        self,
        x: str,
        source: int,
        target: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        groups: int = 1,
        pads: Sequence[int] | None = None,
        **attributes: object,
    ) -> str:
        """A convolution with a bias."""
        scale = (source // groups * kernel * kernel) ** -0.5
        weights = self.weights(target, source // groups, kernel, kernel, scale=scale)
        bias = self.weights(target, scale=0.1)
        pads = list(pads) if pads is not None else [kernel // 2] * 4
        return self.add(
            "Conv",
            x,
            weights,
            bias,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=pads,
            group=groups,
            **attributes,
        )

    def clip(self, x: str, low: float = 0.0, high: float = 6.0) -> str:
        """ReLU6 and the like."""
        return self.add("Clip", x, *(self.constant(np.array(value, np.float32)) for value in (low, high)))

    def model(self, *outputs: str) -> onnx.ModelProto:
        """The model; the shapes of outputs are inferred."""
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in self.inputs],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            self.constants,
        )
        found = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        found.ir_version = 7
        # Outputs without a type fail the checker: their types come from inference.
        inferred = onnx.shape_inference.infer_shapes(found)
        known = {item.name: item for item in inferred.graph.value_info}
        known |= {item.name: item for item in inferred.graph.output}
        del found.graph.output[:]
        found.graph.output.extend(known[name] for name in outputs)
        return found


Maker = Callable[[Network], Sequence[str]]
CPU: dict[str, Maker] = {}
K210: dict[str, Maker] = {}


def _cpu(make: Maker) -> Maker:
    CPU[make.__name__] = make
    return make


def _k210(make: Maker) -> Maker:
    K210[make.__name__] = make
    return make


def built(make: Maker, seed: int = 0) -> onnx.ModelProto:
    """The model of a maker."""
    network = Network(seed)
    return network.model(*make(network))


def samples(model: onnx.ModelProto, seed: int = 0, count: int = 1) -> list[list[np.ndarray]]:
    """Random inputs between -1 and 1."""
    random = np.random.default_rng(seed)
    shapes = [[d.dim_value for d in item.type.tensor_type.shape.dim] for item in model.graph.input]
    return [[random.uniform(-1, 1, shape).astype(np.float32) for shape in shapes] for _ in range(count)]


@_cpu
def convolutions(n: Network) -> Sequence[str]:
    x = n.input(1, 5, 13, 11)
    y = n.add("Relu", n.conv(x, 5, 12))
    y = n.clip(n.conv(y, 12, 12, groups=12))
    y = n.conv(y, 12, 8, 1)
    y = n.add("LeakyRelu", n.conv(y, 8, 6, 5, stride=2), alpha=0.1)
    return [n.conv(y, 6, 4, 3, dilations=[2, 2], pads=[2, 2, 2, 2])]


@_cpu
def convolutions_like_weights(n: Network) -> Sequence[str]:
    """Where results and weights have the same inner sizes the runtime takes another kernel."""
    x = n.input(1, 7, 1, 1)
    y = n.conv(n.add("Sigmoid", n.conv(x, 7, 7, 1)), 7, 9, 1)
    z = n.input(1, 3, 5, 5)
    w = n.conv(n.add("Tanh", n.conv(z, 3, 3, 3, pads=[0, 0, 0, 0])), 3, 3, 3)
    return [y, w]


@_cpu
def grouped(n: Network) -> Sequence[str]:
    x = n.input(2, 8, 6, 9)
    return [n.conv(x, 8, 12, 3, groups=4, stride=2, pads=[0, 1, 1, 0])]


@_cpu
def pools(n: Network) -> Sequence[str]:
    x = n.input(1, 3, 9, 10)
    window = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
    return [
        n.add("MaxPool", x, **window),
        n.add("AveragePool", x, **window),
        n.add("AveragePool", x, count_include_pad=1, **window),
        n.add("GlobalAveragePool", x),
        n.add("GlobalMaxPool", x),
    ]


@_cpu
def arithmetic(n: Network) -> Sequence[str]:
    x, y = n.input(1, 4, 5, 6), n.input(1, 4, 5, 6)
    row, one = n.weights(1, 1, 1, 6), n.weights(1)
    return [
        n.add("Add", x, y),
        n.add("Sub", x, row),
        n.add("Mul", x, n.weights(4, 1, 1)),
        n.add("Div", x, y),
        n.add("Min", x, y),
        n.add("Max", x, one),
        n.add("Pow", n.add("Abs", x), n.constant(np.array([1.5], np.float32))),
        n.add("PRelu", x, n.weights(4, 1, 1)),
    ]


@_cpu
def exact_unaries(n: Network) -> Sequence[str]:
    x = n.input(2, 3, 7)
    big = n.add("Mul", x, n.constant(np.array([8.0], np.float32)))
    names = ("Abs", "Ceil", "Floor", "Neg", "Round", "Sign")
    return [n.add(name, big) for name in names] + [n.add("Sqrt", n.add("Abs", x))]


@_cpu
def unaries(n: Network) -> Sequence[str]:
    x = n.input(2, 3, 37)
    names = ("Exp", "Tanh", "Sigmoid", "Cos", "Sin", "Erf", "Acos", "Asin", "Softplus", "HardSigmoid")
    return [n.add(name, x) for name in names] + [n.add("Log", n.add("Abs", x))]


@_cpu
def shapes(n: Network) -> Sequence[str]:
    x, y = n.input(1, 4, 6, 8), n.input(1, 3, 6, 8)
    return [
        n.add("Concat", x, y, axis=1),
        n.add("Transpose", x, perm=[0, 2, 3, 1]),
        n.add("Reshape", x, n.numbers(1, 2, 2, 48)),
        n.add("Slice", x, n.numbers(1, 1), n.numbers(6, 8), n.numbers(2, 3), n.numbers(1, 2)),
        n.add("Slice", x, n.numbers(6), n.numbers(0), n.numbers(3), n.numbers(-2)),
        n.add("Pad", x, n.numbers(0, 0, 1, 2, 0, 0, 3, 1), n.constant(np.array(0.5, np.float32))),
        n.add("Pad", x, n.numbers(0, 0, 1, 2, 0, 0, 3, 1), mode="reflect"),
        n.add("Pad", x, n.numbers(0, 0, 1, 2, 0, 0, 3, 1), mode="edge"),
        n.add("Expand", n.add("Slice", x, n.numbers(0), n.numbers(1), n.numbers(2)), n.numbers(1, 4, 5, 8)),
        n.add("DepthToSpace", x, blocksize=2),
    ]


@_cpu
def picked(n: Network) -> Sequence[str]:
    x = n.input(3, 5, 4)
    return [
        n.add("Gather", x, n.numbers(4, 0, 2), axis=1),
        n.add("Split", x, axis=1, split=[2, 3], outputs=2),
        n.add("Tile", x, n.numbers(1, 2, 1)),
        n.add("CumSum", x, n.constant(np.array(1, np.int32))),
    ]


@_cpu
def reduced(n: Network) -> Sequence[str]:
    x = n.input(2, 7, 9, 5)
    return [
        n.add("ReduceMean", x, axes=[2, 3]),
        n.add("ReduceSum", x, axes=[1], keepdims=0),
        n.add("ReduceMax", x, axes=[1, 2]),
        n.add("ReduceMin", x, axes=[0, 3], keepdims=0),
        n.add("ReduceProd", x, axes=[2]),
        n.add("ReduceL2", x, axes=[1]),
        n.add("Softmax", x, axis=3),
        n.add("LogSoftmax", x, axis=3),
        n.add("LRN", x, size=3, alpha=0.1),
        n.add("InstanceNormalization", x, n.weights(7), n.weights(7), epsilon=1e-3),
    ]


@_cpu
def chosen(n: Network) -> Sequence[str]:
    x = n.input(3, 4, 11)
    values = n.add("TopK", x, n.numbers(3), axis=2, outputs=2)
    return [values, n.add("Hardmax", x, axis=2), n.add("ArgMax", x, axis=1), n.add("ArgMin", x, axis=2)]


@_cpu
def matrices(n: Network) -> Sequence[str]:
    x, y = n.input(3, 17, 29), n.input(3, 29, 5)
    z = n.input(4, 33)
    return [
        n.add("MatMul", x, y),
        n.add("MatMul", x, n.weights(29, 7)),
        n.clip(n.add("Gemm", z, n.weights(10, 33), n.weights(10), transB=1), -0.5, 0.5),
    ]


@_cpu
def resized(n: Network) -> Sequence[str]:
    x = n.input(1, 3, 5, 7)
    found = []
    for mode in ("nearest", "linear"):
        for kind in ("asymmetric", "half_pixel", "align_corners"):
            extra = {"nearest_mode": "floor"} if mode == "nearest" and kind != "align_corners" else {}
            sizes = n.numbers(1, 3, 11, 9)
            found.append(
                n.add(
                    "Resize",
                    x,
                    n.weights(0),
                    n.weights(0),
                    sizes,
                    mode=mode,
                    coordinate_transformation_mode=kind,
                    **extra,
                )
            )
    return found


@_cpu
def recurrent(n: Network) -> Sequence[str]:
    x = n.input(4, 2, 3)
    w, r, b = n.weights(2, 15, 3), n.weights(2, 15, 5), n.weights(2, 30)
    return [n.add("GRU", x, w, r, b, hidden_size=5, direction="bidirectional", outputs=2)]


@_k210
def mobile(n: Network) -> Sequence[str]:
    """Depthwise and pointwise layers with strides."""
    x = n.input(1, 3, 32, 32)
    y = n.clip(n.conv(x, 3, 8, stride=2))
    for source, target, stride in ((8, 16, 1), (16, 24, 2), (24, 24, 1), (24, 40, 2)):
        y = n.clip(n.conv(y, source, source, groups=source, stride=stride))
        y = n.clip(n.conv(y, source, target, 1))
    y = n.add("GlobalAveragePool", y)
    return [n.add("Softmax", n.add("Flatten", n.conv(y, 40, 10, 1)), axis=1)]


@_k210
def curves(n: Network) -> Sequence[str]:
    """Activation functions as tables."""
    x = n.input(1, 4, 20, 18)
    y = n.add("LeakyRelu", n.conv(x, 4, 6), alpha=0.1)
    y = n.add("Sigmoid", n.conv(y, 6, 7))
    y = n.add("Tanh", n.conv(y, 7, 9, 1))
    return [n.clip(n.conv(y, 9, 5), -0.3, 0.4)]


@_k210
def fused_pools(n: Network) -> Sequence[str]:
    """Every pool that the KPU has, and some that it has not."""
    x = n.input(1, 5, 32, 48)
    y = n.add("MaxPool", n.add("Relu", n.conv(x, 5, 8)), kernel_shape=[2, 2], strides=[2, 2])
    z = n.add("AveragePool", n.conv(y, 8, 9), kernel_shape=[2, 2], strides=[2, 2])
    w = n.add("MaxPool", n.conv(x, 5, 6), kernel_shape=[4, 4], strides=[4, 4])
    v = n.add("AveragePool", n.conv(x, 5, 3, 1), kernel_shape=[4, 4], strides=[4, 4])
    u = n.add("MaxPool", n.conv(x, 5, 4), kernel_shape=[2, 2], strides=[1, 1], pads=[0, 0, 1, 1])
    t = n.add("AveragePool", n.conv(x, 5, 4), kernel_shape=[2, 2], strides=[1, 1], pads=[0, 0, 1, 1])
    return [z, w, v, u, t]


@_k210
def residual(n: Network) -> Sequence[str]:
    """Additions and concatenations between layers."""
    x = n.input(1, 6, 16, 16)
    y = n.add("Relu", n.conv(x, 6, 8))
    z = n.add("Add", y, n.conv(y, 8, 8))
    w = n.add("Concat", z, n.conv(z, 8, 4, 1), axis=1)
    return [n.conv(n.add("Mul", w, n.add("Sigmoid", n.conv(w, 12, 12, 1))), 12, 3)]


@_k210
def detector(n: Network) -> Sequence[str]:
    """Upsampling, slices and several outputs."""
    x = n.input(1, 3, 24, 40)
    y = n.add("Relu", n.conv(x, 3, 12, stride=2))
    z = n.add("Relu", n.conv(y, 12, 16, stride=2))
    up = n.add(
        "Resize",
        z,
        "",
        n.constant(np.array([1, 1, 2, 2], np.float32)),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    w = n.conv(n.add("Concat", y, up, axis=1), 28, 10)
    return [n.add("Transpose", w, perm=[0, 2, 3, 1]), n.conv(z, 16, 6, 1)]


def wide(width: int, channels: int, height: int) -> Maker:
    """Two layers on maps of a width."""

    def make(n: Network) -> Sequence[str]:
        x = n.input(1, channels, height, width)
        y = n.add("Relu", n.conv(x, channels, channels + 3))
        return [n.conv(y, channels + 3, 5, 1)]

    return make
