"""Arrays that are one value in memory, however large (all strides 0): what ConstantOfShape makes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelbuild.graph.model import Array


def is_repeated(array: Array) -> bool:
    """Whether memory holds one value alone; an array that merely looks so holds each."""
    return not any(array.strides)


def distinct(array: Array) -> Array:
    """`array`, or one element of it in the same number of dimensions where all are that element."""
    return array[(slice(1),) * array.ndim] if is_repeated(array) else array


def each_distinct(array: Array, function: Callable[[Array], Array]) -> Array:
    """`function`, which goes cell by cell, of `array`; asked once where all cells are one."""
    made = function(distinct(array))
    return made if made.shape == array.shape else np.broadcast_to(made, array.shape)
