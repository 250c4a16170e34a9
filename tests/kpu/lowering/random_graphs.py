"""Random float graphs from a seed, of all operators that a kmodel can have, for both chips."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from modelbuild.graph.model import Graph, Node, Shape
from modelbuild.graph.shapes import node_types

F = np.float32
MOST = 6_000  # elements of a tensor
Values = np.ndarray[Any, Any]


class Maker:
    """A graph in the making. `known`: tensors that nodes may read."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.graph = Graph("random", [], [], [], {})
        self.known: list[str] = []

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def pick(self, items: Sequence[Any]) -> Any:
        return items[self.whole(0, len(items) - 1)]

    def shape(self, name: str) -> Shape:
        return self.graph.shapes[name]

    def given(self, *shape: int) -> str:
        name = f"in{len(self.graph.inputs)}"
        self.graph.inputs.append(name)
        self.graph.shapes[name], self.graph.dtypes[name] = shape, np.dtype(F)
        self.known.append(name)
        return name

    def constant(self, values: Any) -> str:
        name, array = f"k{len(self.graph.constants)}", np.asarray(values)
        self.graph.constants[name] = array
        self.graph.shapes[name], self.graph.dtypes[name] = array.shape, array.dtype
        return name

    def longs(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def floats(self, *shape: int, scale: float = 0.5) -> str:
        return self.constant((self.rng.normal(0, scale, shape)).astype(F))

    def add(self, op: str, inputs: Sequence[str], count: int = 1, **attributes: Any) -> list[str]:
        number = len(self.graph.nodes)
        outputs = [f"t{number}" + (f"_{index}" if index else "") for index in range(count)]
        node = Node(op, f"{op}{number}", list(inputs), outputs, attributes)
        values = {name: self.graph.constants[name] for name in inputs if name in self.graph.constants}
        for name, (shape, dtype) in node_types(self.graph, node, values).items():
            self.graph.shapes[name], self.graph.dtypes[name] = shape, dtype
        self.graph.nodes.append(node)
        return outputs

    def one(self, op: str, *inputs: str, **attributes: Any) -> str:
        return self.add(op, inputs, **attributes)[0]


Step = Callable[[Maker, str], str | None]


def random_graph(seed: int) -> Graph:
    """Up to a dozen nodes; whatever fits what is there."""
    maker = Maker(seed)
    for _ in range(maker.whole(1, 2)):
        shape = (maker.pick((1, 1, 1, 2)), maker.whole(1, 9), maker.whole(1, 14), maker.whole(1, 18))
        maker.given(*shape[: maker.pick((2, 3, 4, 4, 4, 4, 4))])
    for _ in range(maker.whole(2, 12)):
        source = maker.pick(maker.known[-4:])
        step = maker.pick(FOR_PICTURES if len(maker.shape(source)) == 4 and maker.whole(0, 2) else FOR_ALL)
        made = step(maker, source)
        if made is not None and 0 < math.prod(maker.shape(made)) <= MOST and len(maker.shape(made)) <= 5:
            maker.known.append(made)
    graph = maker.graph
    made_all = [name for name in maker.known if name not in graph.inputs]
    read = {name for node in graph.nodes for name in node.inputs}
    ends = [name for name in made_all if name not in read]
    ends += [name for name in made_all if name in read and maker.whole(0, 9) == 0]
    if maker.whole(0, 19) == 0:
        ends.append(maker.one("Identity", graph.inputs[0]))
    graph.outputs = ends or [maker.one("Relu", graph.inputs[0])]
    return graph


def large_graph(seed: int) -> Graph:
    """A few convolutions, pools and functions on a map that no layer of the KPU takes, or nearly none."""
    maker = Maker(seed)
    long, short = maker.pick((250, 257, 262, 300, 514, 530)), maker.whole(4, 9)
    size = (long, short) if long < 500 else (short, long)
    last = maker.given(1, maker.whole(1, 4), *size)
    for _ in range(maker.whole(1, 4)):
        made = maker.pick((_wide_conv, _wide_conv, _wide_pool, _unary, _silu))(maker, last)
        if made is not None and math.prod(maker.shape(made)) > 0:
            last = made
    maker.graph.outputs = [last if maker.graph.nodes else _unary(maker, last)]
    return maker.graph


def _wide_conv(maker: Maker, x: str) -> str | None:
    _, channels, *size = maker.shape(x)
    kernel, outputs = maker.pick((1, 2, 3, 3, 3, 5, 6)), maker.pick((3, 8, 12, 16))
    pads = maker.pick(([kernel // 2] * 4, [0] * 4, [0, 0, 1, 1], [1, 0, 0, 1]))
    if min(size) + min(pads) < kernel:
        return None
    weights = maker.floats(outputs, channels, kernel, kernel, scale=1 / math.sqrt(channels * kernel**2))
    stride = maker.pick((1, 1, 2, 2, 3))
    lists = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads}
    return maker.one("Conv", x, weights, maker.floats(outputs), **lists)


def _wide_pool(maker: Maker, x: str) -> str | None:
    size = maker.shape(x)[2:]
    kernel, stride = maker.pick(((2, 1), (2, 2), (3, 2), (3, 1), (5, 1), (4, 4)))
    if min(size) < kernel:
        return None
    pads = maker.pick(([0] * 4, [0, 0, 1, 1], [kernel // 2] * 4))
    lists = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads}
    return maker.one("MaxPool" if kernel < 4 or stride == 1 else "AveragePool", x, **lists)


def samples(graph: Graph, seed: int, count: int = 2) -> list[dict[str, Values]]:
    rng = np.random.default_rng(seed)
    return [
        {name: rng.normal(0, 1, graph.shapes[name]).astype(F) for name in graph.inputs} for _ in range(count)
    ]


def _unary(maker: Maker, x: str) -> str:
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


def _binary(maker: Maker, x: str) -> str:
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


def _choice(maker: Maker, x: str) -> str:
    op = maker.pick(("Greater", "Less", "GreaterOrEqual", "LessOrEqual"))
    asked = maker.one(op, x, maker.constant(F(0.25)))
    if maker.whole(0, 1):
        asked = maker.one(maker.pick(("And", "Or", "Xor")), asked, maker.one("Less", x, maker.constant(F(1))))
    if maker.whole(0, 2) == 0:
        return maker.one("Cast", maker.one("Not", asked), to=1)
    return maker.one("Where", asked, x, maker.constant(F(-1.5)))


def _silu(maker: Maker, x: str) -> str:
    return maker.one("Mul", x, maker.one(maker.pick(("Sigmoid", "Tanh", "HardSigmoid")), x))


def _reduce(maker: Maker, x: str) -> str:
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


def _along(maker: Maker, x: str) -> str:
    axis = maker.whole(0, len(maker.shape(x)) - 1)
    op = maker.pick(("Softmax", "LogSoftmax", "LpNormalization", "CumSum"))
    if op == "CumSum":
        index = maker.constant(np.array(axis, np.int64))
        return maker.one(op, x, index, exclusive=maker.whole(0, 1), reverse=maker.whole(0, 1))
    return maker.one(op, x, axis=axis)


def _transpose(maker: Maker, x: str) -> str:
    return maker.one("Transpose", x, perm=[int(axis) for axis in maker.rng.permutation(len(maker.shape(x)))])


def _reshape(maker: Maker, x: str) -> str:
    shape = maker.shape(x)
    cut = maker.whole(0, len(shape))
    joined = (math.prod(shape[:cut]), math.prod(shape[cut:]))
    kind = maker.whole(0, 2)
    if kind == 0 and len(shape) < 5:
        return maker.one("Unsqueeze", x, maker.longs(cut))
    if kind == 1 and 1 in shape and len(shape) > 1:
        return maker.one("Squeeze", x, maker.longs(shape.index(1)))
    return maker.one("Reshape", x, maker.longs(*joined))


def _slice(maker: Maker, x: str) -> str:
    axis = maker.whole(0, len(maker.shape(x)) - 1)
    size = maker.shape(x)[axis]
    if maker.whole(0, 3) == 0:
        lists = (-1, -size - 1, axis, -1)
    else:
        start = maker.whole(0, size - 1)
        lists = (start, maker.whole(start + 1, size), axis, maker.whole(1, 2))
    return maker.one("Slice", x, *(maker.longs(value) for value in lists))


def _split(maker: Maker, x: str) -> str | None:
    axis = maker.whole(0, len(maker.shape(x)) - 1)
    size = maker.shape(x)[axis]
    if size < 2:
        return None
    first = maker.whole(1, size - 1)
    parts = maker.add("Split", [x, maker.longs(first, size - first)], 2, axis=axis)
    maker.known.append(parts[1])
    return parts[0]


def _concat(maker: Maker, x: str) -> str:
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


def _gather(maker: Maker, x: str) -> str:
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


def _wider(maker: Maker, x: str) -> str:
    shape = maker.shape(x)
    if maker.whole(0, 1):
        return maker.one(
            "Expand", x, maker.longs(*(size if size > 1 else maker.whole(1, 3) for size in shape))
        )
    return maker.one("Tile", x, maker.longs(*(maker.whole(1, 2) for _ in shape)))


def _pad(maker: Maker, x: str) -> str | None:
    shape, mode = maker.shape(x), maker.pick(("constant", "constant", "reflect", "edge"))
    most = [2 if mode == "constant" else min(2, size - 1) for size in shape]
    sides = [maker.whole(0, width) for width in (*most, *most)]
    value = [maker.constant(F(0.75))] if mode == "constant" and maker.whole(0, 1) else []
    return maker.one("Pad", x, maker.longs(*sides), *value, mode=mode)


def _matmul(maker: Maker, x: str) -> str | None:
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


def _normalization(maker: Maker, x: str) -> str | None:
    shape = maker.shape(x)
    if len(shape) < 3 or math.prod(shape[2:]) < 2 or maker.whole(0, 1):
        size = shape[-1]
        return (
            maker.one("LayerNormalization", x, maker.floats(size), maker.floats(size), axis=-1)
            if size > 1
            else None
        )
    return maker.one("InstanceNormalization", x, maker.floats(shape[1]), maker.floats(shape[1]))


def _recurrent(maker: Maker, x: str) -> str | None:
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


def _conv(maker: Maker, x: str) -> str | None:
    _, channels, *size = maker.shape(x)
    kernel = [maker.pick((1, 1, 2, 3, 3, 3, 5)) for _ in size]
    dilation, stride = maker.pick((1, 1, 1, 2)), maker.pick((1, 1, 1, 2, 3))
    pads = [maker.whole(0, 2) for _ in range(2 * len(size))]
    reach = [(k - 1) * dilation + 1 for k in kernel]
    if any(s + pads[i] + pads[i + len(size)] < reach[i] for i, s in enumerate(size)):
        return None
    group = maker.pick((1, 1, 1, channels, *([2] if channels % 2 == 0 else [])))
    outputs = group * maker.whole(1, 3) if maker.whole(0, 1) or group > 1 else maker.whole(1, 9)
    weights = maker.floats(
        outputs, channels // group, *kernel, scale=1 / math.sqrt(channels * math.prod(kernel))
    )
    inputs = [x, weights, *([maker.floats(outputs)] if maker.whole(0, 2) else [])]
    lists = {"strides": [stride] * len(size), "dilations": [dilation] * len(size), "pads": pads}
    return maker.one("Conv", *inputs, kernel_shape=kernel, group=group, **lists)


def _transposed(maker: Maker, x: str) -> str:
    _, channels, *size = maker.shape(x)
    kernel, stride = maker.pick((2, 3)), maker.pick((1, 2))
    weights = maker.floats(channels, maker.whole(1, 4), *[kernel] * len(size))
    return maker.one(
        "ConvTranspose", x, weights, kernel_shape=[kernel] * len(size), strides=[stride] * len(size)
    )


def _pool(maker: Maker, x: str) -> str | None:
    size = maker.shape(x)[2:]
    if maker.whole(0, 4) == 0:
        return maker.one(maker.pick(("GlobalAveragePool", "GlobalMaxPool")), x)
    kernel, stride = maker.pick((2, 2, 3, 4)), maker.pick((1, 2, 2, 4))
    if min(size) < kernel:
        return None
    op = maker.pick(("MaxPool", "AveragePool"))
    lists = {"kernel_shape": [kernel] * len(size), "strides": [stride] * len(size)}
    if maker.whole(0, 2) == 0:
        lists["pads"] = [maker.whole(0, kernel // 2) for _ in range(2 * len(size))]
    elif min(size) >= stride and maker.whole(0, 2) == 0:
        return maker.one(op, x, **lists, ceil_mode=1)
    if op == "AveragePool":
        return maker.one(op, x, **lists, count_include_pad=maker.whole(0, 1))
    return maker.one(op, x, **lists)


def _resize(maker: Maker, x: str) -> str:
    batch, channels, height, width = maker.shape(x)
    attributes: dict[str, Any] = {
        "mode": maker.pick(("nearest", "linear")),
        "coordinate_transformation_mode": maker.pick(("half_pixel", "asymmetric", "align_corners")),
    }
    if attributes["mode"] == "nearest":
        attributes["nearest_mode"] = maker.pick(("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"))
    if maker.whole(0, 1):
        scales = [maker.pick((1, 1.5, 2, 2, 0.7, 2.3)), maker.pick((1, 1.5, 2, 3, 0.3, 2.7))]
        kept = [
            scale if size * scale >= 1 else 1 for size, scale in zip((height, width), scales, strict=True)
        ]
        return maker.one("Resize", x, "", maker.constant(np.array([1, 1, *kept], F)), **attributes)
    sizes = maker.longs(batch, channels, maker.whole(1, 2 * height), maker.whole(1, width + 3))
    return maker.one("Resize", x, "", "", sizes, **attributes)


def _depth(maker: Maker, x: str) -> str | None:
    _, channels, height, width = maker.shape(x)
    if channels % 4 == 0:
        return maker.one("DepthToSpace", x, blocksize=2, mode=maker.pick(("DCR", "CRD")))
    return maker.one("SpaceToDepth", x, blocksize=2) if height % 2 == width % 2 == 0 else None


def _prelu(maker: Maker, x: str) -> str:
    channels = maker.shape(x)[1]
    return maker.one("PRelu", x, maker.floats(channels if maker.whole(0, 2) else 1, 1, 1))


def _residual(maker: Maker, x: str) -> str | None:
    made = _conv(maker, x)
    if made is None:
        return None
    others = [name for name in maker.known if maker.shape(name) == maker.shape(made)]
    return maker.one("Add", made, maker.pick(others)) if others else maker.one("Relu", made)


def _block(maker: Maker, x: str) -> str:
    """Two maps whose channels fill rows of the KPU's RAM, added or joined."""
    channels, wide = maker.shape(x)[1], 4 * maker.whole(1, 3)
    first = maker.one("Conv", x, maker.floats(wide, channels, 1, 1), kernel_shape=[1, 1])
    weights = maker.floats(wide, wide, 3, 3, scale=1 / math.sqrt(9 * wide))
    second = maker.one("Conv", first, weights, kernel_shape=[3, 3], pads=[1] * 4)
    if maker.whole(0, 2) == 0:
        joined = maker.one("Concat", first, second, axis=1)
        return maker.one("Conv", joined, maker.floats(3, 2 * wide, 1, 1), kernel_shape=[1, 1])
    total = maker.one(maker.pick(("Add", "Sub", "Sum")), *maker.pick(((first, second), (second, first))))
    maker.known.append(total)
    return maker.one(maker.pick(("Relu", "HardSwish", "Sigmoid")), total) if maker.whole(0, 1) else total


def _signal(maker: Maker, x: str) -> str | None:
    if len(maker.shape(x)) != 3:
        return None
    return maker.pick((_conv, _transposed, _pool))(maker, x)


FOR_ALL: tuple[Step, ...] = (
    _unary, _unary, _unary, _binary, _binary, _binary, _choice, _silu, _reduce, _along, _transpose, _reshape,
    _slice, _split, _concat, _gather, _wider, _pad, _matmul, _matmul, _normalization, _recurrent, _signal,
)  # fmt: skip
FOR_PICTURES: tuple[Step, ...] = (
    _conv, _conv, _conv, _conv, _conv, _residual, _residual, _transposed, _pool, _pool, _resize, _depth,
    _prelu, _unary, _silu, _concat, _binary, _block, _block,
)  # fmt: skip
