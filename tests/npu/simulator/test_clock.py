"""Engines that take turns, and engines that wait for each other's bytes of SRAM."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.npu.program import Instruction
from modelbuild.npu.program.transfers import Layer, Load, Loop, Store
from modelbuild.npu.simulator import clock as clocks
from modelbuild.npu.simulator import simulate
from modelbuild.npu.simulator.clock import touched_granules
from modelbuild.npu.simulator.maps import Stretch
from tests.npu.simulator.hand_written import COPY, RATES, SCALE, TIMES_TWO, X, tiny

TURNS = replace(RATES, engines=1)


def cycles(stream: tuple[Instruction, ...], weights: bytes = b"", **changes: int) -> int:
    return simulate(*tiny(stream, weights, layers=2, rates=replace(RATES, **changes)), X).cycles


def test_engines_that_take_turns_add_up() -> None:
    assert cycles(SCALE, TIMES_TWO) == 10 + 16 + 16 + 16  # the constants come beside the input
    assert cycles(SCALE, TIMES_TWO, engines=1) == 10 + 10 + 16 + 16 + 16
    assert cycles(SCALE, TIMES_TWO, engines=1, granule=65536) == 10 + 10 + 16 + 16 + 16
    assert cycles((*COPY, Layer(1)), engines=1, layer_overhead=7) == 7 + 32 + 7


# halves of the input through two buffers, 16 bytes apart
HALVES = (Layer(0), Load(0, 0, 8), Store(16, 0, 8), Load(8, 16, 8), Store(24, 16, 8))


def test_granules_decide_who_waits_for_whom() -> None:
    assert cycles(HALVES) == 10 + 8 + 8 + 8  # the second load runs beside the first store
    assert cycles(HALVES, granule=32) == 10 + 8 + 8 + 8 + 8
    near = tuple(replace(step, sram=8) if getattr(step, "sram", 0) else step for step in HALVES)
    assert cycles(near) == 10 + 8 + 8 + 8 + 8  # both buffers in one granule


def test_a_strided_transfer_waits_for_the_bytes_it_touches_only() -> None:
    """Two loads interleave in SRAM, granule by granule; each has a store of its own."""
    loop = (Loop(2, 4, 32),)
    stream = (
        Layer(0),
        Load(0, 0, 4, loop),
        Store(16, 0, 4, loop),
        Load(8, 16, 4, loop),
        Store(24, 16, 4, loop),
    )
    assert cycles(stream) == 10 + 8 + 8 + 8
    assert cycles(stream, granule=64) == 10 + 8 + 8 + 8 + 8


@st.composite
def stretches(draw: st.DrawFn) -> Stretch:
    loops = draw(st.lists(st.tuples(st.integers(2, 4), st.integers(0, 70)), max_size=3))
    return Stretch(draw(st.integers(0, 90)), draw(st.integers(1, 40)), tuple(loops))


def touched(stretch: Stretch, granule: int) -> set[int]:
    starts = [stretch.address]
    for count, stride in stretch.loops:
        starts = [start + index * stride for start in starts for index in range(count)]
    return {byte // granule for start in starts for byte in range(start, start + stretch.length)}


@given(stretches(), st.sampled_from([16, 32, 64]), st.booleans())
def test_granules_of_a_stretch_against_counting(stretch: Stretch, granule: int, many: bool) -> None:
    few = clocks.FEW_RUNS
    try:
        clocks.FEW_RUNS = 1 if many else few
        found = np.zeros(100, np.bool_)
        found[touched_granules(stretch, granule)] = True
    finally:
        clocks.FEW_RUNS = few
    assert set(np.flatnonzero(found)) == touched(stretch, granule)
