"""How sure a prediction is: as sure as the least sure of the facts that it rests on."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import get_args

from modelbuild.chips.recipe import Fact, Hardware, Sureness
from modelbuild.npu.predicting.predicted_layers import DEPTHWISE, ELEMENTWISE, POINTWISE, WINDOW, Row

ORDER: tuple[Sureness, ...] = get_args(Sureness)  # from most to least sure

_WHOLE = ("columns_at_once", "pixels_at_once", "output_channels_at_once", "outputs_per_cycle")
_INPUTS = ("input_channels_at_once", "few_channels_at_once")
_WINDOW = ("window_rows_at_once", "window_columns_at_once")
_OF_KIND: dict[str, tuple[str, ...]] = {
    WINDOW: ("macs_per_cycle", *_INPUTS, *_WHOLE, *_WINDOW),
    POINTWISE: ("macs_per_cycle_pointwise", *_INPUTS, *_WHOLE),
    DEPTHWISE: ("macs_per_cycle_depthwise", *_WHOLE, *_WINDOW),
    ELEMENTWISE: ("elementwise_per_cycle",),
}
_ALWAYS = (
    "clock_hz",
    "sram_bytes",
    "tile_bytes",
    "keeps_for_groups",
    "engines_at_once",
    "layer_overhead_cycles",
)
_CPU = ("cpu_hz", "cpu_operations_per_cycle")


@dataclass(frozen=True)
class Confidence:
    """`facts` are those that are as unsure as `sure` says, with their sources."""

    sure: Sureness
    facts: dict[str, str]

    @property
    def because(self) -> str:
        """The facts' names."""
        return ", ".join(self.facts)


def confidence(hardware: Hardware, rows: Iterable[Row], told: Collection[str]) -> Confidence:
    """Of a prediction of these layers; `told` are facts that options replaced."""
    return _least({name for row in rows for name in used(row)}, hardware, told)


def of_layer(hardware: Hardware, row: Row, told: Collection[str]) -> Sureness:
    """Of one layer."""
    return _least(set(used(row)), hardware, told).sure


def of_cpu(hardware: Hardware) -> Confidence:
    """Of what the CPU does."""
    return _least(_CPU, hardware, ())


def used(row: Row) -> tuple[str, ...]:
    """The facts that a layer's time rests on."""
    if row.unit == "cpu":
        return _CPU
    if not row.cycles:
        return ()
    transfers = {
        "dram_read_bytes_per_second": row.read_bytes,
        "dram_write_bytes_per_second": row.write_bytes,
        "weight_bytes_per_second": row.weight_bytes,
    }
    wide = max(row.bits, row.bits_weight or 0) > 8 and row.kind != ELEMENTWISE
    moved = tuple(name for name, size in transfers.items() if size)
    alone = ("elementwise_per_cycle",) if row.busy.compute > row.array else ()
    return (*_ALWAYS, *_OF_KIND[row.kind], *moved, *alone, *(("wide_macs_factor",) if wide else ()))


def _least(names: Collection[str], hardware: Hardware, told: Collection[str]) -> Confidence:
    facts: dict[str, Fact] = {name: getattr(hardware, name) for name in sorted(names) if name not in told}
    worst = max((fact.sure for fact in facts.values()), key=ORDER.index, default=ORDER[0])
    return Confidence(worst, {name: fact.source for name, fact in facts.items() if fact.sure == worst})
