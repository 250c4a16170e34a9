"""Cycles that the KPU's units take for the maps of one layer, by what they read and write."""

from __future__ import annotations

from math import ceil

from modelbuild.chips.recipe import Hardware
from modelbuild.formats.kmodel.kpu_registers import row_layout

FILL = 7  # half cycles a pass takes beside its rows: the window's border, and the next weights
CHANNEL = 6  # cycles for each output channel: batch normalization and the end of its sum
DMA_COLUMNS = 64  # maps of whole rows go to the KPU's RAM by DMA, others row by row by the CPU
Map = tuple[int, ...]  # [N, C, H, W]


def array_cycles(source: Map, outputs: int, depthwise: bool) -> int:
    """While rows go through the units: the KPU reads one of 64 bytes a cycle and multiplies it with one
    window; a pass goes down one strip of a map for one output channel."""
    batches, channels, height, width = source
    groups, strips = row_layout(width)
    reads = ceil(channels / groups) * strips
    return batches * (reads if depthwise else outputs * reads) * (2 * height + FILL) // 2


def written_cycles(source: Map, outputs: int) -> int:
    """For rows of output, before a pool, and the ends of channels."""
    batches, _, height, width = source
    groups, strips = row_layout(width)
    return batches * (ceil(outputs / groups) * strips * (2 * height + FILL) // 2 + CHANNEL * outputs)


def upload_fact(width: int, hardware: Hardware) -> str:
    """The fact that says how many bytes a second of a map go to the KPU's RAM."""
    by_dma = width % DMA_COLUMNS == 0 or hardware.cpu_copy_bytes_per_second is None
    return "dram_read_bytes_per_second" if by_dma else "cpu_copy_bytes_per_second"
