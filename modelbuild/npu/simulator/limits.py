"""Bounds on what a program may cost, so that no hostile file can hold up the machine that reads it."""

from __future__ import annotations

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import HostProgram, Instruction, Program
from modelbuild.npu.program.instructions import SETUP_OF
from modelbuild.npu.simulator.accesses import access, takes_time

MAX_WORK = 1 << 40  # multiply-accumulates, elements and bytes together: some 250 ResNet-50s
MAX_CYCLES = 1 << 60  # of all instructions, one after another
MAX_LAYER_BYTES = 1 << 31  # of all layers' outputs together, should they be kept


def check_limits(program: Program, host: HostProgram) -> None:
    """Instructions that add up to more than MAX_WORK or MAX_CYCLES, or layers to more bytes than
    MAX_LAYER_BYTES, are a ModelbuildError."""
    kept = sum(tensor.size for layer in program.interface.layers for tensor in layer.outputs)
    if kept > MAX_LAYER_BYTES:
        raise ModelbuildError(f"malformed program: its layers have {kept} bytes", where="I/O descriptor")
    work = cycles = 0
    for stream in (program.instructions, *host.segments):
        more, taken = _totals(program, stream)
        work, cycles = work + more, cycles + taken
    if work > MAX_WORK:
        raise ModelbuildError(f"malformed program: it asks for {work} operations", where="instructions")
    if cycles > MAX_CYCLES:
        raise ModelbuildError(f"malformed program: it takes {cycles} cycles", where="instructions")


def _totals(program: Program, stream: tuple[Instruction, ...]) -> tuple[int, int]:
    """Work and cycles of a stream."""
    work = cycles = 0
    setup: Instruction | None = None
    setups = tuple(SETUP_OF.values())
    for instruction in stream:
        if isinstance(instruction, setups):
            setup = instruction
        wanted = SETUP_OF.get(type(instruction))
        if wanted is not None and not isinstance(setup, wanted):
            raise ModelbuildError(f"malformed program: {type(instruction).__name__} without its setup")
        if takes_time(instruction):
            found = access(instruction, setup, program.rates)
            work, cycles = work + found.work, cycles + found.cycles
    return work, cycles
