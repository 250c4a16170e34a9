"""The fixed part of a program: sizes, checksums, and the rates that cycles are counted with."""

from __future__ import annotations

import struct
import zlib
from dataclasses import astuple, dataclass, fields

from modelbuild.errors import ModelbuildError

MAGIC = b"MBNP"
VERSION = 3
MAX_DRAM = 1 << 30  # of feature maps
MAX_SECTION = (1 << 32) - 1  # of the weights section, and of each other
MAX_SRAM = 1 << 26
RATE_CYCLES = 1024  # rates are per so many cycles
ENGINES = (1, 4)  # they take turns, or run at once
MIN_GRANULE = 16
MAX_GRANULE = 1 << 16
_HEADER = struct.Struct("<4sH6I4I9I8HBIHI")
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
    """What cycles are counted with: what the chip does in RATE_CYCLES cycles, to what the array rounds its
    work up, and which of its engines wait for which. All at least 1 but the overhead."""

    macs: int
    macs_pointwise: int
    macs_depthwise: int
    outputs: int  # accumulators that leave the array
    elements: int
    read_bytes: int
    write_bytes: int
    weight_bytes: int
    layer_overhead: int  # cycles a group; may be 0
    wide_macs: int  # of RATE_CYCLES: the part of the macs that remains where an operand has 16 bits
    columns: int  # extents that are rounded up to a multiple of this
    pixels: int
    input_channels: int
    few_channels: int  # group inputs up to this are rounded up to no larger a multiple than this
    output_channels: int
    window_rows: int
    window_columns: int
    engines: int  # one of ENGINES
    granule: int  # bytes of SRAM that are interlocked together, a power of two
    row_alignment: int  # a contiguous run of a load or store costs its length rounded up to this


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
        raise _malformed(f"it is of version {version}, not {VERSION}", "build it again")
    if zlib.crc32(command[: HEADER_SIZE - 4]) != checksum:
        raise _malformed("the header's CRC-32 does not match")
    header = Header(Sizes(*values[:6]), Checksums(*values[6:10]), Rates(*values[10:]))
    if header.sizes.dram > MAX_DRAM or header.sizes.sram > MAX_SRAM:
        raise _malformed(f"it asks for more than {MAX_DRAM} bytes of DRAM or {MAX_SRAM} of SRAM")
    problem = broken_rates(header.rates)
    if problem:
        raise _malformed(problem)
    return header


def broken_rates(rates: Rates) -> str:
    """What is wrong with the rates, or an empty string."""
    for item in fields(rates):
        if item.name != "layer_overhead" and getattr(rates, item.name) < 1:
            return f"{item.name} is 0"
    if rates.wide_macs > RATE_CYCLES:
        return f"wide_macs is {rates.wide_macs}, which is more than {RATE_CYCLES}"
    if rates.engines not in ENGINES:
        return f"{rates.engines} engines"
    if not MIN_GRANULE <= rates.granule <= MAX_GRANULE or rates.granule & (rates.granule - 1):
        return f"a granule of {rates.granule} bytes"
    return ""


def _malformed(what: str, advice: str = "") -> ModelbuildError:
    return ModelbuildError(f"malformed program: {what}", where="program header", advice=advice)
