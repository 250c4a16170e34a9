"""What back ends give: a compiled model, and what a run of it in the simulator left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Made:
    """The program in three parts, of which a container may have but the first, and `compile.json`.
    `compiled`: what `of_built` of the predictions takes, where there is one."""

    command: bytes
    weights: bytes
    host: bytes
    plan: Mapping[str, Any]
    compiled: Any = None


@dataclass(frozen=True)
class Seen:
    """A run: the model's outputs and every other tensor that could be seen, by name.

    `parts`: tensor -> those that it was put together from, where it was seen through them; `repeating`: of
    these those that cannot differ where their parts do not. `inexact`: tensors of floats behind functions of
    which the chip's runtime may have other last bits. `cycles` is None where a simulator counts none."""

    outputs: Arrays
    layers: Arrays
    cycles: int | None = None
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    repeating: tuple[str, ...] = ()
    inexact: frozenset[str] = frozenset()
