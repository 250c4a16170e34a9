"""Matrix products of integers by floating-point BLAS, exact by construction.

A sum of integer products is exact in a float format, in whatever order a BLAS adds, if the sum of the
absolute values stays below two to the number of mantissa bits: 2^24 for float32, 2^53 for float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from modelbuild.arithmetic.fixed_model import Integers

SINGLE = 1 << 24
MOST_CHUNKS = 4  # beyond this many float32 products one float64 product is faster


class ExactProduct:
    """weight [g, O, K] times columns [g, K, P], where no |column| exceeds `largest`.

    float32 in as few chunks of K as the bound allows, else float64; accumulators below 2^53 are the
    validator's business (docs/arithmetic.md bounds them by 2^47).
    """

    def __init__(self, weight: Integers, largest: int) -> None:
        self.chunks = _chunks(weight, largest)
        self.dtype: DTypeLike = np.float32 if self.chunks else np.float64
        self.weight: NDArray[Any] = weight.astype(self.dtype)

    def __call__(self, columns: NDArray[Any]) -> NDArray[Any]:
        """Exact accumulators [g, O, P] as whole numbers in a float or int64 array."""
        if len(self.chunks) <= 1:
            product: NDArray[Any] = np.matmul(self.weight, columns)
            return product
        total = np.zeros((*self.weight.shape[:2], columns.shape[2]), dtype=np.int64)
        for start, end in self.chunks:
            total += np.matmul(self.weight[:, :, start:end], columns[:, start:end]).astype(np.int64)
        return total


def _chunks(weight: Integers, largest: int) -> tuple[tuple[int, int], ...]:
    """Spans of K over which every row's Σ|w|·largest stays below 2^24; none if that takes too many."""
    sums = np.abs(weight.astype(np.int64)).cumsum(axis=2) * largest
    depth = weight.shape[2]
    spans: list[tuple[int, int]] = []
    start = 0
    while start < depth:
        before = sums[:, :, start - 1 : start] if start else 0
        reach = (sums - before).max(axis=(0, 1))
        end = int(np.searchsorted(reach[start:], SINGLE)) + start
        if end == start or len(spans) == MOST_CHUNKS:
            return ()
        spans.append((start, end))
        start = end
    return tuple(spans)


def exact_matmul(a: Integers, b: Integers, zeros: tuple[int, int], largest: int) -> NDArray[np.int64]:
    """(a - za) @ (b - zb) where no single product exceeds `largest`."""
    dtype: DTypeLike = np.float32 if a.shape[-1] * largest < SINGLE else np.float64
    product = np.matmul(a.astype(dtype) - zeros[0], b.astype(dtype) - zeros[1])
    return np.asarray(product, dtype=np.int64)
