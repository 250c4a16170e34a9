"""The stack machine: follows the code of a function instruction by instruction."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel.stackvm_isa import CODES, OPCODES, TENSOR, Instruction, tables
from modelbuild.kpu.simulator import scalars
from modelbuild.kpu.simulator.call import Call, Padding
from modelbuild.kpu.simulator.functions import FUNCTIONS
from modelbuild.kpu.simulator.instructions import INSTRUCTIONS
from modelbuild.kpu.simulator.limits import PYTHON_LOOP, refused
from modelbuild.kpu.simulator.memory import row_major
from modelbuild.kpu.simulator.modules import Port
from modelbuild.kpu.simulator.run import Frame, same_type
from modelbuild.kpu.simulator.scalars import Value
from modelbuild.kpu.simulator.state import State

VERSION = "1.9.0"  # whose table of tensor functions counts


def run(frame: Frame) -> None:
    """From the first instruction to `ret` or the end."""
    span = frame.function.code
    state = State(frame, span.offset)
    while state.place < span.end:
        place = state.place
        try:
            frame.run.budget.step()
            if not _step(state, span.end):
                return
        except ModelbuildError as error:
            problem = error.problems[0]
            if problem.where:
                raise
            raise ModelbuildError(
                problem.what, where=frame.where(place), why=problem.why, advice=problem.advice
            ) from None


@lru_cache(maxsize=1)
def _functions() -> tuple[Instruction | None, ...]:
    return next(isa.functions for isa in tables() if VERSION in isa.versions)


@lru_cache(maxsize=256)
def _layout(item: Instruction) -> struct.Struct:
    return struct.Struct("<" + "".join(CODES[operand.kind] for operand in item.operands))


def _decoded(state: State, item: Instruction, size: int, end: int) -> tuple[int | float, ...]:
    """The operands of the instruction, whose opcode has `size` bytes; moves on behind it."""
    layout = _layout(item)
    if state.place + size + layout.size > end:
        raise refused(f"{item.name} ends after the code")
    found = layout.unpack_from(state.frame.run.model.data, state.place + size)
    state.place += size + layout.size
    return found


def _step(state: State, end: int) -> bool:
    """One instruction; whether the function goes on."""
    opcode = state.frame.run.model.data[state.place]
    if opcode == TENSOR:
        _tensor(state, end)
        return True
    if opcode >= len(OPCODES):
        raise refused(f"there is no opcode 0x{opcode:02x}")
    item = OPCODES[opcode]
    operands = _decoded(state, item, 1, end)
    if item.name == "ret":
        return False
    handler = INSTRUCTIONS.get(item.name)
    if handler is None:
        raise refused(f"the vendor's runtime has no {item.name}")
    handler(state, item.name, operands)
    return True


def _tensor(state: State, end: int) -> None:
    data, place = state.frame.run.model.data, state.place
    if place + 3 > end:
        raise refused("a tensor instruction ends after the code")
    number = int.from_bytes(data[place + 1 : place + 3], "little")
    known = _functions()
    item = known[number] if number < len(known) else None
    if item is None:
        raise refused(f"the vendor's runtime has no tensor function {number}")
    values = _decoded(state, item, 3, end)
    operands = dict(zip((operand.name for operand in item.operands), values, strict=True))
    if item.name == "call":
        _call(state, operands)
        return
    recorder = state.frame.run.recorder
    recorder.begin()
    state.frame.run.budget.spend(4 * PYTHON_LOOP)
    keep = item.name in recorder.keep or "*" in recorder.keep
    call = Call(state.frame, item.name, operands, _taken(state, item.takes), keep)
    FUNCTIONS[item.name](call)
    recorder.end(item.name, (*state.frame.place, place), "stackvm", operands)


def _taken(state: State, takes: Sequence[str]) -> dict[str, Value | Padding]:
    """The arguments from the stack by name, the last one taken first."""
    found: dict[str, Value | Padding] = {}
    for name in reversed(takes):
        found[name.lstrip("#%")] = state.padding() if name.startswith("%") else state.pop()
    return found


def _call(state: State, operands: Mapping[str, int | float]) -> None:
    """Runs a function of a module; of each argument address, type, shape and strides are on the stack."""
    run_, number, target = state.frame.run, int(operands["module_id"]), int(operands["function_id"])
    if number >= len(run_.modules) or target >= len(run_.modules[number].functions):
        raise refused(f"there is no function {target} of module {number}")
    function = run_.modules[number].functions[target]
    outputs = _arguments(state, int(operands["num_dst"]), function.outputs, "output")
    inputs = _arguments(state, int(operands["num_src"]), function.inputs, "input")
    run_.enter(function, inputs, outputs)


def _arguments(state: State, count: int, ports: Sequence[Port], what: str) -> list[int]:
    if count != len(ports):
        raise refused(f"a call gives {count} {what}s to a function that has {len(ports)}")
    found = []
    for index in reversed(range(count)):
        strides, shape = (_register(state, scalars.low_bits(state.pop(), 32)) for _ in range(2))
        code, address = scalars.low_bits(state.pop(), 8), scalars.whole(state.pop())
        same_type(code, ports[index].code, f"{what} {index} of a call")
        if shape != ports[index].shape or strides != row_major(shape):
            raise refused(
                f"{what} {index} of a call has the shape {list(shape)} and the strides {list(strides)}",
                why=f"the function takes the shape {list(ports[index].shape)}, without gaps",
            )
        region, offset = state.frame.run.memory.place(address)
        if offset + ports[index].size > region.size:
            raise refused(f"{what} {index} of a call ends after {region.name}")
        found.append(address)
    return found[::-1]


def _register(state: State, number: int) -> tuple[int, ...]:
    found = state.frame.module.shapes.get(number)
    if found is None:
        raise refused(f"a call reads shape register {number}, which holds nothing")
    return found
