"""Layers that work on each number: activations, Power, Exp, Log, BatchNorm, Scale, Bias, Eltwise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelbuild.graph.model import Attribute
from modelbuild.importers.caffe import exact
from modelbuild.importers.caffe.context import Context, channelwise

Operator = Callable[[Context], None]
_MANY = 1000
_FLOAT = 1  # TensorProto.FLOAT
_LARGEST = float(np.finfo(np.float32).max)


def plain(op: str) -> Operator:
    """A layer that is the ONNX operator `op` without parameters."""

    def translate(context: Context) -> None:
        context.expect(1)
        context.finish(op, [context.input])

    return translate


def copies(context: Context) -> None:
    """Dropout (nothing when it does not train) and Split (the same tensor under several names)."""
    ratio = context.parameters.real("dropout_ratio", 0.5)
    context.expect(1, max(1, len(context.step.outputs)))
    if not context.parameters.boolean("scale_train", True):  # forks that scale when they test instead
        context.finish("Mul", [context.input, context.number("kept", 1 - ratio)])
        return
    for output in context.step.outputs[:-1]:
        context.copy(output)
    context.copy(context.step.outputs[-1], last=True)


def relu(context: Context) -> None:
    """ReLU with `negative_slope`."""
    context.expect(1)
    slope = context.parameters.real("negative_slope", 0.0)
    attributes: dict[str, Attribute] = {"alpha": slope} if slope else {}
    context.finish("LeakyRelu" if slope else "Relu", [context.input], attributes)


def relu6(context: Context) -> None:
    """ReLU6 of the forks: 0 to 6, unless `threshold` says otherwise."""
    context.expect(1)
    _clip(context, 0.0, context.parameters.real("threshold", 6.0))


def clip(context: Context) -> None:
    """Clip between `min` and `max`."""
    context.expect(1)
    if not context.parameters.has("min") or not context.parameters.has("max"):
        context.fail("needs `min` and `max`")
    _clip(context, context.parameters.real("min", 0.0), context.parameters.real("max", 0.0))


def _clip(context: Context, low: float, high: float) -> None:
    context.finish("Clip", [context.input, context.number("min", low), context.number("max", high)])


def prelu(context: Context) -> None:
    """PReLU: a slope a channel, or one for all (`channel_shared`)."""
    context.expect(1)
    given = context.shape()
    if len(given) < 2:
        context.fail(f"needs channels; its input is {list(given)}")
    if context.parameters.boolean("channel_shared", False):
        slopes = context.blob(0, (1,))
    else:
        slopes = channelwise(context.blob(0, (given[1],)), 1, len(given))
    context.finish("PRelu", [context.input, context.constant("slope", slopes)])


def elu(context: Context) -> None:
    """ELU with `alpha`."""
    context.expect(1)
    context.finish("Elu", [context.input], {"alpha": context.parameters.real("alpha", 1.0)})


def swish(context: Context) -> None:
    """x * sigmoid(beta * x)."""
    context.expect(1)
    gate = _scaled(context, context.input, context.parameters.real("beta", 1.0))
    context.finish("Mul", [context.input, context.emit("Sigmoid", [gate])])


def mish(context: Context) -> None:
    """x * tanh(log(1 + exp(x)))."""
    context.expect(1)
    curve = context.emit("Tanh", [context.emit("Softplus", [context.input])])
    context.finish("Mul", [context.input, curve])


def threshold(context: Context) -> None:
    """1 where x is above `threshold`, 0 elsewhere."""
    context.expect(1)
    limit = context.number("threshold", context.parameters.real("threshold", 0.0))
    context.finish("Cast", [context.emit("Greater", [context.input, limit])], {"to": _FLOAT})


def power(context: Context) -> None:
    """(shift + scale * x) ^ power."""
    context.expect(1)
    exponent = context.parameters.real("power", 1.0)
    inner = _affine(context, context.parameters.real("scale", 1.0), context.parameters.real("shift", 0.0))
    if exponent == 1.0:
        context.finish("Identity", [inner])
    else:
        context.finish("Pow", [inner, context.number("power", exponent)])


def exponential(context: Context) -> None:
    """base ^ (shift + scale * x); the base is e unless given."""
    context.expect(1)
    factor = _logarithm_of_base(context)
    scale, shift = context.parameters.real("scale", 1.0), context.parameters.real("shift", 0.0)
    outer = exact.exp(shift * factor)
    if outer > _LARGEST:
        context.fail(f"multiplies by its base to the power of {shift}, which no float32 holds")
    result = context.emit("Exp", [_scaled(context, context.input, scale * factor)])
    context.finish("Mul", [result, context.number("factor", outer)])


def logarithm(context: Context) -> None:
    """log(shift + scale * x) to a base, e unless given."""
    context.expect(1)
    factor = _logarithm_of_base(context)
    inner = _affine(context, context.parameters.real("scale", 1.0), context.parameters.real("shift", 0.0))
    context.finish("Mul", [context.emit("Log", [inner]), context.number("factor", 1.0 / factor)])


def _logarithm_of_base(context: Context) -> float:
    base = context.parameters.real("base", -1.0)
    if base != -1.0 and (base <= 0 or base == 1.0):
        context.fail(f"has the base {base}")
    return 1.0 if base == -1.0 else exact.ln(base)


def _affine(context: Context, scale: float, shift: float) -> str:
    inner = _scaled(context, context.input, scale)
    return context.emit("Add", [inner, context.number("shift", shift)]) if shift else inner


def _scaled(context: Context, tensor: str, scale: float) -> str:
    return tensor if scale == 1.0 else context.emit("Mul", [tensor, context.number("scale", scale)])


def batch_normalization(context: Context) -> None:
    """BatchNorm: blobs mean, variance and the factor that both are to be divided by. No scale, no bias."""
    context.expect(1)
    given, parameters = context.shape(), context.parameters
    parameters.read |= {"moving_average_fraction"}
    if not parameters.boolean("use_global_stats", True):
        context.fail(
            "has `use_global_stats: false`",
            why="it would normalise by the statistics of each batch, which no NPU does",
            advice="remove that line if the network is to use the trained statistics",
        )
    channels = given[1] if len(given) > 1 else 1
    if len(given) < 2:
        context.fail(f"needs channels; its input is {list(given)}")
    divisor = float(context.blob(2, (1,))[0])
    factor = np.float32(0.0 if divisor == 0 else 1.0 / divisor)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, variance = (context.blob(index, (channels,)) * factor for index in (0, 1))
    if not np.isfinite(variance).all() or (variance < 0).any():
        context.fail(
            "has a negative or infinite variance", advice="give the caffemodel saved with this prototxt"
        )
    ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    tensors = {"scale": ones, "bias": zeros, "mean": mean, "variance": variance}
    inputs = [context.input, *(context.constant(kind, value) for kind, value in tensors.items())]
    context.finish("BatchNormalization", inputs, {"epsilon": parameters.real("eps", 1e-5)})


def stored_normalization(context: Context) -> None:
    """BN of the forks: times scale plus shift (SegNet, its statistics folded in), or with four blobs scale,
    shift, mean and variance (PSPNet)."""
    context.expect(1)
    given, parameters = context.shape(), context.parameters
    parameters.read |= _TRAINING
    if len(given) < 2:
        context.fail(f"needs channels; its input is {list(given)}")
    epsilon, channels = parameters.real("eps", 1e-5), (given[1],)
    if context.blobs is not None and len(context.blobs) == 4:
        blobs = [context.blob(index, channels) for index in range(4)]
        if not (blobs[3] >= 0).all():
            context.fail("has a negative variance")
        inputs = [context.constant(kind, value) for kind, value in zip(_STATISTICS, blobs, strict=True)]
        context.finish("BatchNormalization", [context.input, *inputs], {"epsilon": epsilon})
        return
    if parameters.choice("bn_mode", ("LEARN", "INFERENCE")) == "LEARN":
        context.fail(
            "has `bn_mode: LEARN`",
            why="it would normalise by the statistics of each batch, which no NPU does",
            advice="give the network for inference, with the statistics folded in (SegNet: "
            "`compute_bn_statistics.py`)",
        )
    factor, shift = (channelwise(context.blob(index, channels), 1, len(given)) for index in (0, 1))
    scaled = context.emit("Mul", [context.input, context.constant("scale", factor)])
    context.finish("Add", [scaled, context.constant("shift", shift)])


_STATISTICS = ("scale", "shift", "mean", "variance")
_TRAINING = {"scale_filler", "shift_filler", "slope_filler", "momentum", "frozen"}


def scale(context: Context) -> None:
    """Scale: times a blob or the second bottom, which begins at `axis`, and a bias where `bias_term`."""
    context.expect((1, 2))
    factor = _operand(context, "scale")
    if not context.parameters.boolean("bias_term", False):
        context.finish("Mul", [context.input, factor])
        return
    shape = context.writer.graph.shapes[factor]
    bias = context.constant("bias", context.blob(len(context.step.inputs) == 1, shape))
    context.finish("Add", [context.emit("Mul", [context.input, factor]), bias])


def bias(context: Context) -> None:
    """Bias: plus a blob or the second bottom."""
    context.expect((1, 2))
    context.finish("Add", [context.input, _operand(context, "bias")])


def _operand(context: Context, kind: str) -> str:
    """What a Scale or Bias takes besides its input, in a shape that broadcasts onto it."""
    given = context.shape()
    axis = context.axis("axis", 1)
    count = context.parameters.integer("num_axes", 1)
    if len(context.step.inputs) == 2:
        second = context.step.inputs[1]
        shape = context.shape(second)
        if shape != given[axis : axis + len(shape)]:
            context.fail(
                f"has bottoms {list(given)} and {list(shape)}, which do not match from axis {axis} on"
            )
        widened = channelwise(np.empty(shape, np.float32), axis, len(given)).shape if shape else ()
        return second if widened == shape else context.reshape(second, widened)
    if count < -1 or axis + max(count, 0) > len(given):
        context.fail(f"covers {count} axes from {axis} on, of {len(given)}")
    shape = given[axis:] if count == -1 else given[axis : axis + count]
    return context.constant(kind, channelwise(context.blob(0, shape), axis, len(given)))


def eltwise(context: Context) -> None:
    """Eltwise: SUM (with `coeff`), PROD or MAX of tensors of one shape."""
    context.expect((2, _MANY))
    tensors = list(context.step.inputs)
    for other in tensors[1:]:
        if context.shape(other) != context.shape():
            context.fail(f"has inputs of {list(context.shape())} and {list(context.shape(other))}")
    operation = (
        context.parameters.choice("operation", ("PROD", "SUM", "MAX"))
        if context.parameters.has("operation")
        else "SUM"
    )
    context.parameters.read.add("stable_prod_grad")
    coefficients = context.parameters.reals("coeff")
    if coefficients and (operation != "SUM" or len(coefficients) != len(tensors)):
        context.fail(f"has {len(coefficients)} coefficients for a {operation} of {len(tensors)}")
    if coefficients:
        tensors = [_scaled(context, name, c) for name, c in zip(tensors, coefficients, strict=True)]
    op = {"PROD": "Mul", "SUM": "Add", "MAX": "Max"}[operation]
    total = tensors[0]
    for name in tensors[1:-1]:
        total = context.emit(op, [total, name])
    context.finish(op, [total, tensors[-1]])
