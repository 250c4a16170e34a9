"""Programs on the simulator beside the exact integers: `python -m bench.hardware --models DIR`.

For each model, chip and size of SRAM (a chip's own, a half, an eighth of it, and the least with which the
model compiles) the program runs on random inputs: all outputs and, on the first input, all layers must be
equal in every bit, and the cycles as many as the compiler said. Prints the table of docs/benchmarks.md; the
two take turns in one process, and times are CPU time of one thread. Ends with 1 where a bit or a cycle
differs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np

from bench import machine
from bench.compare import say
from bench.memory_plan import compiled
from bench.table import milliseconds, ratio, table
from modelbuild.arithmetic.fixed_model import FixedModel, Integers
from modelbuild.arithmetic.multiplier_shift import FixedSession
from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compiler import CompiledModel, compile_model
from modelbuild.npu.program import decode
from modelbuild.npu.simulator import Simulation, simulate

CHIPS = ("kl520", "kl720", "kl730", "modalix")
PARTS = ((1, "whole"), (2, "1/2"), (8, "1/8"))  # of the chip's SRAM
INPUTS = 4
STEP = 1024  # bytes
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
HEAD = (
    "model",
    "chip",
    "SRAM",
    "KB",
    "instructions",
    "cycles",
    "layers seen",
    "simulator, ms",
    "fixed, ms",
    "ratio",
    "equal",
)
Named = Mapping[str, Integers]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Measured:
    """A program; median CPU seconds of one input on the simulator and in exact integers; what differs."""

    instructions: int
    cycles: int
    layers: int
    seen: int
    simulator: float
    fixed: float
    differs: tuple[str, ...]

    def cells(self) -> tuple[str, ...]:
        """Behind the model's name, the chip and the size of SRAM."""
        return (
            f"{self.instructions:,}",
            f"{self.cycles:,}",
            f"{self.seen} of {self.layers}",
            milliseconds(self.simulator),
            milliseconds(self.fixed),
            ratio(self.simulator, self.fixed),
            ", ".join(self.differs) or "yes",
        )


def main(words: Sequence[str] | None = None) -> int:
    """Parses, measures, prints; 1 if anything differs, or a ratio is larger than allowed."""
    options = _options(words)
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.environ.update(ONE_THREAD)
        os.execv(sys.executable, [sys.executable, "-m", "bench.hardware", *(words or sys.argv[1:])])
    rows: list[tuple[str, ...]] = []
    found: list[Measured] = []
    refused: list[str] = []
    for name in options.names or sorted(path.stem for path in Path(options.models).glob("*.onnx")):
        for chip in options.chips:
            recipe = load_recipe(chip)
            try:
                model = compiled(Path(options.models, f"{name}.onnx"), recipe)
            except ModelbuildError as error:
                refused.append(f"{name} does not compile for {chip}: {error.problems[0].what}")
                continue
            for label, sram in sizes(model, recipe):
                result = measured(model, recipe, sram, options.runs)
                rows.append((name, chip, label, f"{sram // 1024:,}", *result.cells()))
                say(", ".join(rows[-1]))
                found.append(result)
    text = "\n".join(["```text", *machine.describe(), "```", "", *table(HEAD, rows), "", *refused]) + "\n"
    print(text, end="")
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")
    slow = any(result.simulator > options.most * result.fixed for result in found)
    return int(not found or slow or any(result.differs for result in found))


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.hardware", description=__doc__)
    parser.add_argument("--models", required=True, metavar="DIR", help="the folder of the .onnx files")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="files without their .onnx; all of them")
    parser.add_argument("--chips", nargs="+", default=CHIPS, metavar="CHIP")
    parser.add_argument("--runs", type=int, default=3, help="of each input")
    parser.add_argument("--most", type=float, default=1000.0, help="the largest ratio of times allowed")
    parser.add_argument("--output", metavar="FILE", help="write the table there, too")
    return parser.parse_args(words)


def sizes(model: FixedModel, recipe: Recipe) -> Iterator[tuple[str, int]]:
    """Sizes of SRAM with which the model compiles, the largest first."""
    own = int(recipe.hardware.sram_bytes.value)
    least = _least(model, recipe, own)
    for part, label in PARTS:
        if own // part > least:
            yield label, own // part
    yield "least", least


def _least(model: FixedModel, recipe: Recipe, most: int) -> int:
    """About the least multiple of STEP with which the model compiles: a sixteenth less is too little."""
    low, high = 0, -(-most // STEP)
    while high - low > max(1, high // 16):
        middle = (low + high) // 2
        try:
            compile_model(model, recipe, {"sram_bytes": middle * STEP})
        except ModelbuildError as error:
            if "bytes of SRAM" not in str(error):
                raise
            low = middle
        else:
            high = middle
    return high * STEP


def measured(model: FixedModel, recipe: Recipe, sram: int, runs: int) -> Measured:
    """The program for so much SRAM, on INPUTS random inputs."""
    program = compile_model(model, recipe, {"sram_bytes": sram})
    session = FixedSession(model)
    times: tuple[list[float], list[float]] = ([], [])
    differs: set[str] = set()
    seen: set[str] = set()
    for number in range(INPUTS):
        inputs = _random(model, number)
        if not number:  # the first run warms up
            differs, seen = _differences(program, inputs, session.run(inputs, "all"))
        for _ in range(runs):
            found = _timed(partial(_run, program, inputs), times[0])
            expected = _timed(partial(session.run, inputs), times[1])
            differs |= {name for name in expected if not np.array_equal(found.outputs[name], expected[name])}
    layers = {name for operator in model.operators for name in operator.outputs}
    return Measured(
        instructions=len(decode(program.command).instructions),
        cycles=sum(layer.cycles for layer in program.layers),
        layers=len(layers),
        seen=len(seen),
        simulator=median(times[0]),
        fixed=median(times[1]),
        differs=tuple(sorted(differs)),
    )


def _differences(program: CompiledModel, inputs: Named, expected: Named) -> tuple[set[str], set[str]]:
    """Names of layers that differ, and of all of the model that the simulator shows."""
    found = _run(program, inputs, keep_layers=True)
    seen = {name for name in found.layers if name in expected}  # the compiler adds some of its own
    differs = {name for name in seen if not np.array_equal(found.layers[name], expected[name])}
    if found.cycles != sum(layer.cycles for layer in program.layers):
        differs.add("cycles")
    return differs, seen


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


if __name__ == "__main__":
    sys.exit(main())
