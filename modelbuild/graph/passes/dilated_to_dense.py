"""Conv with holes -> Conv with a larger kernel that has zeros in the holes.

Why: many arrays have no dilation.
Legal: always; the products with 0 add nothing. It costs as many products as the larger kernel has, which may
be `limit` wide at most: `dilated_to_dense(7)` in a recipe, 11 if it names none.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from modelbuild.graph.model import Graph
from modelbuild.graph.rewrite import Editor


def run(graph: Graph, limit: int = 11) -> int:
    """Number of Convs whose kernel was filled with zeros up to a size of `limit`."""
    editor = Editor(graph)
    for node in editor.nodes("Conv"):
        weights, holes = editor.constant(node, 1), node.ints("dilations", [1])
        if weights is None or max(holes) == 1:
            continue
        spans = [(size - 1) * step + 1 for size, step in zip(weights.shape[2:], holes, strict=True)]
        if max(spans) > limit:
            continue
        dense = partial(_dense, holes=holes, spans=spans)
        name = editor.laid_out(f"{node.name}_weight", node.inputs[1], dense)
        editor.set_inputs(node, [node.inputs[0], name, *node.inputs[2:]])
        node.attributes |= {"kernel_shape": spans, "dilations": [1] * len(spans)}
        editor.changes += 1
    return editor.close()


def _dense(weights: Any, holes: Sequence[int], spans: Sequence[int]) -> Any:
    """`weights` with zeros between the cells of the kernel, which is of the sizes `spans` then."""
    dense = np.zeros((*weights.shape[:2], *spans), weights.dtype)
    dense[(slice(None), slice(None), *(slice(None, None, step) for step in holes))] = weights
    return dense
