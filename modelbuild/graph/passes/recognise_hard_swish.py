"""Clip(x + 3, 0, 6) / 6 -> HardSigmoid, and x · HardSigmoid(x) -> HardSwish.

Why: TensorFlow and older PyTorch write MobileNetV3's activations in these pieces, each a tensor to quantize;
a chip without HardSwish has it decomposed by its recipe, always in the same way.
Legal: it is ONNX's definition: HardSigmoid(x) = max(0, min(1, alpha · x + beta)), HardSwish with alpha = 1/6
and beta = 1/2. Constants may be off by 1e-5, as exporters round them.
"""

from __future__ import annotations

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.matching import become, factors, is_float, near, number, with_number
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of patterns replaced."""
    editor = Editor(graph)
    for node in editor.nodes("Mul"):
        if not _swish(editor, node):
            _sigmoid(editor, node)
    return editor.close()


def _sigmoid(editor: Editor, node: Node) -> bool:
    """Clip(x + a, 0, b) · (1 / b)."""
    found = with_number(editor, node, "Mul")
    gate = None if found is None else _gate(editor, found[0])
    if found is None or gate is None or not near(found[1] * gate[2], 1.0):
        return False
    source, shift, top, parts = gate
    if not all(editor.private(part.outputs[0]) for part in parts):
        return False
    become(editor, node, "HardSigmoid", [source], {"alpha": 1.0 / top, "beta": shift / top}, parts)
    for part in reversed(parts):
        editor.remove(part)
    return True


def _gate(editor: Editor, name: str) -> tuple[str, float, float, list[Node]] | None:
    """x, a, b and the nodes of Clip(x + a, 0, b)."""
    clip = editor.producer(name, "Clip")
    if clip is None or len(clip.inputs) != 3:
        return None
    low, high = number(editor, clip.inputs[1]), number(editor, clip.inputs[2])
    add = editor.producer(clip.inputs[0], "Add")
    found = with_number(editor, add, "Add")
    if add is None or found is None or low != 0 or high is None or not 0 < high < 1e6:
        return None
    return (found[0], found[1], high, [add, clip]) if is_float(editor, name) else None


def _swish(editor: Editor, node: Node) -> bool:
    """x · HardSigmoid(x), or x · Clip(x + 3, 0, 6) · (1 / 6) in any order."""
    tensors, scale, nodes = factors(editor, node.outputs[0])
    if len(tensors) != 2:
        return False
    for gate, source in (tensors, tensors[::-1]):
        sigmoid = editor.producer(gate, "HardSigmoid")
        if sigmoid is not None and sigmoid.inputs[0] == source and near(scale, 1.0) and _is_usual(sigmoid):
            parts = [*nodes[1:], sigmoid]
        else:
            found = _gate(editor, gate)
            known = found is not None and found[0] == source and near(found[1], 3.0) and near(found[2], 6.0)
            if found is None or not known or not near(scale * 6, 1.0):
                continue
            parts = [*nodes[1:], *reversed(found[3])]
        if not all(editor.private(part.outputs[0]) for part in parts):
            continue
        become(editor, node, "HardSwish", [source], {}, parts)
        for part in parts:
            editor.remove(part)
        return True
    return False


def _is_usual(sigmoid: Node) -> bool:
    alpha, beta = (sigmoid.attributes.get(name, default) for name, default in (("alpha", 0.2), ("beta", 0.5)))
    return isinstance(alpha, float) and isinstance(beta, float) and near(alpha, 1 / 6) and near(beta, 0.5)
