"""Programs that would take all memory or all day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import Instruction, LayerPlace, ProgramInterface
from modelbuild.npu.program import setups as s
from modelbuild.npu.program import tiles as t
from modelbuild.npu.program.transfers import Fill, Layer, Load, Loop, Store
from modelbuild.npu.simulator import simulate
from modelbuild.npu.simulator.accesses import access
from tests.npu.constant_loads import raw_constants
from tests.npu.simulator.hand_written import (
    CONVOLUTION,
    RATES,
    X,
    tensor,
    tiny,
)


def test_an_accumulator_that_may_overflow() -> None:
    weights = b"\x7f" + (2**31 - 1).to_bytes(4, "little") + b"\1\0\0\0\0"
    tile = t.Convolution(0, 4, 0, 32, 48, 4, 0, 1, 1, 4, 4, 0)
    program = (Layer(0), CONVOLUTION, raw_constants(0, 32, 10), Load(0, 0, 16), tile, Store(16, 48, 16))
    with pytest.raises(ModelbuildError, match="accumulator of 32 bits"):
        simulate(*tiny(program, weights), X)


HOSTILE: dict[str, tuple[Instruction, ...]] = {
    "huge output": (CONVOLUTION, t.Convolution(0, 4, 0, 32, 48, 2**31 - 1, 0, 1, 1, 4, 2**31 - 1, 0)),
    "huge window": (
        replace(CONVOLUTION, kernel_height=65535, kernel_width=65535),
        t.Convolution(0, 4, 0, 32, 48, 4, 0, 1, 1, 4, 4, 0),
    ),
    "huge product": (
        s.MatmulSetup(1, 1, 1, 2**31 - 1, 0, 0, 0, 0, 0),
        t.Matmul(0, 0, 0, 0, 2**31 - 1, 2**31 - 1),
    ),
    "huge fill": (Fill(1, 0, 0, 2**31 - 1),),
    "huge pool": (
        s.MaxPoolSetup(1, 65535, 65535, 65535, 65535, 1, 1, 65535, 4, 4, 0, 0),
        t.MaxPool(0, 4, 0, 32, 2**31 - 1, 0, 1, 4, 2**31 - 1, 2**31 - 1),
    ),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_sizes_are_refused_before_memory_is_taken(name: str) -> None:
    program = (Layer(0), Load(0, 0, 16), *HOSTILE[name])
    with pytest.raises(ModelbuildError):
        simulate(*tiny(program), X)


def test_huge_windows_on_little_data_end_soon() -> None:
    """65,535 taps a way, of which sixteen see anything."""
    setup = s.MaxPoolSetup(1, 65535, 65535, 1, 1, 1, 1, 65534, 4, 4, -128, 127)
    program = (
        Layer(0),
        setup,
        Load(0, 0, 16),
        t.MaxPool(0, 4, 0, 32, 4, 0, 1, 4, 4, 65534),
        Store(16, 32, 16),
    )
    found = simulate(*tiny(program), X).outputs["y"].reshape(4, 4)
    assert np.array_equal(
        found, np.maximum.accumulate(np.maximum.accumulate(np.arange(16).reshape(4, 4), 0), 1)
    )


def test_more_work_and_more_layers_than_any_model_has() -> None:
    setup = s.MatmulSetup(1, 1, 1, 2**31 - 1, 0, 0, 0, 0, 0)
    with pytest.raises(ModelbuildError, match="operations"):
        simulate(*tiny((Layer(0), setup, t.Matmul(0, 0, 0, 0, 1024, 1024))), X)
    big = LayerPlace("big", "rescale", "npu", (tensor("y", 0, 1 << 28),))
    interface = ProgramInterface("tiny", "multiplier_shift@1", "test", (), (), (big,) * 9, {})
    with pytest.raises(ModelbuildError, match="layers have"):
        simulate(*tiny((), interface=interface, dram_size=1 << 28), {})


def test_an_arithmetic_of_a_later_time() -> None:
    interface = ProgramInterface("tiny", "multiplier_shift@2", "test", (), (), (), {})
    command, weights, host = tiny((), interface=interface)
    with pytest.raises(ModelbuildError, match="multiplier_shift@2"):
        simulate(command, weights, host, {})


def test_work_is_what_a_simulator_looks_at() -> None:
    """Few bytes far apart, and few outputs of a large window, cost it more than they are."""
    sparse = access(Load(0, 0, 1, (Loop(5000, 1, 8192),)), None, RATES)
    assert sparse.work >= 4999 * 8192 // 16
    tall = s.MaxPoolSetup(1, 500, 1, 1, 1, 1, 1, 0, 1, 1, -128, 127)
    tile = t.MaxPool(0, 1000, 0, 1000, 501, 0, 1, 1000, 501, 0)
    pool = access(tile, tall, RATES)
    assert pool.work >= 501 * 500
    assert pool.cycles == access(tile, replace(tall, kernel_height=5), RATES).cycles  # the chip's are its own
