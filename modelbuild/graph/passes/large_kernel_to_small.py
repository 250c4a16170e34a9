"""Conv with a kernel larger than a chip's -> a sum of Convs with parts of the kernel.

Why: arrays have kernels up to some size.
Legal: a sum of products may be added up in parts. Each part reads the cells under it: where it begins behind
the padding, less padding, or none and a Slice. `large_kernel_to_small(7)` in a recipe names the limit (11).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import product

import numpy as np

from modelbuild.graph.model import Attribute, Graph, Node
from modelbuild.graph.rewrite import Editor

Part = tuple[int, int]  # where it begins in the kernel, and its size


def run(graph: Graph, limit: int = 11) -> int:
    """Number of Convs replaced by Convs with kernels of at most `limit`."""
    editor = Editor(graph)
    for node in editor.nodes("Conv"):
        weights, holes = editor.constant(node, 1), node.ints("dilations", [1])
        plain = "auto_pad" not in node.attributes and max(holes) == 1
        if weights is None or not plain or max(weights.shape[2:]) <= limit:
            continue
        parts = [_parts(size, limit) for size in weights.shape[2:]]
        if all(_has_cells(editor, node, where) for where in product(*parts)):
            _replace(editor, node, list(product(*parts)))
            editor.changes += 1
    return editor.close()


def _parts(size: int, limit: int) -> list[Part]:
    return [(start, min(limit, size - start)) for start in range(0, size, limit)]


def _pads(node: Node, where: Sequence[Part]) -> tuple[list[int], list[int]]:
    """Padding before and behind for a part of the kernel; below 0: cells that it never reads."""
    kernel = node.ints("kernel_shape", [])
    pads = node.ints("pads", [0] * 2 * len(kernel))
    before = [pad - start for pad, (start, _) in zip(pads, where, strict=False)]
    behind = [
        pad - (size - start - length)
        for pad, size, (start, length) in zip(pads[len(kernel) :], kernel, where, strict=True)
    ]
    return before, behind


def _has_cells(editor: Editor, node: Node, where: Sequence[Part]) -> bool:
    sizes = editor.shape(node.inputs[0])[2:]
    return all(
        size + min(begin, 0) + min(end, 0) > 0
        for size, begin, end in zip(sizes, *_pads(node, where), strict=True)
    )


def _replace(editor: Editor, node: Node, parts: list[tuple[Part, ...]]) -> None:
    target, total = node.outputs[0], ""
    shape = editor.shape(target)
    for index, where in enumerate(parts):
        cells = (..., *(slice(start, start + size) for start, size in where))
        name = editor.laid_out(f"{node.name}_weight", node.inputs[1], operator.itemgetter(cells))
        before, behind = _pads(node, where)
        source = _cropped(editor, node, before, behind)
        attributes: dict[str, Attribute] = dict(node.attributes)
        attributes["kernel_shape"] = [size for _, size in where]
        attributes["pads"] = [max(pad, 0) for pad in before + behind]
        made = editor.tensor(f"{target}_part", shape)
        bias = node.inputs[2:] if index == 0 else []
        editor.insert(node, "Conv", [source, name, *bias], [made], attributes)
        if index == len(parts) - 1:
            editor.replace(node, "Add", [total, made])
        elif total:
            sum_ = editor.tensor(f"{target}_sum", shape)
            editor.insert(node, "Add", [total, made], [sum_])
            total = sum_
        else:
            total = made


def _cropped(editor: Editor, node: Node, before: list[int], behind: list[int]) -> str:
    """The input of `node` without the cells that padding below 0 stands for."""
    source = node.inputs[0]
    if min(before + behind) >= 0:
        return source
    shape = editor.shape(source)
    starts = [max(-pad, 0) for pad in before]
    ends = [size + min(pad, 0) for size, pad in zip(shape[2:], behind, strict=True)]
    values = (starts, ends, list(range(2, len(shape))), [1] * len(starts))
    names = [
        editor.add_constant(f"{node.name}_{which}", np.array(value, np.int64))
        for which, value in zip(("starts", "ends", "axes", "steps"), values, strict=True)
    ]
    sizes = [end - start for start, end in zip(starts, ends, strict=True)]
    cropped = editor.tensor(f"{source}_part", (*shape[:2], *sizes))
    editor.insert(node, "Slice", [source, *names], [cropped])
    return cropped
