"""What changed in the operators between sets 7 and 17: the older form -> that of set 17."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Node
from modelbuild.graph.rewrite import Editor

Rule = Callable[[Editor, Node], None]


def _drop(*names: str) -> Rule:
    def rule(editor: Editor, node: Node) -> None:
        for name in names:
            node.attributes.pop(name, None)

    return rule


def _to_inputs(*names: str) -> Rule:
    """Moves integer list attributes to inputs 1, 2 ..."""

    def rule(editor: Editor, node: Node) -> None:
        inputs = node.inputs[:1]
        for name in names:
            value = node.attributes.pop(name, None)
            if isinstance(value, int):
                value = [value]
            inputs.append(
                "" if value is None else editor.add_constant(f"{node.name}_{name}", np.array(value, np.int64))
            )
        while not inputs[-1]:
            inputs.pop()
        editor.set_inputs(node, inputs)

    return rule


def _clip(editor: Editor, node: Node) -> None:
    bounds = [node.attributes.pop(name, None) for name in ("min", "max")]
    names = [
        "" if bound is None else editor.add_constant(f"{node.name}_{which}", np.array(bound, np.float32))
        for which, bound in zip(("min", "max"), bounds, strict=True)
    ]
    editor.set_inputs(node, [node.inputs[0], *names])


def _pad(editor: Editor, node: Node) -> None:
    value = node.attributes.pop("value", 0.0)
    _to_inputs("pads")(editor, node)
    constant = editor.add_constant(f"{node.name}_value", np.array(value, np.float32))
    editor.set_inputs(node, [*node.inputs, constant])


def _slice(editor: Editor, node: Node) -> None:
    if "axes" not in node.attributes:
        node.attributes["axes"] = list(range(len(node.ints("starts", []))))
    _to_inputs("starts", "ends", "axes")(editor, node)


def _softmax(editor: Editor, node: Node) -> None:
    """Before set 13 all axes from `axis` on were one: put that into the shape."""
    shape = editor.shape(node.inputs[0])
    axis = node.int("axis", 1)
    axis += len(shape) if axis < 0 else 0
    inner = shape[axis:]
    wide = [index for index, size in enumerate(inner) if size > 1]
    if len(wide) <= 1:
        node.attributes["axis"] = axis + (wide[0] if wide else 0) if inner else axis
        return
    flat = [math.prod(shape[:axis]), math.prod(inner)]
    source, target = node.inputs[0], node.outputs[0]
    flat_in, flat_out = editor.tensor(f"{source}_flat", flat), editor.tensor(f"{target}_flat", flat)
    to_flat = editor.add_constant(f"{node.name}_flat", np.array(flat, np.int64))
    back = editor.add_constant(f"{node.name}_shape", np.array(shape, np.int64))
    editor.insert(node, "Reshape", [source, to_flat], [flat_in])
    editor.insert(node, node.op, [flat_in], [flat_out], {"axis": 1})
    editor.replace(node, "Reshape", [flat_out, back])


def _upsample(editor: Editor, node: Node) -> None:
    scales = node.attributes.pop("scales", None)
    name = (
        node.inputs[1]
        if len(node.inputs) > 1
        else editor.add_constant(
            f"{node.name}_scales", np.array(scales if isinstance(scales, list) else [], np.float32)
        )
    )
    editor.set_inputs(node, [node.inputs[0], name])
    node.op = "Resize"
    _resize_10(editor, node)


def _resize_10(editor: Editor, node: Node) -> None:
    scales = editor.constant(node, 1)
    if scales is None:
        raise ModelbuildError(f"the scales of Resize `{node.name}` are not constant")
    down = any(float(scale) < 1 for scale in scales)
    if down and any(float(scale) > 1 for scale in scales):
        raise ModelbuildError(f"Resize `{node.name}` enlarges and reduces at once")
    node.attributes["coordinate_transformation_mode"] = "asymmetric"
    if node.attributes.setdefault("mode", "nearest") == "nearest":
        node.attributes["nearest_mode"] = "ceil" if down else "floor"  # as onnxruntime runs set 10
    editor.set_inputs(node, [node.inputs[0], "", node.inputs[1]])


def _resize_11(editor: Editor, node: Node) -> None:
    """From set 13 on absent inputs have no name; set 11 gave them empty tensors."""
    if node.attributes.get("coordinate_transformation_mode") == "tf_half_pixel_for_nn":
        raise ModelbuildError(
            f"Resize `{node.name}` uses tf_half_pixel_for_nn, which later operator sets lack"
        )
    names = []
    for index, name in enumerate(node.inputs):
        value = editor.constant(node, index)
        names.append("" if value is not None and value.size == 0 and index else name)
    while not names[-1]:
        names.pop()
    editor.set_inputs(node, names)


def _scatter(editor: Editor, node: Node) -> None:
    node.op = "ScatterElements"


def _roi_align(editor: Editor, node: Node) -> None:
    """Set 16 moved the picture by half a pixel unless told otherwise."""
    node.attributes["coordinate_transformation_mode"] = "output_half_pixel"


RULES: Mapping[str, tuple[tuple[int, Rule], ...]] = {
    "BatchNormalization": ((14, _drop("spatial", "momentum", "is_test", "consumed_inputs")),),
    "Clip": ((11, _clip),),
    "Hardmax": ((13, _softmax),),
    "LogSoftmax": ((13, _softmax),),
    "Pad": ((11, _pad),),
    "ReduceSum": ((13, _to_inputs("axes")),),
    "Resize": ((11, _resize_10), (13, _resize_11)),
    "RoiAlign": ((16, _roi_align),),
    "Scatter": ((11, _scatter),),
    "Slice": ((10, _slice),),
    "Softmax": ((13, _softmax),),
    "Split": ((13, _to_inputs("split")),),
    "Squeeze": ((13, _to_inputs("axes")),),
    "TopK": ((10, _to_inputs("k")),),
    "Unsqueeze": ((13, _to_inputs("axes")),),
    "Upsample": ((10, _upsample),),
}
