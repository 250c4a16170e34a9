"""A Slice along the channels of pictures -> a Conv with those outputs alone.

Why: some NPUs have no Slice, and a feature map that is parted in two (ShuffleNet, CSP blocks) would go to the
CPU and back; a 1x1 Conv with weights of 0 and 1 takes channels as well. Where a Conv makes the map and only
such Slices read it, each gets its own rows of that Conv's weights, which costs nothing.
Legal: float pictures (rank 4), channels alone are cut. What a Conv computes for a channel depends on no other
output; each cell of the 1x1 Conv is one input times 1 plus zeros: exact for finite numbers.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes import affine
from modelbuild.graph.passes.matching import is_standard
from modelbuild.graph.passes.merge_slices import cells
from modelbuild.graph.passes.selection import select
from modelbuild.graph.rewrite import Editor, merged


def run(graph: Graph) -> int:
    """Number of Slices replaced."""
    editor = Editor(graph)
    for node in editor.nodes("Slice"):
        channels = _channels(editor, node)
        if not channels:
            continue
        conv = _maker(editor, node.inputs[0])
        if conv is None:
            select(editor, node, node.inputs[0], channels)
        else:
            _part(editor, node, conv, channels)
        editor.changes += 1
    return editor.close()


def _channels(editor: Editor, node: Node) -> list[int]:
    """The channels that the Slice keeps, in its order; none where it cuts anything else."""
    kept, shape = cells(editor, node), editor.shape(node.inputs[0])
    if kept is None or len(shape) != 4 or editor.graph.dtypes[node.inputs[0]] != np.float32:
        return []
    taken = kept.pop(1, range(0))
    if taken == range(shape[1]):
        return []
    return list(taken) if all(cut == range(shape[axis]) for axis, cut in kept.items()) else []


def _maker(editor: Editor, tensor: str) -> Node | None:
    """The Conv of one group that makes `tensor` for Slices of its channels alone."""
    conv = editor.producer(tensor, "Conv")
    if conv is None or conv.int("group", 1) != 1 or not affine.foldable(editor, conv):
        return None
    readers = editor.consumers(tensor)
    parted = all(is_standard(reader, "Slice") and _channels(editor, reader) for reader in readers)
    return conv if parted and tensor not in editor.graph.outputs else None


def _part(editor: Editor, node: Node, conv: Node, channels: list[int]) -> None:
    """Makes the Slice `node` the Conv `conv` with these outputs only; `conv` goes with its last reader."""
    names = [
        editor.laid_out(f"{node.name}_{which}", name, lambda values: values[channels])
        for which, name in zip(("weight", "bias"), conv.inputs[1:], strict=False)
        if name
    ]
    made = conv.outputs[0]
    node.origin = merged(conv.origin, node.origin)
    editor.replace(node, "Conv", [conv.inputs[0], *names], dict(conv.attributes))
    if not editor.consumers(made):
        editor.remove(conv)
