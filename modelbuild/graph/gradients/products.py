"""Gradients of Conv, ConvTranspose, Gemm and MatMul with respect to their factors (of Conv: the input)."""

from __future__ import annotations

import numpy as np

from modelbuild.graph.gradients.step import NoRule, Rules, Step, attribute
from modelbuild.graph.gradients.windows import Window, window_of
from modelbuild.graph.model import Array


def _conv(step: Step) -> None:
    step.only(0)
    window = window_of(step, step.shape(step.node.inputs[1])[2:])
    step.give(0, transposed(step, step.gradient, step.node.inputs[1], window))


def transposed(step: Step, gradient: str, weight: str, window: Window) -> str:
    """The gradient of a convolution's input: a transposed convolution by the same weights.

    Where windows move by single cells it is a Conv by the flipped weights, for which onnxruntime has a faster
    layout (MobileNetV2: 29 ms a sample against 34). Zeros put between for other strides would cost more than
    they win.
    """
    group, known = step.node.int("group", 1), step.graph.constants.get(weight)
    pads = _pads_of_flipped(window)
    if known is not None and pads is not None:
        flipped = step.constant(_flipped(known, group))
        return step.emit("Conv", gradient, flipped, dilations=window.dilations, pads=pads, group=group)
    attributes = {"strides": window.strides, "dilations": window.dilations, "pads": window.pads}
    return step.emit(
        "ConvTranspose", gradient, weight, **attributes, output_padding=window.left_over, group=group
    )


def _pads_of_flipped(window: Window) -> list[int] | None:
    """The pads of the Conv by flipped weights; None where there is no such Conv."""
    if any(stride != 1 for stride in window.strides) or any(window.left_over):
        return None
    reach = [size * (cells - 1) for size, cells in zip(window.dilations, window.kernel, strict=True)]
    pads = [length - pad for length, pad in zip(reach * 2, window.pads, strict=True)]
    return pads if min(pads, default=0) >= 0 else None


def _flipped(weight: Array, group: int) -> Array:
    """[O, C/g, ...] -> [C, O/g, ...], the cells of each kernel turned around."""
    outputs, channels, *kernel = weight.shape
    parts = weight.reshape(group, outputs // group, channels, *kernel).swapaxes(1, 2)
    turned = np.flip(parts, axis=tuple(range(3, 3 + len(kernel))))
    return np.ascontiguousarray(turned).reshape(group * channels, outputs // group, *kernel)


def _conv_transpose(step: Step) -> None:
    step.only(0)
    auto = attribute(step, "auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID") or "output_shape" in step.node.attributes:
        raise NoRule
    size, axes = step.shape(step.x), len(step.shape(step.x)) - 2
    attributes = {
        "strides": step.node.ints("strides", [1] * axes),
        "dilations": step.node.ints("dilations", [1] * axes),
        "pads": step.node.ints("pads", [0] * (2 * axes)) if auto == "NOTSET" else [0] * (2 * axes),
    }
    weight = step.node.inputs[1]
    found = step.emit("Conv", step.gradient, weight, **attributes, group=step.node.int("group", 1))
    spatial = step.longs(range(2, axes + 2))  # an output_padding of a whole stride makes one cell more
    step.give(0, step.emit("Slice", found, step.longs([0] * axes), step.longs(size[2:]), spatial))


def _gemm(step: Step) -> None:
    a, b = step.node.inputs[:2]
    alpha, beta = float(attribute(step, "alpha", 1.0)), float(attribute(step, "beta", 1.0))
    by_rows, by_columns = step.node.int("transA", 0), step.node.int("transB", 0)
    gradient = step.gradient
    if 0 in step.wanted:
        pair = (b, gradient, by_columns, 1) if by_rows else (gradient, b, 0, 1 - by_columns)
        step.give(0, _product(step, pair, alpha))
    if 1 in step.wanted:
        pair = (gradient, a, 1, by_rows) if by_columns else (a, gradient, 1 - by_rows, 0)
        step.give(1, _product(step, pair, alpha))
    if 2 in step.wanted:
        share = gradient if beta == 1 else step.emit("Mul", gradient, step.number(beta))
        step.give_narrowed(2, share)


def _product(step: Step, pair: tuple[str, str, int, int], alpha: float) -> str:
    left, right, left_turned, right_turned = pair
    return step.emit("Gemm", left, right, alpha=alpha, transA=left_turned, transB=right_turned)


def _matmul(step: Step) -> None:
    a, b = step.node.inputs
    left, right = step.shape(a), step.shape(b)
    if len(right) == 2 and step.wanted == {0}:  # no transposed copy of the weights
        flat = step.reshaped(step.gradient, (-1, right[1]))
        step.give(0, step.reshaped(step.emit("Gemm", flat, b, transB=1), left))
        return
    tall = (1, *left) if len(left) == 1 else left
    wide = (*right, 1) if len(right) == 1 else right
    batch = step.shape(step.y)[: max(len(tall), len(wide)) - 2]
    gradient = step.reshaped(step.gradient, (*batch, tall[-2], wide[-1]))
    if 0 in step.wanted:
        share = step.emit("MatMul", gradient, _turned(step, step.reshaped(b, wide), len(wide)))
        step.give(0, step.reshaped(step.narrowed(share, (*batch, *tall[-2:]), tall), left))
    if 1 in step.wanted:
        share = step.emit("MatMul", _turned(step, step.reshaped(a, tall), len(tall)), gradient)
        step.give(1, step.reshaped(step.narrowed(share, (*batch, *wide[-2:]), wide), right))


def _turned(step: Step, name: str, rank: int) -> str:
    return step.emit("Transpose", name, perm=[*range(rank - 2), rank - 1, rank - 2])


RULES: Rules = {"Conv": _conv, "ConvTranspose": _conv_transpose, "Gemm": _gemm, "MatMul": _matmul}
