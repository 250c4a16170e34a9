"""Sizes of tensors: dense in main memory, in rows of 64 bytes in the KPU's RAM."""

from __future__ import annotations

import math

from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from modelbuild.formats.kmodel.kpu_registers import map_bytes

LAYER = "kpu_conv"


def dense_bytes(tensor: QuantizedTensor) -> int:
    """Bytes of the elements without gaps."""
    return math.prod(tensor.shape) * tensor.dtype.itemsize


def ram_bytes(tensor: QuantizedTensor) -> int:
    """Bytes of a map [N, C, H, W] in the KPU's RAM."""
    batches, channels, height, width = tensor.shape
    return batches * map_bytes(width, height, channels)


def readers(model: FixedModel) -> dict[str, list[int]]:
    """The operators (by index) that read each tensor, in order."""
    found: dict[str, list[int]] = {}
    for index, operator in enumerate(model.operators):
        for name in dict.fromkeys(operator.inputs):
            found.setdefault(name, []).append(index)
    return found
