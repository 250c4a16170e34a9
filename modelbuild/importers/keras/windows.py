"""Convolutions and pools. Source of the sizes: TensorFlow's definition of SAME and VALID padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Attribute
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.formulas import same_pads
from modelbuild.importers.keras.activations import finish
from modelbuild.importers.keras.call import Call

Operator = Callable[[Call], None]
_PADDINGS = ("valid", "same")


def convolution(axes: int) -> Operator:
    """Conv1D, Conv2D and Conv3D; kernels [spatial ..., channels / groups, filters]."""

    def translate(call: Call) -> None:
        sizes, groups, filters = (
            call.spatial_shape(axes + 2),
            call.integer("groups", 1),
            call.integer("filters"),
        )
        kernel = call.integers("kernel_size", axes)
        if call.channels() % groups or filters % groups:
            call.fail(f"has {groups} groups for {call.channels()} channels and {filters} filters")
        weights = call.weight("kernel", (*kernel, call.channels() // groups, filters))
        attributes = _window(call, sizes, kernel)
        _convolve(call, _channels_leading(weights), filters, groups, attributes)

    return translate


def depthwise(axes: int) -> Operator:
    """DepthwiseConv1D and 2D; kernels [spatial ..., channels, multiplier]."""

    def translate(call: Call) -> None:
        sizes, channels = call.spatial_shape(axes + 2), call.channels()
        multiplier, kernel = call.integer("depth_multiplier", 1), call.integers("kernel_size", axes)
        weights = _depthwise(call.weight("kernel", (*kernel, channels, multiplier)))
        _convolve(call, weights, channels * multiplier, channels, _window(call, sizes, kernel))

    return translate


def separable(axes: int) -> Operator:
    """SeparableConv1D and 2D: a depthwise convolution, then one of 1x1."""

    def translate(call: Call) -> None:
        sizes, channels = call.spatial_shape(axes + 2), call.channels()
        multiplier, filters = call.integer("depth_multiplier", 1), call.integer("filters")
        kernel = call.integers("kernel_size", axes)
        deep = _depthwise(call.weight("depthwise_kernel", (*kernel, channels, multiplier)))
        wide = call.weight("pointwise_kernel", (*[1] * axes, channels * multiplier, filters))
        middle = call.scratch("depthwise")
        attributes = {**_window(call, sizes, kernel), "group": channels}
        call.spatial(
            "Conv",
            call.input,
            [call.writer.parameter(f"{call.output}_depthwise_kernel", deep)],
            middle,
            attributes,
        )
        pointwise: dict[str, Attribute] = {"kernel_shape": [1] * axes}
        _convolve(call, _channels_leading(wide), filters, 1, pointwise, middle)

    return translate


def _convolve(
    call: Call,
    weights: NDArray[np.float32],
    filters: int,
    groups: int,
    attributes: dict[str, Attribute],
    data: str = "",
    op: str = "Conv",
) -> None:
    parameters = [call.writer.parameter(f"{call.output}_kernel", weights)]
    if call.flag("use_bias", True):
        parameters.append(call.writer.parameter(f"{call.output}_bias", call.weight("bias", (filters,))))
    finish(
        call,
        lambda output: call.spatial(
            op, data or call.input, parameters, output, {**attributes, "group": groups}
        ),
    )


def transposed(axes: int) -> Operator:
    """Conv1DTranspose and Conv2DTranspose; kernels [spatial ..., filters, channels]."""

    def translate(call: Call) -> None:
        sizes, filters = call.spatial_shape(axes + 2), call.integer("filters")
        kernel, channels = call.integers("kernel_size", axes), call.channels()
        if call.integer("groups", 1) != 1:
            call.fail("has groups")
        weights = call.weight("kernel", (*kernel, filters, channels))
        strides = call.integers("strides", axes, 1)
        dilations = call.integers("dilation_rate", axes, 1)
        same = call.word("padding", "valid", _PADDINGS) == "same"
        given = call.setting("output_padding")
        extra = [None] * axes if given is None else call.integers("output_padding", axes, low=0)
        pads, further = [], []
        for size, step, width, spread, more in zip(sizes, strides, kernel, dilations, extra, strict=True):
            reach = (width - 1) * spread + 1
            full = (size - 1) * step + reach
            surplus = full - _enlarged(size, step, reach, same, more)
            before = surplus // 2 if same and surplus > 0 else 0
            pads.append((before, max(surplus - before, 0)))
            further.append(max(-surplus, 0))
        attributes: dict[str, Attribute] = {
            "kernel_shape": kernel,
            "strides": strides,
            "dilations": dilations,
        }
        attributes |= {"pads": _flat(pads), "output_padding": further}
        _convolve(call, _channels_leading(weights), filters, 1, attributes, op="ConvTranspose")

    return translate


def _enlarged(size: int, stride: int, reach: int, same: bool, more: int | None) -> int:
    """The size that a transposed convolution makes (Keras, deconv_output_length)."""
    if more is None:
        return size * stride + (0 if same else max(reach - stride, 0))
    return (size - 1) * stride + reach + more - (2 * (reach // 2) if same else 0)


def pool(op: str, axes: int) -> Operator:
    """MaxPooling and AveragePooling; what SAME adds does not count."""

    def translate(call: Call) -> None:
        sizes = call.spatial_shape(axes + 2)
        kernel = call.integers("pool_size", axes, 2)
        attributes = _window(call, sizes, kernel, default_stride=kernel, dilated=False)
        call.spatial(op, call.input, [], call.output, attributes)

    return translate


def global_pool(op: str, axes: int) -> Operator:
    """GlobalAveragePooling and GlobalMaxPooling, with or without `keepdims`."""

    def translate(call: Call) -> None:
        call.spatial_shape(axes + 2)
        if call.flag("keepdims", False):
            call.spatial(op, call.input, [], call.output)
            return
        middle = call.scratch("pool")
        call.spatial(op, call.input, [], middle)
        first = 2 if call.channels_first else 1
        ops.squeeze(call.writer, middle, call.output, range(first, first + axes))

    return translate


def _window(
    call: Call,
    sizes: Sequence[int],
    kernel: list[int],
    default_stride: object = 1,
    dilated: bool = True,
) -> dict[str, Attribute]:
    """Kernel, strides, pads and dilations for ONNX."""
    strides = call.integers("strides", len(kernel), default_stride)
    dilations = call.integers("dilation_rate", len(kernel), 1) if dilated else [1] * len(kernel)
    padding = call.word("padding", "valid", (*_PADDINGS, "causal") if len(kernel) == 1 else _PADDINGS)
    pads = []
    for size, width, step, spread in zip(sizes, kernel, strides, dilations, strict=True):
        reach = (width - 1) * spread + 1
        if padding == "valid" and reach > size:
            call.fail(f"has a window of {reach} on {size} cells")
        both = same_pads(size, width, step, spread) if padding == "same" else (0, 0)
        pads.append((reach - 1, 0) if padding == "causal" else both)
    found: dict[str, Attribute] = {"kernel_shape": kernel, "strides": strides, "pads": _flat(pads)}
    return {**found, "dilations": dilations} if dilated else found


def _flat(pads: Sequence[tuple[int, int]]) -> list[int]:
    return [before for before, _ in pads] + [after for _, after in pads]


def _channels_leading(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """[spatial ..., a, b] -> [b, a, spatial ...]."""
    axes = kernel.ndim
    return kernel.transpose(axes - 1, axes - 2, *range(axes - 2))


def _depthwise(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """[spatial ..., channels, multiplier] -> [channels * multiplier, 1, spatial ...]."""
    axes = kernel.ndim
    moved = kernel.transpose(axes - 2, axes - 1, *range(axes - 2))
    return moved.reshape(-1, 1, *kernel.shape[:-2])
