"""Multiply-accumulate operations of TFLite's operators, from the shapes of their tensors (NHWC)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from modelbuild.formats.flatbuffer import Table

Shape = tuple[int, ...]


class Reading(NamedTuple):
    """Shapes of an operator's inputs and outputs; empty ones are not known."""

    inputs: Sequence[Shape]
    outputs: Sequence[Shape]
    options: Table | None


def _known(shape: Shape) -> Shape:
    if not shape:
        raise LookupError("a shape is not known")
    return shape


def _conv(node: Reading) -> int:
    """Weights are [outputs, height, width, inputs of a group]."""
    return math.prod(_known(node.outputs[0])) * math.prod(_known(node.inputs[1])[1:])


def _depthwise(node: Reading) -> int:
    """Weights are [1, height, width, outputs]."""
    return math.prod(_known(node.outputs[0])) * math.prod(_known(node.inputs[1])[1:3])


def _transposed(node: Reading) -> int:
    """Weights are [outputs, height, width, inputs]; the third input is the picture."""
    return math.prod(_known(node.inputs[2])) * math.prod(_known(node.inputs[1])[:-1])


def _product(node: Reading) -> int:
    """Weights are [outputs, inputs]."""
    return math.prod(_known(node.outputs[0])) * _known(node.inputs[1])[-1]


def _batch_product(node: Reading) -> int:
    transposed = node.options is not None and node.options.integer(0, "B") != 0
    return math.prod(_known(node.outputs[0])) * _known(node.inputs[0])[-2 if transposed else -1]


MACS: Mapping[str, Callable[[Reading], int]] = {
    "CONV_2D": _conv,
    "CONV_3D": lambda node: math.prod(_known(node.outputs[0])) * math.prod(_known(node.inputs[1])[:-1]),
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    "FULLY_CONNECTED": _product,
    "BATCH_MATMUL": _batch_product,
}
