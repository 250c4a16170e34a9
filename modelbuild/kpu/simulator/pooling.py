"""The KPU's pool unit, on maps of bytes. Source: the kernels of nncase 1.9."""

from __future__ import annotations

import numpy as np

from modelbuild.formats.kmodel.kpu_registers import POOL_STRIDES, POOLS
from modelbuild.kpu.simulator.memory import Array

_PICKERS = {"left_top_2_s2": 0, "right_top_2_s2": 1, "left_top_4_s4": 0}  # column of what is picked
_WINDOWS = {"max_2_s1": 2, "mean_2_s1": 2, "max_2_s2": 2, "mean_2_s2": 2, "max_4_s4": 4, "mean_4_s4": 4}


def pool_sizes(pool: int, height: int, width: int) -> tuple[int, int]:
    """Height and width of what comes out: rows and columns that fill no window are left away."""
    return height // POOL_STRIDES[pool], width // POOL_STRIDES[pool]


def pooled(values: Array, pool: int) -> Array:
    """Maps of bytes (channels, height, width) through the pool. Means are rounded down. With stride 1 the
    window reaches one row and column over the end: a maximum takes 0 there, a mean the last row or column."""
    name, stride = POOLS[pool], POOL_STRIDES[pool]
    if name == "bypass":
        return values
    height, width = pool_sizes(pool, *values.shape[1:])
    if name in _PICKERS:
        column = _PICKERS[name]
        picked = values[:, : height * stride : stride, column : column + width * stride : stride]
        return np.ascontiguousarray(picked[:, :, :width])
    size = _WINDOWS[name]
    mean = name.startswith("mean")
    if stride == 1:
        values = np.pad(values, ((0, 0), (0, 1), (0, 1)), mode="edge" if mean else "constant")
    taps = [
        values[:, row : row + height * stride : stride, column : column + width * stride : stride]
        for row in range(size)
        for column in range(size)
    ]
    taps = [tap[:, :height, :width] for tap in taps]
    if mean:
        total = np.zeros(taps[0].shape, np.uint32)
        for tap in taps:
            total += tap
        return (total // (size * size)).astype(np.uint8)
    found = taps[0].copy()
    for tap in taps[1:]:
        np.maximum(found, tap, out=found)
    return found
