"""Pad of the picture's borders -> into the pads of the Conv or pool that reads it.

Why: an own Pad node copies the feature map; every window operator pads for nothing.
Legal: spatial axes, constant mode. Conv: padding with 0. AveragePool: with 0, which from then on is counted
(count_include_pad). MaxPool: with the lowest number, or with 0 where the input is never below 0; its
Indices, which count the cells of the padded input, are read by nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.matching import is_read, is_standard
from modelbuild.graph.rewrite import Editor, merged

Rule = Callable[[Editor, Node, Node, float], bool]
_NOT_NEGATIVE = ("Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", "Exp", "Softplus")


def run(graph: Graph) -> int:
    """Number of nodes that took a Pad in."""
    editor = Editor(graph)
    for pad in editor.nodes("Pad"):
        pads, value = _spatial_pads(editor, pad), _value(editor, pad)
        if pads is None or value is None:
            continue
        readers = editor.consumers(pad.outputs[0])
        for node in readers:
            once = node.inputs.count(pad.outputs[0]) == 1 and node.inputs[0] == pad.outputs[0]
            if once and is_standard(node, *_RULES):
                editor.changes += _fold(editor, pad, node, pads, value)
    return editor.close()


def _spatial_pads(editor: Editor, pad: Node) -> list[int] | None:
    found = editor.constant(pad, 1)
    if found is None or pad.attributes.get("mode", "constant") != "constant" or len(pad.inputs) > 3:
        return None
    rank = editor.rank(pad.inputs[0])
    begins, ends = [int(n) for n in found[:rank]], [int(n) for n in found[rank:]]
    if rank < 3 or any(begins[:2]) or any(ends[:2]) or min(begins + ends) < 0:
        return None
    return begins[2:] + ends[2:]


def _value(editor: Editor, pad: Node) -> float | None:
    if len(pad.inputs) < 3 or not pad.inputs[2]:
        return 0.0
    found = editor.constant(pad, 2)
    return None if found is None else float(found.reshape(-1)[0])


def _fold(editor: Editor, pad: Node, node: Node, pads: list[int], value: float) -> bool:
    if node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or node.int("ceil_mode", 0):
        return False
    own = node.ints("pads", [0] * len(pads))
    total = [a + b for a, b in zip(own, pads, strict=True)]
    kernel = node.ints("kernel_shape", [])
    if node.op != "Conv" and any(n >= k for n, k in zip(total, kernel * 2, strict=True)):
        return False
    if not _RULES[node.op](editor, pad, node, value):
        return False
    node.attributes.pop("auto_pad", None)
    node.attributes["pads"] = total
    alone = editor.private(pad.outputs[0])
    editor.set_inputs(node, [pad.inputs[0], *node.inputs[1:]])
    if alone:
        node.origin = merged(pad.origin, node.origin)
        editor.remove(pad)
    return True


def _conv(editor: Editor, pad: Node, node: Node, value: float) -> bool:
    return value == 0


def _average_pool(editor: Editor, pad: Node, node: Node, value: float) -> bool:
    if value != 0 or (any(node.ints("pads", [])) and not node.int("count_include_pad", 0)):
        return False
    node.attributes["count_include_pad"] = 1
    return True


def _max_pool(editor: Editor, pad: Node, node: Node, value: float) -> bool:
    if any(is_read(editor, name) for name in node.outputs[1:]):
        return False
    if value <= float(np.finfo(np.float32).min):
        return True
    maker = editor.producer(pad.inputs[0], *_NOT_NEGATIVE, "Clip")
    if value != 0 or maker is None:
        return False
    low = editor.constant(maker, 1) if maker.op == "Clip" else None
    return maker.op != "Clip" or (low is not None and float(low.reshape(-1)[0]) >= 0)


_RULES: Mapping[str, Rule] = {"Conv": _conv, "AveragePool": _average_pool, "MaxPool": _max_pool}
