"""Cycles without data are those of a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program.transfers import Layer, Load, Store
from modelbuild.npu.simulator import simulate
from modelbuild.npu.simulator.counting import count
from tests.npu.simulator.hand_written import COPY, RATES, X, tiny


@pytest.mark.parametrize("engines", [1, 4])
def test_what_a_run_counts(engines: int) -> None:
    stream = (*COPY, Layer(1), Load(16, 32, 8), Store(32, 32, 8))
    program = tiny(stream, layers=2, rates=replace(RATES, engines=engines))
    found = count(program[0])
    assert found.cycles == simulate(*program, X).cycles > 0
    assert [name for name, _ in found.layers] == ["l0", "l1"]
    assert sum(cycles for _, cycles in found.layers) == found.cycles
    assert found.layers[0][1] > found.layers[1][1] > 0


def test_programs_that_reach_outside_are_refused() -> None:
    with pytest.raises(ModelbuildError, match="reaches outside of SRAM"):
        count(tiny((Layer(0), Load(0, 60, 16), Store(16, 0, 16)))[0])
    with pytest.raises(ModelbuildError, match="layer 3 of 1"):
        count(tiny((Layer(3), Load(0, 0, 16), Store(16, 0, 16)))[0])
    with pytest.raises(ModelbuildError):
        count(b"nothing")
