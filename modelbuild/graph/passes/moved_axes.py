"""Operators that work as well on transposed data: which those are, and how their axes follow.

A `Move` says how the data change: axis i of the moved tensor is axis `order[i]` of the tensor as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelbuild.graph.model import Array, Node, Shape
from modelbuild.graph.passes.matching import sole_reader
from modelbuild.graph.rewrite import Editor

ELEMENTWISE = frozenset((
    "Abs", "Add", "And", "BitShift", "Cast", "Ceil", "Celu", "Cos", "Div", "Dropout", "Elu", "Equal", "Erf",
    "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "IsInf",
    "IsNaN", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg",
    "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus",
    "Softsign", "Sqrt", "Sub", "Sum", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor",
))  # fmt: skip


@dataclass(frozen=True)
class Move:
    """`order` of the axes after the move, and its inverse."""

    order: tuple[int, ...]

    @property
    def inverse(self) -> tuple[int, ...]:
        """Axis a of the tensor as it is becomes axis `inverse[a]`."""
        return tuple(self.order.index(axis) for axis in range(len(self.order)))

    def shape(self, shape: Shape) -> Shape:
        """The moved shape."""
        return tuple(shape[axis] for axis in self.order)


def free(shape: Shape, order: tuple[int, ...]) -> bool:
    """Whether transposing `shape` by `order` leaves the data in its place: it moves dimensions of 1 only."""
    wide = [axis for axis in order if shape[axis] > 1]
    return wide == sorted(wide)


def data_inputs(node: Node) -> list[str]:
    """The inputs of `node` that move with it: feature maps, and constants that broadcast against them."""
    everything = node.op in ELEMENTWISE or node.op == "Concat"
    return [name for name in (node.inputs if everything else node.inputs[:1]) if name]


def movable(editor: Editor, node: Node, move: Move) -> bool:
    """Whether `node` can work on data that are moved, with every axis that it names moved too."""
    rank = len(move.order)
    known = not node.domain and (node.op in ELEMENTWISE or node.op in _RULES)
    if not known or any(editor.rank(n) != rank for n in made(node)):
        return False
    names = data_inputs(node)
    feature_maps = [name for name in names if name not in editor.graph.constants]
    if not feature_maps or any(editor.rank(name) != rank for name in feature_maps):
        return False
    return node.op in ELEMENTWISE or _RULES[node.op][0](editor, node, move)


def made(node: Node) -> list[str]:
    """The outputs of `node` that move with it; those of a Reshape that takes the move in do not."""
    return [] if node.op == "Reshape" else [name for name in node.outputs if name]


def follow(editor: Editor, node: Node, move: Move) -> None:
    """Moves every axis that `node` names, in its attributes and its constant inputs."""
    if node.op in _RULES:
        _RULES[node.op][1](editor, node, move)


def moved_constant(editor: Editor, name: str, move: Move) -> str:
    """The constant `name` as it broadcasts against moved data."""
    value = editor.graph.constants[name]
    if value.size == 1:
        return name
    full = (1,) * (len(move.order) - value.ndim) + value.shape
    return editor.laid_out(f"{name}_moved", name, lambda v: np.transpose(v.reshape(full), move.order))


Test = Callable[[Editor, Node, Move], bool]
Change = Callable[[Editor, Node, Move], None]


def _has_axis(editor: Editor, node: Node, move: Move) -> bool:
    return isinstance(node.attributes.get("axis"), int) and node.int("axis", 0) >= 0


def _move_axis(editor: Editor, node: Node, move: Move) -> None:
    node.attributes["axis"] = move.inverse[node.int("axis", 0)]


def _constants(editor: Editor, node: Node) -> bool:
    """Whether every input but the first is a constant or absent."""
    return all(
        editor.constant(node, index) is not None for index in range(1, len(node.inputs)) if node.inputs[index]
    )


def _split_is_known(editor: Editor, node: Node, move: Move) -> bool:
    return _has_axis(editor, node, move) and _constants(editor, node)


def _has_axes_input(editor: Editor, node: Node, move: Move) -> bool:
    return _constants(editor, node) and editor.constant(node, 3) is not None


def _move_slice(editor: Editor, node: Node, move: Move) -> None:
    axes = editor.graph.constants[node.inputs[3]]
    inputs = list(node.inputs)
    inputs[3] = editor.add_constant(f"{node.name}_axes", _moved_axes(axes, move))
    editor.set_inputs(node, inputs)


def _moved_axes(axes: Array, move: Move) -> Array:
    return np.array([move.inverse[int(axis)] for axis in axes.reshape(-1)], np.int64)


def _pads_all(editor: Editor, node: Node, move: Move) -> bool:
    pads = editor.constant(node, 1)
    return (
        _constants(editor, node)
        and pads is not None
        and pads.size == 2 * len(move.order)
        and len(node.inputs) <= 3
    )


def _move_pad(editor: Editor, node: Node, move: Move) -> None:
    pads = editor.graph.constants[node.inputs[1]].reshape(2, -1)[:, list(move.order)].reshape(-1)
    inputs = list(node.inputs)
    inputs[1] = editor.add_constant(f"{node.name}_pads", pads)
    editor.set_inputs(node, inputs)


def _reduces_axes(editor: Editor, node: Node, move: Move) -> bool:
    return "axes" in node.attributes and node.int("keepdims", 1) == 1


def _move_axes(editor: Editor, node: Node, move: Move) -> None:
    node.attributes["axes"] = sorted(move.inverse[axis] for axis in node.ints("axes", []))


def _sums_axes(editor: Editor, node: Node, move: Move) -> bool:
    return editor.constant(node, 1) is not None and node.int("keepdims", 1) == 1


def _move_sum(editor: Editor, node: Node, move: Move) -> None:
    axes = np.sort(_moved_axes(editor.graph.constants[node.inputs[1]], move))
    editor.set_inputs(node, [node.inputs[0], editor.add_constant(f"{node.name}_axes", axes)])


def _resizes_pictures(editor: Editor, node: Node, move: Move) -> bool:
    """onnxruntime interpolates the last two axes only, so batch and channels must stay as they are."""
    sizes = list(
        zip(move.shape(editor.shape(node.inputs[0])), move.shape(editor.shape(node.outputs[0])), strict=True)
    )
    roi = node.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    return _constants(editor, node) and not roi and all(before == after for before, after in sizes[:2])


def _move_resize(editor: Editor, node: Node, move: Move) -> None:
    inputs = [node.inputs[0], "", *node.inputs[2:]]
    for index in range(2, len(inputs)):
        value = editor.constant(node, index)
        if value is not None and value.size:
            inputs[index] = editor.add_constant(
                f"{node.name}_{('scales', 'sizes')[index - 2]}", value[list(move.order)]
            )
    editor.set_inputs(node, inputs)


def _repeats(editor: Editor, node: Node, move: Move) -> bool:
    value = editor.constant(node, 1)
    return value is not None and value.size == len(move.order)


def _move_repeats(editor: Editor, node: Node, move: Move) -> None:
    value = editor.graph.constants[node.inputs[1]]
    name = editor.add_constant(f"{node.name}_counts", value[list(move.order)])
    editor.set_inputs(node, [node.inputs[0], name])


def _absorbs(editor: Editor, node: Node, move: Move) -> bool:
    """Whether `node` flattens pictures for one Gemm, whose weights can be moved instead."""
    gemm = flattened_for(editor, node)
    if gemm is None or move.order[0] != 0:
        return False
    given, flat = editor.shape(node.inputs[0]), editor.shape(node.outputs[0])
    return len(flat) == 2 and flat[0] == given[0]


def flattened_for(editor: Editor, node: Node) -> Node | None:
    """The Gemm x · Wᵀ that alone reads the Reshape `node`, if its weights are a constant."""
    target = node.outputs[0]
    gemm = sole_reader(editor, target, "Gemm")
    if gemm is None:
        return None
    weights = editor.constant(gemm, 1)
    form = gemm.inputs[0] == target and gemm.inputs.count(target) == 1
    plain = not gemm.int("transA", 0) and gemm.int("transB", 0) == 1
    return gemm if form and plain and weights is not None and weights.ndim == 2 else None


def _move_flattened(editor: Editor, node: Node, move: Move) -> None:
    gemm = flattened_for(editor, node)
    assert gemm is not None
    given = editor.shape(node.inputs[0])

    def turned(weights: Any) -> Any:
        return np.transpose(weights.reshape(-1, *given[1:]), move.order).reshape(weights.shape)

    name = editor.laid_out(f"{gemm.name}_weight", gemm.inputs[1], turned)
    editor.set_inputs(gemm, [gemm.inputs[0], name, *gemm.inputs[2:]])


_AXIS = (_has_axis, _move_axis)
_REDUCTION = (_reduces_axes, _move_axes)
_RULES: Mapping[str, tuple[Test, Change]] = {
    "ArgMax": (lambda e, n, m: _has_axis(e, n, m) and n.int("keepdims", 1) == 1, _move_axis),
    "ArgMin": (lambda e, n, m: _has_axis(e, n, m) and n.int("keepdims", 1) == 1, _move_axis),
    "Clip": (lambda e, n, m: _constants(e, n), lambda e, n, m: None),
    "Concat": _AXIS,
    "Expand": (_repeats, _move_repeats),
    "Hardmax": _AXIS,
    "LogSoftmax": _AXIS,
    "Pad": (_pads_all, _move_pad),
    "ReduceL1": _REDUCTION,
    "ReduceL2": _REDUCTION,
    "ReduceLogSumExp": _REDUCTION,
    "ReduceMax": _REDUCTION,
    "ReduceMean": _REDUCTION,
    "ReduceMin": _REDUCTION,
    "ReduceProd": _REDUCTION,
    "ReduceSum": (_sums_axes, _move_sum),
    "ReduceSumSquare": _REDUCTION,
    "Reshape": (_absorbs, _move_flattened),
    "Resize": (_resizes_pictures, _move_resize),
    "Slice": (_has_axes_input, _move_slice),
    "Softmax": _AXIS,
    "Split": (_split_is_known, _move_axis),
    "Tile": (_repeats, _move_repeats),
}
