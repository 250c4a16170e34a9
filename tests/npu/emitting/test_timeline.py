"""When instructions run: by hand, and against a slow count granule by granule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.npu.emitting.timeline import ENGINES, Span, timeline
from tests.npu.simulator import hand_written

RATES = replace(hand_written.RATES, layer_overhead=5, engines=4, granule=16)
spans = st.builds(Span, st.integers(0, 400), st.integers(1, 60), st.integers(1, 12), st.integers(0, 40)).map(
    lambda span: replace(span, stride=span.length + span.stride) if span.runs > 1 else span
)
instructions = st.tuples(
    st.sampled_from(ENGINES), st.integers(0, 9), st.lists(spans, max_size=2), st.lists(spans, max_size=2)
)


def test_engines_that_take_turns_are_a_sum() -> None:
    time = timeline(replace(RATES, engines=1))
    time.begin_group()
    starts = [time.run(engine, 10, (), (Span(0, 16),)) for engine in ENGINES]
    assert (starts, time.now) == ([5, 15, 25, 35], 45)


def test_a_tile_waits_for_its_bytes_and_the_next_load_does_not() -> None:
    time = timeline(RATES)
    time.begin_group()
    assert time.run("read", 10, (), (Span(0, 16),)) == 5
    assert time.run("compute", 7, (Span(0, 16),), (Span(32, 16),)) == 15
    assert time.run("read", 10, (), (Span(16, 16),)) == 15  # another granule
    assert time.run("read", 10, (), (Span(0, 16),)) == 25  # the tile has read it by 22
    assert time.run("write", 3, (Span(32, 1),), ()) == 22
    assert time.now == 35
    time.begin_group()
    assert time.now == 40


@pytest.mark.parametrize(("granule", "start"), [(16, 0), (64, 10)])
def test_bytes_of_one_granule_are_waited_for_together(granule: int, start: int) -> None:
    time = timeline(replace(RATES, granule=granule))
    time.run("read", 10, (), (Span(0, 16),))
    assert time.run("compute", 1, (Span(32, 16),), ()) == start


class Slow:
    """What docs/program-format.md says, granule by granule."""

    def __init__(self, granule: int) -> None:
        self.granule = granule
        self.free = dict.fromkeys(ENGINES, 0)
        self.read: dict[int, int] = {}
        self.written: dict[int, int] = {}

    def touched(self, parts: list[Span]) -> set[int]:
        return {
            byte // self.granule
            for part in parts
            for run in range(part.runs)
            for byte in range(
                part.address + run * part.stride, part.address + run * part.stride + part.length
            )
        }

    def run(self, engine: str, cycles: int, reads: list[Span], writes: list[Span]) -> int:
        read, written = self.touched(reads), self.touched(writes)
        waits = [self.written.get(granule, 0) for granule in read | written]
        start = max([self.free[engine], *waits, *(self.read.get(granule, 0) for granule in written)])
        self.free[engine] = start + cycles
        for granule in read:
            self.read[granule] = max(self.read.get(granule, 0), start + cycles)
        self.written.update(dict.fromkeys(written, start + cycles))
        return start


@given(st.lists(instructions, max_size=20), st.sampled_from([16, 32, 256]))
def test_it_is_what_the_document_says(
    program: list[tuple[str, int, list[Span], list[Span]]], granule: int
) -> None:
    time, slow = timeline(replace(RATES, granule=granule)), Slow(granule)
    for instruction in program:
        assert time.run(*instruction) == slow.run(*instruction)
    assert time.now == max(slow.free.values())
