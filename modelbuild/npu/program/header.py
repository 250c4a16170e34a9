"""The fixed part of a program: sizes, checksums, and the rates that cycles are counted with."""

from __future__ import annotations

import struct
import zlib
from dataclasses import astuple, dataclass

from modelbuild.errors import ModelbuildError

MAGIC = b"MBNP"
VERSION = 1
MAX_DRAM = 1 << 28
MAX_SRAM = 1 << 26
RATE_CYCLES = 1024  # rates are per so many cycles
_HEADER = struct.Struct("<4sH6I4I8II")
HEADER_SIZE = _HEADER.size


@dataclass(frozen=True)
class Sizes:
    """Bytes of the sections and of the memories that the program needs."""

    descriptor: int
    instructions: int
    weights: int
    host: int
    dram: int
    sram: int


@dataclass(frozen=True)
class Checksums:
    """CRC-32 (zlib) of each section."""

    descriptor: int
    instructions: int
    weights: int
    host: int


@dataclass(frozen=True)
class Rates:
    """What the chip does in RATE_CYCLES cycles (all > 0), and the cycles that every layer costs."""

    macs: int
    macs_pointwise: int
    macs_depthwise: int
    elements: int
    read_bytes: int
    write_bytes: int
    weight_bytes: int
    layer_overhead: int  # cycles; may be 0


@dataclass(frozen=True)
class Header:
    """The first HEADER_SIZE bytes of a command section."""

    sizes: Sizes
    checksums: Checksums
    rates: Rates

    @property
    def command_size(self) -> int:
        """Bytes of the whole command section."""
        return HEADER_SIZE + self.sizes.descriptor + self.sizes.instructions


def encode_header(header: Header) -> bytes:
    """The header, closed by the CRC-32 of what stands before it."""
    values = (*astuple(header.sizes), *astuple(header.checksums), *astuple(header.rates))
    body = _HEADER.pack(MAGIC, VERSION, *values, 0)[:-4]
    return body + struct.pack("<I", zlib.crc32(body))


def decode_header(command: bytes) -> Header:
    """The header of a command section. Anything unknown, out of range or cut off is a ModelbuildError."""
    if len(command) < HEADER_SIZE:
        raise _malformed(f"{len(command)} bytes are too few for a header of {HEADER_SIZE}")
    magic, version, *values, checksum = _HEADER.unpack_from(command)
    if magic != MAGIC:
        raise _malformed("it does not begin with MBNP", "a vendor's own program runs on the chip only")
    if version != VERSION:
        raise _malformed(f"it is of version {version}; this simulator runs version {VERSION}")
    if zlib.crc32(command[: HEADER_SIZE - 4]) != checksum:
        raise _malformed("the header's CRC-32 does not match")
    header = Header(Sizes(*values[:6]), Checksums(*values[6:10]), Rates(*values[10:]))
    if header.sizes.dram > MAX_DRAM or header.sizes.sram > MAX_SRAM:
        raise _malformed(f"it asks for more than {MAX_DRAM} bytes of DRAM or {MAX_SRAM} of SRAM")
    if not all(astuple(header.rates)[:-1]):
        raise _malformed("a rate is 0")
    return header


def _malformed(what: str, why: str = "") -> ModelbuildError:
    return ModelbuildError(f"malformed program: {what}", where="program header", why=why)
