"""Global pools of pictures larger than a chip's windows -> pools of windows, and a global pool of the rest.

Why: arrays have windows up to some size, and a sum of so many cells may not fit their accumulators.
Legal: the mean of means of equal windows is the mean, the maximum of maxima the maximum; height and width
must be products of numbers up to the limit: `split_global_pool(7)` in a recipe, else 16.
"""

from __future__ import annotations

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.rewrite import Editor


def run(graph: Graph, limit: int = 16) -> int:
    """Number of global pools split into windows of at most `limit` x `limit`."""
    editor = Editor(graph)
    for node in editor.nodes("GlobalAveragePool", "GlobalMaxPool"):
        sizes = editor.shape(node.inputs[0])[2:]
        if max(sizes) > limit:
            steps = [_factors(size, limit) for size in sizes]
            if all(found is not None for found in steps):
                _split(editor, node, [found or [] for found in steps])
                editor.changes += 1
    return editor.close()


def _factors(size: int, limit: int) -> list[int] | None:
    """Numbers up to `limit` whose product is `size`, the largest first; None where there are none."""
    found: list[int] = []
    while size > limit:
        step = next((step for step in range(limit, 1, -1) if size % step == 0), None)
        if step is None:
            return None
        found.append(step)
        size //= step
    return found


def _split(editor: Editor, node: Node, steps: list[list[int]]) -> None:
    op, source = node.op.removeprefix("Global"), node.inputs[0]
    for index in range(max(map(len, steps))):
        window = [found[index] if index < len(found) else 1 for found in steps]
        shape = editor.shape(source)
        sizes = [size // step for size, step in zip(shape[2:], window, strict=True)]
        pooled = editor.tensor(f"{node.outputs[0]}_part", (*shape[:2], *sizes))
        attributes = {"kernel_shape": window, "strides": window, "pads": [0] * 2 * len(window)}
        if op == "MaxPool":
            attributes["dilations"] = [1] * len(window)
        editor.insert(node, op, [source], [pooled], {**attributes})
        source = pooled
    editor.set_inputs(node, [source])
