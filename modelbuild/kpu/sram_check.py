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
    usual, found = (_not_lowered(graph, units, chip) for chip in (recipe, recipe.with_sram(sram_bytes)))
    refused = {name: why for name, why in found.items() if name not in usual}
    if not refused:
        return []
    own = int(recipe.hardware.sram_bytes.value)
    enough = _enough(graph, units, recipe, sram_bytes, usual)
    do = f"write `sram_bytes: {enough}`, which is enough, or remove it" if enough < own else "remove it"
    ops = {node.name: f"{node.op} `{node.name}`: " for node in graph.nodes}
    head = f"`sram_bytes` leaves {sram_bytes:,} bytes of the KPU's RAM"
    return [
        Finding(
            CODE,
            "error",
            f"{head}: {ops.get(name, '')}{why}",
            f"{do}: the KPU has {own:,}",
            name if name in ops else "",
        )
        for name, why in refused.items()
    ]


def _enough(
    graph: Graph, units: Mapping[str, str], recipe: Recipe, sram_bytes: int, usual: Mapping[str, str]
) -> int:
    """A power of two above `sram_bytes` that leaves no more out than all of the RAM does; else all of it."""
    own = int(recipe.hardware.sram_bytes.value)
    tried = 1 << sram_bytes.bit_length()
    while tried < own and _not_lowered(graph, units, recipe.with_sram(tried)).keys() - usual.keys():
        tried *= 2
    return min(tried, own)


def _not_lowered(graph: Graph, units: Mapping[str, str], recipe: Recipe) -> Mapping[str, str]:
    """Why, by node; by the model where nothing is left of it."""
    try:
        return outline(graph, units, recipe, Settings.read({}), {}).left_out
    except ModelbuildError as error:
        return {graph.name: error.problems[0].why or error.problems[0].what}
