"""BatchNormalization -> into the weights of the Conv, ConvTranspose or Gemm before or after it.

Why: at inference it is y = x · a + b a channel, a = scale / sqrt(var + epsilon), b = bias - mean · a.
Legal: its parameters and the weights are constant and nothing else reads the tensor between. Into the layer
after it (Conv, Gemm) only without padding, since padded cells are 0 after the shift, not before.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes import affine
from modelbuild.graph.rewrite import Editor, merged


def run(graph: Graph) -> int:
    """Number of BatchNormalizations folded."""
    editor = Editor(graph)
    for node in editor.nodes("BatchNormalization"):
        factors = scale_and_shift(editor, node)
        if factors is not None:
            editor.changes += _into_earlier(editor, node, *factors) or _into_later(editor, node, *factors)
    return editor.close()


def scale_and_shift(editor: Editor, node: Node) -> tuple[affine.Vector, affine.Vector] | None:
    """a and b of the BatchNormalization `node`; None where a parameter is not constant."""
    values = [editor.constant(node, index) for index in (1, 2, 3, 4)]
    scale, bias, mean, variance = (None if v is None else v.astype(np.float64) for v in values)
    if scale is None or bias is None or mean is None or variance is None:
        return None
    epsilon = node.attributes.get("epsilon", 1e-5)
    assert isinstance(epsilon, float)
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(variance + epsilon)
    return factor, bias - mean * factor


def _into_earlier(editor: Editor, node: Node, scale: affine.Vector, shift: affine.Vector) -> bool:
    source = node.inputs[0]
    earlier = editor.producer(source, *affine.LINEAR)
    if earlier is None or not editor.private(source) or not affine.foldable(editor, earlier):
        return False
    affine.scale_output(editor, earlier, scale, shift)
    return editor.absorb(earlier, node)


def _into_later(editor: Editor, node: Node, scale: affine.Vector, shift: affine.Vector) -> bool:
    target = node.outputs[0]
    later = affine.layer_behind(editor, target, is_shifted=bool(shift.any()))
    if later is None:
        return False
    affine.scale_input(editor, later, scale, shift)
    later.origin = merged(node.origin, later.origin)
    return editor.bypass(node, node.inputs[0])
