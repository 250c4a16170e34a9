"""Arrays that are one value in memory, however large (all strides 0): what ConstantOfShape makes."""

from __future__ import annotations

from modelbuild.graph.model import Array


def is_repeated(array: Array) -> bool:
    """Whether memory holds one value alone; an array that merely looks so holds each."""
    return not any(array.strides)


def distinct(array: Array) -> Array:
    """`array`, or one element of it in the same number of dimensions where all are that element."""
    return array[(slice(1),) * array.ndim] if is_repeated(array) else array
