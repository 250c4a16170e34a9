"""Nodes that preprocessing in the model has inserted: how they are known, and what to do without them."""

from __future__ import annotations

from collections.abc import Sequence

from modelbuild.graph.model import Node

FLAT = 2  # dilation of a filter's window across the side that it goes along
_OF_LAYOUTS = ([0, 3, 1, 2], [0, 2, 3, 1])
ORIGIN = ".preprocess"  # behind the input's name: the origin of what is inserted


def is_inserted(origin: Sequence[str]) -> bool:
    """Whether a node of this origin is one of them."""
    return bool(origin) and all(name.endswith(ORIGIN) for name in origin)


def is_filter(node: Node) -> bool:
    """Whether it is a resize along one side (pass banded_matmul_to_parts): no other Conv has a dilation where
    its window has one cell."""
    sides = zip(node.ints("kernel_shape", []), node.ints("dilations", []), strict=False)
    return node.op == "Conv" and is_inserted(node.origin) and (1, FLAT) in sides


def mend(op: str, origin: Sequence[str], order: Sequence[int] | None = None) -> str:
    """What to write into the manifest so that a node is not inserted; nothing where the source has it.
    `order` of a Transpose tells whether it is one of layouts, or belongs to a resize."""
    if not is_inserted(origin):
        return ""
    name = origin[0].removesuffix(ORIGIN)
    of_layout = f"write `input_layout: NCHW` for `{name}`"
    of_layouts = op == "Transpose" and (order is None or list(order) in _OF_LAYOUTS)
    return of_layout if of_layouts else f"preprocess `{name}` before the chip (without `in_model`)"
