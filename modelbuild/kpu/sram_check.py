"""Whether each layer fits the KPU's RAM that the settings leave, before anything is quantized."""

from __future__ import annotations

from collections.abc import Mapping

from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.check import Finding
from modelbuild.graph.model import Graph
from modelbuild.kpu.compile_options import SRAM, compile_options
from modelbuild.kpu.planning.limits import SETTING, check_layers
from modelbuild.kpu.predicting.outline import outline
from modelbuild.quantize.settings import Settings

CODE = "MB117"


def check_sram(graph: Graph, units: Mapping[str, str], recipe: Recipe, sram_bytes: int) -> list[Finding]:
    """What `compile` will say of the layers of a lowered graph. What all of the RAM does not hold, the rules
    of the chip keep off the KPU."""
    try:
        room, own = (compile_options(recipe, given).sram_bytes for given in ({SRAM: sram_bytes}, {}))
        check_layers(outline(graph, units, recipe, Settings.read({})).model, room, own)
    except ModelbuildError as error:
        return [
            Finding(CODE, "error", f"{problem.what}: {problem.why}", problem.advice)
            for problem in error.problems
            if problem.where == SETTING
        ]
    return []
