"""Random nodes on any tensor: functions, reductions, moves of values, products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.kpu.lowering.graph_maker import F, Maker


def unary(maker: Maker, x: str) -> str:
    op = maker.pick(
        ("Abs", "Atan", "Celu", "Ceil", "Clip", "Cos", "Elu", "Erf", "Exp", "Floor", "HardSigmoid",
         "HardSwish", "LeakyRelu", "Neg", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin",
         "Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu", "Asinh", "Log", "Reciprocal")
    )  # fmt: skip
    if op == "Clip":
        return maker.one(op, x, maker.constant(F(-0.5)), maker.constant(F(maker.whole(1, 6))))
    if op in ("Sqrt", "Log", "Reciprocal"):
        x = maker.one("Add", maker.one("Abs", x), maker.constant(F(0.5)))
    if op == "Exp":
        x = maker.one("Clip", x, maker.constant(F(-4)), maker.constant(F(3)))
    return maker.one(op, x)


def binary(maker: Maker, x: str) -> str:
    op, shape = maker.pick(("Add", "Sub", "Mul", "Div", "Max", "Min")), maker.shape(x)
    kind = maker.whole(0, 3)
    if kind == 0:
        other = maker.pick([name for name in maker.known if maker.shape(name) == shape])
    elif kind == 1:
        other = maker.constant(F(maker.rng.normal(0, 2)))
    else:
        cut = maker.whole(0, len(shape))
        other = maker.floats(*(size if maker.whole(0, 1) else 1 for size in shape[cut:]))
    if op == "Div":
        other = maker.one("Add", maker.one("Abs", other), maker.constant(F(0.5)))
    return maker.one(op, *((x, other) if op == "Div" or maker.whole(0, 3) else (other, x)))


def choice(maker: Maker, x: str) -> str:
    op = maker.pick(("Greater", "Less", "GreaterOrEqual", "LessOrEqual"))
    asked = maker.one(op, x, maker.constant(F(0.25)))
    if maker.whole(0, 1):
        asked = maker.one(maker.pick(("And", "Or", "Xor")), asked, maker.one("Less", x, maker.constant(F(1))))
    if maker.whole(0, 2) == 0:
        return maker.one("Cast", maker.one("Not", asked), to=1)
    return maker.one("Where", asked, x, maker.constant(F(-1.5)))


def silu(maker: Maker, x: str) -> str:
    return maker.one("Mul", x, maker.one(maker.pick(("Sigmoid", "Tanh", "HardSigmoid")), x))


def reduce(maker: Maker, x: str) -> str:
    rank = len(maker.shape(x))
    axes = sorted({maker.whole(0, rank - 1) for _ in range(maker.whole(1, 2))})
    op, keep = (
        maker.pick(("Mean", "Max", "Min", "Sum", "L1", "L2", "SumSquare", "LogSumExp")),
        maker.whole(0, 1),
    )
    if len(axes) == rank and not keep:
        keep = 1
    if op == "Sum":
        return maker.one("ReduceSum", x, maker.longs(*axes), keepdims=keep)
    return maker.one(f"Reduce{op}", x, axes=axes, keepdims=keep)


def along(maker: Maker, x: str) -> str:
    axis = maker.whole(0, len(maker.shape(x)) - 1)
    op = maker.pick(("Softmax", "LogSoftmax", "LpNormalization", "CumSum"))
    if op == "CumSum":
        index = maker.constant(np.array(axis, np.int64))
        return maker.one(op, x, index, exclusive=maker.whole(0, 1), reverse=maker.whole(0, 1))
    return maker.one(op, x, axis=axis)


def transpose(maker: Maker, x: str) -> str:
    return maker.one("Transpose", x, perm=[int(axis) for axis in maker.rng.permutation(len(maker.shape(x)))])


def reshape(maker: Maker, x: str) -> str:
    shape = maker.shape(x)
    cut = maker.whole(0, len(shape))
    joined = (math.prod(shape[:cut]), math.prod(shape[cut:]))
    kind = maker.whole(0, 2)
    if kind == 0 and len(shape) < 5:
        return maker.one("Unsqueeze", x, maker.longs(cut))
    if kind == 1 and 1 in shape and len(shape) > 1:
        return maker.one("Squeeze", x, maker.longs(shape.index(1)))
    return maker.one("Reshape", x, maker.longs(*joined))


def slice(maker: Maker, x: str) -> str:
    axis = maker.whole(0, len(maker.shape(x)) - 1)
    size = maker.shape(x)[axis]
    if maker.whole(0, 3) == 0:
        lists = (-1, -size - 1, axis, -1)
    else:
        start = maker.whole(0, size - 1)
        lists = (start, maker.whole(start + 1, size), axis, maker.whole(1, 2))
    return maker.one("Slice", x, *(maker.longs(value) for value in lists))


def split(maker: Maker, x: str) -> str | None:
    axis = maker.whole(0, len(maker.shape(x)) - 1)
    size = maker.shape(x)[axis]
    if size < 2:
        return None
    first = maker.whole(1, size - 1)
    parts = maker.add("Split", [x, maker.longs(first, size - first)], 2, axis=axis)
    maker.known.append(parts[1])
    return parts[0]


def concat(maker: Maker, x: str) -> str:
    shape = maker.shape(x)
    axis = maker.whole(0, len(shape) - 1)
    around = [
        name
        for name in maker.known
        if len(maker.shape(name)) == len(shape)
        and all(
            a == b for place, (a, b) in enumerate(zip(maker.shape(name), shape, strict=True)) if place != axis
        )
    ]
    parts = [maker.pick(around) for _ in range(maker.whole(1, 2))]
    if maker.whole(0, 4) == 0:
        parts.append(maker.floats(*(1 if place == axis else size for place, size in enumerate(shape))))
    parts.insert(maker.whole(0, len(parts)), x)
    return maker.one("Concat", *parts, axis=axis)


def gather(maker: Maker, x: str) -> str:
    shape = maker.shape(x)
    axis = maker.whole(0, len(shape) - 1)
    kind = maker.whole(0, 3)
    if kind == 0:
        count = [1 if maker.whole(0, 1) else size for size in shape]
        indices = maker.rng.integers(0, shape[axis], count)
        return maker.one("GatherElements", x, maker.constant(indices.astype(np.int64)), axis=axis)
    if kind == 1 and len(shape) > 1:
        tuples = np.stack([maker.rng.integers(0, size, 3) for size in shape[:2]], axis=-1)
        return maker.one("GatherND", x, maker.constant(tuples.astype(np.int64)))
    count = [] if kind == 2 and len(shape) > 1 else [maker.whole(1, 4)]
    return maker.one("Gather", x, maker.constant(maker.rng.integers(0, shape[axis], count)), axis=axis)


def wider(maker: Maker, x: str) -> str:
    shape = maker.shape(x)
    if maker.whole(0, 1):
        return maker.one(
            "Expand", x, maker.longs(*(size if size > 1 else maker.whole(1, 3) for size in shape))
        )
    return maker.one("Tile", x, maker.longs(*(maker.whole(1, 2) for _ in shape)))


def pad(maker: Maker, x: str) -> str | None:
    shape, mode = maker.shape(x), maker.pick(("constant", "constant", "reflect", "edge"))
    most = [2 if mode == "constant" else min(2, size - 1) for size in shape]
    sides = [maker.whole(0, width) for width in (*most, *most)]
    value = [maker.constant(F(0.75))] if mode == "constant" and maker.whole(0, 1) else []
    return maker.one("Pad", x, maker.longs(*sides), *value, mode=mode)


def matmul(maker: Maker, x: str) -> str | None:
    shape = maker.shape(x)
    if len(shape) < 2:
        return None
    kind = maker.whole(0, 3)
    if kind == 0:
        turned = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
        return maker.one("MatMul", x, maker.one("Transpose", x, perm=turned))
    if kind == 1 and len(shape) == 2:
        attributes = {"transB": maker.whole(0, 1), "alpha": 0.5}
        outputs = maker.whole(1, 7)
        weights = (outputs, shape[1]) if attributes["transB"] else (shape[1], outputs)
        bias = maker.floats(maker.pick((shape[0], 1)), outputs)
        return maker.one("Gemm", x, maker.floats(*weights), bias, **attributes)
    if kind == 2:
        return maker.one("MatMul", x, maker.floats(shape[-1]))
    return maker.one("MatMul", x, maker.floats(*shape[:-2], shape[-1], maker.whole(1, 7)))


def normalization(maker: Maker, x: str) -> str | None:
    shape = maker.shape(x)
    if len(shape) < 3 or math.prod(shape[2:]) < 2 or maker.whole(0, 1):
        size = shape[-1]
        return (
            maker.one("LayerNormalization", x, maker.floats(size), maker.floats(size), axis=-1)
            if size > 1
            else None
        )
    return maker.one("InstanceNormalization", x, maker.floats(shape[1]), maker.floats(shape[1]))


def recurrent(maker: Maker, x: str) -> str | None:
    shape = maker.shape(x)
    if len(shape) != 3 or shape[0] > 6 or shape[2] > 40:
        return None
    op, hidden = maker.pick(("LSTM", "GRU", "RNN")), maker.whole(1, 4)
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    sides = maker.whole(1, 2)
    inputs = [maker.floats(sides, gates * hidden, shape[2]), maker.floats(sides, gates * hidden, hidden)]
    attributes: dict[str, Any] = {"hidden_size": hidden, "direction": ("forward", "bidirectional")[sides - 1]}
    if op == "GRU":
        attributes["linear_before_reset"] = maker.whole(0, 1)
    return maker.one(op, x, *inputs, maker.floats(sides, 2 * gates * hidden), **attributes)
