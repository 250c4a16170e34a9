"""A stream of instructions, each with what it needs to run: its setup and what it touches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import Instruction, Rates
from modelbuild.npu.program.instructions import SETUP_OF
from modelbuild.npu.program.transfers import Layer, Yield
from modelbuild.npu.simulator.accesses import Access, access, takes_time

_SETUPS = frozenset(SETUP_OF.values())


@dataclass(frozen=True)
class Step:
    """An instruction, its place in the stream, the setup of a tile, and what it touches (None if it
    takes no time)."""

    index: int
    instruction: Instruction
    setup: Instruction | None = None
    access: Access | None = None


def steps(stream: Iterable[Instruction], rates: Rates) -> tuple[Step, ...]:
    """All but setups. A tile without its own setup before it is a ModelbuildError."""
    found = []
    setup: Instruction | None = None
    for index, instruction in enumerate(stream):
        kind = type(instruction)
        if kind in _SETUPS:
            setup = instruction
            continue
        if kind is Layer or kind is Yield:
            setup = None
        wanted = SETUP_OF.get(kind)
        if wanted is not None and not isinstance(setup, wanted):
            raise ModelbuildError(f"malformed program: {kind.__name__} without its setup")
        own = None if wanted is None else setup
        touched = access(instruction, own, rates) if takes_time(instruction) else None
        found.append(Step(index, instruction, own, touched))
    return tuple(found)
