"""Every access is checked."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.kpu.simulator.limits import MAX_MEMORY
from modelbuild.kpu.simulator.memory import Memory

U8, F32 = np.dtype(np.uint8), np.dtype(np.float32)


def test_strides_write_and_read_what_they_say() -> None:
    memory = Memory()
    region = memory.add("data", 24)
    memory.store(region.base + 1, np.array([[1, 2], [3, 4]], np.uint8), (10, 3))
    assert {int(place): int(region.data[place]) for place in np.flatnonzero(region.data)} == {
        1: 1, 4: 2, 11: 3, 14: 4,
    }  # fmt: skip
    assert memory.load(region.base + 1, U8, (2, 2), (10, 3)).tolist() == [[1, 2], [3, 4]]
    assert memory.load(region.base + 4, U8, (3,), (0,)).tolist() == [2, 2, 2]


def test_unwritten_bytes() -> None:
    memory = Memory()
    region = memory.add("data", 8)
    memory.store(region.base, np.zeros(1, np.float32), (1,))
    with pytest.raises(ModelbuildError, match="nothing wrote byte 4"):
        memory.load(region.base, F32, (2,), (1,))
    relaxed = Memory(strict=False)
    assert relaxed.load(relaxed.add("data", 8).base, F32, (2,), (1,)).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "why"),
    [
        (0, (3,), (1,), "ends at 12"),
        (4, (2,), (1,), "ends at 12"),
        (0, (2,), (-1,), "strides"),
        (0, (-1,), (1,), "shape"),
        (0, (2,), (1, 1), "strides"),
        (0, (1 << 28,), (0,), "elements"),
        (1 << 41, (1,), (1,), "no address"),
        (-(1 << 50), (1,), (1,), "no address"),
    ],
)
def test_outside(offset: int, shape: tuple[int, ...], strides: tuple[int, ...], why: str) -> None:
    memory = Memory()
    region = memory.add("data", 0, bytes(8))
    with pytest.raises(ModelbuildError, match=why):
        memory.load(region.base + offset, F32, shape, strides)


def test_constants_stay() -> None:
    memory = Memory()
    region = memory.add("rdata", 0, bytes(4), constant=True)
    with pytest.raises(ModelbuildError, match="holds constants"):
        memory.store(region.base, np.zeros(1, np.float32), (1,))


def test_memories_have_a_bound() -> None:
    with pytest.raises(ModelbuildError, match="bytes"):
        Memory().add("data", MAX_MEMORY + 1)
