"""The stack machine: follows the code of a function instruction by instruction."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel.stackvm_isa import CODES, OPCODES, TENSOR, Instruction, tables
from modelbuild.kpu.simulator import scalars
from modelbuild.kpu.simulator.call import Call, Padding
from modelbuild.kpu.simulator.functions import FUNCTIONS
from modelbuild.kpu.simulator.limits import MAX_STACK, PYTHON_LOOP, refused
from modelbuild.kpu.simulator.memory import NULL, row_major
from modelbuild.kpu.simulator.modules import Port
from modelbuild.kpu.simulator.run import DATA, INPUT, OUTPUT, RDATA, Frame, same_type
from modelbuild.kpu.simulator.scalars import Value
from modelbuild.kpu.simulator.types import from_bfloat16, to_bfloat16

VERSION = "1.9.0"  # whose table of tensor functions counts
MAX_RANK = 32
_WORDS = {
    "i1": "<i1",
    "i2": "<i2",
    "i4": "<i4",
    "i": "<i8",
    "u1": "<u1",
    "u2": "<u2",
    "u4": "<u4",
    "u": "<u8",
    "br2": "<u2",
    "r4": "<f4",
}


@dataclass
class State:
    """A function that runs: its stack, and where it is."""

    frame: Frame
    place: int
    stack: list[Value] = field(default_factory=list)

    def pop(self) -> Value:
        """The value on top."""
        if not self.stack:
            raise refused("it takes a value from the empty stack")
        return self.stack.pop()

    def push(self, value: Value) -> None:
        """A new value on top."""
        if len(self.stack) >= MAX_STACK:
            raise refused(f"it puts more than {MAX_STACK} values on the stack")
        self.stack.append(value)

    def padding(self) -> Padding:
        """Three numbers: before, after, interior."""
        after = [scalars.signed(scalars.low_bits(self.pop(), 32), 32) for _ in range(3)]
        return after[2], after[1], after[0]


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
    handler = _INSTRUCTIONS.get(item.name)
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


Operands = tuple[int | float, ...]


def _nothing(state: State, name: str, operands: Operands) -> None:
    """nop."""


def _constant(state: State, name: str, operands: Operands) -> None:
    fixed = {"ldnull": NULL, "ldc_i4_0": 0, "ldc_i4_1": 1}
    if name == "ldc_r4":
        state.push(np.float32(operands[0]))
    else:
        state.push(fixed[name] if name in fixed else int(operands[0]))


def _lea_buffer(state: State, name: str, operands: Operands) -> None:
    """The address of a byte of a memory. Inputs, and outputs, are counted one after the other: it is of the
    last one that begins there or before."""
    location, _, offset = (int(value) for value in operands)
    frame = state.frame
    ports = {INPUT: (frame.function.inputs, frame.inputs), OUTPUT: (frame.function.outputs, frame.outputs)}
    if location in ports:
        best, address = -1, None
        for port, base in zip(*ports[location], strict=True):
            if best <= port.start <= offset:
                best, address = port.start, base + offset - port.start
        if address is None:
            raise refused(f"no tensor of location {location} begins at {offset} or before")
        state.push(address)
        return
    regions = {RDATA: frame.module.rdata, DATA: frame.module.data}
    if location not in regions:
        raise refused(f"the stack machine has no memory of location {location}")
    region = regions[location]
    if offset > region.size:
        raise refused(f"an address lies at {offset} of {region.size} bytes of {region.name}")
    state.push(region.base + offset)


def _load(state: State, name: str, operands: Operands) -> None:
    _, _, kind = name.partition("_")
    dtype = np.dtype(_WORDS[kind])
    index = scalars.whole(state.pop()) if name.startswith("ldelem") else 0
    address = scalars.whole(state.pop()) + index * dtype.itemsize
    found = state.frame.run.memory.load(address, dtype, (1,), (1,))
    if kind == "br2":
        state.push(np.float32(from_bfloat16(found)[0]))
    elif kind == "r4":
        state.push(np.float32(found[0]))
    else:
        state.push(scalars.signed(int(found[0])))


def _store(state: State, name: str, operands: Operands) -> None:
    _, _, kind = name.partition("_")
    value = state.pop()
    index = scalars.whole(state.pop()) if name.startswith("stelem") else 0
    dtype = np.dtype(_WORDS[kind])
    if kind == "br2":
        values = to_bfloat16(np.array([scalars.real(value)]))
    elif kind == "r4":
        values = np.array([scalars.real(value)], np.float32)
    else:
        bits = dtype.itemsize * 8
        number = scalars.whole(value) if bits == 64 else scalars.low_bits(value, bits)
        values = np.array([scalars.signed(number, bits)], dtype)
    address = scalars.whole(state.pop()) + index * dtype.itemsize
    state.frame.run.memory.store(address, values, (1,))


def _dup(state: State, name: str, operands: Operands) -> None:
    value = state.pop()
    state.push(value)
    state.push(value)


def _pop(state: State, name: str, operands: Operands) -> None:
    state.pop()


def _stshape(state: State, name: str, operands: Operands) -> None:
    number, rank = (int(value) for value in operands)
    _check_rank(rank)
    taken = [scalars.whole(state.pop()) for _ in range(rank)]
    if any(size < -(1 << 31) or size >= 1 << 31 for size in taken):
        raise refused("a shape register takes a number of more than 32 bits")
    state.frame.module.shapes[number] = tuple(reversed(taken))


def _stpaddings(state: State, name: str, operands: Operands) -> None:
    number, rank = (int(value) for value in operands)
    _check_rank(rank)
    taken = [state.padding() for _ in range(rank)]
    state.frame.module.paddings[number] = tuple(reversed(taken))


def _check_rank(rank: int) -> None:
    if rank > MAX_RANK:
        raise refused(f"a register takes {rank} dimensions")


def _unary(state: State, name: str, operands: Operands) -> None:
    value = state.pop()
    if name == "not":
        state.push(scalars.signed(~scalars.whole(value)))
    else:
        state.push(np.float32(-value) if isinstance(value, np.float32) else scalars.signed(-value))


def _binary(state: State, name: str, operands: Operands) -> None:
    second = state.pop()
    state.push(scalars.binary(name, state.pop(), second))


def _convert(state: State, name: str, operands: Operands) -> None:
    state.push(scalars.converted(name, state.pop()))


def _branch(state: State, name: str, operands: Operands) -> None:
    """Relative to the instruction behind it."""
    if name != "br" and bool(scalars.whole(state.pop())) != (name == "br_true"):
        return
    target, span = state.place + int(operands[0]), state.frame.function.code
    if not span.offset <= target < span.end:
        raise refused(f"a branch goes to 0x{target & 0xFFFFFFFF:x}, outside of the code")
    state.place = target


def _instructions() -> dict[str, Callable[[State, str, Operands], None]]:
    found: dict[str, Callable[[State, str, Operands], None]] = {
        "nop": _nothing,
        "lea_buffer": _lea_buffer,
        "dup": _dup,
        "pop": _pop,
        "stshape": _stshape,
        "stpaddings": _stpaddings,
        "neg": _unary,
        "not": _unary,
    }
    groups: tuple[tuple[str, Callable[[State, str, Operands], None]], ...] = (
        ("ldnull ldc_i4 ldc_i4_0 ldc_i4_1 ldc_r4", _constant),
        ("ldind ldelem", _load),
        ("stind stelem", _store),
        ("add sub mul div div_u rem rem_u and or xor shl shr shr_u", _binary),
        ("clt clt_u cle cle_u ceq cge cge_u cgt cgt_u cne", _binary),
        ("br br_true br_false", _branch),
    )
    for words, handler in groups:
        for word in words.split():
            if handler in (_load, _store):
                kinds = _WORDS if handler is _load else ("i1", "i2", "i4", "i", "br2", "r4")
                found |= {f"{word}_{kind}": handler for kind in kinds}
            else:
                found[word] = handler
    return found | {item.name: _convert for item in OPCODES if item.name.startswith("conv_")}


_INSTRUCTIONS = _instructions()
