"""Layers that no tile leaves, since others are made where they lie: put together from these."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.npu.batching import widen
from modelbuild.npu.planning.views import keeps_integers
from modelbuild.npu.rewriting import rewritten

Array = NDArray[Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Views:
    """`parts`: layer -> the tensors that it was put together from, of those that the program has; `given`:
    inputs and constants, which no program makes."""

    given: frozenset[str]
    values: dict[str, Array]
    parts: dict[str, tuple[str, ...]]

    def repeating(self, layers: Collection[str]) -> list[str]:
        """Those that cannot differ where no other of `layers` does: all that they consist of is among these,
        or is no integer that the program has made."""
        parts = self.parts.items()
        return [name for name, found in parts if not any(self._is_new(part, layers) for part in found)]

    def _is_new(self, part: str, layers: Collection[str]) -> bool:
        if part in layers or part in self.given:
            return False
        return part not in self.parts or any(self._is_new(one, layers) for one in self.parts[part])


class PartsOf:
    """The concats, reshapes and slices of a program for `wide` pictures a run, by what they lie in."""

    def __init__(self, fixed: FixedModel, wide: int) -> None:
        self._model = rewritten(widen(fixed, wide).model)

    def views(self, inputs: Arrays, layers: Arrays) -> Views:
        """Those that are not among the `layers` of a run and consist of these, of its `inputs` and of
        constants. No integer of them is computed: they are as right as their parts lie in place."""
        known = {**self._model.constants, **inputs, **layers}
        found = Views(frozenset({*self._model.constants, *inputs}), {}, {})
        for operator in self._model.operators:
            name, make = operator.outputs[0], _VIEWS.get(operator.kind)
            if name in known or make is None or not known.keys() >= set(operator.inputs):
                continue
            if operator.kind == "concat" and not self._lies_there(operator):
                continue
            made = make(operator, [known[source] for source in operator.inputs])
            known[name] = found.values[name] = made
            found.parts[name] = tuple(dict.fromkeys(operator.inputs))
        return found

    def _lies_there(self, operator: FixedOperator) -> bool:
        return all(keeps_integers(self._model, operator, place) for place in range(len(operator.inputs)))


def _concat(operator: FixedOperator, sources: Sequence[Array]) -> Array:
    axis: Any = operator.parameters["axis"]
    return np.concatenate(sources, axis)


def _reshape(operator: FixedOperator, sources: Sequence[Array]) -> Array:
    shape: Any = operator.parameters["shape"]
    return sources[0].reshape(shape)


def _slice(operator: FixedOperator, sources: Sequence[Array]) -> Array:
    bounds: Any = [operator.parameters[name] for name in ("starts", "ends", "steps")]
    taken: Array = sources[0][tuple(slice(*one) for one in zip(*bounds, strict=True))]
    return taken


_VIEWS: Mapping[str, Callable[[FixedOperator, Sequence[Array]], Array]] = {
    "concat": _concat,
    "reshape": _reshape,
    "slice": _slice,
}
