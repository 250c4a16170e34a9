"""Feature maps and weights as an NPU keeps them whose memory has rows of 64 bytes (Kendryte's KPU)."""

from __future__ import annotations

from math import ceil, prod

from modelbuild.graph.model import Shape

ROW_BYTES = 64
LOAD_BYTES = 30 * 1024  # of weights at a time
# widest map -> channels beside one another in a row: nncase v1.9.0, runtime_op_utility.h, get_kpu_row_layout
_CHANNELS_A_ROW = ((16, 4), (32, 2))


def row_bytes(shape: Shape) -> int:
    """Bytes of a map [N, C, H, W] at one byte a cell; what is no such map takes none.

    64 * rows a line * H * ceil(C / min(C, channels a row)), of one sample (get_kpu_rows there)."""
    if len(shape) != 4:
        return 0
    _, channels, height, width = shape
    beside = channels_a_row(width)
    rows = ceil(width / ROW_BYTES) * height * ceil(channels / max(1, min(channels, beside)))
    return ROW_BYTES * rows


def channels_a_row(width: int) -> int:
    """How many channels lie beside each other in a row."""
    return next((count for widest, count in _CHANNELS_A_ROW if width <= widest), 1)


def weight_loads(weight: Shape) -> int:
    """How many times a convolution fills the buffer of weights [out, in, kernel ...]: whole output channels
    at a time, a byte a weight (kpu_conv2d.cpp there)."""
    channels, size = weight[0], prod(weight[1:])
    at_once = min(channels, LOAD_BYTES // size) if size else channels
    return ceil(channels / at_once) if at_once else channels
