"""What a chip will make of a model, counted on the model's compiled outline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import fsum

from modelbuild.chips.recipe import Recipe
from modelbuild.graph.model import Graph
from modelbuild.npu.batch_compiler import count_batch
from modelbuild.npu.batching import Batched, own_batch
from modelbuild.npu.compiler import ARITHMETIC, CompiledModel
from modelbuild.npu.emitted import Told
from modelbuild.npu.predicting.assumptions import Options, assumed
from modelbuild.npu.predicting.predicted_layers import DEPTHWISE, POINTWISE, WINDOW, Counted, Row, rows
from modelbuild.quantize.number_format import Formats, formats_of
from modelbuild.quantize.outline import outline

_MS = 1000.0
# How the array maps a layer -> its peak for that.
_ARRAY = {
    WINDOW: "macs_per_cycle",
    POINTWISE: "macs_per_cycle_pointwise",
    DEPTHWISE: "macs_per_cycle_depthwise",
}


@dataclass(frozen=True)
class Prediction:
    """`recipe` has what the options tell in place of its facts; `rows` are the layers of all units;
    `own_batch` is the model's dimension 0: the pictures
    of one inference, which is the model as it was exported. With deep tiling `default` is what the compiler
    makes without."""

    options: Options
    recipe: Recipe
    counted: Counted
    batched: Batched
    own_batch: int
    rows: tuple[Row, ...]
    default: CompiledModel | None = None

    @property
    def npu(self) -> tuple[Row, ...]:
        """The layers that the NPU runs."""
        return tuple(row for row in self.rows if row.unit == "npu")

    @property
    def cycles(self) -> int:
        """Of a run."""
        return self.counted.compiled.cycles + sum(row.cycles for row in self.rows if row.estimated)

    @property
    def engines(self) -> int:
        """How many work at once."""
        return self.counted.compiled.rates.engines

    @property
    def repeats(self) -> float:
        """How often a run makes what the model as it is makes once."""
        return self.counted.repeats

    @property
    def formats(self) -> Formats:
        """The number formats that were assumed."""
        return formats_of(self.recipe.number_format, self.options.settings)

    @property
    def packs(self) -> bool:
        """Whether weights are to be packed, which is the recipe's where nothing else is told."""
        told = self.options.weight_compress
        return self.recipe.container.weight_compress if told is None else told

    def ms(self, cycles: float) -> float:
        """Of one inference, for the cycles of a run."""
        return cycles / self.recipe.hardware.clock_hz.value / self.repeats * _MS

    def least_cycles(self, among: Iterable[Row]) -> float:
        """Those in which the array would multiply for these layers in a run, at its peak for the kind of each
        and operands of 8 bits."""
        hardware = self.recipe.hardware
        return fsum(
            row.macs * self.repeats / getattr(hardware, _ARRAY.get(row.kind, _ARRAY[WINDOW])).value
            for row in among
            if row.macs
        )

    def utilisation(self, among: Iterable[Row], cycles: int) -> float | None:
        """The share of these cycles in which the array would multiply for these layers at its peak; None of
        what has nothing to multiply."""
        least = self.least_cycles(among)
        return least / cycles if least and cycles else None


def predict(
    graph: Graph,
    units: Mapping[str, str],
    recipe: Recipe,
    options: Options | None = None,
    told: Told | None = None,
) -> Prediction:
    """The counts of a lowered graph, whose nodes run on `units` (npu | fused | cpu | none). `told` hears how
    many groups of operators are done, of how many, and of which tiling.

    Raises a `ModelbuildError` for an option that the chip does not have, and where a layer's smallest step
    exceeds the memory on the chip."""
    options = options or Options()
    supposed = assumed(recipe, options)
    settings = options.settings
    model = outline(graph, units, supposed, settings)
    own = own_batch(model) or 1
    countable = replace(model, arithmetic=ARITHMETIC)  # extents count, whatever a chip's numbers are
    given: dict[str, object] = {"dedicated_output_buffer": options.dedicated_output_buffer}
    chip = supposed
    if options.sram_bytes is not None:  # a setting of the compiler, which knows what the chip has
        given["sram_bytes"] = int(options.sram_bytes)
        own_sram = {"sram_bytes": recipe.hardware.sram_bytes}
        chip = supposed.model_copy(update={"hardware": supposed.hardware.model_copy(update=own_sram)})
    compiled, batched = count_batch(countable, chip, given | {"tiling": options.tiling}, options.batch, told)
    weight_bits = min(formats_of(supposed.number_format, settings).weight_bits, 8)
    repeats = batched.achieved / own
    counted = Counted(graph, units, batched.model, compiled, weight_bits, repeats)
    return Prediction(options, supposed, counted, batched, own, rows(counted), compiled.default)
