"""From a recipe's facts to the whole numbers that cycles are counted with, rounded once, here."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from modelbuild.chips.recipe import Hardware
from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import Rates
from modelbuild.npu.program.header import RATE_CYCLES

_LARGEST = (1 << 32) - 1  # of a field in the program's header
_NOTHING: Mapping[str, float] = {}

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
    "output_channels": "output_channels_at_once",
    "window_rows": "window_rows_at_once",
    "window_columns": "window_columns_at_once",
    "engines": "engines_at_once",
    "granule": "interlock_bytes",
    "row_alignment": "row_alignment_bytes",
}


def rates(hardware: Hardware, chosen: Mapping[str, float] = _NOTHING) -> Rates:
    """What a program's header says of the chip. `chosen` are facts by name that replace the recipe's.

    A rate below 1 in RATE_CYCLES counts as 1. A ModelbuildError if one is too large for the header, or a
    chosen value is none of a fact's.
    """
    values = _values(hardware, chosen)
    clock = values["clock_hz"]
    found = {rate: values[fact] * RATE_CYCLES for rate, fact in _PER_CYCLE.items()}
    found |= {rate: values[fact] * RATE_CYCLES / clock for rate, fact in _PER_SECOND.items()}
    found["wide_macs"] = values["wide_macs_factor"] * RATE_CYCLES
    whole = {rate: max(1, round(value)) for rate, value in found.items()}
    whole |= {rate: round(values[fact]) for rate, fact in _WHOLE.items()}
    whole["layer_overhead"] = round(values["layer_overhead_cycles"])
    for rate, value in whole.items():
        if value > _LARGEST:
            raise ModelbuildError(
                f"the chip's `{rate}` is too large to count cycles with",
                why=f"{value} in {RATE_CYCLES} cycles; a program holds at most {_LARGEST}",
            )
    return Rates(**whole)


def _values(hardware: Hardware, chosen: Mapping[str, float]) -> dict[str, float]:
    """Every fact by name, checked like the recipe's own where it is chosen."""
    facts = {name: fact for name, fact in hardware if fact is not None}
    unknown = sorted(set(chosen) - set(facts))
    assert not unknown, unknown
    values: dict[str, float] = {name: fact.value for name, fact in facts.items()}
    for name, value in chosen.items():
        try:
            facts[name].model_validate({"value": float(value), "source": "chosen", "sure": "measured"})
        except ValidationError as error:
            told = error.errors()[0]["msg"]
            raise ModelbuildError(f"`{name}` cannot be {value:g}", why=told[0].lower() + told[1:]) from None
        values[name] = float(value)
    return values
