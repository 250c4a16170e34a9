"""A kmodel v5 taken apart for running: modules with their memories, functions with their code."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from modelbuild.formats import kmodel
from modelbuild.formats.kmodel.kpu_registers import RAM_BYTES
from modelbuild.formats.kmodel.model import Kmodel, Module, Span, Tensor
from modelbuild.kpu.simulator.limits import refused
from modelbuild.kpu.simulator.memory import Memory, Region
from modelbuild.kpu.simulator.types import CODES, DTYPES

DATA = 3  # the location of what a module computes in
KINDS = ("stackvm", "k210")  # of modules
WITH_RAM = KINDS[1:]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Port:
    """An input or output of a function: type, shape, and where it starts among its kind."""

    code: int
    shape: Shape
    start: int

    @property
    def dtype(self) -> np.dtype:
        """What arrays hold."""
        return DTYPES[self.code]

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass
class LoadedFunction:
    """A function: its code in the file, and what it takes and gives."""

    module: int
    number: int
    code: Span
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


@dataclass
class LoadedModule:
    """A module with its memories, and the registers that its functions share."""

    kind: str
    functions: tuple[LoadedFunction, ...]
    rdata: Region
    data: Region
    ram: Region | None
    shapes: dict[int, Shape] = field(default_factory=dict)
    paddings: dict[int, tuple[tuple[int, int, int], ...]] = field(default_factory=dict)


def read(data: bytes) -> Kmodel:
    """The file, which must be one that nncase 1.9 could run on a K210. Errors: ModelbuildError."""
    model = kmodel.read(data)
    if model.version != 5 or model.layout != "release":
        layout = f", in the layout {model.layout}" if model.version == kmodel.WRITTEN else ""
        raise refused(
            f"it has version {model.version}{layout}, which is for {kmodel.RUNTIMES[model.version]}",
            why=f"the simulator runs version {kmodel.WRITTEN} in the layout of the releases, as nncase 1.9",
            advice="`modelbuild inspect --disassemble` shows what is inside; to run it here, build it anew "
            "from the source model",
        )
    for index, module in enumerate(model.modules):
        if module.kind not in KINDS:
            raise refused(
                f"module {index} is of {module.kind}", why=f"the simulator runs {' and '.join(KINDS)}"
            )
    return model


def load(model: Kmodel, memory: Memory) -> tuple[LoadedModule, ...]:
    """All modules, with fresh memories."""
    return tuple(_module(model, index, memory) for index in range(len(model.modules)))


def _module(model: Kmodel, index: int, memory: Memory) -> LoadedModule:
    module = model.modules[index]
    label = f"module {index}"
    sizes = {pool.code: pool.size for pool in reversed(module.mempools)}
    rdata = module.section(".rdata")
    constants = model.data[rdata.body.offset : rdata.body.end] if rdata else b""
    return LoadedModule(
        module.kind,
        tuple(_function(module, index, number) for number in range(len(module.functions))),
        memory.add(f"{label}: rdata", len(constants), constants, constant=True),
        memory.add(f"{label}: data", sizes.get(DATA, 0)),
        memory.add(f"{label}: kpu", RAM_BYTES) if module.kind in WITH_RAM else None,
    )


def _function(module: Module, index: int, number: int) -> LoadedFunction:
    function = module.functions[number]
    where = f"module {index}, function {number}"
    section = module.section(".text")
    size = section.body.size if section else 0
    if function.entry + function.text > size:
        raise refused("its code lies outside of .text", where)
    start = section.body.offset + function.entry if section else 0
    ports = {
        kind: tuple(_port(item, where) for item in items)
        for kind, items in (("in", function.inputs), ("out", function.outputs))
    }
    return LoadedFunction(index, number, Span(start, function.text), ports["in"], ports["out"])


def _port(tensor: Tensor, where: str) -> Port:
    code = CODES.get(tensor.dtype)
    if code is None or tensor.shape is None:
        raise refused(f"a tensor has the type {tensor.dtype}", where)
    shape = tuple(size or 0 for size in tensor.shape)
    return Port(code, shape, tensor.address or 0)


def entry(model: Kmodel) -> LoadedFunction:
    """The function that a run starts with."""
    module, number = model.entry or (0, 0)
    if module >= len(model.modules) or number >= len(model.modules[module].functions):
        raise refused(f"there is no function {number} of module {module}, with which it starts")
    return _function(model.modules[module], module, number)
