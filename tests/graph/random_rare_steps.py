"""Steps of random models: the operators that networks have now and then."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from tests.graph.random_steps import spatial
from tests.graph.random_writer import Writer

FLOAT, I64 = TensorProto.FLOAT, TensorProto.INT64


def curve(w: Writer) -> None:
    """An activation with attributes, in sets that have it."""
    number = round(w.dice.uniform(0.1, 1.5), 2)
    choices = [
        ("Selu", {"alpha": number, "gamma": number}, 7), ("Softplus", {}, 7), ("Softsign", {}, 7),
        ("Elu", {"alpha": number}, 7), ("LeakyRelu", {"alpha": number}, 7), ("Erf", {}, 9),
        ("HardSigmoid", {"alpha": number, "beta": 0.3}, 7), ("ThresholdedRelu", {"alpha": number}, 10),
        ("Shrink", {"lambd": 0.1, "bias": 0.1}, 9), ("Celu", {"alpha": number}, 12), ("Sin", {}, 7),
        ("Cos", {}, 7), ("Atan", {}, 7), ("Mish", {}, 18), ("Gelu", {}, 20), ("Sinh", {}, 9),
        ("Gelu", {"approximate": "tanh"}, 20), ("Swish", {"alpha": number}, 24), ("HardSwish", {}, 14),
    ]  # fmt: skip
    op, attributes = w.dice.choice([item[:2] for item in choices if item[2] <= w.opset])
    if op == "Sinh":
        w.step("Tanh", w.x)
    w.step(op, w.x, **attributes)


def positive(w: Writer) -> None:
    """A function of what is positive."""
    w.step("Abs", w.x)
    w.step("Add", w.x, w.constant(0.5))
    w.step(w.dice.choice(["Log", "Sqrt", "Reciprocal"]), w.x)


def power(w: Writer) -> None:
    w.step("Tanh", w.x)
    w.step("Pow", w.x, w.constant(w.dice.choice([1, 2, 3, [2.0]])))


def slopes(w: Writer) -> None:
    if len(w.shape) >= 2:
        w.step("PRelu", w.x, w.weights(*w.dice.choice([[1], [w.shape[1], *[1] * (len(w.shape) - 2)]])))


def variadic(w: Writer) -> None:
    """Max, Min, Mean, Sum of one to three tensors."""
    same = [w.x, *(name for name, shape in w.history if shape == w.shape)]
    w.step(w.dice.choice(["Max", "Min", "Mean", "Sum"]), w.x, *w.dice.choices(same, k=w.dice.randint(0, 2)))


def chosen(w: Writer) -> None:
    """Where, by a comparison."""
    if w.opset < 9:
        return
    op = w.dice.choice(["Greater", "Less", *(["GreaterOrEqual", "LessOrEqual"] if w.opset >= 12 else [])])
    mask = w.add(op, [w.x, w.constant(0.2371)])[0]
    if w.dice.random() < 0.3:
        mask = w.add("Not", [mask])[0]
    w.step("Where", mask, w.x, w.constant(w.dice.choice([0.0, -1.0])))


def normalisation(w: Writer) -> None:
    if len(w.shape) < 3 or w.shape[1] < 1 or w.shape[-1] < 2:
        return
    channels = w.shape[1]
    choices = ["InstanceNormalization", "LpNormalization", "LRN"]
    choices += ["MeanVarianceNormalization"] if w.opset >= 9 and len(w.shape) == 4 else []
    choices += ["LayerNormalization"] if w.opset >= 17 else []
    choices += ["GroupNormalization"] if w.opset >= 21 else []
    choices += ["RMSNormalization"] if w.opset >= 23 else []
    op = w.dice.choice(choices)
    match op:
        case "InstanceNormalization":
            w.step(op, w.x, w.weights(channels), w.weights(channels), epsilon=0.01)
        case "LpNormalization":
            w.step(op, w.x, axis=w.dice.choice([1, -1]), p=w.dice.choice([1, 2]))
        case "LRN":
            w.step(op, w.x, size=3, alpha=0.1)
        case "MeanVarianceNormalization":
            w.step("Add", w.x, w.weights(*w.shape))  # never all the same: ONNX divides by the deviation
            w.step(op, w.x, axes=[0, 2, 3])
        case "LayerNormalization":
            w.step(op, w.x, w.weights(w.shape[-1]), w.weights(w.shape[-1]), axis=-1, epsilon=0.01)
        case "GroupNormalization":
            groups = w.dice.choice([n for n in (1, 2, channels) if channels % n == 0])
            w.step(op, w.x, w.weights(channels), w.weights(channels), num_groups=groups, epsilon=0.01)
        case _:
            w.step(op, w.x, w.weights(w.shape[-1]), axis=-1, epsilon=0.01)


def reduction(w: Writer) -> None:
    """Any reduction over any axes, or all."""
    if not w.shape:
        return
    op = w.dice.choice(["L1", "L2", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"])
    axes = w.dice.sample(range(len(w.shape)), w.dice.randint(1, min(2, len(w.shape))))
    if w.opset >= 11 and w.dice.random() < 0.5:
        axes = [axis - len(w.shape) for axis in axes]
    more, attributes = w.axes(13 if op == "Sum" else 18, "axes", axes)
    if w.dice.random() < 0.1:
        more, attributes = [], {}
    w.step(f"Reduce{op}", w.x, *more, keepdims=w.dice.randint(0, 1), **attributes)
    w.infer()


def line(w: Writer) -> None:
    """A convolution or pool along one axis."""
    if len(w.shape) != 4 or w.shape[2] * w.shape[3] > 64:
        return
    flat = [w.shape[0], w.shape[1], w.shape[2] * w.shape[3]]
    w.step("Reshape", w.x, w.constant(flat, np.int64), shape=flat)
    if w.dice.random() < 0.5:
        w.step("Conv", w.x, w.weights(2, flat[1], 2), strides=[w.dice.randint(1, 2)], pads=[1, 0])
    else:
        w.step(w.dice.choice(["MaxPool", "AveragePool"]), w.x, kernel_shape=[2], strides=[2])
    w.infer()


def dilated(w: Writer) -> None:
    if spatial(w) and min(w.shape[2:]) >= 3:
        weights = w.weights(w.dice.randint(1, 3), w.shape[1], 2, 2)
        w.step("Conv", w.x, weights, dilations=[2, w.dice.randint(1, 2)], pads=[1, 0, 0, 1])
        w.infer()


def upward(w: Writer) -> None:
    """A ConvTranspose with what can be said about its output."""
    if not spatial(w) or max(w.shape[2:]) > 8:
        return
    more = w.dice.choice([{}, {"output_padding": [1, 0]}, {"output_shape": [2 * n + 1 for n in w.shape[2:]]}])
    weights = w.weights(w.shape[1], 2, 3, 3)
    bias = [w.weights(2)] if w.dice.random() < 0.5 else []
    w.step("ConvTranspose", w.x, weights, *bias, strides=[2, 2], **more)
    w.infer()


def global_pool(w: Writer) -> None:
    if spatial(w):
        w.step(w.dice.choice(["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"]), w.x)
        w.infer()


def product(w: Writer) -> None:
    """A tensor times itself turned around: attention's first half."""
    if len(w.shape) < 2 or max(w.shape) > 20:
        return
    axes = [*range(len(w.shape) - 2), len(w.shape) - 1, len(w.shape) - 2]
    turned = w.add("Transpose", [w.x], perm=axes)[0]
    w.step("MatMul", w.x, turned, shape=[*w.shape[:-1], w.shape[-2]])
    w.step("Softmax", w.x, axis=len(w.shape) - 1)


def einsum(w: Writer) -> None:
    if w.opset >= 12 and len(w.shape) == 4 and max(w.shape) <= 12:
        w.step("Einsum", w.x, w.weights(w.shape[1], 3), equation="ncij,cd->ndij")
        w.infer()


def recurrent(w: Writer) -> None:
    """A recurrent network along the axis 0 of a flat tensor."""
    if len(w.shape) != 3 or max(w.shape) > 12:
        return
    op, gates = w.dice.choice([("RNN", 1), ("GRU", 3), ("LSTM", 4)])
    w.step(op, w.x, w.weights(1, gates * 2, w.shape[2]), w.weights(1, gates * 2, 2), hidden_size=2)
    w.infer()


def of_another_type(w: Writer) -> None:
    """An input of integers or truth values, cast to float and added."""
    kind = w.dice.choice([TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32, I64, TensorProto.BOOL])
    x = w.input(kind, w.shape[-1:] or [1])
    if kind in (TensorProto.INT32, I64) and w.dice.random() < 0.5:
        x = w.add("Add", [x, w.constant([3], np.int32 if kind == TensorProto.INT32 else np.int64)])[0]
    number = w.add("Cast", [x], to=FLOAT)[0]
    w.step("Add", w.x, w.add("Mul", [number, w.constant(0.01)])[0])
    w.infer()


def back_and_forth(w: Writer) -> None:
    """Through another type that holds every float32."""
    wide = w.add("Cast", [w.x], to=TensorProto.DOUBLE)[0]
    w.step("Cast", wide, to=FLOAT)


STEPS: tuple[Callable[[Writer], None], ...] = (
    curve, curve, curve, positive, power, slopes, variadic, variadic, chosen, normalisation, normalisation,
    reduction, reduction, line, dilated, upward, global_pool, product, einsum, recurrent, of_another_type,
    back_and_forth,
)  # fmt: skip
