"""Layers of SSD: Normalize and PriorBox; and MVN. Sources: weiliu89's branch ssd and BVLC Caffe."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Attribute
from modelbuild.importers.caffe.context import Context, channelwise

_MAX_NUMBERS = 2**24  # of all boxes of one layer


def normalize(context: Context) -> None:
    """x / sqrt(sum of x^2 + eps) over the channels, or over all of a picture, times the layer's scale."""
    context.expect(1)
    given, parameters = context.shape(), context.parameters
    if len(given) != 4:
        context.fail(f"needs an input of 4 axes, not {list(given)}")
    parameters.read.add("scale_filler")
    axes = [1, 2, 3] if parameters.boolean("across_spatial", True) else [1]
    if parameters.boolean("channel_shared", True):
        factors = context.blob(0, (1,))
    else:
        factors = channelwise(context.blob(0, (given[1],)), 1, 4)[None]
    squares = context.emit("Mul", [context.input, context.input])
    total = context.emit("ReduceSum", [squares, context.integers("axes", axes)])
    shifted = context.emit("Add", [total, context.number("eps", parameters.real("eps", 1e-10))])
    inverse = context.emit("Reciprocal", [context.emit("Sqrt", [shifted])])
    unit = context.emit("Mul", [context.input, inverse])
    context.finish("Mul", [unit, context.constant("scale", factors)])


def mean_variance(context: Context) -> None:
    """MVN: less the mean of each channel (or picture), divided by the standard deviation plus eps."""
    context.expect(1)
    given, parameters = context.shape(), context.parameters
    axes = list(range(1 if parameters.boolean("across_channels", False) else 2, len(given)))
    if not axes:
        context.fail(f"has nothing to average over in {list(given)}")
    attributes: dict[str, Attribute] = {"axes": list[int](axes)}
    mean = context.emit("ReduceMean", [context.input], attributes)
    if not parameters.boolean("normalize_variance", True):
        parameters.read.add("eps")
        context.finish("Sub", [context.input, mean])
        return
    centred = context.emit("Sub", [context.input, mean])
    variance = context.emit("ReduceMean", [context.emit("Mul", [centred, centred])], attributes)
    epsilon = context.number("eps", parameters.real("eps", 1e-9))
    deviation = context.emit("Add", [context.emit("Sqrt", [variance]), epsilon])
    context.finish("Mul", [centred, context.emit("Reciprocal", [deviation])])


def prior_boxes(context: Context) -> None:
    """PriorBox: [1, 2, 4 * boxes], the corners and their variances; the same for all pictures."""
    context.expect((1, 2))
    parameters, given = context.parameters, context.shape()
    picture = _picture(context)
    sizes, flip = _sizes(context), parameters.boolean("flip", True)
    ratios = _ratios(context, flip)
    cells = given[2:] if len(given) == 4 else context.fail(f"needs a feature map, not {list(given)}")
    widths, heights = _boxes(sizes, parameters.reals("max_size"), ratios)
    count = cells[0] * cells[1] * len(widths)
    if count * 8 > _MAX_NUMBERS:
        context.fail(f"makes {count} boxes, more than {_MAX_NUMBERS // 8}")
    step = parameters.real("step", 0.0)
    steps = [parameters.real(f"step_{axis}", step) for axis in "hw"]
    if not all(steps):
        steps = [size / cell for size, cell in zip(picture, cells, strict=True)]
    offset = parameters.real("offset", 0.5)
    centre_y, centre_x = (
        (np.arange(cell, dtype=np.float32) + np.float32(offset)) * np.float32(distance)
        for cell, distance in zip(cells, steps, strict=True)
    )
    corners = np.empty((*cells, len(widths), 4), np.float64)
    for index, sign in ((0, -0.5), (2, 0.5)):
        corners[..., index] = (centre_x[None, :, None] + sign * widths) / picture[1]
        corners[..., index + 1] = (centre_y[:, None, None] + sign * heights) / picture[0]
    if parameters.boolean("clip", False):
        corners = corners.clip(0.0, 1.0)
    variances = np.broadcast_to(_variances(context), corners.shape)
    both = np.stack([corners.reshape(-1), variances.reshape(-1)])[None].astype(np.float32)
    context.finish("Identity", [context.constant("boxes", both)])


def _picture(context: Context) -> list[int]:
    """Height and width that the boxes are relative to."""
    both = context.parameters.integer("img_size", 0)
    sizes = [context.parameters.integer(f"img_{axis}", both) for axis in "hw"]
    if not all(sizes):
        if len(context.step.inputs) != 2 or len(context.shape(context.step.inputs[1])) != 4:
            context.fail("needs the picture as its second bottom, or `img_size`")
        sizes = list(context.shape(context.step.inputs[1])[2:])
    if min(sizes) < 1:
        context.fail(f"has a picture of {sizes}")
    return sizes


def _sizes(context: Context) -> list[float]:
    sizes, largest = context.parameters.reals("min_size"), context.parameters.reals("max_size")
    fits = not largest or (
        len(largest) == len(sizes) and all(a < b for a, b in zip(sizes, largest, strict=True))
    )
    if not sizes or min(sizes) <= 0 or not fits:
        context.fail(f"has the sizes {sizes} to {largest}")
    return sizes


def _ratios(context: Context, flip: bool) -> list[float]:
    """The aspect ratios besides 1, each once, each followed by its inverse where the layer flips."""
    found = [1.0]
    for ratio in context.parameters.reals("aspect_ratio"):
        if ratio <= 0:
            context.fail(f"has the aspect ratio {ratio}")
        if all(abs(ratio - other) >= 1e-6 for other in found):
            found += [ratio, 1.0 / ratio] if flip else [ratio]
    return found[1:]


def _boxes(
    sizes: list[float], largest: list[float], ratios: list[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Widths and heights of the boxes of one cell. Sizes lose their fraction, as in the original."""
    boxes: list[tuple[float, float]] = []
    for index, size in enumerate(int(size) for size in sizes):
        boxes.append((size, size))
        if largest:
            boxes.append((math.sqrt(size * int(largest[index])),) * 2)
        boxes += [(size * math.sqrt(ratio), size / math.sqrt(ratio)) for ratio in ratios]
    widths, heights = np.array(boxes, np.float64).T
    return widths, heights


def _variances(context: Context) -> NDArray[np.float64]:
    values = context.parameters.reals("variance") or [0.1]
    if len(values) not in (1, 4) or min(values) <= 0:
        context.fail(f"has the variances {values}")
    return np.array(values if len(values) == 4 else values * 4, np.float64)
