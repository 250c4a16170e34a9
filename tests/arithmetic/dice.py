"""A seeded source of tensors, parameters, constants and models of one operator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, Integers, QuantizedTensor


class Dice:
    """A seeded source of tensors, parameters and constants; `bits` is that of every tensor."""

    def __init__(self, seed: int, bits: int = 8) -> None:
        self.rng = np.random.default_rng(seed)
        self.bits = bits
        self.multiplier_limit = 1 << (31 if bits == 8 else 15)

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def tensor(self, name: str, shape: tuple[int, ...], bits: int | None = None) -> QuantizedTensor:
        signed = bool(self.whole(0, 1))
        plain = QuantizedTensor(name, shape, bits or self.bits, signed, 0.125, 0)
        zero = self.whole(plain.low, plain.high) if self.whole(0, 1) else 0
        return QuantizedTensor(name, shape, plain.bits, signed, 0.125, zero)

    def scaling(self, largest: int, output: QuantizedTensor) -> tuple[int, int]:
        """A multiplier and shift that bring `largest` to about the output's range, now and then extreme."""
        if self.whole(0, 9) == 0:
            return self.whole(1 - self.multiplier_limit, self.multiplier_limit - 1), self.whole(0, 62)
        factor = (output.high - output.low) / max(largest, 1) * float(self.rng.uniform(0.2, 2.0))
        shift = max(0, min(62, int(math.log2(self.multiplier_limit / factor)) - 1))
        return min(round(factor * 2**shift), self.multiplier_limit - 1), shift

    def bounds(self, output: QuantizedTensor) -> dict[str, Any]:
        low = self.whole(output.low, output.zero_point) if self.whole(0, 1) else output.low
        high = self.whole(max(low, output.zero_point), output.high) if self.whole(0, 1) else output.high
        return {"output_zero": output.zero_point, "low": low, "high": high}

    def rows(self, count: int, largest: int, output: QuantizedTensor) -> dict[str, Integers]:
        pairs = [self.scaling(largest, output) for _ in range(count)]
        return {
            "multiplier": np.array([pair[0] for pair in pairs], np.int32),
            "shift": np.array([pair[1] for pair in pairs], np.int32),
        }

    def inputs(self, model: FixedModel) -> dict[str, Integers]:
        """Random integers for the model's inputs, over the whole of what each can hold."""
        found = {}
        for name in model.inputs:
            tensor = model.tensors[name]
            values = self.rng.integers(tensor.low, tensor.high + 1, tensor.shape)
            found[name] = values.astype(tensor.dtype)
        return found


def one(
    kind: str,
    tensors: list[QuantizedTensor],
    parameters: dict[str, Any],
    constants: dict[str, Integers] | None = None,
) -> FixedModel:
    """A model of one operator; the last tensor is its output."""
    *inputs, output = tensors
    constants = constants or {}
    names = tuple(tensor.name for tensor in inputs)
    operator = FixedOperator(
        kind, "operator", names, (output.name,), parameters, {role: f"c/{role}" for role in constants}
    )
    return FixedModel(
        f"one_{kind}",
        "multiplier_shift@1",
        "test",
        names,
        (output.name,),
        {tensor.name: tensor for tensor in tensors},
        {f"c/{role}": values for role, values in constants.items()},
        (operator,),
    )


def weights(dice: Dice, shape: tuple[int, ...]) -> dict[str, Integers]:
    high = 127 if dice.bits == 8 else 32767
    weight = dice.rng.integers(-high, high + 1, shape).astype(np.int8 if dice.bits == 8 else np.int16)
    limit = 1 << (20 if dice.bits == 8 else 40)
    bias = dice.rng.integers(-limit, limit, shape[0]).astype(np.int32 if dice.bits == 8 else np.int64)
    return {"weight": weight, "bias": bias}


def magnitude(tensor: QuantizedTensor) -> int:
    return max(tensor.high - tensor.zero_point, tensor.zero_point - tensor.low)


def windowed(dice: Dice, kernel: tuple[int, int], dilated: bool = True) -> dict[str, Any]:
    """Strides, pads smaller than the kernel, dilations."""
    pads = tuple(dice.whole(0, kernel[side % 2] - 1) for side in range(4))
    found = {"strides": (dice.whole(1, 3), dice.whole(1, 3)), "pads": pads}
    return found | ({"dilations": (dice.whole(1, 2), dice.whole(1, 2))} if dilated else {})


def picture(dice: Dice, channels: int, kernel: tuple[int, int]) -> QuantizedTensor:
    sizes = [dice.whole(2 * side, 2 * side + 5) for side in kernel]
    return dice.tensor("x", (dice.whole(1, 2), channels, *sizes))
