"""Dense, normalizations, and layers that merge: Add, Concatenate, Dot ..."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.channels_last import source_order
from modelbuild.importers.keras.activations import finish
from modelbuild.importers.keras.call import CUT, Call
from modelbuild.importers.keras.nodes import plain

_LARGEST = 1e30  # well within float32
_SMALLEST = 1e-7  # keras.backend.epsilon(): the least deviation that Normalization divides by


def dense(call: Call) -> None:
    """Dense on the last axis: Gemm for rows, a 1x1 convolution for pictures, MatMul otherwise."""
    shape, units = call.shape(), call.integer("units")
    kernel = call.weight("kernel", (shape[-1], units))
    bias = call.weight("bias", (units,)) if call.flag("use_bias", True) else None
    writer, output = call.writer, call.output
    if len(shape) not in (2, 4):
        finish(call, lambda target: _matmul(call, kernel, bias, target))
        return
    picture = len(shape) == 4
    values = kernel.T[:, :, None, None] if picture else kernel
    parameters = [writer.parameter(f"{output}_kernel", values)]
    if bias is not None:
        parameters.append(writer.parameter(f"{output}_bias", bias))
    if picture:
        finish(call, lambda target: ops.spatial(writer, "Conv", call.input, parameters, target))
    else:
        row = writer.ordered(call.input)
        finish(call, lambda target: writer.emit("Gemm", [row, *parameters], {target: None}))


def _matmul(
    call: Call, kernel: np.ndarray[tuple[int, ...], np.dtype[np.float32]], bias: object, target: str
) -> None:
    product = target if bias is None else call.scratch("product")
    ops.plain(call.writer, "MatMul", [call.input, call.values("kernel", kernel)], product)
    if bias is not None:
        call.elementwise("Add", [product, call.values("bias", bias)], target)


def batch_normalization(call: Call) -> None:
    """BatchNormalization along any axis; gamma and beta may be absent."""
    if call.version < 2 and call.setting("mode", 0) != 0:
        call.fail(
            f"has `mode: {str(call.setting('mode'))[:20]}`",
            why="in modes 1 and 2, Keras 1 normalises by the statistics of each sample or batch, not by "
            "those that are stored",
            advice=CUT,
        )
    shape, axis = call.shape(), call.axis("axis", -1)
    channels = (shape[axis],)
    gamma = call.weight("gamma", channels) if call.flag("scale", True) else np.ones(channels, np.float32)
    beta = call.weight("beta", channels) if call.flag("center", True) else np.zeros(channels, np.float32)
    mean, variance = call.weight("moving_mean", channels), call.weight("moving_variance", channels)
    if not (variance >= 0).all():
        call.fail("has a negative variance")
    writer, epsilon = call.writer, call.real("epsilon", 1e-3)
    order = writer.order(call.input)
    if axis == len(shape) - 1 and len(shape) > 2:
        order = (0, axis, *range(1, axis))
    elif axis == 1:
        order = source_order(len(shape))
    else:
        order = (0, axis, *(other for other in range(1, len(shape)) if other != axis))
    tensors = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    parameters = [writer.parameter(f"{call.output}_{name}", value) for name, value in tensors.items()]
    inputs = [writer.ordered(call.input, order), *parameters]
    writer.emit("BatchNormalization", inputs, {call.output: order}, {"epsilon": epsilon})


def layer_normalization(call: Call) -> None:
    """LayerNormalization along the last axis."""
    shape, axis = call.shape(), call.axis("axis", -1)
    if axis != len(shape) - 1 or call.flag("rms_scaling", False):
        call.fail(f"normalises along axis {axis} of {len(shape)}, or without the mean")
    size = (shape[-1],)
    gamma = call.weight("gamma", size) if call.flag("scale", True) else np.ones(size, np.float32)
    inputs = [call.writer.ordered(call.input), call.writer.parameter(f"{call.output}_gamma", gamma)]
    if call.flag("center", True):
        inputs.append(call.writer.parameter(f"{call.output}_beta", call.weight("beta", size)))
    call.writer.emit(
        "LayerNormalization", inputs, {call.output: None}, {"epsilon": call.real("epsilon", 1e-3), "axis": -1}
    )


def rescaling(call: Call) -> None:
    """x * scale + offset."""
    scale, offset = _factors(call, "scale", 1.0), _factors(call, "offset", 0.0)
    product = call.elementwise("Mul", [call.floats(), call.values("scale", scale)])
    call.elementwise("Add", [product, call.values("offset", offset)], call.output)


def _factors(call: Call, name: str, default: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A number, or one a channel."""
    given = plain(call.setting(name, default))
    listed = given if isinstance(given, list) else [given]
    if not listed or not all(type(n) in (int, float) and abs(n) < _LARGEST for n in listed):
        call.fail(f"has a `{name}` that is no number, nor one a channel")
    return np.asarray(given, np.float32)


def normalization(call: Call) -> None:
    """(x - mean) / deviation along `axis`, or the inverse (`invert`)."""
    shape, axes = call.shape(), call.setting("axis", ())
    axes = list(axes) if isinstance(axes, list | tuple) else [axes]
    if not all(type(axis) is int and -len(shape) <= axis < len(shape) for axis in axes):
        call.fail(f"has the axes {axes} on {list(shape)}")
    kept = sorted(axis % len(shape) for axis in axes)
    wide = [size if axis in kept else 1 for axis, size in enumerate(shape)]
    if call.setting("mean") is not None:
        mean, variance = (_listed(call, name, wide) for name in ("mean", "variance"))
    else:
        sizes = [shape[axis] for axis in kept]
        mean, variance = (call.weight(name, sizes).reshape(wide) for name in ("mean", "variance"))
    if not (variance >= 0).all():
        call.fail("has a negative variance")
    deviation = np.maximum(np.sqrt(variance), np.float32(_SMALLEST))
    if call.flag("invert", False):
        product = call.elementwise("Mul", [call.floats(), call.values("deviation", deviation)])
        call.elementwise("Add", [product, call.values("mean", mean)], call.output)
        return
    centred = call.elementwise("Sub", [call.floats(), call.values("mean", mean)])
    inverse = (np.float32(1.0) / deviation).astype(np.float32)
    call.elementwise("Mul", [centred, call.values("inverse", inverse)], call.output)


def _listed(call: Call, name: str, wide: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    try:
        value = np.asarray(plain(call.setting(name)), np.float32)
        return np.broadcast_to(value if value.ndim == 0 else value.reshape(wide), wide).astype(np.float32)
    except (ValueError, TypeError) as error:
        call.fail(f"has a `{name}` that does not fit its input", why=str(error).splitlines()[0])


def merge(op: str, average: bool = False) -> Callable[[Call], None]:
    """Add, Multiply, Maximum, Minimum, Average: any number of tensors of one rank."""

    def translate(call: Call) -> None:
        tensors = _of_one_rank(call)
        total = tensors[0]
        for name in tensors[1 : len(tensors) if average else -1]:
            total = call.elementwise(op, [total, name])
        if average:
            call.elementwise("Mul", [total, call.number("share", 1.0 / len(tensors))], call.output)
        else:
            call.elementwise(op, [total, tensors[-1]], call.output)

    return translate


def subtract(call: Call) -> None:
    """The first tensor less the second."""
    tensors = _of_one_rank(call)
    if len(tensors) != 2:
        call.fail(f"has {len(tensors)} inputs, where two belong")
    call.elementwise("Sub", tensors, call.output)


def _of_one_rank(call: Call) -> list[str]:
    tensors = list(call.step.inputs)
    ranks = {len(call.shape(name)) for name in tensors}
    if len(tensors) < 2 or len(ranks) != 1:
        shapes = ", ".join(str(list(call.shape(name))) for name in tensors)
        call.fail(f"merges {shapes}", why="at least two tensors of as many axes belong there")
    return tensors


def concatenate(call: Call) -> None:
    """Concatenate along `axis`."""
    tensors = list(call.step.inputs)
    if not tensors:
        call.fail("has no inputs")
    rank, axis = len(call.shape(tensors[0])), call.setting("axis", -1)
    if type(axis) is not int or not -rank <= axis < rank or any(len(call.shape(n)) != rank for n in tensors):
        call.fail(f"joins along axis {axis}", why="its inputs do not have that many axes")
    ops.along(call.writer, "Concat", tensors, [call.output], axis % rank)


def dot(call: Call) -> None:
    """Dot of two tensors of rank 2 or 3 along one axis each."""
    if len(call.step.inputs) != 2 or call.flag("normalize", False):
        call.fail("has `normalize: true` or not two inputs")
    first, second = call.step.inputs
    rank, axes = len(call.shape(first)), call.setting("axes", -1)
    pair = list(axes) if isinstance(axes, list) else [axes, axes]
    fits = len(pair) == 2 and all(type(axis) is int and 0 < axis % rank < rank for axis in pair)
    if not fits or rank not in (2, 3) or len(call.shape(second)) != rank:
        call.fail(f"works along the axes {axes} of {list(call.shape(first))} and {list(call.shape(second))}")
    if rank == 2:
        ops.reduce(call.writer, "ReduceSum", call.elementwise("Mul", [first, second]), call.output, [1], True)
        return
    rows, columns = (
        _with_axis(call, n, axis % rank, at) for n, axis, at in ((first, pair[0], 2), (second, pair[1], 1))
    )
    ops.plain(call.writer, "MatMul", [rows, columns], call.output)


def _with_axis(call: Call, tensor: str, axis: int, wanted: int) -> str:
    if axis == wanted:
        return tensor
    turned = call.scratch("turned")
    ops.transpose(call.writer, tensor, turned, [0, 2, 1])
    return turned
