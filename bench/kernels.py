"""Fixed-point inference beside onnxruntime's float32, one thread: `python -m bench.kernels --models DIR`.

Prints the table of docs/benchmarks.md. The two run in turn in one process, on random inputs; time does not
depend on the values. Times are the process's CPU time, which with one thread is the time that passes on a
machine that does nothing else. Ends with 1 where the ratio of the medians exceeds `--most`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from bench import machine
from bench.compare import say
from bench.graphs import SHAPES
from bench.table import milliseconds, ratio, table
from modelbuild import importers
from modelbuild.arithmetic.binding import bind
from modelbuild.arithmetic.executing import short_buffers
from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.arithmetic.multiplier_shift import KERNELS, FixedSession
from modelbuild.arithmetic.number import quantize_array
from modelbuild.chips.load import load_recipe
from modelbuild.graph import onnx_io
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.quantize.apply import apply
from modelbuild.quantize.observe import observe
from modelbuild.quantize.quantize import quantize
from modelbuild.quantize.settings import Settings

MODELS = ("mobilenetv2", "squeezenet1.1", "yolox_nano", "mlperf_resnet8")
# OpenBLAS, MKL and BLIS read these when they are loaded.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
Inputs = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Measured:
    """CPU seconds of every run in turn, and the least seconds of each kind of operator alone."""

    float32: list[float]
    fixed: list[float]
    kinds: Mapping[str, float]


def main(words: Sequence[str] | None = None) -> int:
    """Parses, measures, prints; 1 if a model takes longer than allowed."""
    options = _options(words)
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.environ.update(ONE_THREAD)
        os.execv(sys.executable, [sys.executable, "-m", "bench.kernels", *(words or sys.argv[1:])])
    found = {}
    for name in options.names:
        say(name)
        found[name] = measured(Path(options.models, f"{name}.onnx"), options.recipe, options.runs)
    head = ("model", "onnxruntime, ms", "fixed, ms", "ratio", "least, ms", "least, ms", "ratio")
    lines = ["```text", *machine.describe(), f"numpy {np.__version__}, onnxruntime {onnxruntime.__version__}"]
    lines += ["```", "", *table(head, [_cells(name, result) for name, result in found.items()]), ""]
    lines += table(("model", "share of the operators' time"), [_shares(*item) for item in found.items()])
    text = "\n".join(lines)
    print(text)
    if options.output:
        Path(options.output).write_text(text + "\n", encoding="utf-8")
    return int(any(median(done.fixed) > options.most * median(done.float32) for done in found.values()))


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.kernels", description=__doc__)
    parser.add_argument("--models", required=True, metavar="DIR", help="the folder of the .onnx files")
    parser.add_argument(
        "--names", nargs="+", default=MODELS, metavar="NAME", help="files without their .onnx"
    )
    parser.add_argument("--recipe", default="modalix", help="whose number format is taken")
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--most", type=float, default=8.0, help="the largest ratio of medians allowed")
    parser.add_argument("--output", metavar="FILE", help="write the tables there, too")
    return parser.parse_args(words)


def measured(path: Path, recipe: str, runs: int) -> Measured:
    """Both forms of the model, run in turn."""
    source, fixed = _forms(path, recipe)
    reals = _random(source, 0)
    integers = {name: quantize_array(value, fixed.tensors[name]) for name, value in reals.items()}
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    peer = onnxruntime.InferenceSession(
        onnx_io.to_bytes(source), settings, providers=["CPUExecutionProvider"]
    )
    session = FixedSession(fixed)
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(runs + 1):
        for taken, run in zip(
            times, (lambda: peer.run(None, reals), lambda: session.run(integers)), strict=True
        ):
            seconds = _seconds(run)
            if number:  # the first round warms up
                taken.append(seconds)
    return Measured(*times, _kinds(fixed, session.run(integers, "all"), runs))


def _forms(path: Path, recipe: str) -> tuple[Graph, FixedModel]:
    shapes = {name: tuple(shape) for name, shape in SHAPES.get(path.stem, {}).items()}
    source, _ = normalise(importers.load(path, shapes))
    chip = load_recipe(recipe)
    lowered, _ = run_passes(source, list(chip.passes))
    observations = observe(lowered, [_random(lowered, seed) for seed in (1, 2)])
    record = quantize(lowered, observations, Settings(), chip.number_format)
    return source, apply(lowered, {}, record, chip)


def _random(graph: Graph, seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=graph.shapes[name]).astype(np.float32) for name in graph.inputs}


def _seconds(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def _kinds(model: FixedModel, tensors: Mapping[str, NDArray[Any]], runs: int) -> dict[str, float]:
    """The operators one by one, each on what it has in the whole."""
    found: dict[str, float] = defaultdict(float)
    for operator in model.operators:
        inputs = [tensors[name] if name in tensors else model.constants[name] for name in operator.inputs]
        run = partial(KERNELS[operator.kind](bind(model, operator)), *inputs)
        with short_buffers():
            found[_kind(model, operator)] += min(_seconds(run) for _ in range(runs))
    return dict(found)


def _kind(model: FixedModel, operator: FixedOperator) -> str:
    if operator.kind != "conv":
        return operator.kind
    weight = model.constants[operator.constants["weight"]]
    if weight.shape[1] == 1 and operator.parameters["group"] != 1:
        return "depthwise"
    return "pointwise" if weight.shape[2:] == (1, 1) else "conv"


def _cells(name: str, done: Measured) -> list[str]:
    pairs = [(median(done.float32), median(done.fixed)), (min(done.float32), min(done.fixed))]
    return [name, *(cell for a, b in pairs for cell in (milliseconds(a), milliseconds(b), ratio(b, a)))]


def _shares(name: str, done: Measured) -> list[str]:
    total = sum(done.kinds.values())
    ranked = sorted(done.kinds.items(), key=lambda item: -item[1])
    return [
        name,
        ", ".join(f"{kind} {seconds / total:.0%}" for kind, seconds in ranked if seconds * 100 > total),
    ]


if __name__ == "__main__":
    sys.exit(main())
