"""Sums on coarse grids are rounded half up, and halves are common there: what that adds in the mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from modelbuild.arithmetic.number import decompose_together
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.quantize.plan import Plan, Step
from modelbuild.quantize.weighted import weighted

SIGNS = {"Add": 1.0, "Sub": -1.0}  # of the second operand
COARSE = 8  # bits behind the point; with more of them the excess is nothing


def excess(graph: Graph, plan: Plan, scale_of: Callable[[str], float]) -> dict[str, float]:
    """Tensor that weights leave -> what its biases have to be lower by, in real units, so that the sum behind
    it has the mean that it should.

    A sum of two tensors is a whole number of 2^-s steps, s small where scales are powers of two. Rounding
    half up adds 2^-(s+1) steps, if all remainders are as frequent. An operand that nothing else reads can
    make up for it, best one that no Relu follows.
    """
    made = {step.outputs[0]: step for step in plan.steps if weighted(graph, step.node) is not None}
    read = Counter(name for step in plan.steps for node in step.nodes for name in node.inputs)
    read.update(graph.outputs)
    found: dict[str, float] = {}
    for step in plan.steps:
        names = step.node.inputs
        sign = SIGNS.get(step.node.op)
        if sign is None or any(name in graph.constants for name in names):
            continue
        extra = _excess(names, step.outputs[0], sign, scale_of)
        free = [name for name in names if name in made and read[name] == 1 and _same(graph, name, step)]
        if extra and free:
            chosen = min(free, key=lambda name: made[name].bounds != (-np.inf, np.inf))
            found[chosen] = extra * (sign if chosen == names[1] else 1.0)
    return found


def _excess(names: list[str], y: str, sign: float, scale_of: Callable[[str], float]) -> float:
    """What is added to y in the mean."""
    scale = scale_of(y)
    factors = (scale_of(names[0]) / scale, sign * scale_of(names[1]) / scale)
    try:
        _, shift = decompose_together(factors, 8)
    except ModelbuildError:  # told where the operator is made
        return 0.0
    return scale * 2.0 ** -(shift + 1) if 0 < shift <= COARSE else 0.0


def _same(graph: Graph, name: str, step: Step) -> bool:
    return graph.shapes[name] == graph.shapes[step.node.outputs[0]]
