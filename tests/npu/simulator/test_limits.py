"""Programs that would take all memory or all day."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import Instruction, LayerPlace, ProgramInterface
from modelbuild.npu.program import setups as s
from modelbuild.npu.program import tiles as t
from modelbuild.npu.program.header import MAX_DRAM
from modelbuild.npu.program.transfers import Fill, Layer, Load, Loop, Store
from modelbuild.npu.simulator import clock, pooling, simulate
from modelbuild.npu.simulator.accesses import TAP, access
from modelbuild.npu.simulator.maps import Stretch
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
    program = tiny((), interface=interface, dram_size=1 << 28)
    with pytest.raises(ModelbuildError, match="layers have"):
        simulate(*program, {}, keep_layers=True)
    assert simulate(*program, {}).layers == {}  # of which nothing is held
    on_chip = replace(big, outputs=(replace(big.outputs[0], where="chip"),))
    with pytest.raises(ModelbuildError, match="layers have"):
        simulate(*tiny((), interface=replace(interface, layers=(on_chip,) * 9)), {})


def test_memory_is_taken_for_what_is_touched_however_large_dram_is() -> None:
    """Two copies through the last bytes of a DRAM of 2^30."""
    last = MAX_DRAM - 16
    stream = (Layer(0), Load(0, 0, 16), Store(last, 0, 16), Layer(1), Load(last, 0, 16), Store(16, 0, 16))
    program = tiny(stream, layers=2, dram_size=MAX_DRAM)
    tracemalloc.start()
    try:
        found = simulate(*program, X)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(found.outputs["y"], X["x"])
    assert taken < 1 << 20
    beyond = (Layer(0), Load(0, 0, 16), Store(last + 1, 0, 16))
    with pytest.raises(ModelbuildError, match=f"of DRAM, which has {MAX_DRAM}"):
        simulate(*tiny(beyond, dram_size=MAX_DRAM), X)
    between = (Layer(0), Load(1 << 20, 0, 16), Store(16, 0, 16))
    with pytest.raises(ModelbuildError, match="never written"):
        simulate(*tiny(between, dram_size=MAX_DRAM), X)


RECORD = (65535).to_bytes(4, "little") + b"\1\0\0\0\0"
WIDE = s.ResizeSetup(1, 65536, 1, 0, -128, 127)
FAR = replace(CONVOLUTION, stride_height=65535, stride_width=65535, input_width=16384, output_width=2)
COUNTED = s.AveragePoolSetup(1, 1, 1, 65535, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0, -128, 127)
ROWS = s.MaxPoolSetup(1, 8192, 8192, 1, 1, 1, 1, 8191, 8192, 1, -128, 127)
SMALL_FILES: dict[str, tuple[Instruction, ...]] = {
    "convolution with strides far beyond its input": (
        *(FAR, Fill(1, 1, 0, 16384), Fill(1, 0, 16384, 10)),
        t.Convolution(0, 1, 0, 16384, 16400, 1, 0, 1, 1, 1, 1, 0),
    ),
    "resize that is wide before and high behind": (
        *(WIDE, Fill(1, 1, 0, 65536), Fill(1, 0, 65536, 8 * 16384 + 8)),
        t.Resize(0, 1, 0, 65536, 65536 + 8 * 16384, 1 << 18, 16384, 0, 1, 1, 0, 16384),
    ),
    "pool that is wide before and high behind": (
        *(ROWS, Fill(1, 1, 0, 8192)),
        t.MaxPool(0, 1, 0, 8192, 8192, 0, 1, 1, 8192, 8191),
    ),
    "average of counted cells that nobody has": (
        *(COUNTED, raw_constants(0, 64, 9), Load(0, 0, 16)),
        t.AveragePool(0, 16, 0, 64, 128, 1 << 18, 0, 1, 16, 1 << 18, 0, 2**31 - 1),
    ),
}


@pytest.mark.parametrize("name", sorted(SMALL_FILES))
def test_a_small_file_takes_a_small_multiple_of_the_memories_it_has(name: str) -> None:
    """Little of SRAM is touched, so little else is taken: what is looked at is bounded, too."""
    sram_size = 1 << 19
    command = tiny((Layer(0), *SMALL_FILES[name]), RECORD, sram_size=sram_size)
    tracemalloc.start()
    try:
        with pytest.raises(ModelbuildError, match="nothing reads them"):
            simulate(*command, X)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert taken < 64 * sram_size


def test_counted_cells_take_no_turn_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """65,535 taps of an average, of which sixteen see anything."""
    turns: list[int] = []
    whole = pooling.taps
    monkeypatch.setattr(
        pooling, "taps", lambda *window: (turns.append(tap[0]) or tap for tap in whole(*window))
    )
    program = (Layer(0), *SMALL_FILES["average of counted cells that nobody has"])
    with pytest.raises(ModelbuildError, match="nothing reads them"):
        simulate(*tiny(program, RECORD, sram_size=1 << 19), X)
    assert len(turns) == 16 + 1


def test_taps_and_parameters_are_work() -> None:
    """Each tap of a convolution takes a turn, and a tile of one cell may read many parameters."""
    size = 1024
    setup = replace(CONVOLUTION, kernel_height=size, kernel_width=size, input_width=size, output_width=1)
    tile = t.Convolution(0, size, 0, size**2, 2 * size**2 + 32, 1, 0, 1, 1, size, 1, 0)
    assert access(tile, setup, RATES).work >= TAP * size**2
    assert access(tile, setup, RATES).cycles == size**2
    pair = replace(tile, group_outputs=2)
    assert access(pair, setup, RATES).work >= TAP * size**2
    curve = s.CurveSetup(3, 1, 4, 4096, -32768, 0, -128, 127)
    assert access(t.Curve(0, 1, 0, 64, 60000, 1, 0, 1, 1, 1), curve, RATES).work >= 12 * 4096
    stepped = access(t.Convolution(0, 64, 0, 64, 99, 1, 0, 1, 1, 64, 1, 0), CONVOLUTION, RATES)
    assert stepped.work >= 64 * 4  # the whole input is looked at


def test_planes_that_lie_far_apart_take_one_index_a_granule(monkeypatch: pytest.MonkeyPatch) -> None:
    """No mark is made for the bytes between."""
    monkeypatch.delattr(clock, "_marked_granules")
    found = clock.touched_granules(Stretch(7, 1, ((5000, 16384),)), 16)
    assert not isinstance(found, slice)
    assert len(found) == 5000 and found[1] == (7 + 16384) // 16


def test_an_arithmetic_of_a_later_time() -> None:
    interface = ProgramInterface("tiny", "multiplier_shift@2", "test", (), (), (), {})
    command, weights, host = tiny((), interface=interface)
    with pytest.raises(ModelbuildError, match="multiplier_shift@2"):
        simulate(command, weights, host, {})


def test_work_is_what_a_simulator_looks_at() -> None:
    """Few bytes far apart, and few outputs of a large window, cost it more than they are."""
    sparse = access(Load(0, 0, 1, (Loop(5000, 1, 8192),)), None, RATES)
    assert sparse.work >= 4999 * 8192
    tall = s.MaxPoolSetup(1, 500, 1, 1, 1, 1, 1, 0, 1, 1, -128, 127)
    tile = t.MaxPool(0, 1000, 0, 1000, 501, 0, 1, 1000, 501, 0)
    pool = access(tile, tall, RATES)
    assert pool.work >= 501 * 500
    assert pool.cycles == access(tile, replace(tall, kernel_height=5), RATES).cycles  # the chip's are its own
