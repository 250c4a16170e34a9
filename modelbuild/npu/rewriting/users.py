"""Who reads each tensor of a fixed model."""

from __future__ import annotations

from modelbuild.arithmetic.fixed_model import FixedModel


class Users:
    """The readers of each tensor; an output of the model has one more."""

    def __init__(self, model: FixedModel) -> None:
        self._outputs = frozenset(model.outputs)
        self._readers: dict[str, list[int]] = {}
        for index, operator in enumerate(model.operators):
            for name in operator.inputs:
                self._readers.setdefault(name, []).append(index)

    def only_reader(self, name: str) -> int | None:
        """The operator that reads the tensor, if it reads it once and nobody else does."""
        found = self._readers.get(name, [])
        return found[0] if len(found) == 1 and name not in self._outputs else None
