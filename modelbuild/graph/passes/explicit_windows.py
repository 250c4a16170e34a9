"""Writes out the window of every Conv, ConvTranspose and pool: kernel, strides, pads, dilations.

Why: chips and the rooms below know explicit pads only, no auto_pad, output_shape or ceil_mode.
Legal: always for auto_pad (ONNX operator text of Conv). ceil_mode becomes padding at the end, where cells
outside do not count. An AveragePool that counts its pads counts none of those that ceil_mode adds: its own
become a Pad before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelbuild.graph.model import Graph, Node, Shape
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of nodes whose attributes changed."""
    editor = Editor(graph)
    for node in editor.nodes("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"):
        before = dict(node.attributes)
        _explicit(editor, node)
        editor.changes += before != node.attributes
    return editor.close()


def _explicit(editor: Editor, node: Node) -> None:
    given, made = editor.shape(node.inputs[0])[2:], editor.shape(node.outputs[0])[2:]
    rank = len(given)
    convolution = node.op in ("Conv", "ConvTranspose")
    kernel = list(editor.shape(node.inputs[1])[2:]) if convolution else node.ints("kernel_shape", [])
    strides, dilations = node.ints("strides", [1] * rank), node.ints("dilations", [1] * rank)
    spans = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    node.attributes["kernel_shape"], node.attributes["strides"] = kernel, strides
    if node.op not in ("AveragePool", "LpPool"):
        node.attributes["dilations"] = dilations
    if convolution:
        node.attributes["group"] = node.int("group", 1)
    if node.op == "ConvTranspose":
        _resolve_transposed(node, given, made, strides, spans)
    else:
        _resolve_auto_pad(node, given, made, strides, spans)
        _resolve_ceil_mode(editor, node, made, strides, spans)


def _resolve_auto_pad(
    node: Node, given: Shape, made: Shape, strides: Sequence[int], spans: Sequence[int]
) -> None:
    mode = node.attributes.pop("auto_pad", "NOTSET")
    pads = node.ints("pads", [0] * 2 * len(given))
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        totals = [
            max((after - 1) * stride + span - before, 0)
            for before, after, stride, span in zip(given, made, strides, spans, strict=True)
        ]
        pads = _shared(totals, more_at_end=mode == "SAME_UPPER")
    node.attributes["pads"] = pads


def _resolve_transposed(
    node: Node, given: Shape, made: Shape, strides: Sequence[int], spans: Sequence[int]
) -> None:
    mode = node.attributes.pop("auto_pad", "NOTSET")
    extra = node.ints("output_padding", [0] * len(given))
    pads = node.ints("pads", [0] * 2 * len(given))
    if node.attributes.pop("output_shape", None) is not None or mode in ("SAME_UPPER", "SAME_LOWER"):
        totals = [
            stride * (before - 1) + more + span - after
            for before, after, stride, span, more in zip(given, made, strides, spans, extra, strict=True)
        ]
        extra = [more + max(-total, 0) for more, total in zip(extra, totals, strict=True)]
        pads = _shared([max(total, 0) for total in totals], more_at_end=mode == "SAME_UPPER")
    node.attributes["pads"], node.attributes["output_padding"] = pads, extra


def _shared(totals: Sequence[int], more_at_end: bool) -> list[int]:
    begins = [total // 2 if more_at_end else total - total // 2 for total in totals]
    return begins + [total - begin for total, begin in zip(totals, begins, strict=True)]


def _resolve_ceil_mode(
    editor: Editor, node: Node, made: Shape, strides: Sequence[int], spans: Sequence[int]
) -> None:
    if not node.attributes.get("ceil_mode", 0):
        node.attributes.pop("ceil_mode", None)
        return
    given, pads, rank = editor.shape(node.inputs[0])[2:], node.ints("pads", []), len(made)
    more = [
        max((made[i] - 1) * strides[i] + spans[i] - given[i] - pads[i] - pads[rank + i], 0)
        for i in range(rank)
    ]
    if any(more):
        ends = [end + extra for end, extra in zip(pads[rank:], more, strict=True)]
        if node.attributes.pop("count_include_pad", 0) and any(pads):
            _pad_before(editor, node, pads)
            pads, ends = [0] * 2 * rank, more
        node.attributes["pads"] = pads[:rank] + ends
    del node.attributes["ceil_mode"]


def _pad_before(editor: Editor, node: Node, pads: Sequence[int]) -> None:
    """A Pad with 0 of the picture's axes in front of `node`."""
    source, rank = node.inputs[0], len(pads) // 2
    shape, begins, ends = editor.shape(source), [0, 0, *pads[:rank]], [0, 0, *pads[rank:]]
    size = [a + b + c for a, b, c in zip(shape, begins, ends, strict=True)]
    padded = editor.tensor(f"{source}_padded", size)
    widths = editor.add_constant(f"{node.name}_pads", np.array(begins + ends, np.int64))
    editor.insert(node, "Pad", [source, widths], [padded], {"mode": "constant"})
    editor.set_inputs(node, [padded])
