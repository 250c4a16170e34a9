"""Operators that slide a window: convolutions and pools; FULLY_CONNECTED, which is one without a window."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

from modelbuild.formats.tflite_schema import Padding
from modelbuild.graph.model import Attribute
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.channels_last import Order
from modelbuild.importers.formulas import same_pads
from modelbuild.importers.tflite.layer import Layer, Rule

_LARGEST = 2**20  # of a stride, dilation or window, in damaged files


def _pads(layer: Layer, window: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[int]:
    kind = layer.option(0, layout="b")
    if kind == Padding.VALID:
        return [0] * 2 * len(window)
    if kind != Padding.SAME:
        raise layer.wrong(f"has the padding {kind}")
    sizes = layer.shape(0)[1:-1]
    both = [same_pads(*numbers) for numbers in zip(sizes, window, strides, dilations, strict=True)]
    return [before for before, _ in both] + [after for _, after in both]


def _sizes(layer: Layer, slots: Sequence[int], what: str, default: int = 0) -> list[int]:
    found = [layer.option(slot, default) for slot in slots]
    if not all(0 < size <= _LARGEST for size in found):
        raise layer.wrong(f"has the {what} {found}")
    return found


def _ranks(layer: Layer, ranks: Mapping[int, int]) -> None:
    for index, rank in ranks.items():
        if layer.rank(index) != rank:
            raise layer.wrong(f"has the input {index} of {layer.rank(index)} axes, not {rank}")


def _convolution(
    layer: Layer,
    strides: Sequence[int],
    dilations: Sequence[int],
    activation: int,
    weights_order: Order,
    depthwise: bool = False,
) -> None:
    """Weights [O, kh, kw, I], depthwise [1, kh, kw, O], 3D [kd, kh, kw, I, O]. Slots are those of options."""
    rank, matrix = len(weights_order), layer.weights(1)
    _ranks(layer, {0: rank, 1: rank})
    weights, channels = layer.shape(1), layer.shape(0)[-1]
    window = [weights[axis] for axis in weights_order[2:]]
    per_group = 1 if depthwise else weights[weights_order[1]]
    if per_group < 1 or channels % per_group or (depthwise and weights[0] != 1):
        raise layer.wrong(f"has weights {list(weights)} for {channels} channels")
    step, gap = _sizes(layer, strides, "strides"), _sizes(layer, dilations, "dilations", 1)
    spread = layer.operator.spread
    pads = _pads(layer, window, step, gap) if spread is None else list(spread.pads)
    if spread is not None:
        gap = [size * block for size, block in zip(gap, spread.dilations, strict=True)]
    attributes: dict[str, Attribute] = {
        "kernel_shape": window,
        "strides": step,
        "dilations": gap,
        "pads": pads,
        "group": channels // per_group,
    }
    parameters = [layer.writer.ordered(matrix, weights_order)]
    if layer.has(2):
        parameters.append(layer.bias(2))
    write = partial(_write, layer, "Conv", 0, parameters, attributes)
    layer.activated(layer.option(activation, layout="b"), write, saturates=True)


def _write(
    layer: Layer,
    op: str,
    data: int,
    parameters: Sequence[str],
    attributes: Mapping[str, Attribute],
    output: str,
) -> None:
    ops.spatial(layer.writer, op, layer.input(data), parameters, output, attributes)


def _transposed_convolution(layer: Layer) -> None:
    """Inputs: the output's shape, weights [O, kh, kw, I], data. The padding is that of the convolution whose
    gradient this is, so that it follows from the output's size."""
    _ranks(layer, {1: 4, 2: 4})
    weights, given, wanted = layer.shape(1), layer.shape(2), layer.ints(0)
    strides = _sizes(layer, (2, 1), "strides")
    if len(wanted) != 4 or wanted[3] != weights[0] or weights[3] != given[3] or wanted[0] != given[0]:
        raise layer.wrong(f"has weights {list(weights)} from {list(given)} to {wanted}")
    window = list(weights[1:3])
    surplus = [
        (size - 1) * stride + width - target
        for size, stride, width, target in zip(given[1:3], strides, window, wanted[1:3], strict=True)
    ]
    before = [max(item, 0) // 2 for item in surplus]
    attributes: dict[str, Attribute] = {
        "kernel_shape": window,
        "strides": strides,
        "pads": before + [max(item, 0) - first for item, first in zip(surplus, before, strict=True)],
        "output_padding": [max(-item, 0) for item in surplus],
    }
    parameters = [layer.writer.ordered(layer.input(1), (3, 0, 1, 2))]
    if layer.has(3):
        parameters.append(layer.bias(3, data=2))
    write = partial(_write, layer, "ConvTranspose", 2, parameters, attributes)
    layer.activated(layer.option(3, layout="b"), write, saturates=True)


def _pool(layer: Layer, op: str) -> None:
    attributes = _pool_attributes(layer)
    layer.activated(layer.option(5, layout="b"), partial(_write, layer, op, 0, [], attributes))


def _pool_attributes(layer: Layer) -> Mapping[str, Attribute]:
    _ranks(layer, {0: 4})
    strides, window = _sizes(layer, (2, 1), "strides"), _sizes(layer, (4, 3), "window")
    pads = _pads(layer, window, strides, (1, 1))
    return {"kernel_shape": window, "strides": strides, "pads": pads}


def _l2_pool(layer: Layer) -> None:
    """The root of the mean of squares."""
    w = layer.writer
    square, mean = w.scratch(f"{layer.output}_square"), w.scratch(f"{layer.output}_mean")
    ops.elementwise(w, "Mul", [layer.input(0)] * 2, square)
    ops.spatial(w, "AveragePool", square, [], mean, _pool_attributes(layer))
    layer.activated(layer.option(5, layout="b"), lambda output: ops.elementwise(w, "Sqrt", [mean], output))


def _fully_connected(layer: Layer) -> None:
    """Weights [O, I]; the data is taken as rows of I. The rows' axes stay with the option keep_num_dims."""
    w, matrix = layer.writer, layer.weights(1)
    _ranks(layer, {1: 2})
    if layer.option(1, layout="b"):
        raise layer.wrong("has its weights in the shuffled format, which no converter writes any more")
    outputs, size = layer.shape(1)
    data, shape = layer.input(0), layer.shape(0)
    count = math.prod(shape)
    if not shape or count % size:
        raise layer.wrong(f"has weights {[outputs, size]} for {list(shape)}")
    if len(shape) != 2 or shape[1] != size:
        rows = layer.alias(w.scratch(f"{data}_rows"), data)
        ops.reshape(w, data, rows, (count // size, size))
        data = rows
    inputs = [w.ordered(data), w.ordered(matrix)]
    if layer.has(2):
        inputs.append(layer.bias(2))
    final = (*shape[:-1], outputs) if layer.option(2, layout="B") else (count // size, outputs)
    flat = len(final) == 2
    target = layer.output if flat else layer.alias(w.scratch(f"{layer.output}_rows"), layer.output)

    def write(output: str) -> None:
        w.emit("Gemm", inputs, {output: None}, {"transB": 1})

    layer.activated(layer.option(0, layout="b"), write, saturates=True, output=target)
    if not flat:
        ops.reshape(w, target, layer.output, final)


RULES: Mapping[str, Rule] = {
    "AVERAGE_POOL_2D": partial(_pool, op="AveragePool"),
    "CONV_2D": partial(
        _convolution, strides=(2, 1), activation=3, dilations=(5, 4), weights_order=(0, 3, 1, 2)
    ),
    "CONV_3D": partial(
        _convolution, strides=(1, 3, 2), activation=4, dilations=(5, 7, 6), weights_order=(4, 3, 0, 1, 2)
    ),
    "DEPTHWISE_CONV_2D": partial(
        _convolution,
        strides=(2, 1),
        activation=4,
        dilations=(6, 5),
        weights_order=(3, 0, 1, 2),
        depthwise=True,
    ),
    "FULLY_CONNECTED": _fully_connected,
    "L2_POOL_2D": _l2_pool,
    "MAX_POOL_2D": partial(_pool, op="MaxPool"),
    "TRANSPOSE_CONV": _transposed_convolution,
}
