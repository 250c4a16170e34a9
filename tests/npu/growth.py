"""A random fixed model that grows layer by layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, Integers, QuantizedTensor
from tests.arithmetic.dice import Dice


class Growth:
    """A model that grows layer by layer from one picture."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.tensors: dict[str, QuantizedTensor] = {}
        self.constants: dict[str, Integers] = {}
        self.operators: list[FixedOperator] = []
        size = dice.whole(5, 12), dice.whole(5, 12)
        self.put("input", (dice.whole(1, 2), dice.whole(1, 6), *size))
        self.inputs = ["input"]
        self.latest = ["input"]

    def put(self, name: str, shape: tuple[int, ...], like: QuantizedTensor | None = None) -> QuantizedTensor:
        fresh = self.dice.tensor(name, shape)
        tensor = replace(like, name=name, shape=shape) if like else fresh
        self.tensors[name] = tensor
        return tensor

    def grow(
        self,
        kind: str,
        inputs: list[str],
        output: QuantizedTensor,
        parameters: dict[str, Any],
        constants: dict[str, Integers] | None = None,
    ) -> None:
        name = f"layer{len(self.operators)}"
        named = {role: f"{name}/{role}" for role in constants or {}}
        self.constants |= {named[role]: values for role, values in (constants or {}).items()}
        self.operators.append(FixedOperator(kind, name, tuple(inputs), (output.name,), parameters, named))
        self.latest.append(output.name)

    def pick(self) -> QuantizedTensor:
        recent = self.latest[-3:]
        return self.tensors[recent[self.dice.whole(0, len(recent) - 1)]]

    def name(self) -> str:
        return f"t{len(self.operators)}"

    def finish(self) -> FixedModel:
        used = {name for operator in self.operators for name in operator.inputs}
        self.inputs = [name for name in self.inputs if name in used or name == "input"]
        outputs = tuple(op.outputs[0] for op in self.operators if op.outputs[0] not in used)
        if self.dice.whole(0, 1):
            extra = self.operators[self.dice.whole(0, len(self.operators) - 1)].outputs[0]
            outputs = tuple(dict.fromkeys((*outputs, extra)))
        return FixedModel(
            "grown",
            "multiplier_shift@1",
            "test",
            tuple(self.inputs),
            outputs,
            self.tensors,
            self.constants,
            tuple(self.operators),
        )


def scaled(growth: Growth, largest: int, y: QuantizedTensor) -> dict[str, Any]:
    """Multiplier, shift and bounds of an output, for sums up to `largest`."""
    multiplier, shift = growth.dice.scaling(largest, y)
    return {"multiplier": multiplier, "shift": shift, **growth.dice.bounds(y)}
