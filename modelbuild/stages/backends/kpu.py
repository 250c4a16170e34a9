"""Number systems `kpu@1` and `float32`: kmodels of version 5, machine code that the vendor's runtime runs.

What lowers, compiles and simulates is loaded by the stage that does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from modelbuild.chips.recipe import Recipe
from modelbuild.kpu.named import Named, made
from modelbuild.stages.backends.forms import Arrays, Made, Seen

if TYPE_CHECKING:
    from modelbuild.graph.model import Graph
    from modelbuild.kpu.compiler import Compiled
    from modelbuild.kpu.ports import Ports
    from modelbuild.kpu.predicting.timeline import Timed
    from modelbuild.quantize.record import Record

__all__ = ["Machine", "compile_fixed", "lower"]

CODE = "MB118"
_ADVICE = "a smaller picture or fewer channels there would keep it in the KPU's RAM"
_LARGER = "write a larger `sram_bytes`, or remove it"


def lower(
    graph: Graph,
    units: Mapping[str, str],
    record: Record | None,
    recipe: Recipe,
    told: Callable[[int, int, str], None],
    asked: Ports | None = None,
) -> FixedModel:
    """As `modelbuild.kpu.lower`."""
    from modelbuild.kpu.lower import lower as lowered

    return lowered(graph, units, record, recipe, told, asked)


def compile_fixed(
    fixed: FixedModel,
    recipe: Recipe,
    options: Mapping[str, Any],
    batch: int | None,
    told: Callable[[int, int, str], None],
) -> Made:
    """The kmodel is the first part, and all of it; it takes as many pictures a run as the model does."""
    from modelbuild.graph.check import Finding
    from modelbuild.kpu.compiler import compile_model
    from modelbuild.kpu.predicting.timeline import timeline, times_of, times_together

    compiled = compile_model(fixed, recipe, options)
    timed = timeline(fixed, compiled.executed, recipe.hardware)
    times = times_of(timed, recipe.hardware)
    advice = _LARGER if options.get("sram_bytes") is not None else _ADVICE
    memory = {**asdict(compiled.memory.sizes), "total": compiled.memory.sizes.total}
    plan: dict[str, Any] = {
        "batch": {"desired": None, "achieved": _first(fixed.tensors[fixed.inputs[0]]), "reasons": []},
        "cycles": sum(one.busy.total for one in timed) if compiled.functions else None,
        "executed": [{**asdict(step), **time} for step, time in zip(compiled.executed, times, strict=True)],
        "findings": [Finding(CODE, "note", text, advice).to_json() for text in compiled.findings],
        "functions": [asdict(function) for function in compiled.functions],
        "interface": interface(fixed),
        "layers": _layers(fixed, compiled, timed),
        "memory": memory,
        "placements": [asdict(placement) for placement in compiled.memory.placements],
        "tensors": [asdict(tensor) for tensor in made(fixed)],
        "times": times_together(times),
    }
    return Made(compiled.kmodel, b"", b"", plan, compiled)


def interface(fixed: FixedModel) -> dict[str, Any]:
    """What a kmodel does not tell: names, formats and what travels with the model."""
    return {
        "arithmetic": fixed.arithmetic,
        "chip": fixed.chip,
        "inputs": [asdict(fixed.tensors[name]) for name in fixed.inputs],
        "outputs": [asdict(fixed.tensors[name]) for name in fixed.outputs],
        "metadata": dict(fixed.metadata),
    }


def _first(tensor: QuantizedTensor) -> int:
    return (*tensor.shape, 1)[0]


def _layers(fixed: FixedModel, compiled: Compiled, timed: Sequence[Timed]) -> list[dict[str, Any]]:
    """Operators with cycles and bytes of all operations that belong to them, of uploads to the next layer."""
    own: dict[str, list[Timed]] = {operator.name: [] for operator in fixed.operators}
    for one in timed:
        own[one.step.operator].append(one)
    return [
        {
            "name": operator.name,
            "kind": operator.kind,
            "unit": operator.unit,
            "origin": list(operator.origin),
            "outputs": list(operator.outputs),
            "free": operator.name in compiled.free,
            "cycles": sum(one.busy.total for one in own[operator.name]),
            "dram_read": sum(one.read_bytes for one in own[operator.name]),
            "dram_write": sum(one.write_bytes for one in own[operator.name]),
            "weight_bytes": sum(one.weight_bytes for one in own[operator.name]),
        }
        for operator in fixed.operators
    ]


class Machine:
    """A kmodel in the simulator. `wide`: dimension 0 of its first input, which is the model's own."""

    predicted: int | None = None

    def __init__(self, fixed: FixedModel, sections: Sequence[bytes], plan: Mapping[str, Any]) -> None:
        from modelbuild.kpu.simulator import load

        self._fixed, self._named = fixed, Named.of(made(fixed), plan["executed"])
        self._machine = load(sections[0])
        self.wide = _first(fixed.tensors[fixed.inputs[0]])

    def run(self, inputs: Arrays) -> Seen:
        """Of one run: every layer of the KPU, and every tensor function. Raises where the file does other
        operations than the compiler planned: a bug."""
        fixed = self._fixed
        done = self._machine.run([inputs[name] for name in fixed.inputs], ("*",))
        seen = self._named.seen(done.events)
        outputs = {
            name: values.reshape(fixed.tensors[name].shape)
            for name, values in zip(fixed.outputs, done.outputs, strict=True)
        }
        return Seen(outputs, seen.values, inexact=frozenset(self._behind(set(seen.inexact))))

    def _behind(self, inexact: set[str]) -> set[str]:
        """With the tensors that only look at inexact ones, or are made of parts of them."""
        found = set(inexact)
        for operator in self._fixed.operators:
            if found & set(operator.inputs):
                found.update(name for name in operator.outputs if self._fixed.tensors[name].floating)
        return found
