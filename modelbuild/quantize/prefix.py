"""The beginning of a fixed-point model, run on several samples at once while the rest is being decided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from modelbuild.arithmetic.binding import bind
from modelbuild.arithmetic.executing import short_buffers
from modelbuild.arithmetic.fixed_model import FixedModel, Integers
from modelbuild.arithmetic.multiplier_shift import KERNELS
from modelbuild.arithmetic.number import quantize_array
from modelbuild.graph.model import Graph
from modelbuild.quantize.assembly import Assembly
from modelbuild.quantize.builders import BUILDERS
from modelbuild.quantize.plan import Plan, Step

MEMORY = 192 << 20  # bytes of the tensors of all samples together, about
MOST_SAMPLES = 64
FEWEST_SAMPLES = 4


class Prefix:
    """What the operators that are built already have made of each sample; what nobody reads again is gone."""

    def __init__(self, assembly: Assembly, plan: Plan, samples: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        self._assembly = assembly
        self._last = _last_use(assembly.graph, plan)
        tensors = {name: assembly.declare(name) for name in assembly.graph.inputs}
        self._live: list[dict[str, Integers]] = [
            {name: quantize_array(sample[name], tensor) for name, tensor in tensors.items()}
            for sample in samples
        ]

    def values(self, name: str) -> list[Integers]:
        """The codes of a tensor that is there, a sample each."""
        return [live[name] for live in self._live]

    def build(self, index: int, step: Step) -> None:
        """Build the operators of a step, its corrections being in the assembly's record, and run them."""
        assembly = self._assembly
        start = len(assembly.operators)
        build = BUILDERS.get(step.node.op)
        if build is None or step.node.domain:
            assembly.fail("there is no rule for this operator")
        build(assembly)
        model = FixedModel("", "", "", (), (), assembly.tensors, assembly.constants, ())
        operators = assembly.operators[start:]
        kernels = [KERNELS[operator.kind](bind(model, operator)) for operator in operators]
        kept = set(step.outputs)
        gone = [name for name, last in self._last.items() if last == index]
        with short_buffers():
            for live in self._live:
                made: dict[str, Integers] = {}
                for operator, kernel in zip(operators, kernels, strict=True):
                    given = [self._value(name, made, live) for name in operator.inputs]
                    made[operator.outputs[0]] = kernel(*given)
                live.update({name: values for name, values in made.items() if name in kept})
                for name in gone:
                    live.pop(name, None)

    def _value(self, name: str, made: Mapping[str, Integers], live: Mapping[str, Integers]) -> Integers:
        if name in made:
            return made[name]
        return live[name] if name in live else self._assembly.constants[name]


def samples_at_once(graph: Graph, plan: Plan) -> int:
    """How many samples a prefix takes, of the shapes alone."""
    last = _last_use(graph, plan)
    live = {name: _size(graph, name) for name in graph.inputs}
    largest = sum(live.values())
    for index, step in enumerate(plan.steps):
        live.update({name: _size(graph, name) for name in step.outputs})
        largest = max(largest, sum(live.values()))
        for name in [name for name in live if last.get(name, -1) <= index]:
            del live[name]
    return min(max(MEMORY // max(largest, 1), FEWEST_SAMPLES), MOST_SAMPLES)


def _size(graph: Graph, name: str) -> int:
    return math.prod(graph.shapes[name])


def _last_use(graph: Graph, plan: Plan) -> dict[str, int]:
    """Tensor -> the index of the last step that reads it; -1 for those that none reads."""
    last = {name: -1 for step in plan.steps for name in step.outputs}
    for index, step in enumerate(plan.steps):
        last.update({name: index for node in step.nodes for name in node.inputs if name})
    return last
