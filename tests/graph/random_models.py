"""Small random ONNX models of any operator set from 7 on, as exporters might write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]


class Writer:
    """Builds one model; `x` is the current tensor of shape `shape`."""

    def __init__(self, dice: Random, opset: int) -> None:
        self.dice, self.opset = dice, opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.x = "input"
        self.shape = [1, dice.choice([1, 2, 4]), dice.randint(3, 9), dice.randint(3, 9)]
        self.input_shape = list(self.shape)
        self.history: list[tuple[str, list[int]]] = []
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

    def model(self) -> onnx.ModelProto:
        """The finished model; its last two tensors are the outputs."""
        outputs = [helper.make_tensor_value_info(self.x, TensorProto.FLOAT, None)]
        if self.history and self.history[-1][0] not in ("input", self.x):
            outputs.append(helper.make_tensor_value_info(self.history[-1][0], TensorProto.FLOAT, None))
        inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, self.input_shape)]
        ir = 3 if self.opset <= 8 else 8
        if ir == 3:  # initializers had to be inputs
            inputs += [helper.make_tensor_value_info(c.name, c.data_type, c.dims) for c in self.constants]
        graph = helper.make_graph(self.nodes, "random", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=ir, producer_name="random")


def random_model(dice: Random) -> onnx.ModelProto:
    """One to eight steps at a random operator set."""
    writer = Writer(dice, dice.choice([7, 8, 9, 10, 11, 12, 13, 15, 17, 18, 19, 20, 21]))
    for _ in range(dice.randint(1, 8)):
        if writer.shape and min(writer.shape) > 0:
            dice.choice(STEPS)(writer)
    if writer.x == "input":
        writer.step("Relu", "input")
    return writer.model()


def _window(w: Writer) -> dict[str, Any]:
    kernel = [w.dice.randint(1, max(1, min(3, size))) for size in w.shape[2:]]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": [w.dice.randint(1, 2) for _ in kernel]}
    if w.dice.random() < 0.4:
        attributes["auto_pad"] = w.dice.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
    elif w.dice.random() < 0.6:
        attributes["pads"] = [w.dice.randint(0, size - 1) for size in kernel * 2]
    return attributes


def _spatial(w: Writer) -> bool:
    return len(w.shape) == 4 and all(1 <= size <= 40 for size in w.shape)


def _infer(w: Writer) -> None:
    """Sets the current shape from ONNX's own inference."""
    model = onnx.shape_inference.infer_shapes(w.model(), strict_mode=True, data_prop=True)
    found = next(value for value in model.graph.output if value.name == w.x)
    w.shape = [dim.dim_value for dim in found.type.tensor_type.shape.dim]


def conv(w: Writer) -> None:
    if not _spatial(w):
        return
    attributes = _window(w)
    channels, group = w.shape[1], w.dice.choice([1, w.shape[1]])
    outputs = w.dice.randint(1, 2) * group
    weights = [w.weights(outputs, channels // group, *attributes["kernel_shape"])]
    bias = [w.weights(outputs)] if w.dice.random() < 0.5 else []
    w.step("Conv", w.x, *weights, *bias, group=group, **attributes)
    _infer(w)
    if w.dice.random() < 0.5:
        batch_normalization(w)


def conv_transpose(w: Writer) -> None:
    if not _spatial(w) or max(w.shape[2:]) > 12:
        return
    channels, group = w.shape[1], w.dice.choice([1, w.shape[1]])
    strides = [w.dice.randint(1, 2) for _ in range(2)]
    mode = w.dice.choice(["NOTSET", "SAME_UPPER", "SAME_LOWER"]) if w.opset >= 11 else "NOTSET"
    attributes = {"pads": [0, 1, 1, 0]} if mode == "NOTSET" else {"auto_pad": mode}
    weights = w.weights(channels, w.dice.randint(1, 2), 3, 3)
    w.step("ConvTranspose", w.x, weights, group=group, strides=strides, **attributes)
    _infer(w)


def batch_normalization(w: Writer) -> None:
    if len(w.shape) < 2:
        return
    scale, bias, mean = (w.weights(w.shape[1]) for _ in range(3))
    variance = w.constant(w.values.uniform(0.2, 2, w.shape[1]))
    w.step("BatchNormalization", w.x, scale, bias, mean, variance, epsilon=1e-3)


def pool(w: Writer) -> None:
    if not _spatial(w):
        return
    op = w.dice.choice(["MaxPool", "AveragePool"])
    attributes = _window(w)
    if op == "AveragePool":
        attributes["count_include_pad"] = w.dice.randint(0, 1)
    if w.opset >= 10 and "auto_pad" not in attributes:
        attributes["ceil_mode"] = w.dice.randint(0, 1)
    w.step(op, w.x, **attributes)
    _infer(w)


def pad(w: Writer) -> None:
    if not _spatial(w):
        return
    pads = [0, 0, w.dice.randint(0, 1), 1, 0, 0, w.dice.randint(0, 1), 0]
    value = w.dice.choice([0.0, 0.0, 1.5])
    if w.opset >= 11:
        w.step("Pad", w.x, w.constant(pads, np.int64), w.constant(value), mode="constant")
    else:
        w.step("Pad", w.x, mode="constant", pads=pads, value=value)
    _infer(w)
    w.dice.choice([conv, pool])(w)


def clip(w: Writer) -> None:
    low, high = w.dice.choice([(0.0, 6.0), (-1.0, 1.0), (0.0, None), (None, 0.5)])
    if w.opset >= 11:
        names = [w.constant(v) if v is not None else "" for v in (low, high)]
        w.step("Clip", w.x, *(names if names[1] else names[:1]))
    else:
        w.step("Clip", w.x, **{k: v for k, v in (("min", low), ("max", high)) if v is not None})


def activation(w: Writer) -> None:
    ops = ["Relu", "Sigmoid", "LeakyRelu", "Tanh", "Elu", "HardSigmoid", "Identity", "Abs", "Neg"]
    w.step(w.dice.choice(ops + (["HardSwish"] if w.opset >= 14 else [])), w.x)


def constant_arithmetic(w: Writer) -> None:
    full = [1] * len(w.shape)
    shapes = [[], [1], full, [*full[:1], *w.shape[1:2], *full[2:]], list(w.shape), w.shape[-1:]]
    value = w.values.uniform(0.5, 1.5, w.dice.choice(shapes)) * w.dice.choice([1, -1])
    if w.dice.random() < 0.15:
        value = np.zeros_like(value) + w.dice.choice([0, 1])
    op = w.dice.choice(["Add", "Mul", "Sub", "Div"])
    if op == "Div" and not value.all():
        op = "Mul"
    names = [w.x, w.constant(value)]
    if op in ("Add", "Mul", "Sub") and w.dice.random() < 0.3:
        names.reverse()
    w.step(op, *names)


def residual(w: Writer) -> None:
    same = [name for name, shape in w.history if shape == w.shape]
    w.step(w.dice.choice(["Add", "Mul", "Sub"]), w.x, w.dice.choice([*same, w.x]))


def concat(w: Writer) -> None:
    same = [name for name, shape in w.history if shape == w.shape]
    axis = w.dice.randrange(len(w.shape))
    shape = [size * (2 if index == axis else 1) for index, size in enumerate(w.shape)]
    if np.prod(shape) < 5000:
        w.step("Concat", w.x, w.dice.choice([*same, w.x]), axis=axis, shape=shape)


def split(w: Writer) -> None:
    axis = w.dice.randrange(len(w.shape))
    size = w.shape[axis]
    if size < 2:
        return
    sizes = [size // 2, size - size // 2]
    more, attributes = w.axes(13, "split", sizes)
    parts = w.add("Split", [w.x, *more], 2, axis=axis - len(w.shape) if w.opset >= 11 else axis, **attributes)
    w.history.append((parts[1], [sizes[1] if i == axis else n for i, n in enumerate(w.shape)]))
    w.x, w.shape = parts[0], [sizes[0] if i == axis else n for i, n in enumerate(w.shape)]


def slice_(w: Writer) -> None:
    axis = w.dice.randrange(len(w.shape))
    if w.shape[axis] < 2:
        return
    if w.opset >= 10:
        backwards = w.dice.random() < 0.2
        bounds = (
            ([-1], [-(2**31)], [axis], [-1]) if backwards else ([1], [2**31], [axis], [w.dice.randint(1, 2)])
        )
        w.step("Slice", w.x, *(w.constant(value, np.int64) for value in bounds))
    else:
        w.step("Slice", w.x, starts=[1], ends=[-1 if w.shape[axis] > 2 else 2**31 - 1], axes=[axis])
    _infer(w)


def transpose(w: Writer) -> None:
    perm = w.dice.sample(range(len(w.shape)), len(w.shape))
    w.step("Transpose", w.x, shape=[w.shape[axis] for axis in perm], perm=perm)


def reshape(w: Writer) -> None:
    """Flat, written in one of the ways that exporters have."""
    total = int(np.prod(w.shape))
    way = w.dice.randrange(4)
    if way == 0:
        w.step("Flatten", w.x, axis=1, shape=[w.shape[0], total // w.shape[0]])
    elif way == 1:
        shape = w.add("Shape", [w.x])
        index = w.constant(0, np.int64)
        batch = w.add("Gather", [*shape, index], axis=0)
        more, attributes = w.axes(13, "axes", [0])
        wide = w.add("Unsqueeze", [*batch, *more], **attributes)
        target = w.add("Concat", [*wide, w.constant([-1], np.int64)], axis=0)
        w.step("Reshape", w.x, *target, shape=[w.shape[0], total // w.shape[0]])
    elif way == 2:
        more, attributes = w.axes(13, "axes", [0])
        w.step("Unsqueeze", w.x, *more, shape=[1, *w.shape], **attributes)
        if len(w.shape) > 5:
            w.step("Reshape", w.x, w.constant([1, -1], np.int64), shape=[1, total])
    else:
        w.step("Reshape", w.x, w.constant([0, -1], np.int64), shape=[w.shape[0], total // w.shape[0]])


def softmax(w: Writer) -> None:
    axis = w.dice.randrange(len(w.shape))
    w.step(w.dice.choice(["Softmax", "LogSoftmax"]), w.x, axis=axis)


def reduce(w: Writer) -> None:
    if len(w.shape) != 4:
        return
    axes = w.dice.choice([[2, 3], [-1, -2], [1], [3]])
    keep = w.dice.randint(0, 1)
    op = w.dice.choice(["ReduceMean", "ReduceSum", "ReduceMax", "GlobalAveragePool", "GlobalMaxPool"])
    if op.startswith("Global"):
        w.step(op, w.x)
    else:
        since = 13 if op == "ReduceSum" else 18
        more, attributes = w.axes(since, "axes", axes if w.opset >= 11 else [axis % 4 for axis in axes])
        w.step(op, w.x, *more, keepdims=keep, **attributes)
    _infer(w)


def fully_connected(w: Writer) -> None:
    if len(w.shape) < 2:
        return
    outputs, inputs = w.dice.randint(1, 5), w.shape[-1]
    shape = [*w.shape[:-1], outputs]
    if len(w.shape) > 2 or w.dice.random() < 0.5:
        w.step("MatMul", w.x, w.weights(inputs, outputs), shape=shape)
        w.step("Add", w.x, w.weights(*w.dice.choice([[outputs], [1, outputs], [1]])))
        return
    transposed = w.dice.randint(0, 1)
    weights = w.weights(*((outputs, inputs) if transposed else (inputs, outputs)))
    alpha, beta = w.dice.choice([(1.0, 1.0), (0.5, 2.0)])
    bias = w.weights(*w.dice.choice([[outputs], [1], [1, outputs]]))
    w.step("Gemm", w.x, weights, bias, transB=transposed, alpha=alpha, beta=beta, shape=shape)
    w.dice.choice([activation, batch_normalization, constant_arithmetic])(w)


def resize(w: Writer) -> None:
    if not _spatial(w) or max(w.shape[2:]) > 10:
        return
    scales = w.constant([1.0, 1.0, 2.0, 2.0])
    mode = w.dice.choice(["nearest", "linear"])
    if w.opset >= 11:
        roi = "" if w.opset >= 13 else w.constant(np.zeros(0))
        w.step("Resize", w.x, roi, scales, mode=mode)
    elif w.opset == 10:
        w.step("Resize", w.x, scales, mode=mode)
    elif w.opset == 9:
        w.step("Upsample", w.x, scales, mode=mode)
    else:
        w.step("Upsample", w.x, mode=mode, scales=[1.0, 1.0, 2.0, 2.0])
    w.shape = [*w.shape[:2], w.shape[2] * 2, w.shape[3] * 2]


def dropout(w: Writer) -> None:
    w.step("Dropout", w.x)


STEPS: tuple[Callable[[Writer], None], ...] = (
    conv, conv, conv, conv_transpose, batch_normalization, pool, pool, pad, clip, clip,
    activation, activation, constant_arithmetic, constant_arithmetic, residual, concat, split, slice_,
    transpose, transpose, reshape, reshape, softmax, reduce, fully_connected, fully_connected, resize,
    dropout,
)  # fmt: skip
