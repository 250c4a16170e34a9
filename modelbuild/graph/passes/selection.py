"""A 1x1 Conv that takes channels: how chips without Slice or Transpose move them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelbuild.graph.model import Attribute, Node
from modelbuild.graph.rewrite import Editor


def select(editor: Editor, node: Node, source: str, channels: Sequence[int]) -> None:
    """Makes `node` a Conv whose output has these `channels` of `source` [N, C, H, W], in this order.

    Each is one input times 1 plus zeros: exact for finite numbers."""
    weight = np.zeros((len(channels), editor.shape(source)[1], 1, 1), np.float32)
    weight[np.arange(len(channels)), list(channels), 0, 0] = 1
    name = editor.add_constant(f"{node.name}_weight", weight)
    attributes: dict[str, Attribute] = {
        "kernel_shape": [1, 1],
        "strides": [1, 1],
        "pads": [0, 0, 0, 0],
        "dilations": [1, 1],
        "group": 1,
    }
    editor.replace(node, "Conv", [source, name], attributes)
