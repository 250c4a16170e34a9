"""What the functions of a running kmodel share, and the function that runs at the moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from modelbuild.formats.kmodel.model import Kmodel
from modelbuild.formats.kmodel.types import DATATYPES
from modelbuild.kpu.simulator.events import Access, Recorder
from modelbuild.kpu.simulator.limits import Budget, refused
from modelbuild.kpu.simulator.memory import Array, Memory, elements
from modelbuild.kpu.simulator.modules import LoadedFunction, LoadedModule
from modelbuild.kpu.simulator.types import DTYPES

INPUT, OUTPUT, RDATA, DATA, KPU = 0, 1, 2, 3, 64


@dataclass
class Run:
    """One run of a machine."""

    model: Kmodel
    memory: Memory
    modules: tuple[LoadedModule, ...]
    budget: Budget
    recorder: Recorder
    _enter: Callable[[Run, LoadedFunction, Sequence[int], Sequence[int]], None]
    active: list[LoadedFunction] = field(default_factory=list)

    def enter(self, function: LoadedFunction, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Runs a function to its end, with the addresses of what it takes and gives."""
        self._enter(self, function, inputs, outputs)

    def load(
        self,
        what: str,
        keep: bool,
        address: int,
        dtype: np.dtype,
        shape: Sequence[int],
        strides: Sequence[int],
    ) -> Array:
        """Reads a tensor, and records that it was read."""
        self.budget.spend(elements(shape))
        found = self.memory.load(address, dtype, shape, strides)
        self.recorder.reads.append(self.access(what, keep, address, found, strides))
        return found

    def store(
        self,
        what: str,
        keep: bool,
        address: int,
        values: Array,
        strides: Sequence[int],
        anywhere: bool = False,
    ) -> None:
        """Writes a tensor, and records that it was written."""
        self.budget.spend(elements(values.shape))
        self.memory.store(address, values, strides, anywhere=anywhere)
        self.recorder.writes.append(self.access(what, keep, address, values, strides))

    def access(self, what: str, keep: bool, address: int, values: Array, strides: Sequence[int]) -> Access:
        """The record of an access, with a copy of the values if they are to be kept."""
        region, offset = self.memory.place(address)
        if keep:
            self.budget.keep(values.nbytes)
        held = values.copy() if keep else None
        return Access(what, region.name, offset, str(values.dtype), values.shape, tuple(strides), held)


@dataclass
class Frame:
    """A function that runs: `inputs` and `outputs` are addresses."""

    run: Run
    module: LoadedModule
    function: LoadedFunction
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def place(self) -> tuple[int, int]:
        """The numbers of module and function."""
        return self.function.module, self.function.number

    def where(self, offset: int) -> str:
        """For errors: the place of an instruction."""
        return f"module {self.place[0]}, function {self.place[1]}, offset 0x{offset:x}"


def type_name(code: int) -> str:
    """For errors."""
    return DATATYPES.get(code, f"unknown ({code})")


def same_type(code: int, wanted: int, what: str) -> None:
    """That two types are one; else an error."""
    if not 0 <= code < len(DTYPES) or code != wanted:
        raise refused(f"{what} is {type_name(code)}, and {type_name(wanted)} is wanted")
