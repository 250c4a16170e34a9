"""A fixed model as the planner wants it: the same integers, written with fewer or simpler operators."""

from __future__ import annotations

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.rewriting import joined, nearest, transposed


def rewritten(model: FixedModel) -> FixedModel:
    """Zeros put between cells become a step of the convolution, gathers along rows and columns a resize, and
    inputs of a concat with another scale get a rescale. Names of the tensors that stay are the model's."""
    return joined.fold(nearest.fold(transposed.fold(model)))
