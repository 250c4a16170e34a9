"""Bounds on what a program may cost, so that no hostile file can hold up the machine that reads it."""

from __future__ import annotations

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import HostProgram, Instruction, Program
from modelbuild.npu.program.instructions import SETUP_OF
from modelbuild.npu.simulator.accesses import access, takes_time

MAX_WORK = 1 << 40  # multiply-accumulates, elements and bytes together: some 250 ResNet-50s
MAX_LAYER_BYTES = 1 << 31  # of all layers' outputs together, should they be kept


def check_limits(program: Program, host: HostProgram) -> None:
    """Instructions that add up to more than MAX_WORK, or layers to more bytes than MAX_LAYER_BYTES, are a
    ModelbuildError."""
    kept = sum(tensor.size for layer in program.interface.layers for tensor in layer.outputs)
    if kept > MAX_LAYER_BYTES:
        raise ModelbuildError(f"malformed program: its layers have {kept} bytes", where="I/O descriptor")
    total = 0
    for stream in (program.instructions, *host.segments):
        total += _work(program, stream)
    if total > MAX_WORK:
        raise ModelbuildError(f"malformed program: it asks for {total} operations", where="instructions")


def _work(program: Program, stream: tuple[Instruction, ...]) -> int:
    total = 0
    setup: Instruction | None = None
    setups = tuple(SETUP_OF.values())
    for instruction in stream:
        if isinstance(instruction, setups):
            setup = instruction
        wanted = SETUP_OF.get(type(instruction))
        if wanted is not None and not isinstance(setup, wanted):
            raise ModelbuildError(f"malformed program: {type(instruction).__name__} without its setup")
        if takes_time(instruction):
            total += access(instruction, setup, program.rates).work
    return total
