"""From a recipe's facts to the whole numbers that are planned and counted with, rounded once, here."""

from __future__ import annotations

from math import isfinite

from modelbuild.chips.recipe import Hardware
from modelbuild.errors import ModelbuildError
from modelbuild.npu.planning.cutting import Limits
from modelbuild.npu.program import Rates
from modelbuild.npu.program.header import RATE_CYCLES

_LARGEST = (1 << 32) - 1  # of a field in the program's header

# rate -> the fact per cycle, and the fact per second, that it is
_PER_CYCLE = {
    "macs": "macs_per_cycle",
    "macs_pointwise": "macs_per_cycle_pointwise",
    "macs_depthwise": "macs_per_cycle_depthwise",
    "outputs": "outputs_per_cycle",
    "elements": "elementwise_per_cycle",
}
_PER_SECOND = {
    "read_bytes": "dram_read_bytes_per_second",
    "write_bytes": "dram_write_bytes_per_second",
    "weight_bytes": "weight_bytes_per_second",
}
_WHOLE = {
    "columns": "columns_at_once",
    "pixels": "pixels_at_once",
    "input_channels": "input_channels_at_once",
    "few_channels": "few_channels_at_once",
    "output_channels": "output_channels_at_once",
    "window_rows": "window_rows_at_once",
    "window_columns": "window_columns_at_once",
    "engines": "engines_at_once",
    "granule": "interlock_bytes",
    "row_alignment": "row_alignment_bytes",
    "layer_overhead": "layer_overhead_cycles",
}


def rates(hardware: Hardware) -> Rates:
    """What a program's header says of the chip.

    Work below 1 in RATE_CYCLES counts as 1. A ModelbuildError if a rate is too large for the header, or if a
    bandwidth is too small to count with.
    """
    values = {name: fact.value for name, fact in hardware if fact is not None}
    clock = values["clock_hz"]
    found = {rate: values[fact] * RATE_CYCLES for rate, fact in _PER_CYCLE.items()}
    found |= {rate: values[fact] * RATE_CYCLES / clock for rate, fact in _PER_SECOND.items()}
    found["wide_macs"] = values["wide_macs_factor"] * RATE_CYCLES
    found |= {rate: values[fact] for rate, fact in _WHOLE.items()}
    for rate, value in found.items():
        if not isfinite(value) or value > _LARGEST:
            raise ModelbuildError(
                f"the chip's `{_fact(rate)}` is too large to count cycles with",
                why=f"{value:g} in {RATE_CYCLES} cycles{_at(rate, clock)}; a program holds "
                f"at most {_LARGEST}",
            )
        if rate in _PER_SECOND and value < 1:
            raise ModelbuildError(
                f"the chip's `{_fact(rate)}` is too small to count cycles with",
                why=f"{value:g} bytes in {RATE_CYCLES} cycles{_at(rate, clock)}; the least is 1",
            )
    least = {rate: 0 if rate == "layer_overhead" else 1 for rate in found}
    return Rates(**{rate: max(least[rate], round(value)) for rate, value in found.items()})


def _fact(rate: str) -> str:
    """The fact of the recipe that a rate is of."""
    return next(
        (known[rate] for known in (_PER_CYCLE, _PER_SECOND, _WHOLE) if rate in known), "wide_macs_factor"
    )


def _at(rate: str, clock: float) -> str:
    return f" of a clock of {clock:g} Hz" if rate in _PER_SECOND else ""


def limits_of(hardware: Hardware, sram_bytes: int | None = None) -> Limits:
    """What a plan for the chip must keep to, with `sram_bytes` in place of the chip's own."""
    return Limits(
        sram_bytes=int(hardware.sram_bytes.value) if sram_bytes is None else sram_bytes,
        tile_bytes=int(hardware.tile_bytes.value),
        engines=int(hardware.engines_at_once.value),
        keeps_for_groups=int(hardware.keeps_for_groups.value),
        row_alignment=int(hardware.row_alignment_bytes.value),
        granule=int(hardware.interlock_bytes.value),
    )
