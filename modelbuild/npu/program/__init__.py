"""The program of a chip: a documented binary (docs/program-format.md). Standard library only."""

from modelbuild.npu.program.command import Program, check_section, command_size, decode, encode, interface
from modelbuild.npu.program.descriptor import LayerPlace, ProgramInterface, TensorPlace
from modelbuild.npu.program.disassembler import disassemble
from modelbuild.npu.program.encoding import ElementType, Instruction
from modelbuild.npu.program.header import HEADER_SIZE, Header, Rates, decode_header
from modelbuild.npu.program.host import HostProgram, decode_host, encode_host

__all__ = [
    "HEADER_SIZE",
    "ElementType",
    "Header",
    "HostProgram",
    "Instruction",
    "LayerPlace",
    "Program",
    "ProgramInterface",
    "Rates",
    "TensorPlace",
    "check_section",
    "command_size",
    "decode",
    "decode_header",
    "decode_host",
    "disassemble",
    "encode",
    "encode_host",
    "interface",
]
