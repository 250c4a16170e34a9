"""The values of an array, each once. For that `np.unique` loads numpy.ma, which takes 0.05 s of a process."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Integer = TypeVar("Integer", bound=np.integer)


def distinct(values: NDArray[Integer]) -> NDArray[Integer]:
    """Ascending; of integers in any shape."""
    ascending = np.sort(values, axis=None)
    is_first = np.ones(ascending.shape, np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=is_first[1:])
    return ascending[is_first]
