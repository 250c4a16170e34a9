"""Steps of random models: convolutions, pools, activations, arithmetic and shapes, as networks have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.graph.random_writer import Writer


def _window(w: Writer) -> dict[str, Any]:
    kernel = [w.dice.randint(1, max(1, min(3, size))) for size in w.shape[2:]]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": [w.dice.randint(1, 2) for _ in kernel]}
    if w.dice.random() < 0.4:
        attributes["auto_pad"] = w.dice.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
    elif w.dice.random() < 0.6:
        attributes["pads"] = [w.dice.randint(0, size - 1) for size in kernel * 2]
    return attributes


def spatial(w: Writer) -> bool:
    """Whether the current tensor is a picture of moderate size."""
    return len(w.shape) == 4 and all(1 <= size <= 40 for size in w.shape)


def conv(w: Writer) -> None:
    if not spatial(w):
        return
    attributes = _window(w)
    channels, group = w.shape[1], w.dice.choice([1, w.shape[1]])
    outputs = w.dice.randint(1, 2) * group
    weights = [w.weights(outputs, channels // group, *attributes["kernel_shape"])]
    bias = [w.weights(outputs)] if w.dice.random() < 0.5 else []
    w.step("Conv", w.x, *weights, *bias, group=group, **attributes)
    w.infer()
    if w.dice.random() < 0.5:
        batch_normalization(w)


def conv_transpose(w: Writer) -> None:
    if not spatial(w) or max(w.shape[2:]) > 12:
        return
    channels, group = w.shape[1], w.dice.choice([1, w.shape[1]])
    strides = [w.dice.randint(1, 2) for _ in range(2)]
    mode = w.dice.choice(["NOTSET", "SAME_UPPER", "SAME_LOWER"]) if w.opset >= 11 else "NOTSET"
    attributes = {"pads": [0, 1, 1, 0]} if mode == "NOTSET" else {"auto_pad": mode}
    weights = w.weights(channels, w.dice.randint(1, 2), 3, 3)
    w.step("ConvTranspose", w.x, weights, group=group, strides=strides, **attributes)
    w.infer()


def batch_normalization(w: Writer) -> None:
    if len(w.shape) < 2:
        return
    scale, bias, mean = (w.weights(w.shape[1]) for _ in range(3))
    variance = w.constant(w.values.uniform(0.2, 2, w.shape[1]))
    w.step("BatchNormalization", w.x, scale, bias, mean, variance, epsilon=1e-3)


def pool(w: Writer) -> None:
    if not spatial(w):
        return
    op = w.dice.choice(["MaxPool", "AveragePool"])
    attributes = _window(w)
    if op == "AveragePool":
        attributes["count_include_pad"] = w.dice.randint(0, 1)
    if w.opset >= 10 and "auto_pad" not in attributes:
        attributes["ceil_mode"] = w.dice.randint(0, 1)
    if op == "MaxPool" and w.opset >= 8 and w.dice.random() < 0.2:
        _with_indices(w, attributes)
        return
    w.step(op, w.x, **attributes)
    w.infer()


def _with_indices(w: Writer, attributes: dict[str, Any]) -> None:
    """A MaxPool whose second output counts, too."""
    pooled, indices = w.add("MaxPool", [w.x], 2, **attributes)
    places = w.add("Mul", [w.add("Cast", [indices], to=1)[0], w.constant(0.001)])[0]
    w.step("Add", pooled, places)
    w.infer()


def pad(w: Writer) -> None:
    if not spatial(w):
        return
    pads = [0, 0, w.dice.randint(0, 1), 1, 0, 0, w.dice.randint(0, 1), 0]
    value = w.dice.choice([0.0, 0.0, 1.5])
    if w.opset >= 11:
        w.step("Pad", w.x, w.constant(pads, np.int64), w.constant(value), mode="constant")
    else:
        w.step("Pad", w.x, mode="constant", pads=pads, value=value)
    w.infer()
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
    w.infer()


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
    w.infer()


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
    if not spatial(w) or max(w.shape[2:]) > 10:
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
