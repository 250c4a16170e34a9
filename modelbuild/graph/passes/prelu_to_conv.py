"""PRelu -> LeakyRelu where all slopes are one; else Conv, Relu, Conv with both signs of what a Conv makes.

Why: an array whose activations are one table a layer has no slope a channel, but it has convolutions.
Legal: PRelu(x) = Relu(x) - slope · Relu(-x). The Conv that makes x makes -x beside it, and a 1x1 Conv adds
the two up; it differs in rounding only. Slopes are constants, one a channel, and nothing else reads x.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph import kept_quantization
from modelbuild.graph.model import Array, Attribute, Graph, Node
from modelbuild.graph.passes import affine
from modelbuild.graph.rewrite import Editor

_POINT: dict[str, Attribute] = {
    "kernel_shape": [1, 1], "strides": [1, 1], "pads": [0, 0, 0, 0], "dilations": [1, 1], "group": 1
}  # fmt: skip


def run(graph: Graph) -> int:
    """Number of PRelus replaced."""
    editor = Editor(graph)
    for node in editor.nodes("PRelu"):
        shape, value = editor.shape(node.inputs[0]), editor.constant(node, 1)
        slopes = affine.per_channel(value, len(shape), shape[1]) if len(shape) > 1 else None
        if slopes is None:
            continue
        conv = _maker(editor, node.inputs[0])
        if (slopes == slopes[0]).all():
            editor.replace(node, "LeakyRelu", [node.inputs[0]], {"alpha": float(slopes[0])})
        elif conv is not None:
            _replace(editor, node, conv, slopes)
        else:
            continue
        editor.changes += 1
    return editor.close()


def _maker(editor: Editor, tensor: str) -> Node | None:
    """The Conv of one group that makes the picture `tensor` for one reader alone."""
    conv = editor.producer(tensor, "Conv")
    if conv is None or editor.rank(tensor) != 4 or conv.int("group", 1) != 1:
        return None
    return conv if editor.private(tensor) and affine.foldable(editor, conv) else None


def _replace(editor: Editor, node: Node, conv: Node, slopes: affine.Vector) -> None:
    source = node.inputs[0]
    batch, channels, *size = editor.shape(source)
    both, positive = (
        editor.tensor(f"{source}_{which}", (batch, 2 * channels, *size)) for which in ("both", "positive")
    )
    doubled = [
        _with_negative(editor, name, f"{conv.name}_{which}")
        for which, name in zip(("weight", "bias"), conv.inputs[1:], strict=False)
        if name
    ]
    editor.set_inputs(conv, [conv.inputs[0], *doubled])
    editor.retarget(conv, source, both)
    editor.insert(node, "Relu", [both], [positive])
    sums = np.concatenate([np.eye(channels), -np.diag(slopes)], axis=1).astype(np.float32)
    weight = editor.add_constant(f"{node.name}_weight", sums.reshape(channels, 2 * channels, 1, 1))
    editor.replace(node, "Conv", [positive, weight], dict(_POINT))


def _with_negative(editor: Editor, name: str, base: str) -> str:
    """The constant `name`, and behind it the same with the other sign; its quantization goes along."""
    graph, numbers = editor.graph, editor.graph.constants[name].astype(np.float32)
    new = editor.add_constant(base, _twice(numbers))
    kept_quantization.derived(graph, name, new, _twice)
    kept_quantization.scaled(graph, new, new, np.repeat([1.0, -1.0], len(numbers)), 0)
    graph.constants[new] = np.concatenate([numbers, -numbers])
    return new


def _twice(values: Array) -> Array:
    return np.concatenate([values, values])
