"""Number system `multiplier_shift@1`: programs of modelbuild's own, for its simulator of NPUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.chips.recipe import Recipe
from modelbuild.graph.model import Graph
from modelbuild.npu.batch_compiler import compile_batch
from modelbuild.npu.batching import widen
from modelbuild.npu.limits import OverMemory, other_chips
from modelbuild.npu.program import interface
from modelbuild.npu.savings import saved
from modelbuild.npu.simulator import simulate
from modelbuild.quantize.apply import apply
from modelbuild.quantize.record import Record
from modelbuild.stages.backends.forms import Arrays, Made, Seen
from modelbuild.stages.hardware_match import check_cycles
from modelbuild.stages.hardware_views import PartsOf

__all__ = ["Machine", "compile_fixed", "lower"]


def lower(
    graph: Graph,
    units: Mapping[str, str],
    record: Record,
    recipe: Recipe,
    told: Callable[[int, int, str], None],
) -> FixedModel:
    """Nothing of it takes long enough to be told of."""
    return apply(graph, units, record, recipe)


def compile_fixed(
    fixed: FixedModel,
    recipe: Recipe,
    options: Mapping[str, Any],
    batch: int | None,
    told: Callable[[int, int, str], None],
) -> Made:
    """`told` hears how many groups are done, of how many, by which tiling."""
    try:
        compiled, found = compile_batch(fixed, recipe, options, batch, told)
    except OverMemory as error:
        raise error.with_chips(other_chips(recipe)) from None
    widened = widen(fixed, found.achieved).model
    untaken = () if compiled.deep is None else compiled.deep.findings()
    plan = {
        "batch": found.to_json(),
        "cycles": compiled.cycles,
        "deep": None if compiled.deep is None else compiled.deep.to_json(),
        "findings": [finding.to_json() for finding in (*found.findings, *untaken)],
        "groups": [asdict(group) for group in compiled.groups],
        "layers": [asdict(layer) for layer in compiled.layers],
        "memory": asdict(compiled.memory) | saved(compiled, widened, recipe, options),
        "packed": compiled.packed,
        "tiling": compiled.tiling,
    }
    return Made(compiled.command, compiled.weights, compiled.host, plan)


class Machine:
    """A program in the simulator. `wide`: pictures a run."""

    def __init__(self, fixed: FixedModel, sections: Sequence[bytes], plan: Mapping[str, Any]) -> None:
        self._fixed, self._sections = fixed, sections
        self.predicted: int | None = plan["cycles"]
        self.wide = (*interface(sections[0]).inputs[0].shape, 1)[0]
        self._parts = PartsOf(fixed, self.wide)

    def run(self, inputs: Arrays) -> Seen:
        """Of one run. Raises for cycles that are not those that the compiler predicted."""
        command, weights, host = self._sections
        done = simulate(command, weights, host, dict(inputs), keep_layers=True)
        assert self.predicted is not None
        check_cycles(self.predicted, done.cycles)
        views = self._parts.views(inputs, done.layers)
        seen = {**done.layers, **views.values}
        layers = [name for operator in self._fixed.operators for name in operator.outputs]
        known = {name: seen[name] for name in layers if name in seen}
        return Seen(done.outputs, known, done.cycles, views.parts, tuple(views.repeating(known)))
