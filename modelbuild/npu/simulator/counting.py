"""The cycles of a program, counted from its instructions alone: no data decides them."""

from __future__ import annotations

from dataclasses import dataclass

from modelbuild.npu.program import decode
from modelbuild.npu.program.transfers import Layer
from modelbuild.npu.simulator.clock import clock
from modelbuild.npu.simulator.limits import check_limits
from modelbuild.npu.simulator.memory import failure
from modelbuild.npu.simulator.steps import steps


@dataclass(frozen=True)
class Counted:
    """Cycles of a run, and of each group of layers under the name of its first."""

    cycles: int
    layers: tuple[tuple[str, int], ...]


def count(command: bytes) -> Counted:
    """What `simulate` counts of the command section. Raises ModelbuildError for a malformed program."""
    program = decode(command)
    stream = steps(program.instructions, program.rates)
    check_limits(program.interface, (stream,))
    ticks = clock(program.rates, program.sram_size)
    names = [layer.name for layer in program.interface.layers]
    starts: list[tuple[str, int]] = []
    for step in stream:
        if isinstance(step.instruction, Layer):
            if step.instruction.index >= len(names):
                raise failure(f"layer {step.instruction.index} of {len(names)}")
            starts.append((names[step.instruction.index], ticks.now))
            ticks.begin_layer()
        elif step.access is not None:
            for stretch in (*step.access.reads, *step.access.writes):
                if stretch.address < 0 or stretch.address + stretch.span > program.sram_size:
                    raise failure(f"instruction {step.index} reaches outside of SRAM")
            ticks.run(step.access)
    ends = [begin for _, begin in starts[1:]] + [ticks.now]
    return Counted(
        ticks.now, tuple((name, end - begin) for (name, begin), end in zip(starts, ends, strict=True))
    )
