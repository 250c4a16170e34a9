"""BatchNormalization that folds into nothing -> 1x1 depthwise Conv (rank 3 and 4), else Mul and Add.

Why: a pre-activation network keeps it between Add and Relu, and fixed-point arithmetic has no such operator.
Legal: its parameters are constant; see fold_batch_normalization for the formula.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Attribute, Graph
from modelbuild.graph.passes.fold_batch_normalization import scale_and_shift
from modelbuild.graph.rewrite import Editor


def run(graph: Graph) -> int:
    """Number of BatchNormalizations replaced."""
    editor = Editor(graph)
    for node in editor.nodes("BatchNormalization"):
        factors = scale_and_shift(editor, node)
        if factors is None:
            continue
        scale, shift = (item.astype(np.float32) for item in factors)
        source, rank = node.inputs[0], editor.rank(node.inputs[0])
        if rank in (3, 4):
            ones = [1] * (rank - 2)
            weight = editor.add_constant(f"{node.name}_weight", scale.reshape(-1, 1, *ones))
            bias = editor.add_constant(f"{node.name}_bias", shift)
            window = {"kernel_shape": ones, "strides": ones, "dilations": ones, "pads": [0, 0] * len(ones)}
            attributes: dict[str, Attribute] = {**window, "group": len(scale)}
            editor.replace(node, "Conv", [source, weight, bias], attributes)
        else:
            shape = (-1, *(1,) * (rank - 2))
            factor = editor.add_constant(f"{node.name}_scale", scale.reshape(shape))
            offset = editor.add_constant(f"{node.name}_shift", shift.reshape(shape))
            scaled = editor.tensor(f"{node.outputs[0]}_scaled", editor.shape(source))
            editor.insert(node, "Mul", [source, factor], [scaled])
            editor.replace(node, "Add", [scaled, offset])
        editor.changes += 1
    return editor.close()
