"""Depthwise windows of stride 2. The KPU keeps one cell of four behind a dense convolution alone: a depthwise
one leaves them all, and they would go to the CPU, which picks. Three ways keep them on the KPU: the 1x1
convolution behind it picks, as picking a cell and then computing on it is the same as the other way round; a
unit matrix picks; or zeros between its channels make it a dense one of more weights."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from modelbuild.chips.recipe import Hardware
from modelbuild.formats.kmodel.kpu_geometry import LOAD_BYTES, MOST_LOADS
from modelbuild.formats.kmodel.kpu_registers import shape_bytes
from modelbuild.graph.taps import Axis
from modelbuild.kpu.cycles import array_cycles, upload_fact, written_cycles

CPU, DENSE, UNIT, BEHIND = "cpu", "dense", "unit", "behind"  # who picks
_TAPS = 9
SECONDS_A_BYTE = 220e-9  # that a byte more of the file must save: general RAM holds it for good
PICKED = 2  # operations of the CPU for a byte that it picks

Map = tuple[int, ...]


class Strided(NamedTuple):
    """A depthwise window of stride 2 from `x` to `y`, both [N, C, H, W]. `axes`: of its layer of stride 1.
    `stays`: a layer alone reads what it leaves; `behind`: output channels of that one, if it may pick."""

    x: Map
    y: Map
    axes: tuple[Axis, Axis]
    stays: bool
    behind: int | None

    @property
    def first(self) -> tuple[int, int]:
        """Row and column of the first cell that is kept."""
        return self.axes[0].first, self.axes[1].first


def picker(of: Strided, hardware: Hardware) -> str:
    """Who picks in the least time, by the chip's rates. A pool keeps the cells of even rows and columns, to
    where a layer can move those of odd ones; what else is kept, the CPU picks."""
    if not _pickable(of):
        return CPU
    gains = {CPU: 0.0, BEHIND: _behind(of, hardware), UNIT: _unit(of, hardware), DENSE: _dense(of, hardware)}
    return max(gains, key=lambda way: gains[way])


def _pickable(of: Strided) -> bool:
    return all(
        len(axis.runs) == 1
        and not axis.runs[0].start
        and axis.size == size == 2 * count  # else the CPU would lay cells around the map, or cut some off
        and axis.first in (0, 1)
        for axis, size, count in zip(of.axes, of.x[2:], of.y[2:], strict=True)
    )


def _behind(of: Strided, hardware: Hardware) -> float:
    """Seconds that are saved where the 1x1 convolution behind it runs on all cells, and picks."""
    made = of.behind
    if made is None or not _fit((of.x, of.x), (of.x, (of.x[0], made, *of.y[2:])), hardware=hardware):
        return 0.0
    cycles = _cycles(of.x, made) - _cycles(of.y, made)
    return _saved(of, hardware) - cycles / hardware.clock_hz.value - _moving(of, hardware)


def _unit(of: Strided, hardware: Hardware) -> float:
    """Seconds that are saved, less what bytes are worth, with a layer of a unit matrix that picks."""
    channels = of.x[1]
    if not _fit((of.x, of.x), (of.x, of.y), hardware=hardware):
        return 0.0
    cycles = _cycles(of.x, channels) + hardware.layer_overhead_cycles.value
    own = cycles / hardware.clock_hz.value + _weights(of, channels**2, hardware)
    return _saved(of, hardware) - own - _moving(of, hardware)


def _dense(of: Strided, hardware: Hardware) -> float:
    """Seconds that are saved, less what bytes are worth, with zeros between the channels."""
    channels = of.x[1]
    loads = MOST_LOADS * (LOAD_BYTES // (channels * _TAPS))
    if any(of.first) or channels > loads or not _fit((of.x, of.y), hardware=hardware):
        return 0.0
    cycles = array_cycles(of.x, channels, False) - array_cycles(of.x, channels, True)
    more = _weights(of, channels * (channels - 1) * _TAPS, hardware)
    return _saved(of, hardware) - cycles / hardware.clock_hz.value - more


def _saved(of: Strided, hardware: Hardware) -> float:
    """Seconds of the CPU for cells that go to general RAM, that it picks, and that come back."""
    cpu = hardware.cpu_hz.value * hardware.cpu_operations_per_cycle.value
    left = prod(of.y)
    down = (prod(of.x) - (0 if of.stays else left)) / hardware.dram_write_bytes_per_second.value
    up = left / getattr(hardware, upload_fact(of.y[3], hardware)).value if of.stays else 0.0
    return down + left * PICKED / cpu + up


def _moving(of: Strided, hardware: Hardware) -> float:
    """Seconds of the layer that moves the map, and what its bytes are worth."""
    if not any(of.first):
        return 0.0
    channels = of.x[1]
    cycles = array_cycles(of.x, channels, True) + written_cycles(of.x, channels)
    whole = (cycles + hardware.layer_overhead_cycles.value) / hardware.clock_hz.value
    return whole + _weights(of, channels * _TAPS, hardware)


def _cycles(source: Map, outputs: int) -> int:
    return array_cycles(source, outputs, False) + written_cycles(source, outputs)


def _weights(of: Strided, count: int, hardware: Hardware) -> float:
    """Seconds to load so many, and what they are worth."""
    return count * (of.x[0] / hardware.weight_bytes_per_second.value + SECONDS_A_BYTE)


def _fit(*pairs: tuple[Map, Map], hardware: Hardware) -> bool:
    """Whether inputs and outputs of layers lie in the KPU's RAM together."""
    sizes = (sum(map(shape_bytes, pair)) for pair in pairs)
    return max(sizes) <= hardware.sram_bytes.value
