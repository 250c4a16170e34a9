"""What changed in the operators after set 17: the newer form -> that of set 17, or a refusal by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Attribute, Node
from modelbuild.graph.rewrite import Editor

Rule = Callable[[Editor, Node], None]


def _refused(node: Node, what: str) -> ModelbuildError:
    return ModelbuildError(
        f"{node.op} `{node.name}` {what}", advice="export the model with `opset_version=17`"
    )


def _only(name: str, *allowed: Attribute) -> Rule:
    """The attribute, which set 17 does not know, may be absent or say what set 17 always does."""

    def rule(editor: Editor, node: Node) -> None:
        value = node.attributes.pop(name, None)
        flat = value if isinstance(value, list) else [value]
        if value is not None and any(item not in allowed for item in flat):
            raise _refused(node, f"has `{name} = {value!r}`, which is not supported")

    return rule


def _drop(*names: str) -> Rule:
    def rule(editor: Editor, node: Node) -> None:
        for name in names:
            node.attributes.pop(name, None)

    return rule


def _reduce(editor: Editor, node: Node) -> None:
    """Set 18 moved the axes of every reduction to an input."""
    axes = editor.constant(node, 1)
    if axes is None and len(node.inputs) > 1 and node.inputs[1]:
        raise _refused(node, "has axes that are not constant")
    noop = node.attributes.pop("noop_with_empty_axes", 0)
    editor.set_inputs(node, node.inputs[:1])
    if axes is not None and axes.size:
        node.attributes["axes"] = [int(axis) for axis in axes.reshape(-1)]
    elif noop:
        raise _refused(node, "reduces no axis (`noop_with_empty_axes`)")


def _pad(editor: Editor, node: Node) -> None:
    if node.attributes.get("mode") == "wrap":
        raise _refused(node, "pads by wrapping around")
    if len(node.inputs) < 4 or not node.inputs[3]:
        return
    pads, axes = editor.constant(node, 1), editor.constant(node, 3)
    if pads is None or axes is None:
        raise _refused(node, "has pads that are not constant")
    rank, count = editor.rank(node.inputs[0]), axes.size
    full = np.zeros(2 * rank, np.int64)
    for index, axis in enumerate(axes.reshape(-1)):
        full[int(axis) % rank], full[int(axis) % rank + rank] = pads[index], pads[index + count]
    editor.set_inputs(node, [node.inputs[0], editor.add_constant(f"{node.name}_pads", full), node.inputs[2]])


def _resize(editor: Editor, node: Node) -> None:
    _only("antialias", 0)(editor, node)
    _only("keep_aspect_ratio_policy", "stretch")(editor, node)
    if node.attributes.get("coordinate_transformation_mode") in (
        "half_pixel_symmetric",
        "tf_crop_and_resize",
    ):
        raise _refused(node, "uses a coordinate transformation that is not supported")
    axes = node.ints("axes", [])
    if not axes:
        return
    del node.attributes["axes"]
    shape = editor.shape(node.inputs[0])
    for index, full in ((2, np.ones(len(shape), np.float32)), (3, np.array(shape, np.int64))):
        value = editor.constant(node, index)
        if value is not None and value.size:
            for axis, item in zip(axes, value, strict=True):
                full[axis % len(shape)] = item
            inputs = list(node.inputs)
            inputs[index] = editor.add_constant(f"{node.name}_sizes", full)
            editor.set_inputs(node, inputs)


def _split(editor: Editor, node: Node) -> None:
    count = node.attributes.pop("num_outputs", None)
    if not isinstance(count, int):
        return
    size = editor.shape(node.inputs[0])[node.int("axis", 0)]
    chunk = -(-size // count)
    sizes = [chunk] * (count - 1) + [size - chunk * (count - 1)]
    name = editor.add_constant(f"{node.name}_split", np.array(sizes, np.int64))
    editor.set_inputs(node, [node.inputs[0], name])


def _gelu(editor: Editor, node: Node) -> None:
    """0.5 x (1 + erf(x / sqrt 2)), or with tanh: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    make = _Chain(editor, node)
    x = node.inputs[0]
    if node.attributes.get("approximate", "none") == "tanh":
        cube = make("Mul", make("Mul", x, x), x)
        inner = make("Add", x, make("Mul", cube, make.value(0.044715)))
        curve = make("Tanh", make("Mul", inner, make.value(math.sqrt(2 / math.pi))))
    else:
        curve = make("Erf", make("Mul", x, make.value(math.sqrt(0.5))))
    half = make("Mul", x, make.value(0.5))
    editor.replace(node, "Mul", [half, make("Add", curve, make.value(1.0))])


def _mish(editor: Editor, node: Node) -> None:
    """x tanh(softplus(x))."""
    make = _Chain(editor, node)
    editor.replace(node, "Mul", [node.inputs[0], make("Tanh", make("Softplus", node.inputs[0]))])


def _swish(editor: Editor, node: Node) -> None:
    """x sigmoid(alpha x)."""
    make = _Chain(editor, node)
    alpha = node.attributes.get("alpha", 1.0)
    inner = node.inputs[0] if alpha == 1.0 else make("Mul", node.inputs[0], make.value(alpha))
    editor.replace(node, "Mul", [node.inputs[0], make("Sigmoid", inner)])


class _Chain:
    """Makes nodes in front of one node, all with the shape of its output."""

    def __init__(self, editor: Editor, node: Node) -> None:
        self._editor, self._node = editor, node

    def __call__(self, op: str, *inputs: str) -> str:
        target = self._node.outputs[0]
        name = self._editor.tensor(f"{target}_{op.lower()}", self._editor.shape(target))
        self._editor.insert(self._node, op, inputs, [name])
        return name

    def value(self, number: object) -> str:
        return self._editor.add_constant(f"{self._node.name}_value", np.array(number, np.float32))


_NO_DILATION = ((19, _only("dilations", 1)),)
_REDUCE = ((18, _reduce),)
RULES: Mapping[str, tuple[tuple[int, Rule], ...]] = {
    "AveragePool": _NO_DILATION,
    "Cast": ((19, _drop("saturate", "round_mode")),),
    "Gelu": ((20, _gelu),),
    "LpPool": ((18, _only("ceil_mode", 0)), (18, _only("dilations", 1))),
    "Mish": ((18, _mish),),
    "Pad": ((18, _pad),),
    "ReduceL1": _REDUCE,
    "ReduceL2": _REDUCE,
    "ReduceLogSum": _REDUCE,
    "ReduceLogSumExp": _REDUCE,
    "ReduceMax": _REDUCE,
    "ReduceMean": _REDUCE,
    "ReduceMin": _REDUCE,
    "ReduceProd": _REDUCE,
    "ReduceSumSquare": _REDUCE,
    "Resize": ((18, _resize),),
    "ScatterElements": ((18, _only("reduction", "none")),),
    "ScatterND": ((18, _only("reduction", "none")),),
    "Split": ((18, _split),),
    "Swish": ((24, _swish),),
}
