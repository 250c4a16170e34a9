"""The names that a kmodel does not have: which tensors each of its operations reads and writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor, float_tensor, whole_tensor
from modelbuild.errors import EXIT_FAILED, ModelbuildError

if TYPE_CHECKING:
    from modelbuild.kpu.simulator.events import Access, Event

KEY = "operations"  # of the metadata that travels with a model


@dataclass(frozen=True)
class Step:
    """An operation in order of execution, as the simulator tells it, and its tensors by name."""

    name: str
    module: int
    function: int
    reads: tuple[str, ...]
    writes: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """Tensors of one run by name, in the order in which they were made; `inexact`: those that an operation
    wrote of which the chip's runtime may have other last bits."""

    values: Mapping[str, NDArray[Any]]
    inexact: frozenset[str]


@dataclass(frozen=True)
class Named:
    """`steps` of the whole program; `tensors`: what operators make, with their number formats."""

    steps: tuple[Step, ...]
    tensors: Mapping[str, QuantizedTensor]

    @staticmethod
    def of(tensors: Sequence[QuantizedTensor], executed: Sequence[Mapping[str, Any]]) -> Named:
        """From `executed` of `compile.json`, and the tensors that operators make (`made`)."""
        steps = tuple(
            Step(each["name"], each["module"], each["function"], tuple(each["reads"]), tuple(each["writes"]))
            for each in executed
        )
        return Named(steps, {tensor.name: tensor for tensor in tensors})

    def to_text(self) -> str:
        """As JSON on one line."""
        steps = [[step.name, step.module, step.function, step.reads, step.writes] for step in self.steps]
        tensors = {
            name: [tensor.shape]
            if tensor.floating
            else [tensor.shape, tensor.scale, tensor.zero_point, *([tensor.bits] if tensor.whole else [])]
            for name, tensor in self.tensors.items()
        }
        return json.dumps({"steps": steps, "tensors": tensors}, separators=(",", ":"), ensure_ascii=False)

    @staticmethod
    def from_text(text: str) -> Named:
        """The inverse of `to_text`. Errors: ValueError, KeyError, TypeError for any other text."""
        found = json.loads(text)
        tensors = dict(found["tensors"])
        steps = tuple(
            Step(str(name), int(module), int(function), tuple(map(str, reads)), tuple(map(str, writes)))
            for name, module, function, reads, writes in found["steps"]
        )
        return Named(steps, {name: _tensor(name, *about) for name, about in tensors.items()})

    def seen(self, events: Sequence[Event]) -> Seen:
        """The tensors of a run whose values were kept: what operations wrote whole, and what they read that
        was made in parts, or by no operation. Raises where the file does other operations."""
        self._check(events)
        values: dict[str, NDArray[Any]] = {}
        inexact: set[str] = set()
        for event, step in zip(events, self.steps, strict=True):
            if not event.exact:
                inexact.update(name for name in step.writes if name in self.tensors)
            written = () if event.name == "copy" else zip(step.writes, event.writes, strict=False)
            for name, access in (*zip(step.reads, event.reads, strict=False), *written):
                tensor = self.tensors.get(name)
                if tensor is not None and name not in values and _is_whole(access, tensor):
                    assert access.values is not None
                    values[name] = _as(tensor, access.values)
        floats = frozenset(name for name in inexact if self.tensors[name].floating)
        return Seen({name: values[name] for name in self.tensors if name in values}, floats)

    def _check(self, events: Sequence[Event]) -> None:
        found = [(event.name, event.module, event.function) for event in events]
        planned = [(step.name, step.module, step.function) for step in self.steps]
        if found == planned:
            return
        pairs = enumerate(zip(found, planned, strict=False))
        place = next((number for number, (a, b) in pairs if a != b), min(len(found), len(planned)))
        raise ModelbuildError(
            f"the kmodel does other operations than the compiler planned, from number {place}",
            why="this is a bug of modelbuild, not of the model, unless another kmodel's .json lies beside it",
            advice="build the package again, or report it with the model; `verify: {hardware: none}` builds "
            "without it",
            exit_code=EXIT_FAILED,
        )


def made(fixed: FixedModel) -> tuple[QuantizedTensor, ...]:
    """The tensors that the operators of a model make, in their order."""
    return tuple(fixed.tensors[name] for operator in fixed.operators for name in operator.outputs)


def _tensor(
    name: str, shape: Sequence[int], scale: float | None = None, zero_point: int = 0, bits: int = 8
) -> QuantizedTensor:
    sizes = tuple(map(int, shape))
    if any(size < 1 for size in sizes):
        raise ValueError(f"{name} has the shape {sizes}")
    if scale is None:
        return float_tensor(name, sizes)
    if bits != 8:
        np.dtype(f"int{bits}")  # raises
        return whole_tensor(name, sizes, int(bits))
    return QuantizedTensor(name, sizes, 8, False, float(scale), int(zero_point))


def _is_whole(access: Access, tensor: QuantizedTensor) -> bool:
    size = int(np.prod(tensor.shape, dtype=np.int64)) * tensor.dtype.itemsize
    return access.values is not None and access.values.nbytes == size


def _as(tensor: QuantizedTensor, values: NDArray[Any]) -> NDArray[Any]:
    """In the tensor's shape and type: functions that move values call floats integers."""
    return np.ascontiguousarray(values).view(tensor.dtype).reshape(tensor.shape)
