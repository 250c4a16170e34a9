"""Layers with windows: Convolution, Deconvolution, Pooling, LRN; InnerProduct. Source: BVLC Caffe."""

from __future__ import annotations

import math

import numpy as np

from modelbuild.graph.model import Attribute
from modelbuild.importers.caffe.context import Context
from modelbuild.importers.caffe.weights import Blob

_MAX_WINDOW = 2**20


def convolution(context: Context) -> None:
    """Convolution: weights [num_output, channels / group, kernel...], a bias unless `bias_term: false`."""
    _convolve(context, "Conv", 1)


def depthwise(context: Context) -> None:
    """The depthwise convolution of many forks: a group a channel unless `group` says otherwise."""
    context.expect(1)
    _convolve(context, "Conv", context.shape()[1] if len(context.shape()) > 1 else 1)


def deconvolution(context: Context) -> None:
    """Deconvolution: weights [channels, num_output / group, kernel...]."""
    _convolve(context, "ConvTranspose", 1)


def _convolve(context: Context, op: str, groups: int) -> None:
    context.expect(1)
    given, parameters = context.shape(), context.parameters
    if len(given) not in (3, 4, 5) or context.axis("axis", 1) != 1:
        context.fail(
            f"works along other axes than the last of {list(given)}", advice="cut the model before it"
        )
    spatial = len(given) - 2
    kernel = _spatial(context, "kernel_size", "kernel", spatial, None)
    strides = _spatial(context, "stride", "stride", spatial, 1)
    pads = _spatial(context, "pad", "pad", spatial, 0)
    dilations = _spatial(context, "dilation", "", spatial, 1)
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    if op == "Conv" and any(r > n + 2 * p for r, n, p in zip(reach, given[2:], pads, strict=True)):
        context.fail(f"has a window of {reach} on {list(given[2:])} cells padded by {pads}")
    outputs, group = parameters.integer("num_output", 0), parameters.integer("group", groups)
    if outputs < 1 or group < 1 or outputs % group or given[1] % group:
        context.fail(f"has {outputs} outputs and {group} groups on {given[1]} channels")
    first, second = (outputs, given[1]) if op == "Conv" else (given[1], outputs)
    shape = (first, second // group, *kernel)
    filled = op == "ConvTranspose" and not context.blobs and _is_bilinear(context)
    weights = _bilinear(context, shape) if filled else context.blob(0, shape)
    inputs = [context.input, context.constant("weight", weights)]
    if parameters.boolean("bias_term", True) and not filled:
        inputs.append(context.constant("bias", context.blob(1, (outputs,))))
    attributes: dict[str, Attribute] = {"group": group, "kernel_shape": kernel, "strides": strides}
    context.finish(op, inputs, {**attributes, "pads": pads * 2, "dilations": dilations})


def _is_bilinear(context: Context) -> bool:
    """Whether the layer enlarges by weights that are never trained nor stored: Caffe fills them in."""
    return context.parameters.message("weight_filler").text("type") == "bilinear"


def _bilinear(context: Context, shape: tuple[int, ...]) -> Blob:
    """The weights of Caffe's BilinearFiller: the same for every pair of channels."""
    size = shape[-1]
    if len(shape) != 4 or shape[2] != size:
        context.fail(f"fills bilinear weights into the shape {list(shape)}", why="the window must be square")
    if context.parameters.message("bias_filler").real("value", 0.0):
        context.fail("has no bias in the caffemodel", advice="give the caffemodel saved with this prototxt")
    factor = -(-size // 2)
    centre = (size - 1) / (2 * factor)
    line = 1 - np.abs(np.arange(size) / factor - centre)
    return np.broadcast_to(np.outer(line, line), shape).astype(np.float32)


def _spatial(context: Context, name: str, short: str, count: int, default: int | None) -> list[int]:
    """The numbers of a repeated field (one for all axes, or one each), or of `short`_h and `short`_w."""
    values = context.parameters.integers(name)
    pair = [f"{short}_h", f"{short}_w"]
    if short and any(context.parameters.has(item) for item in pair):
        if values or count != 2:
            context.fail(f"has `{pair[0]}` or `{pair[1]}` besides `{name}` or on {count} spatial axes")
        values = [context.parameters.integer(item, -1 if default is None else default) for item in pair]
    if not values and default is not None:
        values = [default]
    if len(values) == 1:
        values = values * count
    if len(values) != count or min(values) < min(default or 0, 1) or max(values) > _MAX_WINDOW:
        context.fail(f"has the {name} {values}", why=f"its input has {count} spatial axes")
    if default is None and min(values) < 1:
        context.fail(f"has the {name} {values}")
    return values


def pooling(context: Context) -> None:
    """Pooling: MAX, or AVE, which counts the padding but nothing behind it, as Caffe does."""
    context.expect(1)
    given, parameters = context.shape(), context.parameters
    if len(given) != 4:
        context.fail(f"needs an input of 4 axes, not {list(given)}")
    method = parameters.choice("pool", ("MAX", "AVE", "STOCHASTIC"))
    if method == "STOCHASTIC":
        context.fail("is stochastic, which no runtime repeats", advice="cut the model before it")
    ceil = parameters.choice("round_mode", ("CEIL", "FLOOR")) == "CEIL" and parameters.boolean(
        "ceil_mode", True
    )
    strides, pads = _pair(context, "stride", "stride", 1), _pair(context, "pad", "pad", 0)
    if parameters.boolean("global_pooling", False):
        if strides != [1, 1] or pads != [0, 0]:
            context.fail(
                f"has the stride {strides} and the pad {pads}",
                why="its window is the whole picture (`global_pooling`), which Caffe takes once, unpadded",
                advice="remove these fields, as Caffe asks for 1 and 0",
            )
        context.finish("GlobalMaxPool" if method == "MAX" else "GlobalAveragePool", [context.input])
        return
    kernel = _pair(context, "kernel_size", "kernel", 0)
    if any(pad >= size for pad, size in zip(pads, kernel, strict=True)):
        context.fail(f"pads by {pads}, as much as its window {kernel}")
    ends = [_end(context, *numbers, ceil) for numbers in zip(given[2:], kernel, strides, pads, strict=True)]
    attributes: dict[str, Attribute] = {"kernel_shape": kernel, "strides": strides}
    if method == "MAX":
        context.finish("MaxPool", [context.input], {**attributes, "pads": [*pads, *ends]})
        return
    _average(context, pads, ends, attributes)


def _average(context: Context, pads: list[int], ends: list[int], attributes: dict[str, Attribute]) -> None:
    beyond = [end - pad for end, pad in zip(ends, pads, strict=True)]
    source, counts = context.input, 0
    if not any(beyond):
        counts = int(any(pads))
    elif any(pads):  # the padding counts, what ceil adds behind it does not
        source = context.emit("Pad", [source, context.integers("pads", [0, 0, *pads, 0, 0, *pads])])
        pads, ends = [0, 0], beyond
    both: dict[str, Attribute] = {"pads": [*pads, *ends], "count_include_pad": counts}
    context.finish("AveragePool", [source], {**attributes, **both})


def _end(context: Context, size: int, kernel: int, stride: int, pad: int, ceil: bool) -> int:
    """The padding behind an axis that gives as many windows as Caffe has: at least `pad`."""
    reach = size + 2 * pad - kernel
    if reach < 0:
        context.fail(f"has a window of {kernel} on {size} cells padded by {pad}")
    count = (-(-reach // stride) if ceil else reach // stride) + 1
    if pad and (count - 1) * stride >= size + pad:
        count -= 1
    if (count - 1) * stride >= size + pad:
        context.fail("has a last window behind its input", advice="make the stride no larger than the window")
    return max(pad, (count - 1) * stride + kernel - size - pad)


def _pair(context: Context, name: str, short: str, default: int) -> list[int]:
    both = context.parameters.integer(name, default)
    values = [context.parameters.integer(f"{short}_{axis}", both) for axis in "hw"]
    if min(values) < min(1, 1 if name != "pad" else 0) or max(values) > _MAX_WINDOW:
        context.fail(f"has the {name} {values}")
    return values


def inner_product(context: Context) -> None:
    """InnerProduct: what stands before `axis` are rows; weights [num_output, K], or [K, num_output]."""
    context.expect(1)
    given, parameters = context.shape(), context.parameters
    axis, outputs = context.axis("axis", 1), parameters.integer("num_output", 0)
    transposed = parameters.boolean("transpose", False)
    inner = math.prod(given[axis:])
    if outputs < 1:
        context.fail(f"has {outputs} outputs")
    weights = context.blob(0, (inner, outputs) if transposed else (outputs, inner))
    source = context.input
    if axis != 1 or len(given) != 2:
        source = context.emit("Flatten", [source], {"axis": axis})
    inputs = [source, context.constant("weight", weights)]
    if parameters.boolean("bias_term", True):
        inputs.append(context.constant("bias", context.blob(1, (outputs,))))
    attributes: dict[str, Attribute] = {"transB": int(not transposed)}
    if axis == 1:
        context.finish("Gemm", inputs, attributes)
    else:
        shape = context.integers("shape", [*given[:axis], outputs])
        context.finish("Reshape", [context.emit("Gemm", inputs, attributes), shape])


def local_response(context: Context) -> None:
    """LRN: across channels, or within each over a window of `local_size`."""
    context.expect(1)
    parameters = context.parameters
    size, alpha = parameters.integer("local_size", 5), parameters.real("alpha", 1.0)
    beta, offset = parameters.real("beta", 0.75), parameters.real("k", 1.0)
    if size < 1 or size % 2 == 0:
        context.fail(f"has the even local_size {size}")
    if parameters.choice("norm_region", ("ACROSS_CHANNELS", "WITHIN_CHANNEL")) == "ACROSS_CHANNELS":
        attributes: dict[str, Attribute] = {"size": size, "alpha": alpha, "beta": beta, "bias": offset}
        context.finish("LRN", [context.input], attributes)
        return
    _within_channel(context, size, alpha, beta)


def _within_channel(context: Context, size: int, alpha: float, beta: float) -> None:
    """x * (1 + alpha * mean of x^2 over the window)^-beta; padding counts, and `k` has no part in it."""
    window: dict[str, Attribute] = {"kernel_shape": [size, size], "strides": [1, 1]}
    window |= {"pads": [size // 2] * 4, "count_include_pad": 1}
    squares = context.emit("Mul", [context.input, context.input])
    mean = context.emit("AveragePool", [squares], window)
    scaled = context.emit("Mul", [mean, context.number("alpha", alpha)])
    shifted = context.emit("Add", [scaled, context.number("one", 1.0)])
    power = context.emit("Pow", [shifted, context.number("beta", -beta)])
    context.finish("Mul", [context.input, power])
