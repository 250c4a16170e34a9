"""What memories remember of their bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import ElementType
from modelbuild.npu.simulator import memory as room
from modelbuild.npu.simulator.memory import Constants, Dram, Marks, Scratchpad

rectangles = st.tuples(
    st.integers(0, 20),
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9)), max_size=2),
    st.integers(1, 6),
).map(lambda it: (it[0], [count for count, _ in it[1]], [stride for _, stride in it[1]], it[2]))


@pytest.mark.parametrize("searched", [0, 1 << 20])
@given(puts=st.lists(st.tuples(rectangles, st.integers(0, 2)), max_size=5), where=rectangles)
def test_marks_against_a_list(searched: int, puts: list, where: tuple) -> None:  # type: ignore[type-arg]
    def cells(place: tuple) -> set[int]:  # type: ignore[type-arg]
        address, counts, strides, length = place
        starts = {address}
        for count, stride in zip(counts, strides, strict=True):
            starts = {start + index * stride for start in starts for index in range(count)}
        return {start + index for start in starts for index in range(length)}

    before = room.SEARCHED
    try:
        room.SEARCHED = searched
        marks = Marks(100)
    finally:
        room.SEARCHED = before
    expected = [0] * 100
    for place, mark in puts:
        marks.put(mark, place)
        for cell in cells(place):
            expected[cell] = mark
    for mark in (0, 1, 2):
        assert marks.has(mark, where) == (mark in {expected[cell] for cell in cells(where)})


def test_what_is_derived_is_made_anew_after_a_write() -> None:
    sram = Scratchpad("SRAM", 64)
    made: list[int] = []

    def derive(address: int, key: str = "a") -> int:
        def make() -> int:
            made.append(address)
            return int(sram.read(address, 4, ElementType.U8).sum())

        return int(sram.derived(address, 4, key, make))

    sram.write(8, np.arange(8, dtype=np.uint8), ElementType.U8)
    assert [derive(8), derive(8), derive(12), derive(8, "b")] == [6, 6, 22, 6]
    assert made == [8, 12, 8]
    sram.write(12, np.full(1, 9, np.uint8), ElementType.U8)
    assert [derive(8), derive(12)] == [6, 27]
    assert made == [8, 12, 8, 12]
    source = Constants("constants", bytes(64))
    sram.copy(0, source, 0, [2], [11], [4], 1)  # bytes 0 and 11
    assert derive(8) == 3
    assert made[4:] == [8]


def test_a_group_ends_when_the_next_one_begins() -> None:
    dram = Dram("DRAM", 32, [(0, 32)])
    dram.write(0, np.arange(4, dtype=np.uint8), ElementType.U8)
    with pytest.raises(ModelbuildError, match="that it writes itself"):
        dram.read_bytes(0, 1)
    with pytest.raises(ModelbuildError, match="DRAM twice"):
        dram.write(3, np.zeros(2, np.uint8), ElementType.U8)
    dram.begin_group()
    assert dram.read_bytes(0, 4).tolist() == [0, 1, 2, 3]
    assert dram.read_bytes(2, 2).tolist() == [2, 3]  # what was read may be read again
    with pytest.raises(ModelbuildError, match="that it has read"):
        dram.write(3, np.zeros(2, np.uint8), ElementType.U8)
    dram.begin_group()
    dram.write(3, np.zeros(2, np.uint8), ElementType.U8)
    assert dram.read_final(0, 5, ElementType.U8).tolist() == [0, 1, 2, 0, 0]
    with pytest.raises(ModelbuildError, match="never written"):
        dram.read_final(0, 6, ElementType.U8)
