"""A program of 16 bytes in and 16 bytes out, to be filled with instructions by hand."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from modelbuild.npu.program import (
    HostProgram,
    Instruction,
    LayerPlace,
    Program,
    ProgramInterface,
    Rates,
    TensorPlace,
    encode,
    encode_host,
)
from modelbuild.npu.program import setups as s
from modelbuild.npu.program import tiles as t
from modelbuild.npu.program.transfers import End, Layer, Load, Store
from tests.npu.constant_loads import raw_constants

RATES = Rates(
    macs=1024,
    macs_pointwise=1024,
    macs_depthwise=1024,
    outputs=1 << 20,
    elements=1024,
    read_bytes=1024,
    write_bytes=1024,
    weight_bytes=1024,
    layer_overhead=10,
    wide_macs=1024,
    columns=1,
    pixels=1,
    input_channels=1,
    few_channels=4,
    output_channels=1,
    window_rows=1,
    window_columns=1,
    engines=4,
    granule=16,
    row_alignment=1,
)


def tensor(name: str, address: int, size: int) -> TensorPlace:
    return TensorPlace(name, (size,), 8, True, 1.0, 0, address, size)


def tiny(
    instructions: Sequence[Instruction],
    weights: bytes = b"",
    host: HostProgram | None = None,
    layers: int = 1,
    **changes: Any,
) -> tuple[bytes, bytes, bytes]:
    """A program of 16 bytes in and 16 bytes out, with 64 bytes of SRAM."""
    x, y = tensor("x", 0, 16), tensor("y", 16, 16)
    places = tuple(LayerPlace(f"l{index}", "rescale", "npu", (y,)) for index in range(layers))
    section = encode_host(host) if host else b""
    program = Program(
        interface=ProgramInterface("tiny", "multiplier_shift@1", "test", (x,), (y,), places, {}),
        instructions=(*instructions, End()),
        rates=RATES,
        dram_size=48,
        sram_size=64,
        weights_size=len(weights),
        weights_checksum=zlib.crc32(weights),
        host_size=len(section),
        host_checksum=zlib.crc32(section),
    )
    return encode(replace(program, **changes)), weights, section


X = {"x": np.arange(16, dtype=np.int8)}
COPY = (Layer(0), Load(0, 0, 16), Store(16, 0, 16))
DOUBLE = s.RescaleSetup(1, 1, 0, 0, -128, 127)
TIMES_TWO = bytes.fromhex("02000000" + "00") * 2
TILE = t.Rescale(0, 1, 0, 32, 48, 1, 0, planes=1, rows=1, columns=16)
SCALE = (Layer(0), DOUBLE, raw_constants(0, 32, 10), Load(0, 0, 16), TILE, Store(16, 48, 16))
CONVOLUTION = s.ConvolutionSetup(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 4, 4, 1, 0, 0, -128, 127)
