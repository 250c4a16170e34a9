"""One operator of the fixed model with everything that its translation needs, read with clear errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, Integers
from modelbuild.errors import ModelbuildError
from modelbuild.npu.emitting.emitter import Place

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Operation:
    """An operator, where its tensors lie, and its constants by role. `ready` are the positions of a concat's
    inputs that lie where they belong already."""

    model: FixedModel
    operator: FixedOperator
    inputs: tuple[Place, ...]
    output: Place
    constants: Mapping[str, Integers]
    ready: frozenset[int] = frozenset()

    def error(self, what: str, why: str = "") -> ModelbuildError:
        """An error that names the operator."""
        return ModelbuildError(what, where=f"{self.operator.kind} {self.operator.name!r}", why=why)

    def integer(self, name: str) -> int:
        """An integer parameter."""
        value = self._parameter(name)
        if not isinstance(value, (int, np.integer)):
            raise self.error(f"parameter {name} must be an integer, not {value!r}")
        return int(value)

    def integers(self, name: str, count: int | None = None) -> tuple[int, ...]:
        """A parameter of several integers; `count` of them if given."""
        value = self._parameter(name)
        if not isinstance(value, (tuple, list)) or not all(
            isinstance(item, (int, np.integer)) for item in value
        ):
            raise self.error(f"parameter {name} must be a list of integers, not {value!r}")
        if count is not None and len(value) != count:
            raise self.error(f"parameter {name} has {len(value)} values, but {count} are needed")
        return tuple(int(item) for item in value)

    def _parameter(self, name: str) -> object:
        if name not in self.operator.parameters:
            raise self.error(f"parameter {name} is missing")
        return self.operator.parameters[name]

    def constant(self, role: str, shape: tuple[int | None, ...]) -> Int64:
        """A constant by its role as int64; None in `shape` stands for any extent."""
        return self.raw_constant(role, shape).astype(np.int64)

    def raw_constant(self, role: str, shape: tuple[int | None, ...]) -> Integers:
        """A constant by its role as it is, unread."""
        if role not in self.constants:
            raise self.error(f"constant {role} is missing")
        value = self.constants[role]
        fits = len(value.shape) == len(shape) and all(
            wanted is None or wanted == extent for wanted, extent in zip(shape, value.shape, strict=True)
        )
        if not fits:
            raise self.error(f"constant {role} has shape {value.shape}, but {shape} is needed")
        return value

    def check(self, holds: bool, what: str) -> None:
        """Raises `what` unless it holds."""
        if not holds:
            raise self.error(what)


def within(values: Int64, low: int, high: int) -> bool:
    """Whether every value lies in low..high."""
    return values.size == 0 or (int(values.min()) >= low and int(values.max()) <= high)


def packed(operation: Operation, columns: Mapping[str, tuple[Int64, int, int, int]]) -> NDArray[np.uint8]:
    """Records as bytes, a row a record: each column is (values, bytes each, low, high), little endian."""
    parts = []
    for name, (values, width, low, high) in columns.items():
        operation.check(within(values, low, high), f"{name} is not in {low}..{high}")
        wide = np.ascontiguousarray(values, dtype="<i8").reshape(-1, 1).view(np.uint8)
        parts.append(wide[:, :width])
    return np.concatenate(parts, axis=1)


MULTIPLIER = (-(2**31) + 1, 2**31 - 1)
SHIFT = (0, 62)


def scaling_columns(
    multiplier: Int64, shift: Int64, name: str = ""
) -> dict[str, tuple[Int64, int, int, int]]:
    """The columns of a multiplier (4 bytes) and a shift (1 byte)."""
    return {
        f"{name}multiplier": (multiplier, 4, *MULTIPLIER),
        f"{name}shift": (shift, 1, *SHIFT),
    }
