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
LEAST_SPAN = 32  # float32 products over spans of K shorter than this cost more than one float64 product


class ExactProduct:
    """weight [g, O, K] times columns [g, K, P], where no |column| exceeds `largest`.

    float32 in as few spans of K as the bound allows, else float64; accumulators below 2^53 are the
    validator's business (docs/arithmetic.md bounds them by 2^47).
    """

    def __init__(self, weight: Integers, largest: int) -> None:
        self.spans = exact_spans(weight, largest)
        self.dtype: DTypeLike = np.float32 if self.spans else np.float64
        self.weight: NDArray[Any] = weight.astype(self.dtype)

    def __call__(self, columns: NDArray[Any]) -> NDArray[Any]:
        """Exact accumulators [g, O, P], whole numbers in float32 or float64."""
        if len(self.spans) <= 1:
            product: NDArray[Any] = np.matmul(self.weight, columns)
            return product
        total = np.zeros((*self.weight.shape[:2], columns.shape[2]))
        for start, end in self.spans:
            total += np.matmul(self.weight[:, :, start:end], columns[:, start:end])
        return total


def exact_spans(weight: Integers, largest: int) -> tuple[tuple[int, int], ...]:
    """Spans of K over which every row's Σ|w|·largest stays below 2^24; none if they are too short."""
    sums = np.abs(weight.astype(np.int64)).cumsum(axis=2) * largest
    depth = weight.shape[2]
    spans: list[tuple[int, int]] = []
    start = 0
    while start < depth:
        before = sums[:, :, start - 1 : start] if start else 0
        reach = (sums - before).max(axis=(0, 1))
        end = int(np.searchsorted(reach[start:], SINGLE)) + start
        if end - start < min(LEAST_SPAN, depth - start):
            return ()
        spans.append((start, end))
        start = end
    return tuple(spans)


def exact_type(weight: Integers, largest: int) -> DTypeLike:
    """float32 if every row's Σ|w|·largest stays below 2^24, else float64; rows are along the first axis."""
    reach = int(np.abs(weight.astype(np.int64)).reshape(len(weight), -1).sum(axis=1).max()) * largest
    return np.float32 if reach < SINGLE else np.float64


def exact_matmul(a: Integers, b: Integers, zeros: tuple[int, int], largest: int) -> NDArray[Any]:
    """(a - za) @ (b - zb) as whole numbers in float32 or float64, where no product exceeds `largest`."""
    dtype: DTypeLike = np.float32 if a.shape[-1] * largest < SINGLE else np.float64
    product: NDArray[Any] = np.matmul(a.astype(dtype) - zeros[0], b.astype(dtype) - zeros[1])
    return product
