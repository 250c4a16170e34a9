"""Whether each layer fits the KPU's RAM that the settings leave, before anything is quantized."""

from __future__ import annotations

from collections.abc import Mapping

from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.check import Finding
from modelbuild.graph.model import Graph
from modelbuild.kpu.predicting.outline import outline
from modelbuild.quantize.settings import Settings

CODE = "MB117"


def check_sram(graph: Graph, units: Mapping[str, str], recipe: Recipe, sram_bytes: int) -> list[Finding]:
    """The nodes of a lowered graph of which no layer, however divided, fits so little. What all of the RAM
    does not hold, the rules of the chip keep off the KPU."""
    own = int(recipe.hardware.sram_bytes.value)
    usual = _not_lowered(graph, units, recipe)
    advice = f"write a larger `sram_bytes`, or remove it: the KPU has {own:,}"
    return [
        Finding(CODE, "error", f"`sram_bytes` leaves {sram_bytes:,} bytes of the KPU's RAM: {why}", advice)
        for name, why in _not_lowered(graph, units, recipe.with_sram(sram_bytes)).items()
        if name not in usual
    ]


def _not_lowered(graph: Graph, units: Mapping[str, str], recipe: Recipe) -> Mapping[str, str]:
    """Why, by node; by the model where nothing is left of it."""
    try:
        return outline(graph, units, recipe, Settings.read({}), {}).left_out
    except ModelbuildError as error:
        return {graph.name: error.problems[0].why or error.problems[0].what}
