"""What changed in the operators after set 17: the newer form -> that of set 17, or a refusal by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from modelbuild.graph.model import Attribute, Node
from modelbuild.graph.rewrite import Editor
from modelbuild.graph.tensors import element_type_of
from modelbuild.importers import opset_decomposed
from modelbuild.importers.opset_decomposed import refused

Rule = Callable[[Editor, Node], None]


def _only(name: str, *allowed: Attribute) -> Rule:
    """The attribute, which set 17 does not know, may be absent or say what set 17 always does."""

    def rule(editor: Editor, node: Node) -> None:
        value = node.attributes.pop(name, None)
        flat = value if isinstance(value, list) else [value]
        if value is not None and any(item not in allowed for item in flat):
            raise refused(node, f"has `{name} = {value!r}`, which is not supported")

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
        raise refused(node, "has axes that are not constant")
    noop = node.attributes.pop("noop_with_empty_axes", 0)
    editor.set_inputs(node, node.inputs[:1])
    if axes is not None and axes.size:
        node.attributes["axes"] = [int(axis) for axis in axes.reshape(-1)]
    elif noop:
        _reduce_nothing(editor, node)


def _reduce_nothing(editor: Editor, node: Node) -> None:
    """With `noop_with_empty_axes`, each value is reduced alone."""
    if node.op == "ReduceSumSquare":
        editor.replace(node, "Mul", [node.inputs[0]] * 2)
    else:
        alone = {"ReduceL1": "Abs", "ReduceL2": "Abs", "ReduceLogSum": "Log"}
        editor.replace(node, alone.get(node.op, "Identity"), node.inputs)


def _pad(editor: Editor, node: Node) -> None:
    wraps = node.attributes.get("mode") == "wrap"
    if not wraps and (len(node.inputs) < 4 or not node.inputs[3]):
        return
    rank = editor.rank(node.inputs[0])
    some = len(node.inputs) > 3 and bool(node.inputs[3])
    pads, axes = editor.constant(node, 1), editor.constant(node, 3) if some else np.arange(rank)
    if pads is None or axes is None:
        raise refused(node, "has pads that are not constant")
    count = axes.size
    full = np.zeros(2 * rank, np.int64)
    for index, axis in enumerate(axes.reshape(-1)):
        full[int(axis) % rank], full[int(axis) % rank + rank] = pads[index], pads[index + count]
    if wraps:
        opset_decomposed.wrap(editor, node, [int(pad) for pad in full])
        return
    name = editor.add_constant(f"{node.name}_pads", full)
    editor.set_inputs(node, [node.inputs[0], name, *(name for name in node.inputs[2:3] if name)])


def _resize(editor: Editor, node: Node) -> None:
    _only("antialias", 0)(editor, node)
    if node.attributes.get("coordinate_transformation_mode") in (
        "half_pixel_symmetric",
        "tf_crop_and_resize",
    ):
        raise refused(node, "uses a coordinate transformation that is not supported")
    shape = editor.shape(node.inputs[0])
    axes = node.ints("axes", [])
    policy = node.attributes.pop("keep_aspect_ratio_policy", "stretch")
    if policy in _CHOICE:
        _keep_aspect_ratio(editor, node, axes or list(range(len(shape))), _CHOICE[str(policy)])
    node.attributes.pop("axes", None)
    if not axes:
        return
    for index, full in ((2, np.ones(len(shape), np.float32)), (3, np.array(shape, np.int64))):
        value = editor.constant(node, index)
        if value is not None and value.size:
            for axis, item in zip(axes, value, strict=True):
                full[axis % len(shape)] = item
            inputs = list(node.inputs)
            inputs[index] = editor.add_constant(f"{node.name}_sizes", full)
            editor.set_inputs(node, inputs)


def _keep_aspect_ratio(
    editor: Editor, node: Node, axes: Sequence[int], choose: Callable[[list[float]], float]
) -> None:
    """One scale for all axes, the smallest or largest of those that the sizes ask for, instead of the sizes.

    Set 18 rounds the sizes that come out, set 17 cuts them off: where that differs there is no form in 17.
    """
    sizes = editor.constant(node, 3)
    if sizes is None:
        raise refused(node, "keeps the aspect ratio of sizes that are not constant")
    given = [editor.shape(node.inputs[0])[axis] for axis in axes]
    scale = np.float32(choose([int(size) / old for size, old in zip(sizes, given, strict=True)]))
    if any(int(np.floor(old * scale)) != int(np.floor(old * scale + 0.5)) for old in given):
        raise refused(node, "keeps an aspect ratio that needs rounding")
    name = editor.add_constant(f"{node.name}_scales", np.full(len(axes), scale, np.float32))
    editor.set_inputs(node, [node.inputs[0], "", name])


def _grid_sample(editor: Editor, node: Node) -> None:
    """Set 20 renamed the modes and took volumes in."""
    if editor.rank(node.inputs[0]) != 4:
        raise refused(node, "samples a volume")
    mode = node.attributes.get("mode", "linear")
    node.attributes["mode"] = {"linear": "bilinear", "cubic": "bicubic"}.get(str(mode), mode)


def _cast_like(editor: Editor, node: Node) -> None:
    """Of the second input the type matters, not the values."""
    kind = element_type_of(editor.graph.dtypes[node.inputs[1]])
    editor.replace(node, "Cast", node.inputs[:1], {"to": kind})


def _split(editor: Editor, node: Node) -> None:
    count = node.attributes.pop("num_outputs", None)
    if not isinstance(count, int):
        return
    size = editor.shape(node.inputs[0])[node.int("axis", 0)]
    chunk = -(-size // count)
    sizes = [chunk] * (count - 1) + [size - chunk * (count - 1)]
    name = editor.add_constant(f"{node.name}_split", np.array(sizes, np.int64))
    editor.set_inputs(node, [node.inputs[0], name])


_CHOICE: Mapping[str, Callable[[list[float]], float]] = {"not_larger": min, "not_smaller": max}
_NO_DILATION = ((19, _only("dilations", 1)),)
_REDUCE = ((18, _reduce),)
RULES: Mapping[str, tuple[tuple[int, Rule], ...]] = {
    "AveragePool": _NO_DILATION,
    "Cast": ((19, _drop("saturate", "round_mode")),),
    "CastLike": ((15, _cast_like),),
    "Gelu": ((20, opset_decomposed.gelu),),
    "GridSample": ((20, _grid_sample),),
    "GroupNormalization": ((18, opset_decomposed.group_normalization),),
    "LpPool": ((18, _only("ceil_mode", 0)), (18, _only("dilations", 1))),
    "Mish": ((18, opset_decomposed.mish),),
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
    "RMSNormalization": ((23, opset_decomposed.rms_normalization),),
    "Resize": ((18, _resize),),
    "ScatterElements": ((18, _only("reduction", "none")),),
    "ScatterND": ((18, _only("reduction", "none")),),
    "Range": ((27, _drop("stash_type")),),
    "SpaceToDepth": ((28, _only("mode", "DCR")),),
    "Split": ((18, _split),),
    "Swish": ((24, opset_decomposed.swish),),
}
