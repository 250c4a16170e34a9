"""How weights become whole steps: one module a method, each with the same function. `nearest` needs none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelbuild.quantize.rounding import adaround, squant
from modelbuild.quantize.rounding.moments import Problem, Real

DATA_FREE = "squant"  # where moments would be needed and there are none
Rounding = Callable[[Problem], Real]


@dataclass(frozen=True)
class Method:
    """`round` gives the whole numbers [groups, O, K] of a problem."""

    round: Rounding
    needs_moments: bool


METHODS: dict[str, Method] = {
    "adaround": Method(adaround.round_weights, True),
    "squant": Method(squant.round_weights, False),
}
