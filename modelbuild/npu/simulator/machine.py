"""Runs a stream of instructions on modelled memories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import ElementType, Instruction, Rates
from modelbuild.npu.program import tiles as t
from modelbuild.npu.program.instructions import SETUP_OF
from modelbuild.npu.program.transfers import (
    RAW,
    End,
    Fill,
    Layer,
    Load,
    LoadConstants,
    Output,
    Store,
    Transfer,
    Yield,
)
from modelbuild.npu.simulator.accesses import Access, access
from modelbuild.npu.simulator.clock import Clock
from modelbuild.npu.simulator.convolution import run_convolution
from modelbuild.npu.simulator.decompress import unpack_short
from modelbuild.npu.simulator.elementwise import run_binary, run_curve, run_fill, run_rescale, run_table
from modelbuild.npu.simulator.maps import RowMap, has_rows, input_maps, output_map
from modelbuild.npu.simulator.memory import Constants, Dram, Memory, Scratchpad, failure
from modelbuild.npu.simulator.pooling import run_average_pool, run_max_pool, run_resize
from modelbuild.npu.simulator.rows import run_matmul, run_reduce_max, run_reduce_sum, run_softmax

_RUN: dict[type[Instruction], Callable[[Any, Any, Memory], None]] = {
    Fill: run_fill,
    t.Convolution: run_convolution,
    t.MaxPool: run_max_pool,
    t.AveragePool: run_average_pool,
    t.Binary: run_binary,
    t.Rescale: run_rescale,
    t.Table: run_table,
    t.Curve: run_curve,
    t.Matmul: run_matmul,
    t.ReduceSum: run_reduce_sum,
    t.ReduceMax: run_reduce_max,
    t.Softmax: run_softmax,
    t.Resize: run_resize,
}
_SETUPS = tuple(SETUP_OF.values())


@dataclass(frozen=True)
class Hooks:
    """What the machine asks its owner to do: at the start of a group of layers, when it yields, and when a
    tile has written what an `output` before it announced."""

    layer: Callable[[int], None]
    segment: Callable[[int], None]
    output: Callable[[Output, RowMap, Memory], None]


def run_stream(
    instructions: tuple[Instruction, ...],
    local: Scratchpad,
    dram: Dram,
    constants: Constants,
    clock: Clock | None,
    hooks: Hooks,
    rates: Rates,
) -> None:
    """Runs to the end. `local` is SRAM, or the host's workspace; without a clock no cycles are counted."""
    setup: Instruction | None = None
    announced: list[Output] = []
    leaving: RowMap | None = None
    for index, instruction in enumerate(instructions):
        try:
            if announced and isinstance(instruction, (Layer, Yield, End)):
                raise failure("no tile follows an output")
            if isinstance(instruction, _SETUPS):
                setup = instruction
            elif isinstance(instruction, Layer):
                setup = leaving = None
                hooks.layer(instruction.index)
                if clock:
                    clock.begin_layer()
            elif isinstance(instruction, Yield):
                setup = leaving = None
                hooks.segment(instruction.segment)
            elif isinstance(instruction, Output):
                announced.append(instruction)
            elif not isinstance(instruction, End):
                found = access(instruction, _checked(instruction, setup), rates)
                leaving = _leaving(instruction, setup, leaving)
                _execute(instruction, setup, found, local, dram, constants)
                if clock:
                    clock.run(found)
                if announced and type(instruction) in SETUP_OF:
                    _show(instruction, setup, announced, local, hooks)
                    announced.clear()
        except ModelbuildError as error:
            if error.problems[0].where:
                raise
            name = type(instruction).__name__
            raise ModelbuildError(
                error.problems[0].what, where=f"instruction {index} ({name})", exit_code=error.exit_code
            ) from None


def _leaving(tile: Instruction, setup: Any, before: RowMap | None) -> RowMap | None:
    """What the array sends out last, after `tile`: a function on the way out works on nothing else."""
    if isinstance(tile, t.Convolution):
        return output_map(tile, setup)
    fused = bool(getattr(setup, "stage", 0))
    if fused and type(tile) in SETUP_OF and input_maps(tile, setup) != (before,):
        raise failure("a function on the way out of the array is not of what left it last")
    return before


def _show(
    tile: Instruction, setup: Instruction | None, announced: list[Output], local: Memory, hooks: Hooks
) -> None:
    if not has_rows(type(tile)):
        raise failure("an output stands before a tile without rows")
    place = output_map(tile, setup)
    for output in announced:
        hooks.output(output, place, local)


def _transfer(transfer: Transfer, local: Scratchpad, dram: Dram, constants: Constants) -> None:
    counts = [loop.count for loop in transfer.loops]
    outside = [loop.dram_stride for loop in transfer.loops]
    inside = [loop.sram_stride for loop in transfer.loops]
    if isinstance(transfer, Store):
        dram.copy(transfer.dram, local, transfer.sram, counts, outside, inside, transfer.length)
        return
    if isinstance(transfer, LoadConstants) and transfer.codec != RAW:
        packed = constants.read_bytes(transfer.dram, transfer.stored)
        local.write(transfer.sram, unpack_short(packed, transfer.length), ElementType.U8)
        return
    assert isinstance(transfer, (Load, LoadConstants))
    source: Memory = dram if isinstance(transfer, Load) else constants
    local.copy(transfer.sram, source, transfer.dram, counts, inside, outside, transfer.length)


def _checked(tile: Instruction, setup: Instruction | None) -> Instruction | None:
    wanted = SETUP_OF.get(type(tile))
    if wanted is not None and not isinstance(setup, wanted):
        raise failure(f"the setup before it is not {wanted.__name__}")
    return setup


def _execute(
    instruction: Instruction,
    setup: Instruction | None,
    touched: Access,
    local: Scratchpad,
    dram: Dram,
    constants: Constants,
) -> None:
    for stretch in (*touched.reads, *touched.writes):
        local.check(stretch)
    if isinstance(instruction, Transfer):
        _transfer(instruction, local, dram, constants)
    else:
        _RUN[type(instruction)](instruction, setup, local)
