"""One small quantized TFLite model for each operator and setting that has integer arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.importers.tflite import judge
from tests.importers.tflite.builder import Options, Quantized, TFLite

_RANDOM = np.random.default_rng(11)
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
SAME, VALID = ("b", 0), ("b", 1)


@dataclass(frozen=True)
class Codes:
    """A quantized tensor: a constant where it has values."""

    shape: Sequence[int]
    scale: float | Sequence[float] = 0.05
    zero: int = -7
    kind: str = "int8"
    values: Any = None
    axis: int = 0

    @property
    def quantized(self) -> Quantized:
        scales = [self.scale] if isinstance(self.scale, float) else list(self.scale)
        return Quantized(scales, [self.zero] * len(scales), self.axis)

    def stored(self, model: TFLite, name: str) -> int:
        """The constant, two codes of four bits in a byte."""
        values = np.asarray(self.values)
        if self.kind != "int4":
            return model.constant(name, values.astype(self.kind), self.quantized)
        low, high = values.reshape(-1, 2).T & 15
        number = model.constant(name, (low | high << 4).astype(np.uint8), self.quantized, "int4")
        model.tensors[number].shape = values.shape
        return number


@dataclass(frozen=True)
class Case:
    """One operator. `inputs` are `Codes`, numbers as they are, or None."""

    name: str
    op: str
    inputs: Sequence[Any]
    output: Codes
    options: Options = field(default_factory=dict)
    most: int = 0  # codes that the kernel may be off
    kernels: str = judge.REFERENCE

    def build(self, seed: int) -> tuple[bytes, dict[str, Any]]:
        """The file, and codes for its inputs."""
        generator, model = np.random.default_rng(seed), TFLite()
        numbers, inputs, feeds = [], [], {}
        for index, item in enumerate(self.inputs):
            if item is None:
                numbers.append(-1)
            elif not isinstance(item, Codes):
                numbers.append(model.constant(f"c{index}", item))
            elif item.values is not None:
                numbers.append(item.stored(model, f"c{index}"))
            else:
                name, limits = f"x{index}", np.iinfo(item.kind)
                number = model.tensor(name, item.shape, item.kind, item.quantized)
                numbers.append(number)
                inputs.append(number)
                feeds[name] = generator.integers(limits.min, limits.max + 1, item.shape).astype(item.kind)
        entry = self.output.quantized if self.output.scale else None
        output = model.tensor("y", self.output.shape, self.output.kind, entry)
        model.add(self.op, numbers, [output], self.options)
        return model.build(inputs, [output]), feeds


def weights(*shape: int, axis: int | None = 0, kind: str = "int8", zero: int = 0) -> Codes:
    """Constant weights, with a scale a channel on `axis`."""
    low, high = (-127, 128) if kind == "int8" else (0, 256)
    count = 1 if axis is None else shape[axis]
    scale: Any = tuple(0.004 + 0.003 * i for i in range(count)) if axis is not None else 0.013
    return Codes(shape, scale, zero, kind, _RANDOM.integers(low, high, shape), axis or 0)


def bias(w: Codes, scale: float, count: int) -> Codes:
    """A bias in steps of the products."""
    scales: Any = tuple(np.float32(scale) * np.float32(s) for s in np.atleast_1d(w.scale))
    values = _RANDOM.integers(-3000, 3000, count)
    return Codes((count,), tuple(map(float, scales)), 0, "int32", values)


def _window(strides: tuple[int, int], padding: tuple[str, int], activation: int = NONE) -> Options:
    return {0: padding, 1: ("i", strides[1]), 2: ("i", strides[0]), 3: ("b", activation)}


def _convolution(name: str, y: Codes, x: Codes, w: Codes, options: Options) -> Case:
    return Case(name, "CONV_2D", [x, w, bias(w, float(x.scale), w.shape[0])], y, options)  # type: ignore[arg-type]


def _unary(name: str, op: str, x: Codes, y: Codes, options: Options | None = None, most: int = 0) -> Case:
    return Case(name, op, [x], y, options or {}, most)


X, Y = Codes((1, 6, 7, 4)), Codes((1, 6, 7, 4), 0.031, 5)
U, V = Codes((1, 6, 7, 4), 0.05, 120, "uint8"), Codes((1, 6, 7, 4), 0.07, 99, "uint8")
W = weights(5, 3, 3, 4)
POOL: Options = {0: VALID, 1: ("i", 2), 2: ("i", 2), 3: ("i", 3), 4: ("i", 2), 5: ("b", NONE)}
SAME_POOL: Options = {**POOL, 0: SAME}
AXES = np.array([1, 2], np.int32)
DEPTH = weights(1, 3, 3, 4, axis=3)
FULL = weights(90, 20, axis=None)
FULL_UINT8 = weights(90, 20, axis=None, kind="uint8", zero=119)


def _elementwise() -> list[Case]:
    found = []
    other = Codes((1, 6, 7, 4), 0.02, 30)
    for op, scale in (("ADD", 0.06), ("SUB", 0.06), ("MUL", 0.1)):
        for activation in (NONE, RELU, RELU6):
            options: Options = {0: ("b", activation)}
            y = Codes(X.shape, scale, -3)
            found.append(Case(f"{op.lower()}_{activation}", op, [X, other], y, options))
        low = op.lower()
        y8 = Codes(X.shape, scale, 88, "uint8")
        found.append(Case(f"{low}_uint8", op, [U, V], y8, {0: ("b", NONE)}))
        row = Codes((4,), 0.011, 3, values=_RANDOM.integers(-128, 128, 4))
        found.append(Case(f"{low}_constant", op, [X, row], Codes(X.shape, scale, 9), {0: ("b", NONE)}))
    found.append(Case("maximum", "MAXIMUM", [X, Codes(X.shape)], Codes(X.shape)))
    found.append(Case("minimum", "MINIMUM", [X, Codes(X.shape)], Codes(X.shape)))
    found.append(_unary("relu", "RELU", X, Codes(X.shape, 0.026, -128)))
    found.append(_unary("relu6", "RELU6", X, Codes(X.shape, 6 / 255, -128)))
    found.append(_unary("leaky_relu", "LEAKY_RELU", X, Codes(X.shape, 0.04, -100), {0: ("f", 0.1)}))
    slope = Codes((1, 1, 4), 0.003, 4, values=_RANDOM.integers(-128, 128, (1, 1, 4)))
    found.append(Case("prelu", "PRELU", [X, slope], Codes(X.shape, 0.04, -50)))
    for scale in (0.02, 0.05, 0.1):
        x = Codes(X.shape, scale, -11)
        found.append(_unary(f"hard_swish_{scale}", "HARD_SWISH", x, Codes(X.shape, scale * 0.6, -120)))
        found.append(_unary(f"logistic_{scale}", "LOGISTIC", x, Codes(X.shape, 1 / 256, -128)))
        found.append(_unary(f"tanh_{scale}", "TANH", x, Codes(X.shape, 1 / 128, 0)))
    u = Codes(X.shape, 0.04, 131, "uint8")
    found.append(_unary("logistic_uint8", "LOGISTIC", u, Codes(X.shape, 1 / 256, 0, "uint8"), most=1))
    found.append(_unary("tanh_uint8", "TANH", u, Codes(X.shape, 1 / 128, 128, "uint8"), most=1))
    found.append(_unary("requantize", "QUANTIZE", X, Codes(X.shape, 0.033, 17)))
    found.append(_unary("requantize_narrower", "QUANTIZE", X, Codes(X.shape, 0.021, -128)))
    found.append(_unary("requantize_coarser", "QUANTIZE", X, Codes(X.shape, 0.2, 3)))
    found.append(_unary("to_uint8", "QUANTIZE", X, Codes(X.shape, 0.05, 121, "uint8")))
    found.append(_unary("to_int8", "QUANTIZE", U, Codes(X.shape, 0.061, -9)))
    return found


def _softmaxes() -> list[Case]:
    found = []
    for scale in (0.01, 0.06, 0.3, 1.2):
        x = Codes((3, 11), scale, 3)
        found.append(_unary(f"softmax_{scale}", "SOFTMAX", x, Codes((3, 11), 1 / 256, -128), {0: ("f", 1.0)}))
    x = Codes((2, 9), 0.1, 140, "uint8")
    found.append(_unary("softmax_uint8", "SOFTMAX", x, Codes((2, 9), 1 / 256, 0, "uint8"), {0: ("f", 1.0)}))
    return found


def _windows() -> list[Case]:
    wu = weights(5, 3, 3, 4, axis=None, kind="uint8", zero=124)
    yu = Codes((1, 6, 7, 5), 0.2, 110, "uint8")
    depthwise: Options = {0: SAME, 1: ("i", 1), 2: ("i", 1), 3: ("i", 1), 4: ("b", RELU6)}
    back = weights(5, 3, 3, 4)
    shape = np.array([1, 12, 14, 5], np.int32)
    transposed = [shape, back, X]
    return [
        _convolution("conv", Codes((1, 6, 7, 5), 0.11, -4), X, W, _window((1, 1), SAME)),
        _convolution("conv_relu", Codes((1, 2, 3, 5), 0.05, -128), X, W, _window((2, 2), VALID, RELU)),
        _convolution("conv_relu6", Codes((1, 3, 4, 5), 6 / 255, -128), X, W, _window((2, 2), SAME, RELU6)),
        _convolution("conv_large_scale", Codes((1, 6, 7, 5), 0.0004, 0), X, W, _window((1, 1), SAME)),
        _convolution("conv_uint8", yu, U, wu, _window((1, 1), SAME)),
        Case("depthwise", "DEPTHWISE_CONV_2D", [X, DEPTH, bias(DEPTH, 0.05, 4)], Codes(X.shape, 0.023, -128),
             depthwise),
        Case("transposed", "TRANSPOSE_CONV", transposed, Codes((1, 12, 14, 5), 0.09, 6),
             {0: SAME, 1: ("i", 2), 2: ("i", 2)}),
        _unary("average", "AVERAGE_POOL_2D", X, Codes((1, 2, 3, 4)), POOL),
        _unary("average_same", "AVERAGE_POOL_2D", X, Codes((1, 3, 4, 4)), SAME_POOL),
        _unary("average_uint8", "AVERAGE_POOL_2D", U, Codes((1, 2, 3, 4), 0.05, 120, "uint8"), POOL),
        _unary("max", "MAX_POOL_2D", X, Codes((1, 3, 4, 4)), SAME_POOL),
        Case("fully_connected", "FULLY_CONNECTED", [Codes((9, 20)), FULL, bias(FULL, 0.05, 90)],
             Codes((9, 90), 0.06, 4), {0: ("b", NONE)}),
        Case("fully_connected_uint8", "FULLY_CONNECTED",
             [Codes((9, 20), 0.05, 97, "uint8"), FULL_UINT8, bias(FULL_UINT8, 0.05, 90)],
             Codes((9, 90), 0.06, 104, "uint8"), {0: ("b", RELU)}),
    ]  # fmt: skip


def _moves() -> list[Case]:
    found = []
    for keep in (0, 1):
        y = Codes((1, 1, 1, 4) if keep else (1, 4), 0.02, 11)
        found.append(Case(f"mean_{keep}", "MEAN", [X, AXES], y, {0: ("B", keep)}))
    found.append(Case("mean_uint8", "MEAN", [U, AXES], Codes((1, 4), 0.02, 90, "uint8"), {0: ("B", 0)}))
    found.append(Case("mean_channels", "MEAN", [X, np.array([3], np.int32)], Codes((1, 6, 7), 0.03, 1)))
    plain = judge.PLAIN  # the reference kernel of SUM leaves its output unwritten
    found.append(Case("sum", "SUM", [X, AXES], Codes((1, 4), 0.9, 11), {0: ("B", 0)}, most=1, kernels=plain))
    found.append(Case("reduce_max", "REDUCE_MAX", [X, AXES], Codes((1, 4)), {0: ("B", 0)}))
    pads = np.array([[0, 0], [1, 2], [0, 3], [0, 0]], np.int32)
    found.append(Case("pad", "PAD", [X, pads], Codes((1, 9, 10, 4))))
    join: Options = {0: ("i", 3), 1: ("b", NONE)}
    found.append(Case("concat", "CONCATENATION", [X, Codes(X.shape)], Codes((1, 6, 7, 8)), join))
    found.append(Case("concat_uint8", "CONCATENATION", [U, V], Codes((1, 6, 7, 8), 0.08, 77, "uint8"), join))
    sizes = np.array([11, 9], np.int32)
    for grid, options in {"": (0, 0), "_align": (1, 0), "_half": (0, 1)}.items():
        align, half = (("B", value) for value in options)
        y = Codes((1, 11, 9, 4))
        found.append(Case(f"bilinear{grid}", "RESIZE_BILINEAR", [X, sizes], y, {2: align, 3: half}))
        found.append(Case(f"nearest{grid}", "RESIZE_NEAREST_NEIGHBOR", [X, sizes], y, {0: align, 1: half}))
    left, right = Codes((2, 30, 8)), Codes((2, 8, 40), 0.02, 5)
    found.append(Case("batch_matmul", "BATCH_MATMUL", [left, right], Codes((2, 30, 40), 0.11, -6)))
    found.append(Case("reshape", "RESHAPE", [X, np.array([7, 24], np.int32)], Codes((7, 24))))
    perm = np.array([0, 2, 1, 3], np.int32)
    found.append(Case("transpose", "TRANSPOSE", [X, perm], Codes((1, 7, 6, 4))))
    begin, size = np.array([0, 1, 2, 1], np.int32), np.array([1, 3, 4, 2], np.int32)
    found.append(Case("slice", "SLICE", [X, begin, size], Codes((1, 3, 4, 2))))
    return found


def _blocks_and_places() -> list[Case]:
    u = Codes((1, 4, 6, 8), 0.05, 120, "uint8")
    picture, condition = Codes((1, 4, 6, 8)), np.array([True, False] * 4)
    sizes, row = np.array([7, 9], np.int32), Codes((7, 1))
    found = [
        _unary("depth_to_space", "DEPTH_TO_SPACE", picture, Codes((1, 8, 12, 2)), {0: ("i", 2)}),
        _unary("space_to_depth", "SPACE_TO_DEPTH", picture, Codes((1, 2, 3, 32)), {0: ("i", 2)}),
        Case("select", "SELECT_V2", [condition, picture, Codes((1, 4, 6, 8))], picture),
        Case("gather_nd", "GATHER_ND", [picture, np.array([[0, 1], [0, 3]], np.int32)], Codes((2, 6, 8))),
        Case("symmetric", "MIRROR_PAD", [picture, np.array([[0, 0], [2, 1], [0, 0], [0, 3]], np.int32)],
             Codes((1, 7, 6, 11)), {0: ("b", 1)}),
        Case("lower_rank", "ADD", [X, row], Codes((1, 6, 7, 4), 0.08, 3), {0: ("b", NONE)}),
        *(Case(op.lower(), op, [picture, np.int32(3)], Codes((1, 4, 6), 0.0, kind="int32"), {0: ("b", 2)})
          for op in ("ARG_MAX", "ARG_MIN")),
    ]  # fmt: skip
    for grid, (align, half) in {"": (0, 0), "_align": (1, 0), "_half": (0, 1)}.items():
        options: Options = {2: ("B", align), 3: ("B", half)}
        y = Codes((1, 7, 9, 8), 0.05, 120, "uint8")
        found.append(Case(f"bilinear_uint8{grid}", "RESIZE_BILINEAR", [u, sizes], y, options))
    return found


def _casts() -> list[Case]:
    """CAST reads and makes the codes themselves."""
    kinds = (("int8", "float32"), ("uint8", "float32"), ("int8", "int32"), ("int16", "float32"))
    found = [
        _unary(f"cast_{a}_{b}", "CAST", Codes((1, 2, 3, 4), 0.05, 0 if a == "int16" else 30, a),
               Codes((1, 2, 3, 4), 0.0, kind=b))
        for a, b in kinds
    ]  # fmt: skip
    return [*found, _unary("cast_int8_int8", "CAST", Codes((2, 3), 0.1, 7), Codes((2, 3), 0.05, -3))]


def _four_bits() -> list[Case]:
    flat = Codes((30, 20), 0.02, 0, "int4", _RANDOM.integers(-7, 8, (30, 20)))
    x, y = Codes((8, 20)), Codes((8, 30), 0.05, -4)
    return [Case("fully_connected_4", "FULLY_CONNECTED", [x, flat, bias(flat, 0.05, 30)], y)]


def _sixteen_bits() -> list[Case]:
    """Activations of int16, weights of int8, biases of int64."""
    x, other = Codes(X.shape, 0.0005, 0, "int16"), Codes(X.shape, 0.0003, 0, "int16")
    flat = weights(30, 20, axis=None)

    def y(shape: Sequence[int], scale: float) -> Codes:
        return Codes(shape, scale, 0, "int16")

    def wide(w: Codes, count: int) -> Codes:
        values = _RANDOM.integers(-300_000, 300_000, count)
        return Codes((count,), bias(w, 0.0005, count).scale, 0, "int64", values)

    window = _window((1, 1), SAME)
    return [
        Case("conv_16", "CONV_2D", [x, W, wide(W, 5)], y((1, 6, 7, 5), 0.0011), window),
        Case("fully_connected_16", "FULLY_CONNECTED", [y((3, 20), 0.0005), flat, wide(flat, 30)],
             y((3, 30), 0.001)),
        Case("add_16", "ADD", [x, other], y(X.shape, 0.0007), {0: ("b", NONE)}),
        Case("mul_16", "MUL", [x, other], y(X.shape, 0.004), {0: ("b", NONE)}),
        _unary("average_16", "AVERAGE_POOL_2D", x, y((1, 2, 3, 4), 0.0005), POOL),
        _unary("relu_16", "RELU", x, y(X.shape, 0.0005)),
        _unary("leaky_relu_16", "LEAKY_RELU", x, y(X.shape, 0.0005), {0: ("f", 0.1)}),
        Case("mean_16", "MEAN", [x, AXES], y((1, 4), 0.0002), {0: ("B", 0)}),
        _unary("to_8_bits", "QUANTIZE", x, Codes(X.shape, 0.13, -3)),
    ]  # fmt: skip


CASES: Sequence[Case] = [
    *(*_elementwise(), *_softmaxes(), *_windows(), *_moves(), *_blocks_and_places()),
    *(*_casts(), *_four_bits(), *_sixteen_bits()),
]
BY_NAME: Mapping[str, Case] = {case.name: case for case in CASES}
