"""Packing by lifetime."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelbuild.npu.memory import pack

lifetimes = st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(0, 5)).map(
    lambda item: (16 * item[0], item[1], item[1] + item[2])
)


@given(st.lists(lifetimes, max_size=14))
def test_packed_buffers_never_overlap_in_time_and_space(buffers: list[tuple[int, int, int]]) -> None:
    offsets = pack(buffers)
    placed = list(zip(buffers, offsets, strict=True))
    for index, ((size, first, last), offset) in enumerate(placed):
        assert offset >= 0
        for (other_size, other_first, other_last), other in placed[index + 1 :]:
            apart = offset + size <= other or other + other_size <= offset
            assert apart or last < other_first or other_last < first


def test_a_chain_and_a_branch_reach_the_lower_bound() -> None:
    chain = [(64, step, step + 1) for step in range(6)]
    assert max(offset + 64 for offset in pack(chain)) == 128
    branch = [(64, 0, 3), (32, 1, 2), (32, 2, 3), (96, 3, 4)]
    offsets = pack(branch)
    peak = max(offset + size for (size, _, _), offset in zip(branch, offsets, strict=True))
    assert peak == 64 + 32 + 96


def test_nothing_needs_nothing() -> None:
    assert pack([]) == []
