"""Runs a stream of instructions on modelled memories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import ElementType, Instruction
from modelbuild.npu.program import tiles as t
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
from modelbuild.npu.simulator.accesses import Access
from modelbuild.npu.simulator.clock import Clock
from modelbuild.npu.simulator.convolution import run_convolution
from modelbuild.npu.simulator.decompress import unpack_short
from modelbuild.npu.simulator.elementwise import run_binary, run_curve, run_fill, run_rescale, run_table
from modelbuild.npu.simulator.maps import RowMap, TileMaps
from modelbuild.npu.simulator.memory import Constants, Dram, Memory, Scratchpad, failure
from modelbuild.npu.simulator.pooling import run_average_pool, run_max_pool, run_resize
from modelbuild.npu.simulator.rows import run_matmul, run_reduce_max, run_reduce_sum, run_softmax
from modelbuild.npu.simulator.steps import Step

_ON_ROWS: dict[type[Instruction], Callable[[Any, Any, TileMaps, Scratchpad], None]] = {
    t.Convolution: run_convolution,
    t.MaxPool: run_max_pool,
    t.AveragePool: run_average_pool,
    t.Binary: run_binary,
    t.Rescale: run_rescale,
    t.Table: run_table,
    t.Curve: run_curve,
    t.Resize: run_resize,
}
_DENSE: dict[type[Instruction], Callable[[Any, Any, Scratchpad], None]] = {
    Fill: run_fill,
    t.Matmul: run_matmul,
    t.ReduceSum: run_reduce_sum,
    t.ReduceMax: run_reduce_max,
    t.Softmax: run_softmax,
}


@dataclass(frozen=True)
class Hooks:
    """What the machine asks its owner to do: at the start of a group of layers, when it yields, and when a
    tile has written what an `output` before it announced."""

    layer: Callable[[int], None]
    segment: Callable[[int], None]
    output: Callable[[Output, RowMap, Memory], None]


@dataclass
class Machine:
    """The memories that a stream works on. `local` is SRAM, or the host's workspace; without a clock no
    cycles are counted."""

    local: Scratchpad
    dram: Dram
    constants: Constants
    clock: Clock | None
    hooks: Hooks
    _announced: list[Output] = field(default_factory=list)
    _leaving: RowMap | None = None  # what the array has sent out last, and nothing has touched since

    def run(self, stream: Sequence[Step]) -> None:
        """Runs to the end."""
        for step in stream:
            try:
                self._run(step)
            except ModelbuildError as error:
                if error.problems[0].where:
                    raise
                name = type(step.instruction).__name__
                raise ModelbuildError(
                    error.problems[0].what,
                    where=f"instruction {step.index} ({name})",
                    exit_code=error.exit_code,
                ) from None

    def _run(self, step: Step) -> None:
        instruction = step.instruction
        if step.access is None:
            self._control(instruction)
            return
        for stretch in (*step.access.reads, *step.access.writes):
            self.local.check(stretch)
        if isinstance(instruction, Transfer):
            self._transfer(instruction)
        elif step.access.maps is None:
            if self._announced and type(instruction) is not Fill:
                raise failure("an output stands before a tile without rows")
            _DENSE[type(instruction)](instruction, step.setup, self.local)
        else:
            self._tile(instruction, step.setup, step.access.maps)
        self._leaving = self._left_by(step, step.access)
        if self.clock:
            self.clock.run(step.access)

    def _control(self, instruction: Instruction) -> None:
        if isinstance(instruction, Output):
            self._announced.append(instruction)
            return
        if self._announced:
            raise failure("no tile follows an output")
        self._leaving = None
        if isinstance(instruction, Layer):
            self.hooks.layer(instruction.index)
            if self.clock:
                self.clock.begin_layer()
        elif isinstance(instruction, Yield):
            self.hooks.segment(instruction.segment)
        else:
            assert isinstance(instruction, End)

    def _tile(self, tile: Instruction, setup: Instruction | None, maps: TileMaps) -> None:
        if getattr(setup, "stage", 0) and maps.inputs != (self._leaving,):
            raise failure("a function on the way out of the array is not of what just left it")
        _ON_ROWS[type(tile)](tile, setup, maps, self.local)
        for output in self._announced:
            self.hooks.output(output, maps.output, self.local)
        self._announced.clear()

    def _left_by(self, step: Step, done: Access) -> RowMap | None:
        """What left the array last, unless a function has had it or something was written over it."""
        if isinstance(step.instruction, t.Convolution):
            return done.maps.output if done.maps else None
        if self._leaving is None or getattr(step.setup, "stage", 0) != 0:
            return None
        is_over = any(one.meets(other) for one in done.writes for other in self._leaving.stretches())
        return None if is_over else self._leaving

    def _transfer(self, transfer: Transfer) -> None:
        counts = [loop.count for loop in transfer.loops]
        outside = [loop.dram_stride for loop in transfer.loops]
        inside = [loop.sram_stride for loop in transfer.loops]
        local, dram = self.local, self.dram
        if isinstance(transfer, Store):
            dram.copy(transfer.dram, local, transfer.sram, counts, outside, inside, transfer.length)
        elif isinstance(transfer, LoadConstants) and transfer.codec != RAW:
            packed = self.constants.read_bytes(transfer.dram, transfer.stored)
            local.write(transfer.sram, unpack_short(packed, transfer.length), ElementType.U8)
        else:
            source: Memory = dram if isinstance(transfer, Load) else self.constants
            local.copy(transfer.sram, source, transfer.dram, counts, inside, outside, transfer.length)
