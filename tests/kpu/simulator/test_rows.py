"""Where elements lie in the RAM of the KPU."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel.kpu_registers import RAM_BYTES
from modelbuild.kpu.simulator import rows
from modelbuild.kpu.simulator.memory import Memory


@pytest.mark.parametrize(
    ("shape", "element", "place"),
    [
        # batch, channel, row, column; pitch 16 for up to 16 columns, 32 for up to 32, else whole rows of 64.
        ((1, 5, 3, 16), (0, 2, 1, 7), 64 + 2 * 16 + 7),
        ((1, 5, 3, 16), (0, 4, 2, 0), 3 * 64 + 2 * 64),
        ((1, 3, 2, 32), (0, 1, 1, 31), 64 + 32 + 31),
        ((1, 3, 2, 17), (0, 2, 0, 1), 2 * 64 + 1),
        ((1, 2, 2, 33), (0, 1, 1, 32), 3 * 64 + 32),
        ((1, 2, 2, 65), (0, 1, 0, 64), 2 * 128 + 64),
        ((1, 2, 2, 64), (0, 1, 1, 5), 3 * 64 + 5),
        ((2, 5, 3, 4), (1, 0, 0, 3), 2 * 3 * 64 + 3),
    ],
)
def test_places(shape: rows.Shape, element: tuple[int, ...], place: int) -> None:
    ram = Memory().add("ram", RAM_BYTES)
    values = np.zeros(shape, np.uint8)
    values[element] = 99
    rows.store(ram, 640, values)
    assert np.flatnonzero(ram.data).tolist() == [640 + place]


@given(
    st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 5), st.integers(1, 130)),
    st.integers(0, 3),
)
def test_what_is_stored_is_loaded(shape: rows.Shape, seed: int) -> None:
    ram = Memory().add("ram", RAM_BYTES)
    values = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    rows.store(ram, 128, values)
    assert np.array_equal(rows.load(ram, 128, shape), values)
    assert ram.written is not None
    assert ram.written.sum() == values.size
    assert not ram.written[128 + rows.ram_bytes(shape) :].any()


def test_outside_and_unwritten() -> None:
    ram = Memory().add("ram", RAM_BYTES)
    with pytest.raises(ModelbuildError, match="ends at 2097216"):
        rows.store(ram, RAM_BYTES - 64, np.zeros((1, 1, 2, 64), np.uint8))
    rows.store(ram, 0, np.zeros((1, 3, 2, 16), np.uint8))
    rows.load(ram, 0, (1, 3, 2, 16))
    with pytest.raises(ModelbuildError, match="nothing wrote all of it"):
        rows.load(ram, 0, (1, 4, 2, 16))
    with pytest.raises(ModelbuildError, match="is empty"):
        rows.load(ram, 0, (1, 0, 2, 16))
