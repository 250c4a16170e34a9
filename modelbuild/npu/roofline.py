"""The cycles of one layer on the chip's engines: compute, read, write and weight transfers, overhead."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from modelbuild.chips.recipe import Fact, Hardware
from modelbuild.npu.layers import Layer, Work


@dataclass(frozen=True)
class Speeds:
    """The chip in bytes a cycle; `batch` inferences share one loading of the weights."""

    hardware: Hardware
    clock_hz: float
    read: float
    write: float
    weights: float
    batch: int


@dataclass(frozen=True)
class Cycles:
    """Cycles of one layer for a whole batch, engine by engine."""

    compute: float
    read: float
    write: float
    weights: float
    overhead: float

    @property
    def total(self) -> float:
        """The engines overlap; the overhead does not."""
        return max(self.compute, self.read, self.write, self.weights) + self.overhead

    @property
    def bound(self) -> str:
        """What to make faster first."""
        parts = {
            "compute": self.compute,
            "dma": max(self.read, self.write),
            "weights": self.weights,
            "overhead": self.overhead,
        }
        return max(parts, key=lambda name: parts[name])


def layer_cycles(layer: Layer, read: int, write: int, speeds: Speeds) -> Cycles:
    """The cycles of a layer for a whole batch. `read` and `write` are the bytes of feature maps that one
    inference moves from and to DRAM."""
    return Cycles(
        compute=_compute_cycles(layer.work, speeds.hardware) * speeds.batch,
        read=read * speeds.batch / speeds.read,
        write=write * speeds.batch / speeds.write,
        weights=layer.weights / speeds.weights,
        overhead=0.0 if layer.work.kind == "alias" else speeds.hardware.layer_overhead_cycles.value,
    )


def _compute_cycles(work: Work, hardware: Hardware) -> float:
    """The loop nest with every dimension that the array unrolls rounded up to whole groups."""
    if work.kind in ("movement", "alias"):
        return 0.0
    if work.kind == "elementwise":
        return work.operations / hardware.elementwise_per_cycle.value
    columns = _whole(work.columns, hardware.columns_at_once)
    if work.kind == "depthwise":
        channels = _whole(work.output_channels * work.groups, hardware.output_channels_at_once)
        return work.rows * columns * work.taps * channels / hardware.macs_per_cycle_depthwise.value
    inputs = _whole(work.input_channels, hardware.input_channels_at_once)
    outputs = _whole(work.output_channels, hardware.output_channels_at_once)
    rate = hardware.macs_per_cycle if work.kind == "window" else hardware.macs_per_cycle_pointwise
    return work.rows * columns * work.taps * inputs * outputs * work.groups / rate.value


def _whole(count: int, group: Fact) -> float:
    return ceil(count / group.value) * group.value
