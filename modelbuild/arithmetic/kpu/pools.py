"""The pool behind a KPU layer, on bytes."""

from __future__ import annotations

import numpy as np

from modelbuild.arithmetic.fixed_model import Integers

STRIDES = {
    "bypass": 1,
    "max_2_s2": 2,
    "mean_2_s2": 2,
    "max_4_s4": 4,
    "mean_4_s4": 4,
    "left_top_2_s2": 2,
    "right_top_2_s2": 2,
    "left_top_4_s4": 4,
    "mean_2_s1": 1,
    "max_2_s1": 1,
}
PICKED = {"left_top_2_s2": 0, "right_top_2_s2": 1, "left_top_4_s4": 0}  # column of the cell that is taken


def pooled(x: Integers, pool: str) -> Integers:
    """x [N, C, H, W] in windows of 2x2 or 4x4; rows and columns that fill none are left away. A mean is
    rounded down. With stride 1 the last row and column count twice."""
    if pool == "bypass":
        return x
    stride = STRIDES[pool]
    height, width = x.shape[2] // stride, x.shape[3] // stride
    x = x[:, :, : height * stride, : width * stride]
    if pool in PICKED:
        return np.ascontiguousarray(x[:, :, ::stride, PICKED[pool] :: stride])
    mean = pool.startswith("mean")
    if stride == 1:
        x = np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)), mode="edge")  # what counts twice changes no maximum
    size = 4 if "_4_" in pool else 2
    found = x.astype(np.uint16) if mean else x
    for axis, places in ((2, height), (3, width)):
        cells = [
            found[_along(axis, slice(tap, tap + (places - 1) * stride + 1, stride))] for tap in range(size)
        ]
        found = cells[0].copy()
        for cell in cells[1:]:
            np.add(found, cell, out=found) if mean else np.maximum(found, cell, out=found)
    return (found // (size * size)).astype(np.uint8) if mean else found


def _along(axis: int, span: slice) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, span)
