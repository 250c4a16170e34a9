"""Depthwise windows of stride 2. The KPU keeps one cell of four behind a dense convolution alone: a depthwise
one leaves them all, and they go to the CPU, which picks. With zeros between its channels it is a dense one of
more weights, and what is not kept never leaves the KPU."""

from __future__ import annotations

from math import prod

from modelbuild.chips.recipe import Hardware
from modelbuild.formats.kmodel.kpu_geometry import LOAD_BYTES
from modelbuild.formats.kmodel.kpu_registers import map_bytes
from modelbuild.graph.taps import Axis
from modelbuild.kpu.cycles import array_cycles, upload_fact

MOST_LOADS = 64
_TAPS = 9
SECONDS_A_BYTE = 220e-9  # that a byte more of the file must save: general RAM holds it for good
_PICKED = 2  # operations of the CPU for a byte that it picks

Map = tuple[int, ...]


def pays_dense(x: Map, y: Map, axes: tuple[Axis, Axis], stays: bool, hardware: Hardware) -> bool:
    """Whether a depthwise window from `x` to `y`, both [N, C, H, W], is better a dense one, by the chip's
    rates. `axes` are those of the dense one; `stays`: the next layer alone reads what it leaves."""
    if any(
        len(axis.runs) > 1 or axis.runs[0].start or axis.size != size or not axis.is_whole
        for axis, size in zip(axes, x[2:], strict=True)
    ):
        return False  # the CPU would have to lay cells around the map, or cut some off
    saved = _saved(x, y, stays, hardware)
    return saved > SECONDS_A_BYTE * _more(x) and _fits(x, y, hardware)


def _more(x: Map) -> int:
    """Bytes of weights, zeros all of them."""
    return x[1] * (x[1] - 1) * _TAPS


def _saved(x: Map, y: Map, stays: bool, hardware: Hardware) -> float:
    """Seconds: those of the CPU for cells that go to general RAM, that it picks, and that come back, less
    those that the KPU takes longer."""
    cpu = hardware.cpu_hz.value * hardware.cpu_operations_per_cycle.value
    left = prod(y)
    down = (prod(x) - (0 if stays else left)) / hardware.dram_write_bytes_per_second.value
    up = left / getattr(hardware, upload_fact(y[3], hardware)).value if stays else 0.0
    dense, narrow = (array_cycles(x, x[1], depthwise) for depthwise in (False, True))
    longer = (dense - narrow) / hardware.clock_hz.value
    loaded = x[0] * _more(x) / hardware.weight_bytes_per_second.value
    return down + left * _PICKED / cpu + up - longer - loaded


def _fits(x: Map, y: Map, hardware: Hardware) -> bool:
    """Whether it is one layer."""
    room = sum(each[0] * map_bytes(each[3], each[2], each[1]) for each in (x, y))
    at_once = LOAD_BYTES // (x[1] * _TAPS)
    return room <= hardware.sram_bytes.value and x[1] <= MOST_LOADS * at_once
