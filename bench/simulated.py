"""A program on the simulator beside the exact integers: what differs, and the time of both."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from statistics import median
from typing import TypeVar

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, Integers
from modelbuild.arithmetic.multiplier_shift import FixedSession
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.batching import own_batch
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.planning.does_not_fit import DoesNotFit
from modelbuild.npu.planning.planner import plan
from modelbuild.npu.program import decode
from modelbuild.npu.rates import limits_of
from modelbuild.npu.rewriting import rewritten
from modelbuild.npu.simulator import Simulation, simulate
from modelbuild.stages.hardware_views import PartsOf

LEAST = "least"  # in place of a part of the chip's SRAM
STEP = 1024  # bytes
_TOO_SMALL = "bytes of SRAM"  # of an error that another size of SRAM would not be
Named = Mapping[str, Integers]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Measured:
    """A program for `sram` bytes; median CPU seconds of an input on the simulator and in exact integers; what
    differs. `refused` is why there is no program, with nothing else."""

    sram: int = 0
    instructions: int = 0
    cycles: int = 0
    layers: int = 0
    seen: int = 0
    simulator: float = 0.0
    fixed: float = 0.0
    differs: tuple[str, ...] = ()
    refused: str = ""

    @property
    def wrong(self) -> str:
        """What is not as it must be: names that differ, or why there is no program, but for little SRAM."""
        return ", ".join(self.differs) or ("" if _TOO_SMALL in self.refused else self.refused)


def measured(model: FixedModel, recipe: Recipe, part: str, inputs: int, runs: int) -> Measured:
    """The program for a part of the chip's SRAM, on random inputs; refused if it does not fit."""
    own = int(recipe.hardware.sram_bytes.value)
    sram = least(model, recipe) if part == LEAST else int(own * Fraction(part))
    try:
        program = compile_model(model, recipe, {"sram_bytes": sram})
    except ModelbuildError as error:
        return Measured(refused=error.problems[0].what)
    try:
        return _compared(program, model, sram, inputs, runs)
    except ModelbuildError as error:  # the simulator refuses what the compiler made
        return Measured(sram, simulator=math.nan, fixed=math.nan, differs=(error.problems[0].what,))


def _compared(program: CompiledModel, model: FixedModel, sram: int, inputs: int, runs: int) -> Measured:
    session, parts = FixedSession(model), PartsOf(model, own_batch(model) or 1)
    times: tuple[list[float], list[float]] = ([], [])
    differs: set[str] = set()
    seen: set[str] = set()
    for number in range(inputs):
        given = _random(model, number)
        if not number:  # it warms up, and is not timed if others are
            differs, seen = _differences(program, parts, given, session.run(given, "all"))
        if number or inputs == 1:
            for _ in range(runs):
                found = _timed(partial(_run, program, given), times[0])
                expected = _timed(partial(session.run, given), times[1])
                differs |= _unequal(found.outputs, expected, expected)
    return Measured(
        sram=sram,
        instructions=len(decode(program.command).instructions),
        cycles=program.cycles,
        layers=len({name for operator in model.operators for name in operator.outputs}),
        seen=len(seen),
        simulator=median(times[0]),
        fixed=median(times[1]),
        differs=tuple(sorted(differs)),
    )


def least(model: FixedModel, recipe: Recipe) -> int:
    """About the least multiple of STEP with which the model compiles: a sixteenth less is too little."""
    model = rewritten(model)
    low, high = 0, -(-int(recipe.hardware.sram_bytes.value) // STEP)
    while high - low > max(1, high // 16):
        middle = (low + high) // 2
        try:
            plan(model, limits_of(recipe.hardware, middle * STEP))
        except DoesNotFit:
            low = middle
        else:
            high = middle
    return high * STEP


def _differences(
    program: CompiledModel, parts: PartsOf, inputs: Named, expected: Named
) -> tuple[set[str], set[str]]:
    """Names of layers and outputs that differ, and of all layers of the model that the simulator shows, by
    themselves or through the `parts` that they consist of."""
    found = _run(program, inputs, keep_layers=True)
    layers = {**found.layers, **parts.views(inputs, found.layers).values}
    seen = {name for name in layers if name in expected}  # the compiler adds some of its own
    differs = _unequal(layers, expected, seen) | _unequal(found.outputs, expected, found.outputs)
    if found.cycles != program.cycles:
        differs.add("cycles")
    return differs, seen


def _unequal(found: Named, expected: Named, names: Iterable[str]) -> set[str]:
    return {name for name in names if not np.array_equal(found[name], expected[name])}


def _run(program: CompiledModel, inputs: Named, keep_layers: bool = False) -> Simulation:
    return simulate(program.command, program.weights, program.host, inputs, keep_layers)


def _random(model: FixedModel, seed: int) -> dict[str, Integers]:
    rng = np.random.default_rng(seed)
    tensors = (model.tensors[name] for name in model.inputs)
    return {
        tensor.name: rng.integers(tensor.low, tensor.high + 1, tensor.shape).astype(tensor.dtype)
        for tensor in tensors
    }


def _timed(run: Callable[[], Result], times: list[float]) -> Result:
    began = time.process_time()
    result = run()
    times.append(time.process_time() - began)
    return result
