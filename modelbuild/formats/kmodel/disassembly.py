"""The code in a kmodel: of the stack machine and of the K210's KPU; other instructions are not public."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from modelbuild.formats.checks import Check, unless
from modelbuild.formats.kmodel import convolutions, kpu_operations, stackvm, types
from modelbuild.formats.kmodel.kpu_operations import Operation
from modelbuild.formats.kmodel.model import WITHIN_LIMITS, Function, Kmodel, Module, Span, Tensor
from modelbuild.formats.kmodel.records import Enum
from modelbuild.formats.kmodel.stackvm_values import Attempt, Code, Line

_INPUT, _OUTPUT = 0, 1  # locations


@dataclass(frozen=True)
class Table:
    """What the table of these releases makes of the file: clean, or where and why it fails; how many
    instructions it read, and whether it says the same as the one shown."""

    versions: tuple[str, ...]
    clean: bool
    instructions: int
    agrees: bool
    offset: int | None = None
    why: str = ""


@dataclass(frozen=True)
class FunctionCode:
    """The code of one function of a module. Of `unread` nothing is known, for the reason in `why`."""

    module: int
    kind: str
    function: int
    span: Span
    lines: tuple[Line, ...] = ()
    operations: tuple[Operation, ...] = ()
    unread: Span | None = None
    why: str = ""


@dataclass(frozen=True)
class Disassembly:
    """All code of a file. `tables` are those tried, newest first, and `shown` is the one that `functions`
    follow: the newest clean one, or if none is the one that came furthest."""

    functions: tuple[FunctionCode, ...]
    tables: tuple[Table, ...] = ()
    shown: tuple[str, ...] = ()

    @property
    def clean(self) -> tuple[str, ...]:
        """The releases whose table reads everything to the end."""
        return tuple(version for table in self.tables if table.clean for version in table.versions)


def disassemble(model: Kmodel) -> Disassembly:
    """Version 5: every function. The other versions have no code that is public; layers of 3 and 4 are in
    `Kmodel.layers`."""
    heads = _heads(model)
    if model.version != _WITH_CODE:
        closed = (
            FunctionCode(*head, unread=head.span, why="its code is not decoded") for head, _, _ in heads
        )
        return Disassembly(tuple(closed))
    counts = tuple(len(module.functions) for module in model.modules)
    codes = [
        Code(head.span, _memory(module, function), counts)
        for head, module, function in heads
        if module.kind == _STACK_MACHINE
    ]
    tried = stackvm.attempts(model.data, codes, model.layout) if codes else []
    shown = _shown(tried)
    lines = iter(shown.lines if shown else [])
    reading = _reading(model)
    found = []
    for head, module, _ in heads:
        if module.kind == _STACK_MACHINE:
            found.append(_stack_code(head, next(lines, []), shown))
        else:
            found.append(_READERS.get(module.kind, _closed)(reading, head, module))
    tables = tuple(
        Table(item.isa.versions, item.failed is None, item.count, item.agrees, item.failed, item.why)
        for item in tried
    )
    return Disassembly(tuple(found), tables, shown.isa.versions if shown else ())


def kpu_check(model: Kmodel) -> Check:
    """That the layers in a K210's modules of version 5 are such that the KPU can run them."""
    reading = _reading(model)
    for head, module, _ in _heads(model):
        reader = _READERS.get(module.kind)
        for operation in reader(reading, head, module).operations if reader else ():
            if operation.problems:
                place = f"module {head.module}, operation at 0x{operation.offset:x}"
                return unless(WITHIN_LIMITS, f"{place}: {operation.problems[0]}")
    return unless(WITHIN_LIMITS, "")


class _Head(NamedTuple):
    module: int
    kind: str
    function: int
    span: Span


@dataclass(frozen=True)
class _Reading:
    data: bytes
    locations: Enum
    budget: kpu_operations.Budget


_STACK_MACHINE = "stackvm"
_WITH_CODE = 5  # the version whose code is public


def _reading(model: Kmodel) -> _Reading:
    locations = types.LOCATIONS if model.layout == "release" else types.DEVELOPMENT_LOCATIONS
    return _Reading(model.data, locations, kpu_operations.Budget(convolutions.budget(model.data)))


def _heads(model: Kmodel) -> list[tuple[_Head, Module, Function]]:
    """The functions that have code; one that would lie outside of .text has none."""
    found = []
    for index, module in enumerate(model.modules):
        section = module.section(".text")
        for number, function in enumerate(module.functions if section else ()):
            if section and function.text and function.entry + function.text <= section.body.size:
                span = Span(section.body.offset + function.entry, function.text)
                found.append((_Head(index, module.kind, number, span), module, function))
    return found


def _shown(tried: list[Attempt]) -> Attempt | None:
    """The attempt that kept its lines."""
    return next((item for item in tried if item.lines), tried[0] if tried else None)


def _memory(module: Module, function: Function) -> dict[int, int]:
    """Bytes of each memory by its location's number; inputs and outputs lie in pools of their own."""
    found = {pool.code: pool.size for pool in module.mempools}
    found[_INPUT] = _pool(function.input_pool, function.inputs)
    found[_OUTPUT] = _pool(function.output_pool, function.outputs)
    rdata = module.section(".rdata")
    if rdata is not None:
        found[kpu_operations.RDATA] = max(found.get(kpu_operations.RDATA, 0), rdata.body.size)
    return found


def _pool(size: int | None, tensors: Iterable[Tensor]) -> int:
    ends = ((item.address or 0) + (item.size or 0) for item in tensors)
    return max(size or 0, max(ends, default=0))


def _stack_code(head: _Head, lines: list[Line], shown: Attempt | None) -> FunctionCode:
    span = head.span
    end = lines[-1].offset + lines[-1].size if lines else span.offset
    rest = Span(end, span.end - end)
    why = (shown.why if shown and shown.failed is not None else "") or "no table reads it"
    if rest.size:
        return FunctionCode(*head, tuple(lines), unread=rest, why=why)
    return FunctionCode(*head, tuple(lines))


def _kpu_code(reading: _Reading, head: _Head, module: Module) -> FunctionCode:
    found, failed = kpu_operations.read(
        reading.data, head.span, module.section(".rdata"), reading.locations, reading.budget
    )
    if failed is None:
        return FunctionCode(*head, operations=tuple(found))
    place, why = failed
    return FunctionCode(*head, operations=tuple(found), unread=Span(place, head.span.end - place), why=why)


def _closed(reading: _Reading, head: _Head, module: Module) -> FunctionCode:
    return FunctionCode(*head, unread=head.span, why="the instructions of this module are not public")


_READERS = {"k210": _kpu_code}
