"""GlobalAveragePool, Reshape to [N, C], Gemm -> 1x1 Conv, GlobalAveragePool, Reshape.

Why: a chip that takes a matrix product for a 1x1 Conv on a small map anyway multiplies the whole map without
leaving it, and the errors of its quantized cells are averaged; the means themselves are not quantized.
Where there are more outputs than channels, more cells would have to leave it.
Legal: a mean of products is the product of the mean; what is added stays. Maps of up to 64 cells; not where
the source quantizes what is between.
"""

from __future__ import annotations

import math

import numpy as np

from modelbuild.graph import kept_quantization
from modelbuild.graph.model import Attribute, Graph
from modelbuild.graph.passes import affine
from modelbuild.graph.passes.matching import sole_reader
from modelbuild.graph.rewrite import Editor

MOST_CELLS = 64


def run(graph: Graph, channels: int = 1024) -> int:
    """Number of Gemms that multiply a map now; `channels` is the most that the chip's layers read."""
    editor = Editor(graph)
    for pool in editor.nodes("GlobalAveragePool"):
        source, mean = pool.inputs[0], pool.outputs[0]
        shape = editor.shape(source)
        flat = sole_reader(editor, mean, "Reshape")
        gemm = sole_reader(editor, flat.outputs[0], "Gemm") if flat is not None else None
        if flat is None or gemm is None or len(shape) != 4 or math.prod(shape[2:]) > MOST_CELLS:
            continue
        if shape[1] > channels:
            continue
        if editor.shape(gemm.outputs[0])[-1] > shape[1]:
            continue
        rows = editor.shape(flat.outputs[0]) == shape[:2] and gemm.inputs[0] == flat.outputs[0]
        inner = (mean, flat.outputs[0])
        kept = any(kept_quantization.entry(graph, name) is not None for name in inner)
        if not rows or kept or not affine.foldable(editor, gemm):
            continue
        target = gemm.outputs[0]
        size = editor.shape(target)
        products = editor.tensor(f"{target}_map", (*size, *shape[2:]))
        means = editor.tensor(f"{target}_mean", (*size, 1, 1))
        kernel = editor.laid_out(f"{gemm.name}_kernel", gemm.inputs[1], lambda w: w[:, :, None, None])
        window = {"kernel_shape": [1, 1], "strides": [1, 1], "dilations": [1, 1]}
        attributes: dict[str, Attribute] = {**window, "pads": [0] * 4, "group": 1}
        shaped = editor.add_constant(f"{gemm.name}_shape", np.array(size, np.int64))
        editor.insert(gemm, "Conv", [source, kernel, *gemm.inputs[2:]], [products], attributes)
        editor.insert(gemm, "GlobalAveragePool", [products], [means])
        editor.replace(gemm, "Reshape", [means, shaped])
        editor.remove(flat)
        editor.remove(pool)
        editor.changes += 1
    return editor.close()
