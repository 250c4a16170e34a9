"""Models of one operator of `kpu@1`, and inputs for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from tests.arithmetic import dice as dices
from tests.arithmetic.dice import Dice

LARGEST = np.finfo(np.float32).max
f32 = np.float32


def byte_tensor(name: str, shape: tuple[int, ...], scale: float = 0.125, zero: int = 7) -> QuantizedTensor:
    return QuantizedTensor(name, shape, 8, False, scale, zero)


def one(
    kind: str,
    tensors: list[QuantizedTensor],
    parameters: dict[str, Any] | None = None,
    constants: dict[str, Any] | None = None,
) -> FixedModel:
    """A model of one operator of `kpu@1`; the last tensor is its output."""
    return replace(dices.one(kind, tensors, parameters or {}, constants), arithmetic="kpu@1")


def floats(dice: Dice, shape: tuple[int, ...]) -> Any:
    return dice.rng.normal(size=shape).astype(f32)


def inputs(dice: Dice, model: FixedModel) -> dict[str, Any]:
    """Bytes over the whole range, floats of a few steps."""
    found = {}
    for name in model.inputs:
        tensor = model.tensors[name]
        if tensor.floating:
            found[name] = floats(dice, tensor.shape)
            if model.operators[0].kind == "convert":  # up to what no whole number holds
                found[name] *= f32(2.0 ** dice.whole(0, 70))
        elif tensor.whole:
            found[name] = dice.rng.integers(-(1 << 31), 1 << 31, tensor.shape).astype(tensor.dtype)
            found[name] <<= dice.whole(0, tensor.bits - 32)
        else:
            found[name] = dice.rng.integers(0, 256, tensor.shape).astype(np.uint8)
    return found
