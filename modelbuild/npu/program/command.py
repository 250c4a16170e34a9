"""A whole program <-> its three byte strings."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program.codec import decode_instructions, encode_instructions, encoded_size
from modelbuild.npu.program.descriptor import ProgramInterface, decode_descriptor, encode_descriptor
from modelbuild.npu.program.encoding import Instruction
from modelbuild.npu.program.header import (
    HEADER_SIZE,
    Checksums,
    Header,
    Rates,
    Sizes,
    decode_header,
    encode_header,
)


@dataclass(frozen=True)
class Program:
    """What a command section says. The other sections enter by size and CRC-32."""

    interface: ProgramInterface
    instructions: tuple[Instruction, ...]
    rates: Rates
    dram_size: int
    sram_size: int
    weights_size: int
    weights_checksum: int
    host_size: int
    host_checksum: int


def encode(program: Program) -> bytes:
    """The command section."""
    descriptor = encode_descriptor(program.interface)
    instructions = encode_instructions(program.instructions)
    sizes = Sizes(
        len(descriptor),
        len(instructions),
        program.weights_size,
        program.host_size,
        program.dram_size,
        program.sram_size,
    )
    checksums = Checksums(
        zlib.crc32(descriptor), zlib.crc32(instructions), program.weights_checksum, program.host_checksum
    )
    return encode_header(Header(sizes, checksums, program.rates)) + descriptor + instructions


def command_size(program: Program) -> int:
    """How many bytes `encode` makes."""
    return HEADER_SIZE + len(encode_descriptor(program.interface)) + encoded_size(program.instructions)


def decode(command: bytes) -> Program:
    """The inverse of `encode`. Any other bytes are a ModelbuildError (exit code 2)."""
    header, descriptor, stream = _sections(command)
    interface = decode_descriptor(descriptor, header.sizes.dram)
    if zlib.crc32(stream) != header.checksums.instructions:
        raise ModelbuildError("malformed program: the CRC-32 does not match", where="instructions")
    instructions, end = decode_instructions(stream)
    if end != len(stream):
        raise ModelbuildError("malformed program: bytes after the end", where=f"instructions at offset {end}")
    return Program(
        interface=interface,
        instructions=instructions,
        rates=header.rates,
        dram_size=header.sizes.dram,
        sram_size=header.sizes.sram,
        weights_size=header.sizes.weights,
        weights_checksum=header.checksums.weights,
        host_size=header.sizes.host,
        host_checksum=header.checksums.host,
    )


def interface(command: bytes) -> ProgramInterface:
    """Names, shapes, scales and addresses of a command section, without decoding its instructions."""
    header, descriptor, _ = _sections(command)
    return decode_descriptor(descriptor, header.sizes.dram)


def _sections(command: bytes) -> tuple[Header, bytes, bytes]:
    header = decode_header(command)
    if len(command) != header.command_size:
        raise ModelbuildError(
            f"malformed program: {len(command)} bytes, but the header says {header.command_size}",
            where="command section",
        )
    border = HEADER_SIZE + header.sizes.descriptor
    descriptor = command[HEADER_SIZE:border]
    if zlib.crc32(descriptor) != header.checksums.descriptor:
        raise ModelbuildError("malformed program: the CRC-32 does not match", where="I/O descriptor")
    return header, descriptor, command[border:]


def check_section(data: bytes, size: int, checksum: int, where: str) -> None:
    """That a weights or host section is the one that the command section was made for."""
    if len(data) != size:
        raise ModelbuildError(
            f"malformed program: {len(data)} bytes, but the header says {size}", where=where
        )
    if zlib.crc32(data) != checksum:
        raise ModelbuildError("malformed program: the CRC-32 does not match", where=where)
