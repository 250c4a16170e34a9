"""Caffe's average pools: what lies in the padding counts, and what lies behind it does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.importers.caffe.judge import Array, agree, imported
from tests.importers.caffe.writer import layer, network, numbers, saved


def average(data: Array, kernel: int, stride: int, pad: int) -> Array:
    """Caffe's average: windows end at most where the padding ends, and the padding counts."""
    height, width = data.shape[2:]

    def starts(size: int) -> Sequence[int]:
        count = -(-(size + 2 * pad - kernel) // stride) + 1
        count -= bool(pad) and (count - 1) * stride >= size + pad
        return [index * stride - pad for index in range(count)]

    def mean(top: int, left: int) -> Array:
        bottom, right = min(top + kernel, height + pad), min(left + kernel, width + pad)
        cells = (bottom - top) * (right - left)
        total = data[:, :, max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)].sum((2, 3))
        return total / np.float32(cells)

    rows = [np.stack([mean(top, left) for left in starts(width)], -1) for top in starts(height)]
    return np.stack(rows, 2)


@pytest.mark.parametrize("kernel", [2, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("pad", [0, 1])
def test_averages_count_what_caffe_counts(tmp_path: Path, kernel: int, stride: int, pad: int) -> None:
    for shape in ((1, 1, 6, 9), (1, 1, 7, 8)):
        if any((size + 2 * pad - kernel) % stride and kernel < stride for size in shape[2:]):
            continue  # windows behind the picture: Caffe divides by a negative count
        setting = f"pool: AVE kernel_size: {kernel} stride: {stride} pad: {pad}"
        files = saved(tmp_path, network(layer("Pooling", setting), shape))
        data = numbers(*shape)
        agree(imported(files, data=data)["out"], average(data, kernel, stride, pad))
