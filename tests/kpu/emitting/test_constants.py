"""Constants of .rdata: each once, aligned, and packed closely."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from modelbuild.kpu.emitting.constants import UNIT, Constants, packed

ALIGNMENT = 256
TABLE = 144


def table(number: int) -> bytes:
    return bytes([number]) * TABLE


def test_bytes_are_stored_once_at_multiples_of_eight() -> None:
    constants = Constants()
    assert [constants.place(item) for item in (b"abc", b"defghijkl", b"abc")] == [0, 8, 0]
    assert bytes(constants.data) == b"abc\0\0\0\0\0defghijkl"


@given(
    tables=st.lists(st.integers(0, 9), max_size=8),
    sizes=st.lists(st.integers(1, 900), max_size=12),
)
def test_packed_constants_lie_where_they_are_said_to(tables: list[int], sizes: list[int]) -> None:
    aligned = [table(number) for number in tables]
    others = [bytes([number + 20]) * size for number, size in enumerate(sizes)]
    found = packed(aligned, others, ALIGNMENT)
    assert set(found.offset) == {*aligned, *others}
    used = []
    for values, offset in found.offset.items():
        assert found.data[offset : offset + len(values)] == values
        assert offset % (ALIGNMENT if values in aligned else UNIT) == 0
        used.append((offset, offset + len(values)))
    used.sort()
    assert all(end <= begin for (_, end), (begin, _) in pairwise(used))
    assert len(found.data) == max((end for _, end in used), default=0)


def test_what_fills_the_gap_best_comes_behind_a_table() -> None:
    """144 + 112 and 144 + 40 + 72 are 256; 144 + 600 + 8 + 16 would be, but three are not tried."""
    others = [bytes([1]) * 112, bytes([2]) * 40, bytes([3]) * 72, bytes([4]) * 600]
    found = packed([table(9), table(10)], others, ALIGNMENT)
    assert len(found.data) == 512 + 600
    assert [found.offset[item] for item in others] == [144, 400, 440, 512]


def test_a_table_is_shared_and_stands_alone_where_nothing_fits() -> None:
    found = packed([table(9), table(9), table(10)], [], ALIGNMENT)
    assert found.offset == {table(9): 0, table(10): 256}
    assert len(found.data) == 256 + TABLE
