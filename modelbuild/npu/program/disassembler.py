"""A program as text, a line an instruction."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields

from modelbuild.npu.program.command import decode
from modelbuild.npu.program.descriptor import ProgramInterface
from modelbuild.npu.program.encoding import ElementType, Instruction
from modelbuild.npu.program.host import decode_host
from modelbuild.npu.program.transfers import Layer, Transfer


def disassemble(command: bytes, host: bytes = b"") -> list[str]:
    """One line an instruction, tiles indented under their layer; then the host's segments."""
    program = decode(command)
    lines = list(_lines(program.instructions, program.interface))
    for index, segment in enumerate(decode_host(host).segments):
        lines.append(f"segment {index}")
        lines.extend(_lines(segment, program.interface))
    return lines


def _lines(instructions: Iterable[Instruction], interface: ProgramInterface) -> Iterable[str]:
    for instruction in instructions:
        if isinstance(instruction, Layer) and instruction.index < len(interface.layers):
            layer = interface.layers[instruction.index]
            yield f"layer {instruction.index}  ; {layer.name} ({layer.kind})"
        else:
            yield "  " + instruction_text(instruction)


def instruction_text(instruction: Instruction) -> str:
    """The instruction's name and its fields."""
    words = [re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(instruction).__name__).lower()]
    for item in fields(instruction):
        value = getattr(instruction, item.name)
        if item.name == "loops":
            continue
        if item.name.endswith("_type"):
            words.append(f"{item.name}={ElementType(value).name.lower()}")
        else:
            words.append(f"{item.name}={value}")
    loops = instruction.loops if isinstance(instruction, Transfer) else ()
    words += [f"x{loop.count}(dram+{loop.dram_stride},sram+{loop.sram_stride})" for loop in loops]
    return " ".join(words)
