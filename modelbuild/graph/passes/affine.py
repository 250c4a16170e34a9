"""Per-channel scale and shift of convolutions and fully connected layers: shared by the folding passes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph import kept_quantization
from modelbuild.graph.constant_operators import ordered_sum
from modelbuild.graph.model import Node
from modelbuild.graph.passes.matching import sole_reader
from modelbuild.graph.rewrite import Editor

Vector = NDArray[np.float64]
LINEAR = ("Conv", "ConvTranspose", "Gemm")


def foldable(editor: Editor, node: Node) -> bool:
    """Whether weights and bias of `node` are float32 constants (of a Gemm: in the one form)."""
    weights, bias = editor.constant(node, 1), editor.constant(node, 2)
    absent = len(node.inputs) < 3 or not node.inputs[2]
    if weights is None or weights.dtype != np.float32 or not (absent or bias is not None):
        return False
    if node.op != "Gemm":
        return True
    plain = node.attributes.get("alpha", 1.0) == 1.0 == node.attributes.get("beta", 1.0)
    one_row = bias is None or bias.shape == (weights.shape[0],)
    return plain and one_row and not node.int("transA", 0) and node.int("transB", 0) == 1


def layer_behind(editor: Editor, tensor: str, is_shifted: bool) -> Node | None:
    """The foldable Conv or Gemm that alone reads `tensor`, as its data; without padding where what comes is
    `is_shifted`, since padded cells are 0 after the shift, not before."""
    later = sole_reader(editor, tensor, "Conv", "Gemm")
    if later is None or later.inputs.index(tensor) or later.inputs.count(tensor) > 1:
        return None
    automatic = later.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    padded = automatic or any(later.ints("pads", []))
    return later if foldable(editor, later) and not (padded and is_shifted) else None


def per_channel(value: Any, rank: int, count: int) -> Vector | None:
    """A constant that broadcasts against [N, C, ...] of `rank` as one number a channel, as [C]; else None."""
    if value is None or value.dtype != np.float32 or value.ndim > rank:
        return None
    shape = (1,) * (rank - value.ndim) + value.shape
    if any(size != 1 for axis, size in enumerate(shape) if axis != 1) or shape[1] not in (1, count):
        return None
    return np.broadcast_to(value.astype(np.float64).reshape(-1), (count,))


def scale_output(editor: Editor, node: Node, scale: Vector, shift: Vector) -> None:
    """Makes `node` give y · scale + shift, one of each a channel, computed in float64."""
    old, axis = node.inputs[1], 0
    weights = editor.graph.constants[old].astype(np.float64)
    bias = _bias(editor, node, len(scale))
    if node.op == "ConvTranspose":  # weights [inputs, outputs / group, ...]
        groups, axis = node.int("group", 1), 1
        by_group = weights.reshape(groups, -1, *weights.shape[1:])
        by_output = scale.reshape(groups, 1, -1, *(1,) * (weights.ndim - 2))
        weights = (by_group * by_output).reshape(weights.shape)
    else:
        weights = weights * scale.reshape(-1, *(1,) * (weights.ndim - 1))
    _set(editor, node, weights, bias * scale + shift)
    if len(scale) == weights.shape[axis] or len(_fewest(scale)) == 1:  # else groups share a channel's scale
        kept_quantization.scaled(editor.graph, old, node.inputs[1], _fewest(scale), axis)


def scale_input(editor: Editor, node: Node, scale: Vector, shift: Vector) -> None:
    """Makes a Conv or Gemm `node` read x where it read x · scale + shift. Pads must be 0 unless shift is."""
    old = node.inputs[1]
    weights = editor.graph.constants[old].astype(np.float64)
    groups = node.int("group", 1)
    inputs = scale.reshape(groups, 1, -1, *(1,) * (weights.ndim - 2))
    shifts = shift.reshape(inputs.shape)
    by_group = weights.reshape(groups, -1, *weights.shape[1:])
    added = ordered_sum(by_group * shifts, tuple(range(2, by_group.ndim))).reshape(-1)
    bias = _bias(editor, node, weights.shape[0]) + added
    _set(editor, node, (by_group * inputs).reshape(weights.shape), bias)
    if len(_fewest(scale)) == 1 or groups == 1:
        kept_quantization.scaled(editor.graph, old, node.inputs[1], _fewest(scale), 1)
    elif weights.shape[1] == 1:  # depthwise: the channel in is the channel out
        each = np.repeat(scale, weights.shape[0] // groups)
        kept_quantization.scaled(editor.graph, old, node.inputs[1], each, 0)


def _fewest(scale: Vector) -> Vector:
    """One number where all are the same."""
    return scale[:1] if (scale == scale[0]).all() else scale


def _bias(editor: Editor, node: Node, count: int) -> Vector:
    value = editor.constant(node, 2)
    return np.zeros(count) if value is None else value.astype(np.float64)


def _set(editor: Editor, node: Node, weights: Vector, bias: Vector) -> None:
    names = [
        editor.add_constant(f"{node.name}_{which}", value.astype(np.float32))
        for which, value in (("weight", weights), ("bias", bias))
    ]
    editor.set_inputs(node, [node.inputs[0], *names])
