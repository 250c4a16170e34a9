"""Operators that came after set 17, written with those of set 17."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Array, Attribute, Node
from modelbuild.graph.rewrite import Editor
from modelbuild.importers.formulas import gelu_factors


def refused(node: Node, what: str) -> ModelbuildError:
    """The error for a node that set 17 cannot express."""
    return ModelbuildError(
        f"{node.op} `{node.name}` {what}", advice="export the model with `opset_version=17`"
    )


def gelu(editor: Editor, node: Node) -> None:
    """The product of `gelu_factors`."""
    make = _Chain(editor, node)
    approximate = node.attributes.get("approximate", "none") == "tanh"
    editor.replace(node, "Mul", list(gelu_factors(make, make.value, node.inputs[0], approximate)))


def mish(editor: Editor, node: Node) -> None:
    """x tanh(softplus(x))."""
    make = _Chain(editor, node)
    editor.replace(node, "Mul", [node.inputs[0], make("Tanh", make("Softplus", node.inputs[0]))])


def swish(editor: Editor, node: Node) -> None:
    """x sigmoid(alpha x)."""
    make = _Chain(editor, node)
    alpha = node.attributes.get("alpha", 1.0)
    inner = node.inputs[0] if alpha == 1.0 else make("Mul", node.inputs[0], make.value(alpha))
    editor.replace(node, "Mul", [node.inputs[0], make("Sigmoid", inner)])


def group_normalization(editor: Editor, node: Node) -> None:
    """Each group as one channel of an InstanceNormalization, then scale and bias a channel.

    From set 21 on scale and bias have a number a channel, before one a group.
    """
    make, shape, groups = _Chain(editor, node), editor.shape(node.inputs[0]), node.int("num_groups", 0)
    if len(shape) < 3 or groups < 1 or shape[1] % groups:
        raise refused(node, f"has {groups} groups for the shape {list(shape)}")
    inner = (shape[0], groups, math.prod(shape[1:]) // groups)
    flat = make("Reshape", node.inputs[0], make.integers(inner), shape=inner)
    ones, zeros = make.array(np.ones(groups, np.float32)), make.array(np.zeros(groups, np.float32))
    epsilon = node.attributes.get("epsilon", 1e-5)
    normal = make("InstanceNormalization", flat, ones, zeros, shape=inner, epsilon=epsilon)
    wide = make("Reshape", normal, make.integers(shape))
    scale, bias = (_a_channel(editor, node, index, shape) for index in (1, 2))
    editor.replace(node, "Add", [make("Mul", wide, make.array(scale)), make.array(bias)])


def _a_channel(editor: Editor, node: Node, index: int, shape: Sequence[int]) -> Array:
    value = editor.constant(node, index)
    if value is None or value.size == 0 or shape[1] % value.size:
        raise refused(node, "has a scale or bias that is no constant of a number a group or channel")
    return np.repeat(value, shape[1] // value.size).reshape(-1, *[1] * (len(shape) - 2))


def rms_normalization(editor: Editor, node: Node) -> None:
    """x / sqrt(mean(x^2) + epsilon) * scale, the mean over the axes from `axis` on."""
    make, shape = _Chain(editor, node), editor.shape(node.inputs[0])
    first = node.int("axis", -1) % len(shape)
    axes = list(range(first, len(shape)))
    small = (*shape[:first], *[1] * len(axes))
    square = make("Mul", node.inputs[0], node.inputs[0])
    mean = make("ReduceMean", square, shape=small, axes=axes, keepdims=1)
    epsilon = make.value(node.attributes.get("epsilon", 1e-5))
    root = make("Sqrt", make("Add", mean, epsilon, shape=small), shape=small)
    editor.replace(node, "Mul", [make("Div", node.inputs[0], root), node.inputs[1]])


def wrap(editor: Editor, node: Node, pads: Sequence[int]) -> None:
    """Pad of mode wrap: along each axis the end before the beginning, and the beginning behind the end."""
    make, name = _Chain(editor, node), node.inputs[0]
    shape = list(editor.shape(name))
    rank = len(shape)
    for axis, size in enumerate(editor.shape(name)):
        before, after = pads[axis], pads[axis + rank]
        if not 0 <= before <= size or not 0 <= after <= size:
            raise refused(node, f"wraps {[before, after]} around an axis of {size}")
        ends = [(size - before, size)] if before else []
        starts = [(0, after)] if after else []
        parts = [_part(make, name, axis, *bounds, shape) for bounds in ends]
        parts += [name, *(_part(make, name, axis, *bounds, shape) for bounds in starts)]
        shape[axis] += before + after
        if len(parts) > 1:
            name = make("Concat", *parts, shape=shape, axis=axis)
    editor.replace(node, "Identity", [name])


def _part(make: _Chain, name: str, axis: int, start: int, end: int, shape: Sequence[int]) -> str:
    made = [*shape[:axis], end - start, *shape[axis + 1 :]]
    return make("Slice", name, *(make.integers([item]) for item in (start, end, axis)), shape=made)


class _Chain:
    """Makes nodes in front of one node, with the shape of its output where no other is given."""

    def __init__(self, editor: Editor, node: Node) -> None:
        self._editor, self._node = editor, node

    def __call__(
        self, op: str, *inputs: str, shape: Sequence[int] | None = None, **attributes: Attribute
    ) -> str:
        target = self._node.outputs[0]
        made = self._editor.shape(target) if shape is None else shape
        name = self._editor.tensor(f"{target}_{op.lower()}", made)
        self._editor.insert(self._node, op, inputs, [name], attributes)
        return name

    def array(self, value: Array) -> str:
        return self._editor.add_constant(f"{self._node.name}_value", value)

    def value(self, number: object) -> str:
        return self.array(np.array(number, np.float32))

    def integers(self, numbers: Sequence[int]) -> str:
        return self.array(np.array(numbers, np.int64))
