"""The fixed-point model as data: integer tensors, integer constants, operators in execution order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer]
Parameter = int | str | tuple[int, ...] | tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class QuantizedTensor:
    """real = scale * (integer - zero_point); NCHW unless the source's layout said otherwise.

    `floating`: it holds float32 as they are, which number systems with operators on a CPU have
    (`float_tensor`)."""

    name: str
    shape: tuple[int, ...]
    bits: int
    signed: bool
    scale: float
    zero_point: int
    floating: bool = False

    @property
    def low(self) -> int:
        """The smallest integer that this tensor can hold."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest integer that this tensor can hold."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest numpy integer type that holds the tensor; float32 of a floating one."""
        if self.floating:
            return np.dtype(np.float32)
        bits = 8 if self.bits <= 8 else 16 if self.bits <= 16 else self.bits
        return np.dtype(f"{'int' if self.signed else 'uint'}{bits}")

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers that mean themselves: places, counts (`whole_tensor`)."""
        return not self.floating and self.bits > 16


def float_tensor(name: str, shape: tuple[int, ...]) -> QuantizedTensor:
    """A tensor of float32, whose scale is 1."""
    return QuantizedTensor(name, shape, 32, True, 1.0, 0, floating=True)


def whole_tensor(name: str, shape: tuple[int, ...], bits: int) -> QuantizedTensor:
    """A tensor of whole numbers of 32 or 64 bits, whose scale is 1."""
    return QuantizedTensor(name, shape, bits, True, 1.0, 0)


@dataclass(frozen=True)
class FixedOperator:
    """One operator of `docs/arithmetic.md`. `constants` maps a role (weight, bias, multiplier, shift,
    table ...) to a name in `FixedModel.constants`; `inputs` name tensors, which may be constant too.
    `fused`: the chip does it in the output stage of the operator that makes its input."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    origin: tuple[str, ...] = ()  # names of the lowered graph's nodes that it stands for
    unit: str = "npu"  # npu | cpu
    fused: bool = False


@dataclass(frozen=True)
class FixedModel:
    """What `apply` makes, `arithmetic` runs, and the compilers translate. A constant that is an operator's
    input also has an entry in `tensors`. Constants are integers, or float32 where a number system has
    floating tensors."""

    name: str
    arithmetic: str  # "multiplier_shift@1", "kpu@1", "float32"
    chip: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: Mapping[str, QuantizedTensor]
    constants: Mapping[str, NDArray[Any]]
    operators: tuple[FixedOperator, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)  # "preprocess": JSON, "labels": JSON
