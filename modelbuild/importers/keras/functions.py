"""Functions on tensors outside of layers: arithmetic, activations, reductions, resizing, pools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import helper

from modelbuild.graph.model import Attribute
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.keras import activations, windows
from modelbuild.importers.keras.arguments import Arguments
from modelbuild.importers.keras.call import CUT, Call

Translate = Callable[[Arguments], None]
_EPSILON = 1e-7  # keras.backend.epsilon()


def unary(op: str) -> Translate:
    """One operator on each number of one tensor."""

    def translate(arguments: Arguments) -> None:
        arguments.call.elementwise(op, [arguments.tensor("x")], arguments.call.output)

    return translate


def chain(*operators: str) -> Translate:
    """Several operators on each number, one after the other."""

    def translate(arguments: Arguments) -> None:
        call, data = arguments.call, arguments.tensor("x")
        for op in operators[:-1]:
            data = call.elementwise(op, [data])
        call.elementwise(operators[-1], [data], call.output)

    return translate


def binary(op: str) -> Translate:
    """One operator on two tensors, or a tensor and a number, which broadcast."""

    def translate(arguments: Arguments) -> None:
        arguments.call.elementwise(op, arguments.pair(), arguments.call.output)

    return translate


def activation(name: str, *settings: str, **defaults: Any) -> Translate:
    """One of Keras's activations; `settings` are its parameters."""

    def translate(arguments: Arguments) -> None:
        call = arguments.call.configured(defaults | arguments.settings(*settings))
        known = activations.LAYERS if name in activations.LAYERS else activations.FUNCTIONS
        known[name](call, arguments.tensor("x"), call.output)

    return translate


def square(arguments: Arguments) -> None:
    """x * x."""
    arguments.call.elementwise("Mul", [arguments.tensor("x")] * 2, arguments.call.output)


def squared_difference(arguments: Arguments) -> None:
    """(x - y) * (x - y)."""
    difference = arguments.call.elementwise("Sub", arguments.pair())
    arguments.call.elementwise("Mul", [difference] * 2, arguments.call.output)


def log_softmax(arguments: Arguments) -> None:
    """log(softmax(x)) along one axis."""
    call, data = arguments.call, arguments.tensor("x")
    axis = arguments.axis("axis", len(call.shape(data)), -1)
    ops.along(call.writer, "LogSoftmax", [data], [call.output], axis)


def clip(arguments: Arguments) -> None:
    """x limited to numbers."""
    call, low, high = arguments.call, arguments.real("x_min"), arguments.real("x_max")
    ops.clip(call.writer, arguments.tensor("x"), call.output, low, high)


def where(arguments: Arguments) -> None:
    """`x1` where the condition holds, `x2` elsewhere."""
    inputs = [arguments.tensor("condition"), *arguments.pair("x", "y")]
    arguments.call.elementwise("Where", inputs, arguments.call.output)


def cast(arguments: Arguments) -> None:
    """Another type: all floats are float32."""
    call, name = arguments.call, arguments.word("dtype", "float32")
    known = ("int8", "uint8", "int16", "uint16", "int32", "int64", "bool")
    if "float" not in name and name not in known:
        arguments.wrong("dtype")
    dtype = np.dtype(np.float32 if "float" in name else name)
    data = arguments.tensor("x")
    if call.writer.dtype(data) == dtype:
        call.elementwise("Identity", [data], call.output)
        return
    code: dict[str, Attribute] = {"to": int(helper.np_dtype_to_tensor_dtype(dtype))}
    ops.elementwise(call.writer, "Cast", [data], call.output, code)


def matrix_product(arguments: Arguments) -> None:
    """Products of matrices along the last two axes; each may be transposed first."""
    call, tensors = arguments.call, arguments.pair()
    for index, flag in enumerate(("transpose_a", "transpose_b")):
        if arguments.flag(flag):
            perm = list(range(len(call.shape(tensors[index]))))
            perm[-2:] = perm[:-3:-1]
            turned = call.scratch("turned")
            ops.transpose(call.writer, tensors[index], turned, perm)
            tensors[index] = turned
    ops.plain(call.writer, "MatMul", tensors, call.output)


def reduction(op: str) -> Translate:
    """A reduction along one axis, several, or all."""

    def translate(arguments: Arguments) -> None:
        call, data = arguments.call, arguments.tensor("x")
        rank = len(call.shape(data))
        axes = arguments.axes("axis", rank)
        axes = list(range(rank)) if axes is None else axes
        ops.reduce(call.writer, op, data, call.output, axes, arguments.flag("keepdims"))

    return translate


def place_of(op: str) -> Translate:
    """ArgMax and ArgMin along one axis."""

    def translate(arguments: Arguments) -> None:
        call, data = arguments.call, arguments.tensor("x")
        tensorflow = not call.step.layer.function.startswith("keras.")
        axis = arguments.axis("axis", len(call.shape(data)), 0 if tensorflow else None)
        places = call.scratch("places")
        ops.arg(call.writer, op, data, places, axis)
        if arguments.flag("keepdims"):
            kept, places = places, call.scratch("kept")
            ops.expand(call.writer, kept, places, axis)
        wide = arguments.word("output_type", "int64" if tensorflow else "int32") == "int64"
        code: dict[str, Attribute] = {"to": 7 if wide else 6}  # TensorProto.INT64, INT32
        ops.elementwise(call.writer, "Cast", [places], call.output, code)

    return translate


def normalized(arguments: Arguments) -> None:
    """x by its Euclidean norm along axes, which is at least epsilon (TensorFlow: its root)."""
    call, data = arguments.call, arguments.tensor("x")
    keras = call.step.layer.function.startswith("keras.")
    if arguments.integer("order", 2) != 2:
        call.fail("takes another norm than the Euclidean one", advice=CUT)
    least = arguments.real("epsilon", _EPSILON if keras else 1e-12)
    axes = arguments.axes("axis", len(call.shape(data)))
    if axes is None:
        arguments.wrong("axis")
    total = call.scratch("sum")
    squares = call.elementwise("Mul", [data, data])
    ops.reduce(call.writer, "ReduceSum", squares, total, axes, True)
    limit = call.number("least", least * least if keras else least)
    norm = call.elementwise("Sqrt", [call.elementwise("Max", [total, limit])])
    call.elementwise("Div", [data, norm], call.output)


def pool(op: str) -> Translate:
    """MaxPool and AveragePool of pictures: a layer's windows, which TensorFlow may give for all four axes."""

    def translate(arguments: Arguments) -> None:
        layout = arguments.raw("data_format", "channels_last")
        if layout not in ("channels_last", "NHWC"):
            arguments.wrong("data_format")
        settings: dict[str, Any] = {name: _spatial(arguments, name) for name in ("pool_size", "strides")}
        settings["padding"] = arguments.word("padding", "valid")
        call = arguments.call.configured(settings)
        if arguments.tensor("x") != call.input:
            call.fail("has not one input")
        windows.pool(op, 2)(call)

    return translate


def _spatial(arguments: Arguments, name: str) -> list[int] | None:
    found = arguments.integers(name)
    if found is None or len(found) != 4:
        return found
    if found[0] != 1 or found[3] != 1:
        arguments.wrong(name)
    return found[1:3]


def resize(arguments: Arguments) -> None:
    """image.resize of TensorFlow 2 and Keras 3: the middles of pixels are the grid."""
    kinds = {"bilinear": "bilinear", "nearest": "nearest"}
    kind = kinds.get(arguments.word("interpolation", "bilinear")) or arguments.wrong("interpolation")
    if arguments.raw("data_format", "channels_last") != "channels_last":
        arguments.wrong("data_format")
    for name in ("fill_mode", "fill_value"):
        arguments.raw(name)  # they say what `pad_to_aspect_ratio` fills in
    _resized(arguments, kind == "nearest", "half_pixel")


def older_resize(nearest: bool) -> Translate:
    """compat.v1.image.resize_*: of three grids."""

    def translate(arguments: Arguments) -> None:
        corners, middles = arguments.flag("align_corners"), arguments.flag("half_pixel_centers")
        grid = "align_corners" if corners else "half_pixel" if middles else "asymmetric"
        _resized(arguments, nearest, grid)

    return translate


def _resized(arguments: Arguments, nearest: bool, grid: str) -> None:
    call, data, sizes = arguments.call, arguments.tensor("x"), arguments.integers("size")
    if sizes is None or len(sizes) != 2 or not all(0 < size < 2**20 for size in sizes):
        arguments.wrong("size")
    if len(call.shape(data)) != 4:
        call.fail(f"needs pictures, not {list(call.shape(data))}")
    if call.writer.dtype(data) != np.float32:
        call.fail("resizes integers", advice="make them floats first")
    attributes: dict[str, Attribute] = {"mode": "linear", "coordinate_transformation_mode": grid}
    if nearest:
        rounds = "floor" if grid == "asymmetric" else "round_prefer_ceil"
        attributes |= {"mode": "nearest", "nearest_mode": rounds}
    ops.resize(call.writer, data, call.output, sizes, attributes)


def blocks(op: str) -> Translate:
    """depth_to_space and space_to_depth."""

    def translate(arguments: Arguments) -> None:
        call, data = arguments.call, arguments.tensor("x")
        if arguments.raw("data_format", "NHWC") != "NHWC":
            arguments.wrong("data_format")
        attributes: dict[str, Attribute] = {"blocksize": arguments.integer("block_size")}
        ops.spatial(call.writer, op, data, [], call.output, attributes)

    return translate


def outputs(call: Call, count: int) -> Sequence[str]:
    """The names of `count` outputs, those that nothing reads among them. Raises where more are read."""
    made = call.step.outputs
    if len(made) > count:
        call.fail(f"has {count} outputs, and something reads number {len(made) - 1}")
    return [*made, *(call.scratch("unread") for _ in range(count - len(made)))]
