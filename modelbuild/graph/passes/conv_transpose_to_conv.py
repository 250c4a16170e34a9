"""ConvTranspose -> zeros between the cells of its input, and a Conv with the kernel turned round.

Why: arrays without a transposed convolution still have the other. The zeros are made by enlarging the
picture (each cell becomes a block) and multiplying by a pattern of 1 and 0, which any array can.
Legal: weights are constant, rank 4; it is the definition of the operator. Finite values stay as they are.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from modelbuild.graph.model import Array, Attribute, Graph, Node
from modelbuild.graph.passes.merge_slices import write
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of ConvTransposes replaced."""
    editor = Editor(graph)
    for node in editor.nodes("ConvTranspose"):
        weights = editor.constant(node, 1)
        explicit = not {"auto_pad", "output_shape"} & set(node.attributes)
        if weights is not None and weights.ndim == 4 and explicit:
            _replace(editor, node, weights)
            editor.changes += 1
    return editor.close()


def _replace(editor: Editor, node: Node, weights: Array) -> None:
    strides, dilations = node.ints("strides", [1, 1]), node.ints("dilations", [1, 1])
    pads, extra = node.ints("pads", [0] * 4), node.ints("output_padding", [0, 0])
    reach = [(size - 1) * step for size, step in zip(weights.shape[2:], dilations, strict=True)]
    before = [reach[axis] - pads[axis] for axis in (0, 1)]
    behind = [reach[axis] - pads[axis + 2] + extra[axis] - (strides[axis] - 1) for axis in (0, 1)]
    source = _apart(editor, node, strides)
    source = _cropped(editor, node, source, before, behind)
    group = node.int("group", 1)
    name = editor.laid_out(f"{node.name}_weight", node.inputs[1], partial(_turned, group=group))
    attributes: dict[str, Attribute] = {
        "kernel_shape": list(weights.shape[2:]),
        "strides": [1, 1],
        "dilations": dilations,
        "pads": [max(pad, 0) for pad in before + behind],
        "group": group,
    }
    editor.replace(node, "Conv", [source, name, *node.inputs[2:]], attributes)


def _turned(weights: Array, group: int) -> Array:
    """[inputs, outputs / group, h, w] as [outputs, inputs / group, h, w], turned by half a circle."""
    inputs, outputs, *kernel = weights.shape
    grouped = weights.reshape(group, inputs // group, outputs, *kernel).swapaxes(1, 2)
    return grouped.reshape(group * outputs, inputs // group, *kernel)[:, :, ::-1, ::-1]


def _apart(editor: Editor, node: Node, strides: list[int]) -> str:
    """The input with `strides` - 1 zeros behind each cell, in rows and columns."""
    source = node.inputs[0]
    if max(strides) == 1:
        return source
    shape = editor.shape(source)
    sizes = [size * step for size, step in zip(shape[2:], strides, strict=True)]
    large = (*shape[:2], *sizes)
    pattern = np.zeros((1, 1, *sizes), np.float32)
    pattern[:, :, :: strides[0], :: strides[1]] = 1
    scales = editor.add_constant(f"{node.name}_scales", np.array([1, 1, *strides], np.float32))
    mask = editor.add_constant(f"{node.name}_pattern", pattern)
    blocks, apart = (editor.tensor(f"{source}_{which}", large) for which in ("blocks", "apart"))
    nearest: dict[str, Attribute] = {
        "mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"
    }  # fmt: skip
    editor.insert(node, "Resize", [source, "", scales], [blocks], nearest)
    editor.insert(node, "Mul", [blocks, mask], [apart])
    return apart


def _cropped(editor: Editor, node: Node, source: str, before: list[int], behind: list[int]) -> str:
    """`source` without the cells that padding below 0 stands for."""
    if min(before + behind) >= 0:
        return source
    shape = editor.shape(source)
    kept = {axis + 2: range(max(-before[axis], 0), shape[axis + 2] + min(behind[axis], 0)) for axis in (0, 1)}
    part = editor.tensor(f"{source}_part", (*shape[:2], *(len(cells) for cells in kept.values())))
    write(editor, editor.insert(node, "Slice", [source], [part]), source, kept)
    return part
