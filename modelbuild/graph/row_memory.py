"""Feature maps as an NPU keeps them whose memory has rows of 64 bytes (Kendryte's KPU)."""

from __future__ import annotations

from modelbuild.formats.kmodel.kpu_registers import map_bytes, row_layout
from modelbuild.graph.model import Shape


def row_bytes(shape: Shape) -> int:
    """Bytes of a map [N, C, H, W] of one sample at one byte a cell; what is no such map takes none."""
    if len(shape) != 4:
        return 0
    _, channels, height, width = shape
    return map_bytes(width, height, channels)


def channels_a_row(width: int) -> int:
    """How many channels lie beside each other in a row."""
    return row_layout(width)[0]
