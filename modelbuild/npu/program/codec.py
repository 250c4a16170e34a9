"""Instructions <-> bytes. Every field is checked in both directions, so that decode(encode(x)) == x."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program.encoding import Encoding, Instruction
from modelbuild.npu.program.instructions import INSTRUCTIONS
from modelbuild.npu.program.rules import broken_rule
from modelbuild.npu.program.transfers import MAX_LOOPS, End, Loop, Transfer

MAX_INSTRUCTIONS = 1 << 20
_LOOP = struct.Struct("<III")


@dataclass(frozen=True)
class _Format:
    packing: struct.Struct
    names: tuple[str, ...]
    encodings: tuple[Encoding, ...]


def _format(kind: type[Instruction]) -> _Format:
    encoded = [item for item in fields(kind) if "encoding" in item.metadata]
    encodings = tuple(item.metadata["encoding"] for item in encoded)
    packing = struct.Struct("<" + "".join(encoding.code for encoding in encodings))
    return _Format(packing, tuple(item.name for item in encoded), encodings)


_FORMATS = {kind: _format(kind) for kind in INSTRUCTIONS.values()}


def _malformed(what: str, index: int, offset: int) -> ModelbuildError:
    return ModelbuildError(f"malformed program: {what}", where=f"instruction {index} at offset {offset}")


def encode_instructions(instructions: Iterable[Instruction]) -> bytes:
    """The bytes of a stream. An instruction that decoding would refuse is a ModelbuildError."""
    out = bytearray()
    for index, instruction in enumerate(instructions):
        layout = _FORMATS[type(instruction)]
        values = [getattr(instruction, name) for name in layout.names]
        problem = _out_of_range(layout, values) or broken_rule(instruction)
        if problem:
            raise _malformed(problem, index, len(out))
        out.append(instruction.opcode)
        out += layout.packing.pack(*values)
        if isinstance(instruction, Transfer):
            out.append(len(instruction.loops))
            for loop in instruction.loops:
                out += _LOOP.pack(loop.count, loop.dram_stride, loop.sram_stride)
    return bytes(out)


def encoded_size(instructions: Iterable[Instruction]) -> int:
    """How many bytes `encode_instructions` makes."""
    total = 0
    for instruction in instructions:
        total += 1 + _FORMATS[type(instruction)].packing.size
        if isinstance(instruction, Transfer):
            total += 1 + _LOOP.size * len(instruction.loops)
    return total


def _out_of_range(layout: _Format, values: Sequence[int]) -> str:
    for name, encoding, value in zip(layout.names, layout.encodings, values, strict=True):
        if not encoding.low <= value <= encoding.high:
            return f"{name} is {value}, which is not in {encoding.low}..{encoding.high}"
    return ""


def decode_instructions(data: bytes, start: int = 0) -> tuple[tuple[Instruction, ...], int]:
    """The stream that starts at `start` and ends with `End`, and the offset behind it.

    An unknown opcode, a field out of its range, or a stream that does not end is a ModelbuildError.
    """
    offset = start
    found: list[Instruction] = []
    while True:
        try:
            instruction, following = _decode_one(data, offset)
        except (struct.error, IndexError):
            raise _malformed("the stream is cut off", len(found), offset) from None
        except ValueError as error:
            raise _malformed(str(error), len(found), offset) from None
        problem = broken_rule(instruction)
        if problem:
            raise _malformed(problem, len(found), offset)
        found.append(instruction)
        offset = following
        if isinstance(instruction, End):
            return tuple(found), offset
        if len(found) > MAX_INSTRUCTIONS:
            raise _malformed(f"more than {MAX_INSTRUCTIONS} instructions", len(found), offset)


def _decode_one(data: bytes, offset: int) -> tuple[Instruction, int]:
    kind = INSTRUCTIONS.get(data[offset])
    if kind is None:
        raise ValueError(f"unknown opcode 0x{data[offset]:02x}")
    layout = _FORMATS[kind]
    values = layout.packing.unpack_from(data, offset + 1)
    problem = _out_of_range(layout, values)
    if problem:
        raise ValueError(problem)
    offset += 1 + layout.packing.size
    named: dict[str, Any] = dict(zip(layout.names, values, strict=True))
    if issubclass(kind, Transfer):
        count = data[offset]
        if count > MAX_LOOPS:
            raise ValueError(f"{count} loops, but at most {MAX_LOOPS} are possible")
        starts = range(offset + 1, offset + 1 + 12 * count, 12)
        named["loops"] = tuple(Loop(*_LOOP.unpack_from(data, start)) for start in starts)
        offset += 1 + 12 * count
    return kind(**named), offset
