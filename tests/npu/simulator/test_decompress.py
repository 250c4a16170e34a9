"""The codec `short`, against a packer that goes by docs/program-format.md bit by bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program.transfers import SHORT, LoadConstants
from modelbuild.npu.simulator import simulate
from modelbuild.npu.simulator.decompress import unpack_short
from tests.npu.simulator.hand_written import SCALE, TIMES_TWO, X, tiny


def pack(data: bytes, width: int) -> bytes:
    """Every byte that fits `width` bits is short."""
    signed = [value - 256 * (value > 127) for value in data]
    half = 1 << width >> 1
    fits = [-half <= value < max(half, 1) for value in signed]
    short = "".join(
        format(value & ((1 << width) - 1), f"0{width}b")[::-1]
        for value, good in zip(signed, fits, strict=True)
        if good and width
    )
    others = bytes(value for value, good in zip(data, fits, strict=True) if not good)
    return bytes([width]) + _bytes("".join("01"[good] for good in fits)) + _bytes(short) + others


def _bytes(bits: str) -> bytes:
    """Least significant bit first."""
    return bytes(int(bits[start : start + 8][::-1], 2) for start in range(0, len(bits), 8))


def unpack(stored: bytes, length: int) -> bytes:
    return unpack_short(np.frombuffer(stored, np.uint8), length).tobytes()


near_zero = st.integers(-9, 9).map(lambda value: value & 255)


@given(st.lists(st.one_of(near_zero, st.integers(0, 255)), min_size=1, max_size=90), st.integers(0, 7))
def test_what_is_packed_is_unpacked(values: list[int], width: int) -> None:
    data = bytes(values)
    packed = pack(data, width)
    assert unpack(packed, len(data)) == data
    for damaged in (packed[:-1], packed + b"\0", packed[:1]):
        with pytest.raises(ModelbuildError, match="packed constants"):
            unpack(damaged, len(data))


def test_bytes_written_out_by_hand() -> None:
    """Width 3; 1, -1 and -4 are short, 100 is not."""
    stored = bytes([3, 0b1011, 0b00_111_001, 0b1, 100])
    assert unpack(stored, 4) == bytes([1, 255, 100, 252])
    assert pack(bytes([1, 255, 100, 252]), 3) == stored
    assert unpack(bytes([0, 0b101, 7]), 3) == bytes([0, 7, 0])


@pytest.mark.parametrize(
    ("stored", "length", "text"),
    [
        (bytes([8, 0b1, 0]), 1, "unknown width"),
        (bytes([3, 0b11, 0]), 1, "do not unpack"),  # a flag of nothing
        (bytes([3, 0b1, 0b1001]), 1, "end with zeros"),
        (bytes([3, 0b1, 1]), 2, "do not unpack"),
    ],
)
def test_bits_that_stand_for_nothing(stored: bytes, length: int, text: str) -> None:
    with pytest.raises(ModelbuildError, match=text):
        unpack(stored, length)


def test_a_program_with_packed_constants() -> None:
    packed = pack(TIMES_TWO, 3)
    assert len(packed) < len(TIMES_TWO)
    load = LoadConstants(0, 32, len(TIMES_TWO), codec=SHORT, stored=len(packed))
    stream = tuple(load if isinstance(step, LoadConstants) else step for step in SCALE)
    found = simulate(*tiny(stream, packed), X)
    assert found.outputs["y"].tolist() == list(range(0, 32, 2))
    for wrong in (replace(load, length=11), replace(load, stored=len(packed) - 1)):
        stream = tuple(wrong if isinstance(step, LoadConstants) else step for step in SCALE)
        with pytest.raises(ModelbuildError, match="packed constants"):
            simulate(*tiny(stream, packed), X)
    huge = replace(load, length=2**31 - 1)
    stream = tuple(huge if isinstance(step, LoadConstants) else step for step in SCALE)
    with pytest.raises(ModelbuildError, match="of SRAM, which has 64"):
        simulate(*tiny(stream, packed), X)
    beyond = replace(load, stored=len(packed) + 1)
    stream = tuple(beyond if isinstance(step, LoadConstants) else step for step in SCALE)
    with pytest.raises(ModelbuildError, match="of the weights"):
        simulate(*tiny(stream, packed), X)
