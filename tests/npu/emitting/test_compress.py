"""Codec `short`: what the packer makes, the simulator's own decoder makes whole again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.npu.emitting.compress import pack_short
from modelbuild.npu.simulator.decompress import unpack_short


@given(st.integers(0, 2**32 - 1), st.integers(1, 500), st.sampled_from([0.5, 2.0, 8.0, 30.0, 120.0]))
def test_round_trip_and_never_longer(seed: int, count: int, spread: float) -> None:
    values = np.random.default_rng(seed).normal(0, spread, count)
    data = np.clip(np.rint(values), -128, 127).astype(np.int8).tobytes()
    packed = pack_short(data)
    if packed is None:
        return
    assert len(packed) < len(data)
    assert unpack_short(np.frombuffer(packed, np.uint8), len(data)).tobytes() == data


@pytest.mark.parametrize(
    ("values", "packed"),
    [
        ([0] * 16, b"\x00\xff\xff"),  # no bits a zero
        ([1, -2, 1, -2] * 4, b"\x02\xff\xff" + bytes([0b10011001] * 4)),
        ([0] * 15 + [100], b"\x00\xff\x7f\x64"),
    ],
)
def test_bytes_as_documented(values: list[int], packed: bytes) -> None:
    assert pack_short(np.array(values, np.int8).tobytes()) == packed


def test_noise_stays_as_it_is() -> None:
    assert pack_short(np.random.default_rng(0).integers(0, 256, 1000, np.uint8).tobytes()) is None


def test_narrow_weights_shrink() -> None:
    """Of weights that use a fifth of their range, 4 of 5 bits and the flags remain."""
    values = np.random.default_rng(0).normal(0, 6, 9000)
    data = np.rint(values).astype(np.int8).tobytes()
    packed = pack_short(data)
    assert packed is not None and len(packed) < 0.85 * len(data)
