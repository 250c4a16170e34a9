"""The plain instructions of the stack machine: constants, addresses, loads, stores, numbers, branches."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelbuild.formats.kmodel.stackvm_isa import OPCODES
from modelbuild.kpu.simulator import scalars
from modelbuild.kpu.simulator.limits import refused
from modelbuild.kpu.simulator.memory import NULL
from modelbuild.kpu.simulator.run import DATA, INPUT, OUTPUT, RDATA
from modelbuild.kpu.simulator.state import State
from modelbuild.kpu.simulator.types import from_bfloat16, to_bfloat16

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


INSTRUCTIONS: Mapping[str, Callable[[State, str, Operands], None]] = _instructions()
