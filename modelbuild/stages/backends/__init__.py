"""The back ends: what lowers, compiles and simulates the models of a number system, a line each.

A back end is a module with `lower`, `compile_fixed` and `Machine`, as `npu` and `kpu` here have them, and one
with `checked`, `predict` and `said`, as `npu_predicting` and `kpu_predicting` (which has `of_built`, too)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Backend:
    """`module` is loaded in workers only. `options`: the keys of `compile:` that its compiler obeys.
    `has_record`: whether its fixed models are made from a quantization record; else nothing is observed and
    nothing quantized. `divides`: whether it divides layers by the memory beside the array when it lowers, so
    that `sram_bytes` decides what the fixed model is. `times_built`: whether what is compiled is timed again
    (`of_built` and `said` of its predictions), so that reports and bounds are of that. `facts`: which of a
    recipe's facts of hardware say something here; None: all."""

    module: str
    options: frozenset[str]
    has_record: bool = True
    divides: bool = False
    times_built: bool = False
    facts: frozenset[str] | None = None

    def load(self) -> ModuleType:
        """The module."""
        return import_module(self.module)

    def predicting(self) -> ModuleType:
        """That of its predictions, which needs neither a simulator nor a compiler's writing side."""
        return import_module(f"{self.module}_predicting")


_NPU = Backend(
    f"{__name__}.npu",
    frozenset({"batch", "dedicated_output_buffer", "flatbuffer", "sram_bytes", "tiling", "weight_compress"}),
)
_KPU = f"{__name__}.kpu"
_OF_CPU = frozenset({"clock_hz", "cpu_hz", "cpu_operations_per_cycle", "dram_bytes"})
_OF_KPU = _OF_CPU | {
    *("macs_per_cycle", "macs_per_cycle_pointwise", "macs_per_cycle_depthwise", "layer_overhead_cycles"),
    *("window_rows_at_once", "window_columns_at_once", "engines_at_once"),
    *("sram_bytes", "tile_bytes", "interlock_bytes", "cpu_copy_bytes_per_second"),
    *("dram_read_bytes_per_second", "dram_write_bytes_per_second", "weight_bytes_per_second"),
}
BACKENDS: Mapping[str, Backend] = {
    "multiplier_shift@1": _NPU,
    "kpu@1": Backend(_KPU, frozenset({"sram_bytes"}), divides=True, times_built=True, facts=_OF_KPU),
    "float32": Backend(_KPU, frozenset(), has_record=False, times_built=True, facts=_OF_CPU),
}


def of_arithmetic(name: str) -> Backend:
    """The back end of a number system; of one that has none yet that of the others' settings: its models are
    placed and timed, and `check` says that nothing compiles (MB110)."""
    return BACKENDS.get(name, _NPU)


def of_recipe(recipe: Json) -> Backend:
    """That of a chip, from its recipe as JSON."""
    return of_arithmetic(recipe["number_format"]["arithmetic"])
